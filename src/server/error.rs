//! Answers that say what was wrong: `{"error": {"type", "message", "details"}}`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{publish::Refused, store::Failed};

/// An error answer. The message says what happened and how to fix it.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    details: Option<Value>,
    retry_after: Option<u32>,
}

/// Seconds after which a refused sender should try again: what people must mend takes longer.
pub(super) const fn retry_after(refused: Refused) -> u32 {
    match refused {
        Refused::NotReady
        | Refused::TooManyAlerts
        | Refused::TooManyOfName
        | Refused::ShuttingDown
        | Refused::Behind => 5,
        Refused::StoreFailed => 15,
        Refused::StoreFull => 30,
        Refused::DiskFull => 60,
    }
}

/// The header that says so.
pub(super) fn retry_after_seconds(seconds: u32) -> [(header::HeaderName, HeaderValue); 1] {
    [(header::RETRY_AFTER, HeaderValue::from(seconds))]
}

#[derive(Serialize)]
struct Shape<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Value>,
}

// === impl ApiError ===

impl ApiError {
    pub(super) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), details: None, retry_after: None }
    }

    /// 400 `invalid_input`.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_input", message)
    }

    /// 404 `not_found`.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 503 `unavailable` with `Retry-After`.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).after(5)
    }

    /// 500 `internal`.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// 503: the disk failed; the next instance may do better.
    pub(super) fn failed(failed: &Failed) -> Self {
        Self::unavailable(format!(
            "{failed}; this process is ending: look at its log and at the disk of --data-dir"
        ))
        .after(retry_after(Refused::StoreFailed))
    }

    /// Sets `Retry-After`.
    pub(super) fn after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(super) fn details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The error object beside the fields of `rest`.
    pub(super) fn beside(self, rest: Map<String, Value>) -> Response {
        let mut body = Map::new();
        body.insert("error".to_owned(), serde_json::json!(self.shape()));
        body.extend(rest);
        self.answer(Value::Object(body))
    }

    fn shape(&self) -> Shape<'_> {
        Shape { kind: self.kind, message: &self.message, details: self.details.as_ref() }
    }

    fn answer(self, body: Value) -> Response {
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.beside(Map::new())
    }
}
