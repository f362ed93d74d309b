//! Metrics and health.

use bytes::Bytes;
use fanfare::server::Check;
use http::Method;

use super::Bed;
use crate::support::http::{get, send};

fn check(name: &'static str, ok: bool, gates: bool) -> Check {
    Check { name, ok, gates, detail: if ok { String::new() } else { "do this".to_owned() } }
}

#[tokio::test]
async fn readiness_fails_only_for_checks_that_gate() {
    let bed = Bed::start().await;
    let ready = format!("{}/readyz", bed.admin);
    *bed.script.checks.lock().unwrap() =
        vec![check("lists", true, true), check("api-server", false, false)];
    let reply = get(&ready).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.text(), "[+]lists ok\n[-]api-server failed (does not gate): do this\n");
    *bed.script.checks.lock().unwrap() = vec![check("lists", false, true)];
    let reply = get(&ready).await;
    assert_eq!((reply.status.as_u16(), reply.text().as_str()), (503, "[-]lists failed: do this\n"));
    assert_eq!(get(&format!("{}/-/ready", bed.intake)).await.status, 503);
    assert_eq!(
        get(&format!("{}/livez", bed.admin)).await.status,
        200,
        "liveness is another question"
    );
}

#[tokio::test]
async fn metrics_are_openmetrics_with_every_series_at_zero() {
    let bed = Bed::start().await;
    let reply = get(&format!("{}/metrics", bed.admin)).await;
    assert_eq!(
        reply.headers["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = reply.text();
    for line in [
        r#"fanfare_intake_requests_total{source="webhook",outcome="overloaded"} 0"#,
        r#"fanfare_intake_requests_total{source="v2",outcome="store"} 0"#,
        r#"fanfare_api_requests_total{endpoint="deadletters",code_class="4xx"} 0"#,
        r#"fanfare_api_requests_total{endpoint="deliveries",code_class="2xx"} 0"#,
        r#"fanfare_alerts_received_total{source="v2",outcome="refused"} 0"#,
        r#"fanfare_api_requests_total{endpoint="publish",code_class="5xx"} 0"#,
        r#"fanfare_intake_request_duration_seconds_count{source="v2"} 0"#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test]
async fn unknown_paths_name_known_ones() {
    let bed = Bed::start().await;
    for (url, part) in [(&bed.admin, "/metrics"), (&bed.api, "/api/v1/publish/parallel")] {
        let reply = get(&format!("{url}/nope")).await;
        assert_eq!(reply.status, 404);
        assert!(reply.text().contains(part), "{}", reply.text());
    }
}

#[tokio::test]
async fn wrong_methods_name_right_ones() {
    let bed = Bed::start().await;
    for (method, path, allow) in [
        (Method::POST, "/api/v1/deadletters", "GET,HEAD,DELETE"),
        (Method::GET, "/api/v1/deadletters/replay", "POST"),
        (Method::GET, "/api/v1/publish/parallel", "POST"),
    ] {
        let reply = send(method, &format!("{}{path}", bed.api), &[], Bytes::new()).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.headers["allow"]),
            (405, &allow.parse().unwrap())
        );
        assert_eq!(reply.json()["error"]["type"], "method_not_allowed", "{path}");
    }
}
