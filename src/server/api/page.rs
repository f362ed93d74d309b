//! One page of a list, written as JSON while it is read: bounded in entries, bytes and time.

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde_json::Value;
use tokio::time::Instant;

use crate::store::{Failed, Page};

/// Bytes of an answer after which a page ends early.
const MAX_BYTES: usize = 1024 * 1024;

/// How much of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// Entries, at most.
    pub(super) limit: usize,
    /// Entries that are read at a time.
    pub(super) chunk: usize,
    /// Where the page before ended.
    pub(super) before: Option<u64>,
    /// When to end with what there is.
    pub(super) deadline: Instant,
}

/// `{"items": [...], "next_cursor": ...}`. `read` takes where to begin and how many at most.
pub(super) fn write<T>(
    want: Want,
    mut read: impl FnMut(Option<u64>, usize) -> Result<Page<T>, Failed>,
    show: impl Fn(&T) -> Value,
    cursor: impl Fn(u64) -> String,
) -> Result<String, Failed> {
    let Want { limit, chunk, mut before, deadline } = want;
    let mut out = r#"{"items":["#.to_owned();
    let mut count = 0;
    loop {
        let page = read(before, chunk.min(limit - count))?;
        for item in &page.items {
            if count > 0 {
                out.push(',');
            }
            out.push_str(&show(item).to_string());
            count += 1;
        }
        before = page.next;
        let enough = count >= limit || out.len() >= MAX_BYTES || Instant::now() >= deadline;
        if enough || before.is_none() {
            break;
        }
    }
    let next = before.map(cursor);
    out.push_str(r#"],"next_cursor":"#);
    out.push_str(&Value::from(next).to_string());
    out.push('}');
    Ok(out)
}

/// The answer that carries `json`.
pub(super) fn answer(json: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], Body::from(json)).into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    /// A list of the numbers below `from`, largest first.
    fn below(before: Option<u64>, limit: usize) -> Page<u64> {
        let from = before.unwrap_or(100);
        let items: Vec<_> = (0..from).rev().take(limit).collect();
        let next = items.last().copied().filter(|last| *last > 0);
        Page { items, next }
    }

    fn want(limit: usize, before: Option<u64>) -> Want {
        let deadline = Instant::now() + Duration::from_mins(1);
        Want { limit, chunk: 8, before, deadline }
    }

    fn page(want: Want, size: usize) -> Value {
        let show = |item: &u64| json!({ "number": item, "text": "x".repeat(size) });
        serde_json::from_str(
            &write(want, |before, limit| Ok(below(before, limit)), show, |at| at.to_string())
                .unwrap(),
        )
        .unwrap()
    }

    fn length(page: &Value) -> usize {
        page["items"].as_array().unwrap().len()
    }

    #[test]
    fn limit_is_met_exactly_and_the_last_page_says_so() {
        let first = page(want(60, None), 1);
        assert_eq!((length(&first), &first["next_cursor"]), (60, &Value::from("40")));
        let last = page(want(60, Some(40)), 1);
        assert_eq!((length(&last), &last["next_cursor"]), (40, &Value::Null));
    }

    #[test]
    fn large_entries_and_slow_reads_end_a_page_early() {
        let large = page(want(100, None), MAX_BYTES / 4);
        assert_eq!((length(&large), &large["next_cursor"]), (8, &Value::from("92")));
        let late = Want { deadline: Instant::now(), ..want(100, None) };
        assert_eq!(length(&page(late, 1)), 8);
    }
}
