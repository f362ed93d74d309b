//! The admin listener: metrics, health of the process, log level.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{any, get, put},
};
use prometheus_client::encoding::text;

use super::{Server, error::ApiError, listener::Peer};

/// Content type of the `OpenMetrics` text format, version 1.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One named health check of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Name shown to people.
    pub name: &'static str,
    /// Whether all is well.
    pub ok: bool,
    /// Whether readiness depends on it.
    pub gates: bool,
    /// What is wrong and what to do; empty when all is well.
    pub detail: String,
}

/// Asks for the checks as they are now.
pub type Checks = Arc<dyn Fn() -> Vec<Check> + Send + Sync>;

pub(super) fn router(server: Server) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/log-level", put(log_level))
        .fallback(any(|| async {
            ApiError::not_found("no such path: try /metrics, /livez, /readyz")
        }))
        .with_state(server)
}

/// `/-/healthy` and `/-/ready`, which clients of Alertmanager ask.
pub(super) fn alertmanager_health(server: &Server) -> Router {
    Router::new()
        .route("/-/healthy", get(|| async { "OK" }))
        .route("/-/ready", get(readyz))
        .with_state(server.clone())
}

async fn metrics(State(server): State<Server>) -> Response {
    let mut out = String::new();
    match text::encode(&mut out, &server.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], out).into_response(),
        Err(_) => ApiError::internal("the metrics could not be encoded").into_response(),
    }
}

/// One line a check, as the API server prints its own; 503 while a gating check fails.
async fn readyz(State(server): State<Server>) -> Response {
    let checks = (server.checks)();
    let ready = checks.iter().all(|check| check.ok || !check.gates);
    let mut text = String::new();
    for Check { name, ok, gates, detail } in checks {
        let mark = if ok { '+' } else { '-' };
        let word = match (ok, gates) {
            (true, _) => "ok",
            (false, true) => "failed",
            (false, false) => "failed (does not gate)",
        };
        let _ = write!(text, "[{mark}]{name} {word}");
        if !detail.is_empty() {
            text.push_str(": ");
            text.push_str(&detail);
        }
        text.push('\n');
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, text).into_response()
}

/// Replaces the log filter; only from this machine.
async fn log_level(State(server): State<Server>, request: Request) -> Result<String, ApiError> {
    let near = request.extensions().get::<Peer>().is_some_and(|peer| peer.0.ip().is_loopback());
    let Some(level) = server.log_level.as_ref().filter(|_| near) else {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "the log level is changed from inside the pod only: kubectl port-forward to the admin port",
        ));
    };
    let (parts, body) = request.into_parts();
    let body = server.bodies.read(&parts.headers, body).await?;
    let text = String::from_utf8_lossy(&body);
    level.set(&text).map_err(|error| ApiError::invalid(error.to_string()))?;
    tracing::info!(filter = %text.trim(), "Log level changed");
    Ok("ok\n".to_owned())
}
