//! Alertmanager's API v2, for amtool, Grafana, karma and whatever else speaks it; `POST /api/v2/alerts` is
//! the intake's.
//!
//! Answers are Alertmanager 0.34's: field names and order, codes, texts that clients read. A receiver is
//! a `PublishTarget`, `namespace/name`. Deliberate differences are in `docs/alertmanager-compatibility.md`.

mod alerts;
mod config;
mod draft;
mod gate;
mod groups;
mod params;
mod parts;
mod removed;
mod select;
mod silences;
mod status;
mod write;
mod yaml;

use axum::{
    Json, Router,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use serde_json::json;

use super::{Counted, Server};

pub use gate::Gate;

/// What all these paths begin with.
const PREFIX: &str = "/api/v2/";

/// The routes, each counted under a name of its own.
pub(super) fn router(server: &Server, counted: Counted<'_>) -> Router<Server> {
    let one = |path: &str, handler| Router::new().route(path, handler);
    let alerts = one("/api/v2/alerts", get(alerts::list));
    let groups = one("/api/v2/alerts/groups", get(alerts::groups));
    let receivers = one("/api/v2/receivers", get(status::receivers));
    let status = one("/api/v2/status", get(status::status));
    let silences = one("/api/v2/silences", get(silences::list).post(silences::set))
        .merge(one("/api/v2/silence/{id}", get(silences::get).delete(silences::expire)));
    let gated = |router: Router<Server>| {
        router.route_layer(middleware::from_fn_with_state(server.gate.clone(), gate::pass))
    };
    counted(gated(alerts), "alerts")
        .merge(counted(gated(groups), "alert_groups"))
        .merge(counted(gated(receivers), "receivers"))
        .merge(counted(gated(status), "status"))
        .merge(counted(gated(silences), "silences"))
        .route("/api/v2/{*path}", any(not_found))
        .layer(middleware::from_fn(no_store))
        .merge(counted(removed::router(), "removed"))
}

/// Whether the path is one of Alertmanager's API v2.
pub(super) fn is_ours(uri: &Uri) -> bool {
    uri.path().starts_with(PREFIX)
}

/// 405 in go-openapi's words. `Allow` is set by the router.
pub(super) fn wrong_method(method: &Method, uri: &Uri) -> Response {
    let allowed = match uri.path() {
        "/api/v2/alerts" | "/api/v2/silences" => "GET,POST",
        path if path.starts_with("/api/v2/silence/") => "DELETE,GET",
        _ => "GET",
    };
    let method: String = method.as_str().chars().take(20).collect();
    let message = format!("method {method} is not allowed, but [{allowed}] are");
    failure(StatusCode::METHOD_NOT_ALLOWED, 405, &message)
}

async fn not_found(uri: Uri) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    failure(StatusCode::NOT_FOUND, 404, &format!("path {path} was not found"))
}

async fn no_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The shape of go-openapi's errors. `code` is the HTTP status, or one of go-openapi's own.
fn failure(status: StatusCode, code: u16, message: &str) -> Response {
    (status, Json(json!({ "code": code, "message": message }))).into_response()
}

/// An error as Alertmanager's own handlers give it: a JSON string on a line.
fn text(status: StatusCode, message: &str) -> impl IntoResponse {
    let body = format!("{}\n", serde_json::Value::from(message));
    (status, [(header::CONTENT_TYPE, "application/json")], body)
}
