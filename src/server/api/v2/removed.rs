//! Paths of Alertmanager's API v1, which is gone since 0.27. Fanfare's own `/api/v1` has other names.

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::Serialize;

use crate::server::Server;

/// Alertmanager's note, its fields in its order.
#[derive(Serialize)]
struct Note {
    status: &'static str,
    error: &'static str,
}

pub(super) fn router() -> Router<Server> {
    Router::new()
        .route("/api/v1/status", get(gone))
        .route("/api/v1/receivers", get(gone))
        .route("/api/v1/alerts", get(gone).post(gone))
        .route("/api/v1/silences", get(gone).post(gone))
        .route("/api/v1/silence/{id}", get(gone).delete(gone))
}

async fn gone() -> Response {
    let note = Note {
        status: "deprecated",
        error: "The Alertmanager v1 API was deprecated in version 0.16.0 and is removed as of version 0.27.0 - please use the equivalent route in the v2 API",
    };
    (StatusCode::GONE, Json(note)).into_response()
}
