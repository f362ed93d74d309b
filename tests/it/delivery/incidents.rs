//! A resolve closes what its firing opened, and a retry is recognised: per type, what a receiver goes by.

use fanfare::delivery::Class;
use serde_json::{Value, json};

use super::answers::spec;
use super::fixture::{client, failure, firing, resolved, send, target_with};
use crate::support::sink::{Answer, Received, Sink};

/// What the receivers of this type go by to tell incidents apart, and whether the request closes it.
fn incident(kind: &str, request: &Received) -> (Value, bool) {
    let body = request.json();
    let resolved = |at: &Value| at["status"] == "resolved";
    match kind {
        "pagerduty" => {
            (json!([body["routing_key"], body["dedup_key"]]), body["event_action"] == "resolve")
        }
        "rootly" | "v4" => (
            json!([
                body["groupKey"],
                body["alerts"][0]["fingerprint"],
                body["alerts"][0]["labels"]
            ]),
            resolved(&body) && resolved(&body["alerts"][0]),
        ),
        "webhook" => (
            json!([body["data"]["incidentKey"], body["data"]["groupKey"]]),
            resolved(&body["data"]) && body["type"] == "alert.resolved",
        ),
        // The label set; an end that is not in the future closes.
        "alertmanager" => {
            let alert = &body[0];
            let ends: jiff::Timestamp = alert["endsAt"].as_str().unwrap().parse().unwrap();
            (json!([alert["labels"], alert["startsAt"]]), ends <= jiff::Timestamp::now())
        }
        other => panic!("{other}"),
    }
}

/// What of a retry is the same as of the attempt before: all but the time of the attempt.
fn identity(kind: &str, request: &Received) -> (Value, Option<String>) {
    let mut body = request.json();
    if kind == "alertmanager" {
        body[0].as_object_mut().unwrap().remove("endsAt");
    }
    (body, request.header("webhook-id").map(str::to_owned))
}

#[tokio::test]
async fn a_resolve_carries_the_key_of_its_firing_and_a_retry_the_id_of_the_attempt_before() {
    for kind in ["pagerduty", "rootly", "webhook", "v4", "alertmanager"] {
        let (client, sink) = (client(), Sink::start().await);
        let (mut spec, values) = spec(if kind == "v4" { "webhook" } else { kind }, &sink);
        if kind == "v4" {
            spec["payload"] = json!({"format": "PrometheusV4"});
        }
        let target = target_with(spec, &values);
        sink.answer_once(Answer::status(500));
        let first = send(&client, &target, firing()).await;
        assert_eq!(failure(&first).class, Class::Retry, "{kind}");
        for notification in [firing(), resolved()] {
            assert_eq!(send(&client, &target, notification).await.result, Ok(()), "{kind}");
        }
        let requests = sink.received();
        let [first, again, resolve] = &requests[..] else { panic!("{kind}: {}", requests.len()) };
        assert_eq!(identity(kind, first), identity(kind, again), "{kind}");
        let (opened, closes) = incident(kind, again);
        assert!(!closes, "{kind}");
        assert!(!opened.as_array().unwrap().contains(&Value::Null), "{kind}: {opened}");
        assert_eq!(incident(kind, resolve), (opened, true), "{kind}");
        if matches!(kind, "webhook" | "v4") {
            assert!(first.header("webhook-id").is_some(), "{kind}");
        }
    }
}
