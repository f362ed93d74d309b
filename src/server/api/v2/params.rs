//! The query of a request, read as Alertmanager reads it: unknown parameters are passed over, of a
//! repeated one the last counts, and every word that does not mean yes means no.

use axum::{
    http::{StatusCode, Uri},
    response::{IntoResponse as _, Response},
};

use super::text;
use crate::{
    alert::Labels,
    api::MatchType,
    routing::{Matcher, MatcherError, Matchers},
};

/// The parameters of a request.
pub(super) struct Params(Vec<(String, String)>);

/// Which receivers a request is about.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    name: Option<Matcher>,
    labels: Matchers,
}

/// A parameter that can't be read: 400 with the reason as a JSON string.
#[derive(Debug)]
pub(super) struct BadParam(String);

// === impl Params ===

impl Params {
    pub(super) fn new(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// True unless the request says otherwise.
    pub(super) fn flag(&self, name: &str) -> bool {
        const YES: [&str; 10] =
            ["true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"];
        let text = self.all(name).last().unwrap_or_default();
        text.is_empty() || YES.iter().any(|yes| text.eq_ignore_ascii_case(yes))
    }

    /// The conditions of `filter`.
    pub(super) fn filter(&self) -> Result<Matchers, BadParam> {
        self.matchers("filter").map_err(BadParam)
    }

    /// What `receiver` and `receiver_matchers` say.
    pub(super) fn receivers(&self) -> Result<Receivers, BadParam> {
        let name = self.all("receiver").last().filter(|text| !text.is_empty());
        let name = name.map(|text| Matcher::new(MatchType::Regex, "receiver", text)).transpose();
        let name =
            name.map_err(|error| BadParam(format!("failed to parse receiver param: {error}")))?;
        let labels = self.matchers("receiver_matchers").map_err(|error| {
            BadParam(format!("failed to parse receiver_matchers param: {error}"))
        })?;
        Ok(Receivers { name, labels })
    }

    fn matchers(&self, name: &str) -> Result<Matchers, String> {
        let all: Result<Vec<_>, _> = self.all(name).map(Matcher::parse).collect();
        all.map(Matchers::sorted).map_err(|error| match error {
            MatcherError::Syntax { problem, .. } => problem,
            pattern @ MatcherError::Pattern { .. } => pattern.to_string(),
        })
    }
}

// === impl Receivers ===

impl Receivers {
    /// Whether the request is about all of them.
    pub(super) fn is_all(&self) -> bool {
        self.name.is_none() && self.labels.iter().len() == 0
    }

    /// Whether `receiver` takes one of this name.
    pub(super) fn names(&self, receiver: &str) -> bool {
        self.name.as_ref().is_none_or(|pattern| pattern.accepts(receiver))
    }

    /// Whether `receiver_matchers` takes one with these labels.
    pub(super) fn labelled(&self, labels: &Labels) -> bool {
        self.labels.matches(labels)
    }
}

// === impl BadParam ===

impl From<BadParam> for Response {
    fn from(BadParam(problem): BadParam) -> Self {
        text(StatusCode::BAD_REQUEST, &problem).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::new(&format!("/p?{query}").parse().unwrap())
    }

    #[test]
    fn flags_are_true_unless_a_word_says_otherwise() {
        for query in ["", "active", "active=", "active=1", "active=TRUE", "active=no&active=yes"] {
            assert!(params(query).flag("active"), "{query}");
        }
        for query in ["active=0", "active=false", "active=foo", "active=yes&active=no"] {
            assert!(!params(query).flag("active"), "{query}");
        }
    }

    #[test]
    fn filters_are_read_and_refused_as_alertmanager_does() {
        // Answers printed by Alertmanager 0.34.2.
        for (query, problem) in [
            ("filter=a", "bad matcher format: a"),
            ("filter=", "bad matcher format: "),
            ("filter=%7Ba%3D1%7D", "unexpected open or close brace: {a=1}"),
        ] {
            assert_eq!(params(query).filter().unwrap_err().0, problem, "{query}");
        }
        let problem = params("receiver_matchers=x").receivers().unwrap_err().0;
        assert_eq!(problem, "failed to parse receiver_matchers param: bad matcher format: x");
        let problem = params("receiver=(").receivers().unwrap_err().0;
        assert!(problem.starts_with("failed to parse receiver param: "), "{problem}");
        let filter = params("filter=team%3Da,b&filter=%22x%20y%22%3D~%22.%2B%22").filter().unwrap();
        assert_eq!(filter.to_string(), r#"{team="a,b","x y"=~".+"}"#);
        assert!(filter.matches(&Labels::from_iter([("team", "a,b"), ("x y", "z")])));
        assert!(!filter.matches(&Labels::from_iter([("team", "a,b")])));
    }

    #[test]
    fn receivers_are_named_by_an_anchored_pattern() {
        let receivers = params("receiver=prod/.*").receivers().unwrap();
        assert!(receivers.names("prod/slack") && !receivers.names("xprod/slack"));
        assert!(!receivers.is_all() && params("receiver=").receivers().unwrap().is_all());
    }
}
