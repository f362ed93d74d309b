//! Which dead letters a request is about: ids, or conditions.

use axum::http::Uri;
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    fields::{self, List, MAX_LIMIT},
    query::Query,
};
use crate::{
    server::error::ApiError,
    store::{DeadLetterFilter, DeadLetterId},
};

/// What a request is about.
#[derive(Debug, PartialEq)]
pub(super) enum Which {
    /// These, oldest first, each once; at least one.
    Ids(Vec<DeadLetterId>),
    /// The oldest that pass, and are newer than where the request before ended.
    Matching { filter: DeadLetterFilter, after: Option<DeadLetterId> },
}

/// The body as callers write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    ids: Option<Vec<Id>>,
    filter: Option<FilterBody>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterBody {
    target: Option<String>,
    reason: Option<String>,
    since: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "an id is a text of digits")]
enum Id {
    Text(String),
    Number(u64),
}

const EXAMPLE: &str = r#"{"ids": ["12"]} or {"filter": {"target": "prod/slack", "since": "1h"}}"#;

// === impl Which ===

impl Which {
    /// What the body of a replay or a deletion says.
    pub(super) fn from_body(bytes: &[u8], now: Timestamp) -> Result<Self, ApiError> {
        let body: Body = serde_json::from_slice(bytes).map_err(|error| {
            ApiError::invalid(format!(
                "the body does not say which dead letters: {error}; send for example {EXAMPLE}"
            ))
        })?;
        let Body { ids, filter, limit, cursor } = body;
        match (ids, filter) {
            (Some(_), None) if limit.is_some() || cursor.is_some() => {
                Err(ApiError::invalid("limit and cursor belong to filter; leave them out with ids"))
            }
            (Some(ids), None) => {
                let ids = ids.iter().map(|id| match id {
                    Id::Text(text) => fields::id(text),
                    Id::Number(number) => Ok(DeadLetterId(*number)),
                });
                Self::ids(ids.collect::<Result<_, _>>()?)
            }
            (None, Some(filter)) => {
                let cursor = cursor.as_deref().map(|text| List::Replay.read_cursor(text));
                let target = filter.target.as_deref().map(fields::target).transpose()?;
                let reason = filter.reason.as_deref().map(fields::reason).transpose()?;
                let since = filter.since.as_deref().map(|text| fields::since(text, now));
                let limit = limit.map_or(Ok(MAX_LIMIT), fields::bounded)?;
                let since = since.transpose()?;
                Ok(Self::Matching {
                    filter: DeadLetterFilter { target, reason, since, before: None, limit },
                    after: cursor.transpose()?.map(DeadLetterId),
                })
            }
            (Some(_), Some(_)) => {
                Err(ApiError::invalid("ids and filter exclude each other; send one of them"))
            }
            (None, None) => Err(ApiError::invalid(format!(
                "say which dead letters: send for example {EXAMPLE}"
            ))),
        }
    }

    /// What the query of a deletion says.
    pub(super) fn from_query(uri: &Uri, now: Timestamp) -> Result<Self, ApiError> {
        let query = Query::parse(uri, &["ids", "target", "reason", "since", "limit"])?;
        let filter = filter(&query, now, MAX_LIMIT)?;
        let Some(ids) = query.get("ids") else {
            return Ok(Self::Matching { filter, after: None });
        };
        if query.len() > 1 {
            return Err(ApiError::invalid(
                "ids names them already; leave the other parameters out",
            ));
        }
        Self::ids(ids.split(',').map(|id| fields::id(id.trim())).collect::<Result<_, _>>()?)
    }

    /// Whether it is about every dead letter there is.
    pub(super) fn is_everything(&self) -> bool {
        matches!(
            self,
            Self::Matching {
                filter: DeadLetterFilter { target: None, reason: None, since: None, .. },
                ..
            }
        )
    }

    fn ids(mut ids: Vec<DeadLetterId>) -> Result<Self, ApiError> {
        ids.sort_unstable();
        ids.dedup();
        match ids.len() {
            0 => Err(ApiError::invalid("ids is empty: name at least one dead letter")),
            1..=MAX_LIMIT => Ok(Self::Ids(ids)),
            _ => Err(ApiError::invalid(format!(
                "ids holds more than {MAX_LIMIT}: send them in parts, or use filter"
            ))),
        }
    }
}

/// The conditions of a query.
pub(super) fn filter(
    query: &Query,
    now: Timestamp,
    limit: usize,
) -> Result<DeadLetterFilter, ApiError> {
    Ok(DeadLetterFilter {
        target: query.read("target", fields::target)?,
        reason: query.read("reason", fields::reason)?,
        since: query.read("since", |text| fields::since(text, now))?,
        before: None,
        limit: query.read("limit", fields::limit)?.unwrap_or(limit),
    })
}
