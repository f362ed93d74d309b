//! PagerDuty's rules (Events API v2), checked by a strict receiver.

use fanfare::{
    alert::{Labels, Notification, Status},
    delivery::Client,
};
use serde_json::{Value, json};

use super::fixture::{
    Values, about, alert, alert_of, client, firing, resolved, sample, send, target_with,
};
use crate::support::sink::{Answer, Sink};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// What a PagerDuty target posts, already checked.
pub(super) async fn posted(client: &Client, notification: Notification) -> Value {
    posted_with(client, notification, json!({})).await
}

async fn posted_with(client: &Client, notification: Notification, severities: Value) -> Value {
    let sink = Sink::start().await;
    let answer = json!({"status": "success", "message": "Event processed", "dedup_key": "x"});
    sink.answer(Answer::status(202).json(&answer));
    let spec = json!({
        "type": "PagerDuty",
        "pagerDuty": {
            "routingKeySecretRef": {"name": "s", "key": "k"},
            "endpoint": sink.url(""),
            "severityMap": severities,
        },
    });
    let values = Values::default().with("s/k", &format!("{KEY}\n"));
    let attempt = send(client, &target_with(spec, &values), notification).await;
    assert_eq!((attempt.result, attempt.status_code), (Ok(()), Some(202)));
    let request = &sink.received()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v2/enqueue"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert!(request.body.len() <= 512_000, "{}", request.body.len());
    let event = request.json();
    check(&event);
    event
}

fn check(event: &Value) {
    let known =
        ["routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links"];
    only(event, &known);
    let key = event["routing_key"].as_str().unwrap();
    assert!(key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    text(&event["dedup_key"], 255);
    if event["event_action"] == "resolve" {
        return;
    }
    assert_eq!(event["event_action"], "trigger");
    let payload = &event["payload"];
    let fields = ["summary", "source", "severity", "timestamp", "component", "group", "class"];
    only(payload, &[&fields[..], &["custom_details"]].concat());
    text(&payload["summary"], 1_024);
    text(&payload["source"], 1_024);
    let severity = payload["severity"].as_str().unwrap();
    assert!(["critical", "error", "warning", "info"].contains(&severity));
    assert!(payload["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert!(payload["custom_details"].is_object());
    for link in event["links"].as_array().unwrap() {
        only(link, &["href", "text"]);
        let href = text(&link["href"], 3_000);
        assert!(href.starts_with("http://") || href.starts_with("https://"), "{href}");
        text(&link["text"], 100);
    }
}

fn only(object: &Value, known: &[&str]) {
    for key in object.as_object().expect("an object").keys() {
        assert!(known.contains(&key.as_str()), "PagerDuty knows no {key} here");
    }
}

fn text(value: &Value, max: usize) -> &str {
    let text = value.as_str().unwrap_or_else(|| panic!("not a text: {value}"));
    assert!((1..=max).contains(&text.encode_utf16().count()), "{text}");
    text
}

#[tokio::test]
async fn firing_and_resolved_look_like_the_samples() {
    let dedup = json!("a3".repeat(32));
    let mut trigger = sample("pagerduty-v2-trigger.json");
    trigger["dedup_key"] = dedup.clone();
    assert_eq!(posted(&client(), firing()).await, trigger);
    let mut resolve = sample("pagerduty-v2-resolve.json");
    resolve["dedup_key"] = dedup;
    assert_eq!(posted(&client(), resolved()).await, resolve);
}

#[tokio::test]
async fn severities_are_mapped_and_unknown_ones_have_a_default() {
    let of = |label: &str| {
        let mut labelled = alert();
        labelled.labels = Labels::from_iter([("alertname", "X"), ("severity", label)]);
        about(vec![(labelled, Status::Firing)])
    };
    let table = [
        ("critical", "critical"),
        ("warning", "warning"),
        ("info", "info"),
        ("page", "critical"),
        ("whatever", "error"),
        ("", "error"),
    ];
    for (label, expected) in table {
        let event = posted_with(&client(), of(label), json!({"page": "critical"})).await;
        assert_eq!(event["payload"]["severity"], expected, "{label}");
    }
}

#[tokio::test]
async fn the_most_severe_firing_member_decides() {
    let member = |severity: &str, status| {
        let mut member = alert();
        member.labels = Labels::from_iter([("alertname", "X"), ("severity", severity)]);
        (member, status)
    };
    let members = vec![
        member("info", Status::Firing),
        member("warning", Status::Firing),
        member("critical", Status::Resolved),
    ];
    let event = posted(&client(), about(members)).await;
    assert_eq!(event["payload"]["severity"], "warning");
    assert_eq!(event["payload"]["custom_details"]["num_firing"], 2);
    assert_eq!(event["payload"]["custom_details"]["num_resolved"], 1);
}

#[tokio::test]
async fn one_of_several_alerts_does_not_speak_for_the_others() {
    let member = |instance: &'static str| {
        let mut member = alert();
        let labels = [("alertname", "X"), ("instance", instance), ("namespace", "shop")];
        member.labels = labels.into_iter().collect();
        member.annotations = [("summary", instance)].into_iter().collect();
        (member, Status::Firing)
    };
    let mut group = about(vec![member("a"), member("b")]);
    group.group_labels = [("alertname", "X")].into_iter().collect();
    let event = posted(&client(), group).await;
    let payload = &event["payload"];
    assert_eq!(payload["summary"], "[FIRING:2] X (shop)");
    assert_eq!(payload["source"], "shop", "what they share");
    assert_eq!((&payload["class"], &payload["group"]), (&json!("X"), &json!("shop")));
    assert_eq!(payload["custom_details"]["firing"][1]["labels"]["instance"], "b");
}

#[tokio::test]
async fn every_text_and_list_is_cut_at_its_own_limit() {
    let long = alert_of(&"x".repeat(5_000), 0);
    let event = posted(&client(), about(vec![(long, Status::Firing)])).await;
    for field in ["summary", "source", "component", "group", "class"] {
        let text = event["payload"][field].as_str().unwrap();
        assert_eq!(text.encode_utf16().count(), 1_024, "{field}");
        assert!(text.ends_with('…'), "{field}");
    }
    let members = (0..150).map(|nth| (alert_of("x", nth), Status::Firing)).collect();
    let event = posted(&client(), about(members)).await;
    let details = &event["payload"]["custom_details"];
    assert_eq!((&details["num_firing"], &details["num_resolved"]), (&json!(150), &json!(0)));
    assert_eq!(details["firing"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn an_event_that_is_too_large_loses_its_details_and_says_so() {
    for text in ["x".repeat(16_000), "\"\u{1}<😀".repeat(3_000)] {
        let members = (0..60).map(|nth| (alert_of(&text, nth), Status::Firing)).collect();
        let event = posted(&client(), about(members)).await;
        let note = event["payload"]["custom_details"]["note"].as_str().unwrap();
        assert!(note.contains("512,000"), "{note}");
        assert!(event["payload"]["summary"].as_str().unwrap().ends_with('…'));
    }
}
