//! A silence as clients post it: read and checked as Alertmanager's API does, refused in its words.

use axum::{http::StatusCode, response::Response};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::failure;
use crate::{
    alert::read_time,
    api::MatchType,
    publish::{SilenceDraft, SilenceMatcher},
};

/// A silence as posted. Its id is still a text: one that is no id is the id of no silence.
#[derive(Debug, PartialEq)]
pub(super) struct Draft {
    pub(super) id: String,
    pub(super) silence: SilenceDraft,
}

/// Why a body is no silence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Not the JSON that was expected (400).
    Body(String),
    /// A field is missing (422).
    Required(String),
    /// There is no condition (422).
    NoMatchers,
}

type Field<T> = Result<Option<T>, Malformed>;

/// Reads a body. Only its first JSON value counts, and keys match without regard to case.
pub(super) fn read(body: &[u8]) -> Result<Draft, Malformed> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(required("silence"));
    }
    let text = String::from_utf8_lossy(body);
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let fields = match values.next() {
        Some(Ok(Value::Object(fields))) => Fields(fields),
        Some(Ok(Value::Null)) => Fields(Map::new()),
        Some(Ok(_)) => return Err(Malformed::Body("it is not an object".into())),
        Some(Err(error)) => return Err(Malformed::Body(error.to_string())),
        None => return Err(required("silence")),
    };
    let id = fields.text("id")?.unwrap_or_default();
    let annotations = fields.map("annotations")?;
    let comment = fields.text("comment")?;
    let created_by = fields.text("createdBy")?;
    let ends_at = fields.time("endsAt")?;
    let matchers = fields.list("matchers")?;
    let starts_at = fields.time("startsAt")?;
    // In the order in which Alertmanager looks.
    let comment = comment.ok_or_else(|| required("comment"))?.into();
    let created_by = created_by.ok_or_else(|| required("createdBy"))?.into();
    let ends_at = ends_at.ok_or_else(|| required("endsAt"))?;
    let matchers = matchers.ok_or_else(|| required("matchers"))?;
    if matchers.is_empty() {
        return Err(Malformed::NoMatchers);
    }
    let matchers = matchers.into_iter().enumerate();
    let matchers = matchers.map(|(at, value)| matcher(at, value)).collect::<Result<_, _>>()?;
    let starts_at = starts_at.ok_or_else(|| required("startsAt"))?;
    let silence =
        SilenceDraft { id: None, matchers, starts_at, ends_at, created_by, comment, annotations };
    Ok(Draft { id, silence })
}

fn matcher(at: usize, value: Value) -> Result<SilenceMatcher, Malformed> {
    let Value::Object(fields) = value else {
        return Err(Malformed::Body(format!("matchers.{at} is not an object")));
    };
    let fields = Fields(fields);
    let is_equal = fields.flag("isEqual")?.unwrap_or(true);
    let missing = |name: &str| required(&format!("matchers.{at}.{name}"));
    let is_regex = fields.flag("isRegex")?.ok_or_else(|| missing("isRegex"))?;
    let name = fields.text("name")?.ok_or_else(|| missing("name"))?.into();
    let value = fields.text("value")?.ok_or_else(|| missing("value"))?.into();
    let kind = match (is_equal, is_regex) {
        (true, false) => MatchType::Equal,
        (false, false) => MatchType::NotEqual,
        (true, true) => MatchType::Regex,
        (false, true) => MatchType::NotRegex,
    };
    Ok(SilenceMatcher { name, kind, value })
}

fn required(field: &str) -> Malformed {
    Malformed::Required(field.to_owned())
}

fn wrong(name: &str, wanted: &str) -> Malformed {
    Malformed::Body(format!("{name} is not {wanted}"))
}

struct Fields(Map<String, Value>);

// === impl Fields ===

impl Fields {
    /// The field of that name, of several the last. Null is as good as none.
    fn get(&self, name: &str) -> Option<&Value> {
        let mut same = self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        same.next_back().map(|(_, value)| value).filter(|value| !value.is_null())
    }

    fn read<'a, T>(&'a self, name: &str, what: &str, of: fn(&'a Value) -> Option<T>) -> Field<T> {
        self.get(name).map(|value| of(value).ok_or_else(|| wrong(name, what))).transpose()
    }

    fn text(&self, name: &str) -> Field<String> {
        self.read(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    fn flag(&self, name: &str) -> Field<bool> {
        self.read(name, "true or false", Value::as_bool)
    }

    fn list(&self, name: &str) -> Field<Vec<Value>> {
        self.read(name, "an array", |value| value.as_array().cloned())
    }

    fn time(&self, name: &str) -> Field<Timestamp> {
        self.read(name, "a time as in RFC 3339", |value| read_time(value.as_str()?))
    }

    fn map<T: FromIterator<(Box<str>, Box<str>)> + Default>(
        &self,
        name: &str,
    ) -> Result<T, Malformed> {
        let text = |value: &Value| match value {
            Value::Null => Some(Box::default()),
            value => value.as_str().map(Box::from),
        };
        let Some(map) = self.read(name, "an object", Value::as_object)? else {
            return Ok(T::default());
        };
        let pair = |(name, value): (&String, &Value)| Some((name.as_str().into(), text(value)?));
        let pairs: Option<T> = map.iter().map(pair).collect();
        pairs.ok_or_else(|| wrong(name, "an object of strings"))
    }
}

// === impl Malformed ===

impl From<Malformed> for Response {
    fn from(malformed: Malformed) -> Self {
        let (status, code, message) = match malformed {
            Malformed::Body(problem) => {
                let problem: String = problem.chars().take(200).collect();
                let message = format!("parsing silence body from \"\" failed, because {problem}");
                (StatusCode::BAD_REQUEST, 400, message)
            }
            Malformed::Required(field) => {
                (StatusCode::UNPROCESSABLE_ENTITY, 602, format!("{field} in body is required"))
            }
            Malformed::NoMatchers => {
                let message = "matchers in body should have at least 1 items".to_owned();
                (StatusCode::UNPROCESSABLE_ENTITY, 612, message)
            }
        };
        failure(status, code, &message)
    }
}
