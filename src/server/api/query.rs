//! The query of a request: only known parameters, each once, none empty.

use axum::http::Uri;

use crate::server::error::ApiError;

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

// === impl Query ===

impl Query {
    /// Reads the query. What is unknown, repeated or empty is refused: a misspelt or an unset condition
    /// must not widen what a request is about.
    pub(super) fn parse(uri: &Uri, known: &[&str]) -> Result<Self, ApiError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()) {
            let shown = || name.chars().take(40).collect::<String>();
            if !known.contains(&&*name) {
                let message = if known.is_empty() {
                    format!("this request takes no query parameter, not {:?} either", shown())
                } else {
                    format!("no such parameter: {:?}; there are {}", shown(), known.join(", "))
                };
                return Err(ApiError::invalid(message));
            }
            if value.is_empty() {
                return Err(ApiError::invalid(format!(
                    "{name} is empty: give it a value or leave it out"
                )));
            }
            if pairs.iter().any(|(before, _)| *before == name) {
                return Err(ApiError::invalid(format!("{name} is given twice; give it once")));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The parameter as `read` understands it.
    pub(super) fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, ApiError>,
    ) -> Result<Option<T>, ApiError> {
        self.get(name).map(read).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(query: &str) -> Uri {
        format!("/p?{query}").parse().unwrap()
    }

    fn parse(query: &str) -> Result<Query, ApiError> {
        Query::parse(&uri(query), &["target", "since"])
    }

    #[test]
    fn values_are_decoded() {
        let query = parse("target=a%2Fb&since=1h").unwrap();
        assert_eq!((query.get("target"), query.get("since")), (Some("a/b"), Some("1h")));
        assert_eq!(parse("").unwrap().len(), 0);
    }

    #[test]
    fn unknown_repeated_and_empty_ones_are_refused() {
        for query in ["Target=a", "target", "target=", "target=a&target=a", "=", "%00=1"] {
            assert!(parse(query).is_err(), "{query}");
        }
    }
}
