//! `POST /api/v1/publish/parallel[/all|/healthy]`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    request::{Body, Kind},
    result,
};
use crate::{
    publish::{Idempotency, MAX_KEY_LENGTH, PublishError, Refused},
    server::{
        Server,
        error::{ApiError, retry_after},
    },
};

/// Publishes to the named targets.
pub(super) async fn named(state: State<Server>, request: Request) -> Response {
    run(state, request, Kind::Named).await
}

/// Publishes to every enabled target.
pub(super) async fn all(state: State<Server>, request: Request) -> Response {
    run(state, request, Kind::All).await
}

/// Publishes to every Healthy or Degraded target.
pub(super) async fn healthy(state: State<Server>, request: Request) -> Response {
    run(state, request, Kind::Healthy).await
}

async fn run(State(server): State<Server>, request: Request, kind: Kind) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = match server.bodies.read(&parts.headers, body).await {
        Ok(bytes) => bytes,
        Err(error) => return error.into_response(),
    };
    let publish = Body::parse(&bytes, kind)
        .and_then(|body| body.check(kind, &server.alerts, Timestamp::now()));
    let mut publish = match publish {
        Ok(publish) => publish,
        Err(error) => return error.into_response(),
    };
    match idempotency(&parts.headers, kind, &bytes) {
        Ok(key) => publish.idempotency = key,
        Err(error) => return error.into_response(),
    }
    drop(bytes);
    match server.publisher.publish(publish).await {
        Ok(result) => result::answer(&result),
        Err(error) => refused(&error).into_response(),
    }
}

fn idempotency(
    headers: &HeaderMap,
    kind: Kind,
    body: &[u8],
) -> Result<Option<Idempotency>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_KEY_LENGTH);
    let Some(key) = key else {
        return Err(ApiError::invalid(format!(
            "Idempotency-Key must be 1 to {MAX_KEY_LENGTH} visible ASCII characters"
        )));
    };
    let hash = Sha256::new().chain_update(kind.path()).chain_update([0]).chain_update(body);
    Ok(Some(Idempotency { key: Arc::from(key), body: hash.finalize().into() }))
}

fn refused(error: &PublishError) -> ApiError {
    match error {
        PublishError::NotFound(keys) => {
            let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
            let message = format!(
                "{error}; nothing was sent. GET /api/v1/targets or kubectl get publishtargets -A lists them"
            );
            ApiError::not_found(message).details(json!({ "targets": names }))
        }
        PublishError::Invalid(_) => ApiError::invalid(error.to_string()),
        PublishError::KeyReused => {
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_input", error.to_string())
        }
        PublishError::NotReady | PublishError::ShuttingDown => {
            ApiError::unavailable(error.to_string())
        }
        PublishError::StoreFailed => {
            ApiError::unavailable(error.to_string()).after(retry_after(Refused::StoreFailed))
        }
    }
}
