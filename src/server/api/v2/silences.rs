//! `/api/v2/silences` and `/api/v2/silence/{id}`.

use std::{cmp::Reverse, sync::Arc};

use axum::{
    Json,
    extract::{Path, Request, State},
    http::{StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use serde_json::json;

use super::{
    draft::{self, Malformed},
    failure,
    params::{BadParam, Params},
    parts::{self, Piece, separated},
    text,
    write::push_time,
};
use crate::{
    alert::{push_json, push_quoted},
    api::MatchType,
    publish::{Silence, SilenceError, SilenceId, SilenceState},
    routing::Matchers,
    server::{
        Server,
        error::{ApiError, retry_after, retry_after_seconds},
        intake::{is_json, unsupported_media_type},
    },
};

/// Most bytes of a body: a silence itself may be much smaller.
const MAX_BODY: usize = 256 * 1024;

pub(super) async fn list(State(server): State<Server>, uri: Uri) -> Response {
    let params = Params::new(&uri);
    let filter = match params.filter() {
        Ok(filter) => filter,
        Err(bad) => return BadParam::into(bad),
    };
    let now = Timestamp::now();
    let shown = |state: SilenceState| params.flag(state.as_str());
    let mut silences = server.silences.list();
    silences.retain(|silence| shown(silence.state(now)) && carries(silence, &filter));
    silences.sort_by_key(|silence| order(silence, now));
    show(silences, now)
}

/// All of them, written down while they are sent: thousands of the largest would take hundreds of megabytes.
fn show(silences: Vec<Arc<Silence>>, now: Timestamp) -> Response {
    let pieces = silences.into_iter().map(move |silence| Piece::Silence(silence, now));
    parts::answer(Box::new(separated(pieces)))
}

pub(super) async fn set(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        return unsupported_media_type(&parts.headers);
    }
    let draft = match server.bodies.read(&parts.headers, body).await {
        Ok(body) if body.len() > MAX_BODY => {
            let problem = "the silence is larger than 256 KiB: write a shorter one";
            return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", problem)
                .into_response();
        }
        Ok(body) => draft::read(&body),
        Err(error) => return error.into_response(),
    };
    let draft = match draft {
        Ok(draft) => draft,
        Err(malformed) => return Malformed::into(malformed),
    };
    let mut silence = draft.silence;
    if !draft.id.is_empty() {
        let Ok(id) = draft.id.parse() else {
            return refusal(&SilenceError::NotFound);
        };
        silence.id = Some(id);
    }
    match server.silences.set(silence).await {
        Ok(id) => Json(json!({ "silenceID": id.to_string() })).into_response(),
        Err(error) => refusal(&error),
    }
}

pub(super) async fn get(State(server): State<Server>, Path(id): Path<String>) -> Response {
    let id = match read_id(&id) {
        Ok(id) => id,
        Err(answer) => return *answer,
    };
    let Some(silence) = server.silences.get(id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut out = Vec::new();
    push(&mut out, &silence, Timestamp::now());
    out.push(b'\n');
    json_body(out)
}

pub(super) async fn expire(State(server): State<Server>, Path(id): Path<String>) -> Response {
    let id = match read_id(&id) {
        Ok(id) => id,
        Err(answer) => return *answer,
    };
    match server.silences.expire(id).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(SilenceError::NotFound) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => refusal(&error),
    }
}

fn json_body(json: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

fn read_id(text: &str) -> Result<SilenceId, Box<Response>> {
    text.parse().map_err(|_| {
        let mut message = "silenceID in path must be of type uuid: ".to_owned();
        push_quoted(&mut message, &text.chars().take(100).collect::<String>());
        Box::new(failure(StatusCode::UNPROCESSABLE_ENTITY, 601, &message))
    })
}

fn refusal(error: &SilenceError) -> Response {
    let message = error.to_string();
    match error {
        SilenceError::NotFound => text(StatusCode::NOT_FOUND, &message).into_response(),
        SilenceError::Refused(refused) => {
            let after = retry_after_seconds(retry_after(*refused));
            (after, text(StatusCode::SERVICE_UNAVAILABLE, &message)).into_response()
        }
        _ => text(StatusCode::BAD_REQUEST, &message).into_response(),
    }
}

/// Whether the silence has every one of these conditions.
fn carries(silence: &Silence, filter: &Matchers) -> bool {
    filter.iter().all(|wanted| {
        silence.matchers.iter().any(|one| {
            (&one.name, one.kind, &one.value) == (&wanted.name, wanted.kind, &wanted.value)
        })
    })
}

/// Active ones first, those that end soonest at the top; then pending ones by their start; then the expired
/// ones, the latest at the top.
fn order(silence: &Arc<Silence>, now: Timestamp) -> (u8, Timestamp, Reverse<Timestamp>, SilenceId) {
    let none = Timestamp::MIN;
    let (place, rising, falling) = match silence.state(now) {
        SilenceState::Active => (0, silence.ends_at, none),
        SilenceState::Pending => (1, silence.starts_at, none),
        SilenceState::Expired => (2, none, silence.ends_at),
    };
    (place, rising, Reverse(falling), silence.id)
}

/// Appends a silence as Alertmanager writes it.
pub(super) fn push(out: &mut Vec<u8>, silence: &Silence, now: Timestamp) {
    let field = |out: &mut Vec<u8>, name: &str, value: &str| {
        out.extend_from_slice(name.as_bytes());
        push_json(out, value);
    };
    let state = silence.state(now).as_str();
    out.extend_from_slice(
        format!(r#"{{"id":"{}","status":{{"state":"{state}"}},"updatedAt":""#, silence.id)
            .as_bytes(),
    );
    push_time(out, silence.updated_at);
    out.push(b'"');
    if !silence.annotations.is_empty() {
        out.extend_from_slice(b",\"annotations\":");
        for (at, (name, value)) in silence.annotations.iter().enumerate() {
            field(out, if at > 0 { "," } else { "{" }, name);
            field(out, ":", value);
        }
        out.push(b'}');
    }
    field(out, ",\"comment\":", &silence.comment);
    field(out, ",\"createdBy\":", &silence.created_by);
    out.extend_from_slice(b",\"endsAt\":\"");
    push_time(out, silence.ends_at);
    out.extend_from_slice(b"\",\"matchers\":[");
    for (at, one) in silence.matchers.iter().enumerate() {
        let (is_equal, is_regex) = match one.kind {
            MatchType::Equal => (true, false),
            MatchType::NotEqual => (false, false),
            MatchType::Regex => (true, true),
            MatchType::NotRegex => (false, true),
        };
        let comma = if at > 0 { "," } else { "" };
        let begin = format!(r#"{comma}{{"isEqual":{is_equal},"isRegex":{is_regex},"name":"#);
        field(out, &begin, &one.name);
        field(out, ",\"value\":", &one.value);
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"startsAt\":\"");
    push_time(out, silence.starts_at);
    out.extend_from_slice(b"\"}");
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::StreamExt as _;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::publish::SilenceMatcher;

    fn large(number: u128) -> Arc<Silence> {
        let value = "x".repeat(1_000).into();
        let matcher = SilenceMatcher { name: "instance".into(), kind: MatchType::Equal, value };
        Arc::new(Silence {
            id: SilenceId(Uuid::from_u128(number)),
            matchers: vec![matcher],
            starts_at: Timestamp::UNIX_EPOCH,
            ends_at: Timestamp::MAX,
            updated_at: Timestamp::UNIX_EPOCH,
            created_by: "me".into(),
            comment: "x".repeat(19_000).into(),
            annotations: std::collections::BTreeMap::new(),
        })
    }

    #[tokio::test]
    async fn a_long_list_is_written_in_small_parts() {
        let silences: Vec<_> = (0..100).map(large).collect();
        let body: Body = show(silences, Timestamp::UNIX_EPOCH).into_body();
        let parts: Vec<_> = body.into_data_stream().map(Result::unwrap).collect().await;
        let longest = parts.iter().map(bytes::Bytes::len).max().unwrap();
        assert!(longest < parts::PART + 22_000, "{longest} bytes at a time");
        let whole: Value = serde_json::from_slice(&parts.concat()).unwrap();
        assert_eq!(whole.as_array().unwrap().len(), 100);
        assert_eq!(whole[99]["id"], large(99).id.to_string());
    }
}
