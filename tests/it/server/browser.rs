//! Pages in a browser on the same machine can't use the API.

use bytes::Bytes;
use fanfare::{
    server::Tokens,
    store::{DeadLetterFilter, Op},
};
use http::Method;
use serde_json::json;

use super::{
    Bed,
    shelf::{letter, put},
};
use crate::support::http::send;

const PATHS: [(&str, &str); 9] = [
    ("POST", "/api/v1/publish/parallel/all"),
    ("POST", "/api/v2/alerts"),
    ("GET", "/api/v2/alerts"),
    ("GET", "/api/v2/silences"),
    ("GET", "/api/v1/targets"),
    ("GET", "/api/v1/deliveries?since=1h"),
    ("GET", "/api/v1/deadletters"),
    ("POST", "/api/v1/deadletters/replay"),
    ("DELETE", "/api/v1/deadletters"),
];

fn body(path: &str) -> Bytes {
    let alert = json!({"labels": {"alertname": "A"}});
    let body = match path {
        _ if path.ends_with("/alerts") => json!([alert]),
        _ if path.contains("/deadletters") => json!({"filter": {"since": "1h"}}),
        _ => json!({"alert": alert}),
    };
    body.to_string().into()
}

async fn code(bed: &Bed, (method, path): (&str, &str), more: &[(&str, &str)]) -> u16 {
    let headers = [&[("content-type", "application/json")], more].concat();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let url = format!("{}{path}", bed.api);
    send(method, &url, &headers, body(path)).await.status.as_u16()
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let bed = Bed::start().await;
    put(&bed, vec![Op::DeadLetter(Box::new(letter("a")))]).await;
    for path in PATHS {
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("host", "evil.example:9094"),
            ("host", "127.0.0.1.evil.example"),
        ] {
            assert_eq!(code(&bed, path, &[(name, value)]).await, 403, "{path:?} {name} {value}");
        }
    }
    assert!(bed.script.published.lock().unwrap().is_empty(), "nothing was published");
    assert!(bed.script.accepted.lock().unwrap().is_empty(), "nothing was taken");
    assert!(bed.script.replayed.lock().unwrap().is_empty(), "nothing was replayed");
    let kept = bed.store.dead_letters(&DeadLetterFilter { limit: 9, ..Default::default() });
    assert_eq!(kept.unwrap().items.len(), 1, "nothing was deleted");
}

#[tokio::test]
async fn local_programs_are_served() {
    let bed = Bed::start().await;
    let own = bed.api.clone();
    for more in [("host", "localhost:9094"), ("host", "[::1]"), ("origin", own.as_str())] {
        assert_eq!(code(&bed, PATHS[1], &[more]).await, 200, "{more:?}");
        for path in &PATHS[2..] {
            assert_eq!(code(&bed, *path, &[more]).await, 200, "{path:?} {more:?}");
        }
    }
}

#[tokio::test]
async fn intake_and_token_holders_go_by_any_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "0123456789abcdef").unwrap();
    let bed = Bed::start_with(Some(Tokens::open(file.path()).unwrap())).await;
    let token = [("host", "fanfare.example"), ("authorization", "Bearer 0123456789abcdef")];
    assert_eq!(code(&bed, PATHS[2], &token).await, 200);
    let bed = Bed::start().await;
    let headers = [("content-type", "application/json"), ("host", "fanfare.monitoring:9093")];
    let url = format!("{}/api/v2/alerts", bed.intake);
    let reply = send(Method::POST, &url, &headers, body("/alerts")).await;
    assert_eq!(reply.status, 200);
}
