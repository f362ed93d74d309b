//! Alertmanager's API v2 and what is left of its v1: codes and texts that clients read.

mod silences;

use bytes::Bytes;
use fanfare::server::Tokens;
use http::Method;
use serde_json::{Value, json};

use super::Bed;
use crate::support::http::{Reply, get, send};

async fn ask(bed: &Bed, method: &str, path: &str) -> Reply {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    send(method, &format!("{}{path}", bed.api), &[], Bytes::new()).await
}

#[tokio::test]
async fn answers_are_not_to_be_kept_and_lists_are_never_null() {
    let bed = Bed::start().await;
    for path in ["alerts", "alerts/groups", "receivers", "silences"] {
        let reply = get(&format!("{}/api/v2/{path}", bed.api)).await;
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, "[]\n"), "{path}");
        assert_eq!(reply.headers["cache-control"], "no-store");
        assert_eq!(reply.headers["content-type"], "application/json");
        assert!(!reply.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn status_has_what_clients_look_for() {
    let bed = Bed::start().await;
    let status = ask(&bed, "GET", "/api/v2/status").await.json();
    assert_eq!(status["cluster"], json!({"peers": [], "status": "disabled"}));
    let keys: Vec<&String> = status["versionInfo"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["branch", "buildDate", "buildUser", "goVersion", "revision", "version"]);
    assert!(status["versionInfo"].as_object().unwrap().values().all(Value::is_string));
    assert!(status["config"]["original"].as_str().unwrap().contains("receiver: unrouted"));
    status["uptime"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
}

#[tokio::test]
async fn parameters_that_cannot_be_read_are_400_with_the_reason() {
    let bed = Bed::start().await;
    // Answers of Alertmanager 0.34.2, but for the words about regular expressions.
    for (path, problem) in [
        ("alerts?filter=a", "bad matcher format: a"),
        ("alerts/groups?filter=a", "bad matcher format: a"),
        ("silences?filter=a", "bad matcher format: a"),
        ("alerts?filter=%7Ba%3D1%7D", "unexpected open or close brace: {a=1}"),
        ("alerts?receiver=(", "failed to parse receiver param: "),
        ("alerts/groups?receiver=(", "failed to parse receiver param: "),
        (
            "alerts?receiver_matchers=x",
            "failed to parse receiver_matchers param: bad matcher format: x",
        ),
        (
            "receivers?receiver_matchers=x",
            "failed to parse receiver_matchers param: bad matcher format: x",
        ),
        ("alerts?filter=a%3D~(", "regular expression of label \"a\": "),
    ] {
        let reply = ask(&bed, "GET", &format!("/api/v2/{path}")).await;
        assert_eq!(reply.status, 400, "{path}");
        assert!(reply.text().ends_with("\"\n"), "{path}: a JSON string on a line");
        assert!(reply.json().as_str().unwrap().starts_with(problem), "{path}: {}", reply.text());
    }
    for path in ["alerts?active=foo&unknown=1", "alerts?filter=a%3D1,b%3D2", "silences?x"] {
        assert_eq!(ask(&bed, "GET", &format!("/api/v2/{path}")).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_as_go_openapi_does() {
    let bed = Bed::start().await;
    let reply = ask(&bed, "GET", "/api/v2/foo").await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.text(), r#"{"code":404,"message":"path /api/v2/foo was not found"}"#);
    for (method, path, allowed) in [
        ("PUT", "/api/v2/alerts", "GET,POST"),
        ("DELETE", "/api/v2/silences", "GET,POST"),
        ("OPTIONS", "/api/v2/status", "GET"),
        ("POST", "/api/v2/silence/x", "DELETE,GET"),
    ] {
        let reply = ask(&bed, method, path).await;
        assert_eq!(reply.status, 405, "{method} {path}");
        assert!(reply.headers.contains_key("allow"));
        let message = format!("method {method} is not allowed, but [{allowed}] are");
        assert_eq!(reply.json(), json!({"code": 405, "message": message}));
    }
}

#[tokio::test]
async fn paths_of_the_old_api_are_gone_and_our_own_are_not() {
    let bed = Bed::start().await;
    for (method, path) in [
        ("GET", "status"),
        ("GET", "receivers"),
        ("GET", "alerts"),
        ("POST", "alerts"),
        ("GET", "silences"),
        ("POST", "silences"),
        ("GET", "silence/x"),
        ("DELETE", "silence/x"),
    ] {
        let reply = ask(&bed, method, &format!("/api/v1/{path}")).await;
        assert_eq!(reply.status, 410, "{method} {path}");
        assert!(
            reply.text().starts_with(r#"{"status":"deprecated","error":"The Alertmanager v1 API"#)
        );
    }
    for path in ["targets", "routes", "publish/parallel/status", "inbox", "deadletters"] {
        assert_eq!(ask(&bed, "GET", &format!("/api/v1/{path}")).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn reads_beyond_the_places_are_503_and_posts_are_not() {
    let bed = Bed::start_narrow(0).await;
    let reply = ask(&bed, "GET", "/api/v2/alerts").await;
    assert_eq!(
        (reply.status.as_u16(), &reply.headers["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    assert_eq!(reply.text(), "Limit of concurrent GET requests reached (0), try again later.\n\n");
    let alerts = json!([{"labels": {"a": "b"}}]);
    let taken = crate::support::http::post(&format!("{}/api/v2/alerts", bed.api), &alerts).await;
    assert_eq!(taken.status, 200);
    assert_eq!(ask(&bed, "GET", "/api/v1/targets").await.status, 200);
    assert!(
        bed.metric(r#"fanfare_api_requests_total{endpoint="alerts",code_class="5xx"} 1"#).await
    );
    let one = Bed::start_narrow(1).await;
    for _ in 0..20 {
        assert_eq!(ask(&one, "GET", "/api/v2/alerts").await.status, 200, "the place is free again");
    }
}

#[tokio::test]
async fn token_opens_the_whole_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    std::fs::write(&file, "letmein-letmein-letmein-letmein\n").unwrap();
    let bed = Bed::start_with(Some(Tokens::open(&file).unwrap())).await;
    for path in ["/api/v2/alerts", "/api/v2/silences", "/api/v2/status", "/api/v1/alerts"] {
        assert_eq!(ask(&bed, "GET", path).await.status, 401, "{path}");
    }
    let headers = [("authorization", "Bearer letmein-letmein-letmein-letmein")];
    let url = format!("{}/api/v2/alerts", bed.api);
    assert_eq!(send(Method::GET, &url, &headers, Bytes::new()).await.status, 200);
}

#[tokio::test]
async fn intake_takes_alerts_and_shows_none() {
    let bed = Bed::start().await;
    for (path, status) in [("alerts", 405), ("silences", 404), ("status", 404)] {
        let reply = get(&format!("{}/api/v2/{path}", bed.intake)).await;
        assert_eq!(reply.status, status, "{path}");
    }
}
