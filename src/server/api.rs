//! The API listener: publish, and reading what Fanfare knows.

mod deadletters;
mod deliveries;
mod fields;
mod inbox;
mod letter;
mod page;
mod publish;
mod query;
mod read;
mod request;
mod result;
mod stats;
mod v2;
mod which;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};

use super::{Metrics, Server, error::ApiError};

/// Counts the requests of a router under a name.
type Counted<'a> = &'a dyn Fn(Router<Server>, &'static str) -> Router<Server>;

pub use v2::Gate;

pub(super) fn router(server: Server) -> Router {
    let counted = |router: Router<Server>, endpoint: &'static str| {
        let state = (Arc::clone(&server.metrics), endpoint);
        router.route_layer(middleware::from_fn_with_state(state, count))
    };
    let publish = Router::new()
        .route("/api/v1/publish/parallel", post(publish::named))
        .route("/api/v1/publish/parallel/all", post(publish::all))
        .route("/api/v1/publish/parallel/healthy", post(publish::healthy));
    let status = Router::new().route("/api/v1/publish/parallel/status", get(stats::status));
    let targets = Router::new()
        .route("/api/v1/targets", get(read::targets))
        .route("/api/v1/targets/{namespace}/{name}", get(read::target));
    let routes = Router::new()
        .route("/api/v1/routes", get(read::routes))
        .route("/api/v1/routes/{namespace}/{name}", get(read::route));
    let deadletters = Router::new()
        .route("/api/v1/deadletters", get(deadletters::list).delete(deadletters::delete))
        .route("/api/v1/deadletters/replay", post(deadletters::replay));
    let deliveries = Router::new().route("/api/v1/deliveries", get(deliveries::list));
    let inbox = Router::new().route("/api/v1/inbox", get(inbox::recent));
    counted(publish, "publish")
        .merge(counted(status, "publish_status"))
        .merge(counted(targets, "targets"))
        .merge(counted(routes, "routes"))
        .merge(counted(inbox, "inbox"))
        .merge(counted(deadletters, "deadletters"))
        .merge(counted(deliveries, "deliveries"))
        .merge(v2::router(&server, &counted))
        .method_not_allowed_fallback(wrong_method)
        .fallback(any(|| async {
            ApiError::not_found(
                "no such path: try POST /api/v1/publish/parallel, GET /api/v1/targets, GET /api/v1/routes, GET /api/v1/deliveries?since=1h, GET /api/v1/deadletters",
            )
        }))
        .with_state(server)
}

/// `Allow` is set by the router.
async fn wrong_method(method: Method, uri: Uri) -> Response {
    if v2::is_ours(&uri) {
        return v2::wrong_method(&method, &uri);
    }
    let (path, method): (String, String) =
        (uri.path().chars().take(100).collect(), method.as_str().chars().take(20).collect());
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!(
            "{path} does not take {method}; the header Allow of this answer says what it takes"
        ),
    )
    .into_response()
}

async fn count(
    State((metrics, endpoint)): State<(Arc<Metrics>, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    metrics.api(endpoint, response.status());
    response
}
