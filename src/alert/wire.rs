//! One alert as senders write it in JSON: read without copying where the text allows, keys without
//! regard to case, unknown fields skipped, nesting bounded.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Labels, time::Written};

/// What a body may hold; the size of the body itself is the server's to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Alerts in one body.
    pub alerts: usize,
    /// Labels, and annotations, of one alert.
    pub labels: usize,
    /// Bytes of a label's name.
    pub name: usize,
    /// Bytes of a label's value.
    pub value: usize,
    /// Bytes of one annotation, and of a generator URL.
    pub annotation: usize,
    /// Levels of nesting.
    pub depth: u8,
}

/// Why nothing of a body was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not the JSON that was expected.
    #[error("parsing alerts body from \"\" failed, because {0}")]
    Malformed(String),
    /// No body.
    #[error("alerts in body is required")]
    Missing,
    /// An alert without labels.
    #[error("{0}.labels in body is required")]
    LabelsMissing(usize),
    /// A generator URL that is not a URI; the text is Go-quoted.
    #[error("{0}.generatorURL in body must be of type uri: {1}")]
    NotUri(usize, String),
    /// Too many alerts in one body.
    #[error("more than {0} alerts in one body; send them in several")]
    TooManyAlerts(usize),
}

/// An alert as written, not checked.
#[derive(Debug, Default)]
pub(super) struct Raw<'a> {
    pub(super) labels: Option<Pairs<'a>>,
    pub(super) annotations: Option<Pairs<'a>>,
    pub(super) starts_at: Written,
    pub(super) ends_at: Written,
    pub(super) generator_url: Cow<'a, str>,
    pub(super) status: Option<Cow<'a, str>>,
}

/// Names and values, borrowed as far as possible: most alerts are known, and their labels go again.
pub(super) type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A string, borrowed from the body unless it holds escapes.
#[derive(Default)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

/// Skips a value of any shape, down to a depth.
pub(super) struct Skip(pub(super) u8);

struct RawSeed(u8);
struct TextVisitor<'a>(PhantomData<&'a ()>);
struct PairsVisitor;

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            alerts: 10_000,
            labels: 64,
            name: 256,
            value: 4 * 1024,
            annotation: 16 * 1024,
            depth: 32,
        }
    }
}

impl Limits {
    /// What is wrong with an alert's labels and annotations, in Alertmanager's words where it has any.
    pub(super) fn check(&self, labels: &Labels, annotations: &Labels) -> Option<String> {
        if labels.is_empty() {
            return Some("at least one label pair required".into());
        }
        self.check_pairs(labels, self.value, "label set", "label")
            .or_else(|| self.check_pairs(annotations, self.annotation, "annotations", "annotation"))
    }

    fn check_pairs(&self, set: &Labels, value: usize, what: &str, one: &str) -> Option<String> {
        if set.len() > self.labels {
            let (count, most) = (set.len(), self.labels);
            return Some(format!("invalid {what}: {count} {one}s, at most {most} are allowed"));
        }
        for (name, text) in set.iter() {
            let problem = if name.is_empty() {
                "invalid name \"\"".into()
            } else if name.len() > self.name {
                let start: String = name.chars().take(40).collect();
                format!("name {start:?}… is longer than {} bytes", self.name)
            } else if text.len() > value {
                format!("value of {one} {name:?} is longer than {value} bytes")
            } else {
                continue;
            };
            return Some(format!("invalid {what}: {problem}"));
        }
        None
    }
}

// === impl ParseError ===

impl ParseError {
    /// HTTP status of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Missing | Self::LabelsMissing(_) | Self::NotUri(..) => 422,
            Self::TooManyAlerts(_) => 413,
        }
    }

    /// `code` of the answer's body: the HTTP status, or 601 and 602 for the validation failures
    /// that Alertmanager's API knows.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::NotUri(..) => 601,
            Self::Missing | Self::LabelsMissing(_) => 602,
            _ => self.status(),
        }
    }

    /// The answer's body: `{"code":…,"message":"…"}`.
    #[must_use]
    pub fn body(&self) -> String {
        serde_json::json!({"code": self.code(), "message": self.to_string()}).to_string()
    }
}

// === impl Raw ===

/// Reads one alert at nesting level `depth` left.
pub(super) fn raw<'de>(depth: u8) -> impl DeserializeSeed<'de, Value = Raw<'de>> {
    RawSeed(depth)
}

impl<'de> DeserializeSeed<'de> for RawSeed {
    type Value = Raw<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RawSeed {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an alert (an object)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw<'de>, A::Error> {
        let mut raw = Raw::default();
        while let Some(Text(key)) = map.next_key()? {
            let is = |name: &str| key.eq_ignore_ascii_case(name);
            if is("labels") {
                merge(&mut raw.labels, map.next_value_seed(PairsVisitor)?);
            } else if is("annotations") {
                merge(&mut raw.annotations, map.next_value_seed(PairsVisitor)?);
            } else if is("startsAt") {
                raw.starts_at = time(map.next_value()?)?;
            } else if is("endsAt") {
                raw.ends_at = time(map.next_value()?)?;
            } else if is("generatorURL") {
                raw.generator_url = map.next_value::<Option<Text<'de>>>()?.unwrap_or_default().0;
            } else if is("status") {
                // Alertmanager's v2 has no such field: whatever stands there must not matter to it.
                raw.status = Some(map.next_value_seed(Skip(self.0))?);
            } else {
                map.next_value_seed(Skip(self.0))?;
            }
        }
        Ok(raw)
    }
}

/// A key that comes twice adds to what it gave first, as in Go; null takes it back.
fn merge<'a>(into: &mut Option<Pairs<'a>>, more: Option<Pairs<'a>>) {
    match (into.as_mut(), more) {
        (Some(pairs), Some(more)) => pairs.extend(more),
        (_, more) => *into = more,
    }
}

fn time<E: de::Error>(text: Option<Text<'_>>) -> Result<Written, E> {
    let text = text.unwrap_or_default().0;
    Written::parse(&text).ok_or_else(|| {
        let start: String = text.chars().take(40).collect();
        E::custom(format_args!("parsing time {start:?}: not a time as in RFC 3339"))
    })
}

// === impl PairsVisitor ===

impl<'de> DeserializeSeed<'de> for PairsVisitor {
    type Value = Option<Pairs<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Option<Pairs<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::with_capacity(8);
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            let Text(value) = map.next_value::<Option<Text<'de>>>()?.unwrap_or_default();
            pairs.push((name, value));
        }
        Ok(Some(pairs))
    }
}

// === impl Text ===

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

impl<'de> Visitor<'de> for TextVisitor<'de> {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

// === impl Skip ===

/// Gives the text if the value is one, and an empty text for everything else.
impl<'de> DeserializeSeed<'de> for Skip {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Cow::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Cow::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Cow::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Cow::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Cow::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        while seq.next_element_seed(Skip(inner))?.is_some() {}
        Ok(Cow::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        while map.next_key::<Text<'de>>()?.is_some() {
            map.next_value_seed(Skip(inner))?;
        }
        Ok(Cow::default())
    }
}

impl Skip {
    pub(super) fn deeper<E: de::Error>(&self) -> Result<u8, E> {
        self.0.checked_sub(1).ok_or_else(|| E::custom("the body is nested too deeply"))
    }
}
