//! `/api/v1/deadletters`: what was given up, to be read, sent again or thrown away.

use axum::{
    Json,
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    fields::{self, List},
    letter::{self, Found},
    page::{self, Want},
    query::Query,
    which::{self, Which},
};
use crate::{
    publish::{Refused, ReplayError, ReplayOutcome},
    server::{
        Server,
        error::{ApiError, retry_after},
    },
    store::{DeadLetterFilter, DeadLetterId, Op},
};

/// The dead letters, newest first.
pub(super) async fn list(State(server): State<Server>, uri: Uri) -> Result<Response, ApiError> {
    let query = Query::parse(&uri, &["target", "reason", "since", "limit", "cursor"])?;
    let filter = which::filter(&query, Timestamp::now(), fields::PAGE)?;
    let before = query.read("cursor", |text| List::DeadLetters.read_cursor(text))?;
    let json = server
        .reads
        .run(&server.store, move |store, deadline| {
            let want = Want { limit: filter.limit, chunk: letter::CHUNK, before, deadline };
            let read = |before: Option<u64>, limit| {
                let before = before.map(DeadLetterId);
                store.dead_letters(&DeadLetterFilter { before, limit, ..filter.clone() })
            };
            page::write(want, read, letter::show, |at| List::DeadLetters.cursor(at))
        })
        .await?;
    Ok(page::answer(json))
}

/// Sends dead letters again, the oldest first.
pub(super) async fn replay(
    State(server): State<Server>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    Query::parse(&parts.uri, &[])?;
    let bytes = server.bodies.read(&parts.headers, body).await?;
    let which = Which::from_body(&bytes, Timestamp::now())?;
    drop(bytes);
    let named = matches!(which, Which::Ids(_));
    let found = find(&server, which).await?;
    let last = found.ids.back().copied();
    let ids: Vec<u64> = found.ids.iter().map(|id| id.0).collect();
    let replayed = if ids.is_empty() {
        Vec::new()
    } else {
        server.replay.replay(ids).await.map_err(not_replayed)?
    };
    let ids_of = |wanted: ReplayOutcome| {
        replayed.iter().filter(move |one| one.outcome == wanted).map(|one| one.id)
    };
    let (queued, owed) =
        (ids_of(ReplayOutcome::Queued).count(), ids_of(ReplayOutcome::Owed).count());
    let kept: Vec<_> = ids_of(ReplayOutcome::UnknownTarget).map(kept).collect();
    let left = kept.len();
    let mut answer = Map::new();
    answer.insert("queued_count".to_owned(), json!(queued));
    answer.insert("owed_count".to_owned(), json!(owed));
    answer.insert("kept".to_owned(), json!(kept));
    answer.insert("unknown_ids".to_owned(), ids_of(ReplayOutcome::NotFound).map(text).collect());
    if !named {
        answer.insert("remaining".to_owned(), json!(found.remaining));
        let next = last.filter(|_| found.remaining > 0).map(|id| List::Replay.cursor(id.0));
        answer.insert("next_cursor".to_owned(), json!(next));
    }
    Ok(if queued + owed > 0 {
        (StatusCode::ACCEPTED, Json(Value::Object(answer))).into_response()
    } else if left > 0 {
        let message =
            format!("none of {left} dead letters could be sent again; kept says why for each");
        ApiError::new(StatusCode::CONFLICT, "not_replayed", message).beside(answer)
    } else if named {
        unknown().beside(answer)
    } else {
        Json(Value::Object(answer)).into_response()
    })
}

/// Throws dead letters away, the oldest first.
pub(super) async fn delete(
    State(server): State<Server>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let bytes = server.bodies.read(&parts.headers, body).await?;
    let now = Timestamp::now();
    let which = match (bytes.is_empty(), parts.uri.query().unwrap_or_default()) {
        (true, _) => Which::from_query(&parts.uri, now)?,
        (false, "") => Which::from_body(&bytes, now)?,
        (false, _) => {
            return Err(ApiError::invalid(
                "say which dead letters in the query or in the body, not in both",
            ));
        }
    };
    drop(bytes);
    if which.is_everything() {
        return Err(ApiError::invalid(
            "nothing is deleted without a condition: give ids=, target=, reason= or since= (since=168h for all)",
        ));
    }
    let named = matches!(which, Which::Ids(_));
    let found = find(&server, which).await?;
    let ids: Vec<_> = found.ids.iter().copied().collect();
    let (known, missing) =
        server.reads.run(&server.store, move |store, _| letter::existing(store, &ids)).await?;
    let deleted = known.len();
    if deleted > 0 {
        let seq = server.store.submit(vec![Op::DropDeadLetters(known)], false);
        server.store.durable(seq).await.map_err(|failed| ApiError::failed(&failed))?;
        tracing::info!(deleted, "Dead letters deleted");
    }
    let mut answer = Map::new();
    answer.insert("deleted_count".to_owned(), json!(deleted));
    if named {
        let missing = missing.iter().map(|id| text(id.0));
        answer.insert("unknown_ids".to_owned(), missing.collect());
    } else {
        answer.insert("remaining".to_owned(), json!(found.remaining));
    }
    Ok(if named && deleted == 0 {
        unknown().beside(answer)
    } else {
        Json(Value::Object(answer)).into_response()
    })
}

/// The dead letters that the request is about, oldest first.
async fn find(server: &Server, which: Which) -> Result<Found, ApiError> {
    let (filter, after) = match which {
        Which::Ids(ids) => return Ok(Found { ids: ids.into(), remaining: 0, complete: true }),
        Which::Matching { filter, after } => (filter, after),
    };
    let found = server
        .reads
        .run(&server.store, move |store, deadline| letter::oldest(store, &filter, after, deadline))
        .await?;
    if !found.complete {
        return Err(ApiError::unavailable(
            "there are too many dead letters to look through in 5 s; narrow it with since or target",
        ));
    }
    Ok(found)
}

fn kept(id: u64) -> Value {
    json!({
        "id": text(id),
        "reason": ReplayOutcome::UnknownTarget.as_str(),
        "message": "its target does not exist any more: create it again, or delete the dead letter",
    })
}

fn text(id: u64) -> Value {
    Value::from(id.to_string())
}

fn not_replayed(error: ReplayError) -> ApiError {
    let message = format!("nothing was replayed: {error}");
    match error {
        ReplayError::TooMany => ApiError::invalid(message),
        ReplayError::NotReady | ReplayError::ShuttingDown => ApiError::unavailable(message),
        ReplayError::Full => ApiError::unavailable(message).after(retry_after(Refused::DiskFull)),
        ReplayError::StoreFailed => {
            ApiError::unavailable(message).after(retry_after(Refused::StoreFailed))
        }
    }
}

fn unknown() -> ApiError {
    ApiError::not_found(
        "no such dead letter: it was replayed or deleted, or is past its 7 days; GET /api/v1/deadletters lists them",
    )
}
