//! Alerts in: `POST /api/v2/alerts` (Alertmanager's API v2) and `POST /api/v1/webhook`
//! (Alertmanager's webhook v4).
//!
//! Codes as Alertmanager's: 200 with an empty body; 400 with the messages of the bad alerts while
//! the good ones are taken; 415 for another media type; 422 for a body that its schema refuses.
//! Overload is 503 with `Retry-After`: senders retry that, many never retry 429.

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;
use tracing::debug;

use super::{
    Server,
    error::retry_after,
    listener::Peer,
    metrics::{AlertOutcome, Outcome},
};
use crate::{
    alert::{self, ParseError, v2::Batch},
    publish::{Accepted, Refused, Source},
};

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

const V2_PATH: &str = "/api/v2/alerts";
const WEBHOOK_PATH: &str = "/api/v1/webhook";

/// Which wire form a path takes; `None` for paths that take no alerts.
pub(super) fn source(path: &str) -> Option<Source> {
    match path {
        V2_PATH => Some(Source::V2),
        WEBHOOK_PATH => Some(Source::Webhook),
        _ => None,
    }
}

pub(super) fn router(server: Server) -> Router {
    Router::new().route(V2_PATH, post(v2)).route(WEBHOOK_PATH, post(webhook)).with_state(server)
}

async fn v2(State(server): State<Server>, request: Request) -> Response {
    take(&server, request, Source::V2).await
}

async fn webhook(State(server): State<Server>, request: Request) -> Response {
    take(&server, request, Source::Webhook).await
}

async fn take(server: &Server, request: Request, source: Source) -> Response {
    let started = Instant::now();
    let from = request.extensions().get::<Peer>().map(|peer| peer.0);
    let (outcome, response) = answer(server, request, source).await;
    server.metrics.request(source, outcome, started.elapsed());
    if outcome != Outcome::Ok {
        let (source, outcome) = (source.as_str(), outcome.as_str());
        debug!(source, outcome, from = from.map(tracing::field::display), "Sender refused");
    }
    response
}

async fn answer(server: &Server, request: Request, source: Source) -> (Outcome, Response) {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        return (Outcome::BadRequest, unsupported_media_type(&parts.headers));
    }
    let bytes = match server.bodies.read(&parts.headers, body).await {
        Ok(bytes) => bytes,
        Err(error) => return (outcome_of(error.status()), error.into_response()),
    };
    let now = Timestamp::now();
    let parsed = match source {
        Source::V2 => alert::v2::parse(&bytes, now, &server.alerts),
        Source::Webhook => alert::webhook::parse(&bytes, now, &server.alerts.limits),
    };
    match parsed {
        Ok(batch) => accept(server, batch, source).await,
        Err(error) => (Outcome::BadRequest, malformed(&error)),
    }
}

async fn accept(server: &Server, batch: Batch, source: Source) -> (Outcome, Response) {
    let error_body = batch.error_body();
    let Batch { alerts, invalid } = batch;
    let (count, bad) = (alerts.len(), invalid.len());
    server.metrics.alerts(source, AlertOutcome::Invalid, bad);
    let accepted = if count == 0 {
        Ok(Accepted::default())
    } else {
        server.intake.accept(alerts, source).await
    };
    match accepted {
        Ok(accepted @ Accepted { alerts, refused, crowded, .. }) => {
            server.metrics.alerts(source, AlertOutcome::Accepted, alerts);
            server.metrics.alerts(source, AlertOutcome::Refused, refused - crowded);
            server.metrics.alerts(source, AlertOutcome::Crowded, crowded);
            if refused > 0 {
                overloaded(accepted.refusal())
            } else if let Some(text) = error_body {
                (Outcome::Partial, (StatusCode::BAD_REQUEST, JSON, text + "\n").into_response())
            } else {
                (Outcome::Ok, StatusCode::OK.into_response())
            }
        }
        Err(refused) => {
            let crowded = refused == Refused::TooManyOfName;
            let outcome = if crowded { AlertOutcome::Crowded } else { AlertOutcome::Refused };
            server.metrics.alerts(source, outcome, count);
            overloaded(refused)
        }
    }
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

/// The shape of go-openapi's errors, which Alertmanager answers with.
pub(super) fn unsupported_media_type(headers: &HeaderMap) -> Response {
    let got = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let got: String = got.unwrap_or_default().chars().take(100).collect();
    let message = format!("unsupported media type {got:?}, only [application/json] are allowed");
    let body = Json(json!({ "code": 415, "message": message }));
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, body).into_response()
}

fn malformed(error: &ParseError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    (status, JSON, error.body()).into_response()
}

/// 503: senders retry it, while many take 429 as final.
fn overloaded(refused: Refused) -> (Outcome, Response) {
    let body = Json(refused.to_string());
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    let seconds = HeaderValue::from(retry_after(refused));
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    let outcome = match refused {
        Refused::NotReady
        | Refused::TooManyAlerts
        | Refused::TooManyOfName
        | Refused::ShuttingDown => Outcome::Overloaded,
        Refused::DiskFull | Refused::StoreFull | Refused::Behind | Refused::StoreFailed => {
            Outcome::Store
        }
    };
    (outcome, response)
}

fn outcome_of(status: StatusCode) -> Outcome {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Outcome::TooLarge,
        StatusCode::REQUEST_TIMEOUT => Outcome::Timeout,
        StatusCode::SERVICE_UNAVAILABLE => Outcome::Overloaded,
        _ => Outcome::BadRequest,
    }
}
