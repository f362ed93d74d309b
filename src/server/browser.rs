//! Keeps web pages away from an API without tokens.
//!
//! On loopback the API trusts whoever reaches it, and a browser on that machine reaches it for every
//! page it shows. A page's own requests carry its origin; a page whose name was pointed at
//! 127.0.0.1 (DNS rebinding) carries that name as the host. Programs (curl, amtool, Grafana) send
//! neither. With tokens none of this is needed: a browser does not know them.

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use url::{Host, Url};

use super::error::ApiError;

/// Refuses what pages of other sites send to `router`.
pub(super) fn keep_out(router: Router) -> Router {
    router.layer(middleware::from_fn(check))
}

async fn check(request: Request, next: Next) -> Response {
    let host = asked(request.headers(), request.uri());
    if let Some(host) = host.filter(|host| !is_local(host)) {
        let host: String = host.chars().take(100).collect();
        return refusal(format!(
            "the API without --api-token-file does not answer for the host {host:?}: use http://localhost or an IP address"
        ));
    }
    if is_foreign(request.headers(), host) {
        return refusal("a page of another site sent this; use curl, or give --api-token-file");
    }
    next.run(request).await
}

fn refusal(message: impl Into<String>) -> Response {
    ApiError::new(StatusCode::FORBIDDEN, "forbidden", message).into_response()
}

/// Host and port that the client meant; empty if they can't be read, `None` if it named none.
fn asked<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let named = || headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    uri.authority().map(axum::http::uri::Authority::as_str).or_else(named)
}

/// An IP address or `localhost`: no page's own name.
fn is_local(authority: &str) -> bool {
    let url = Url::parse(&format!("http://{authority}/"));
    match url.as_ref().ok().and_then(Url::host) {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

/// Whether a page sent this that did not come from this API.
fn is_foreign(headers: &HeaderMap, host: Option<&str>) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let cross =
        text("sec-fetch-site").is_some_and(|site| matches!(site, "cross-site" | "same-site"));
    let own = |origin: &str| origin.strip_prefix("http://").is_some_and(|from| Some(from) == host);
    cross || text("origin").is_some_and(|origin| !own(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_local() {
        for host in ["127.0.0.1:9094", "[::1]:9094", "localhost", "LOCALHOST:1", "a.localhost:2"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["", "evil.example:9094", "localhost.evil.example", "127.0.0.1.nip.io", "a b"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
