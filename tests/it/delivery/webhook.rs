//! The webhook's two bodies, its headers and methods.

use fanfare::{
    alert::{Alert, Notification, Status},
    delivery::Client,
};
use serde_json::{Value, json};

use super::fixture::{
    AT, Values, about, alert, alert_of, client, firing, resolved, sample, send, target, target_with,
};
use crate::support::sink::{Received, Sink};

/// What a webhook receives.
pub(super) async fn posted(client: &Client, notification: Notification, format: &str) -> Received {
    let sink = Sink::start().await;
    let spec = json!({
        "type": "Webhook",
        "webhook": {"url": sink.url("/hook?a=b")},
        "payload": {"format": format},
    });
    let attempt = send(client, &target(spec), notification).await;
    assert_eq!(attempt.result, Ok(()));
    let request = sink.received()[0].clone();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook?a=b"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    // Standard Webhooks: an id without full stops, seconds since 1970 of this attempt.
    let id = request.header("webhook-id").unwrap();
    assert!(!id.is_empty() && !id.contains('.'), "{id}");
    let sent: i64 = request.header("webhook-timestamp").unwrap().parse().unwrap();
    assert!((jiff::Timestamp::now().as_second() - sent).abs() < 60);
    request
}

#[tokio::test]
async fn the_native_body_is_a_standard_webhook() {
    for (notification, name) in [(firing(), "firing"), (resolved(), "resolved")] {
        let (id, at) = (notification.id.clone(), notification.at);
        let request = posted(&client(), notification, "Native").await;
        assert_eq!(request.header("webhook-id"), Some(&*id));
        let body = request.json();
        let expected = sample(&format!("standard-webhooks-{name}.json"));
        assert_eq!(body["type"], expected["type"]);
        assert_eq!(body["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap(), at);
        assert_eq!(body["data"]["alerts"], json!([expected["data"]]));
        assert_eq!(body["data"]["status"], name);
        let keys: Vec<_> = body.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["data", "timestamp", "type"]);
    }
}

#[tokio::test]
async fn the_native_body_lists_every_member() {
    let mut other = alert();
    other.labels = [("alertname", "HighErrorRate"), ("instance", "b")].into_iter().collect();
    let members = vec![(alert(), Status::Firing), (other, Status::Resolved)];
    let body = posted(&client(), about(members), "Native").await.json();
    let data = &body["data"];
    assert_eq!(body["type"], "alert.firing");
    assert_eq!(data["commonLabels"], json!({"alertname": "HighErrorRate"}));
    assert_eq!(data["alerts"][1]["status"], "resolved");
    assert_eq!(data["alerts"][1]["endsAt"], "2026-03-01T10:20:00.000Z");
    assert_eq!(data["alerts"][0]["endsAt"], Value::Null);
    assert_eq!(data["alerts"][0]["startsAt"], "2026-03-01T10:15:00.000Z");
    let expected = [
        "alerts",
        "commonAnnotations",
        "commonLabels",
        "externalURL",
        "groupKey",
        "groupLabels",
        "id",
        "incidentKey",
        "reason",
        "receiver",
        "status",
    ];
    let keys: Vec<_> = data.as_object().unwrap().keys().collect();
    assert_eq!(keys, expected);
}

/// So many alerts of about 1,100 bytes; every third is over.
fn many(count: usize) -> Notification {
    let text = "x".repeat(100);
    let nth = |nth: usize| {
        let over = nth.is_multiple_of(3);
        (alert_of(&text, nth), if over { Status::Resolved } else { Status::Firing })
    };
    about((0..count).map(nth).collect())
}

#[tokio::test]
async fn a_body_is_no_larger_than_what_receivers_take_and_says_what_it_leaves_out() {
    for format in ["Native", "PrometheusV4"] {
        for (count, fits) in [(2_000, true), (9_000, false), (20_000, false)] {
            let request = posted(&client(), many(count), format).await;
            assert!(request.body.len() < 4 << 20, "{format}: {}", request.body.len());
            let body = request.json();
            let body = if format == "Native" { &body["data"] } else { &body };
            let alerts = body["alerts"].as_array().unwrap();
            let left_out = body["truncatedAlerts"].as_u64().unwrap_or_default();
            assert_eq!(alerts.len() as u64 + left_out, count as u64, "{format}");
            assert_eq!(left_out == 0, fits, "{format}: {left_out}");
            let firing = alerts.iter().filter(|alert| alert["status"] == "firing").count();
            let all = (count - count.div_ceil(3)).min(alerts.len());
            assert_eq!(firing, all, "{format}: those that fire come first");
        }
    }
}

#[tokio::test]
async fn the_v4_body_is_alertmanagers() {
    let body = posted(&client(), firing(), "PrometheusV4").await.json();
    let expected = sample("input-alertmanager-webhook-v4-firing.json");
    assert_eq!(body["alerts"], expected["alerts"]);
    assert_eq!(body["version"], "4");
    assert_eq!(body["notification_reason"], "first notification");
}

#[tokio::test]
async fn method_headers_and_authentication_are_the_targets_own() {
    let sink = Sink::start().await;
    let from = |key: &str| json!({"name": "s", "key": key});
    let spec = |auth: Value| {
        json!({
            "type": "Webhook",
            "webhook": {"url": sink.url("/"), "method": "PUT"},
            "connection": {
                "headers": [
                    {"name": "X-Plain", "value": "a b"},
                    {"name": "X-Secret", "valueFrom": {"secretKeyRef": from("header")}},
                    {"name": "User-Agent", "value": "mine"},
                ],
                "auth": auth,
            },
        })
    };
    let values = Values::default()
        .with("s/header", "s3cret\n")
        .with("s/token", "t0ken\n")
        .with("s/user", "fan")
        .with("s/password", "päss:word");
    let bearer = json!({"type": "Bearer", "bearer": {"tokenSecretRef": from("token")}});
    let basic = json!({
        "type": "Basic",
        "basic": {"usernameSecretRef": from("user"), "passwordSecretRef": from("password")},
    });
    let client = client();
    for auth in [bearer, basic] {
        send(&client, &target_with(spec(auth), &values), firing()).await.result.unwrap();
    }
    let [first, second] = &sink.received()[..] else { panic!("two requests") };
    assert_eq!(first.method, "PUT");
    assert_eq!(first.header("x-plain"), Some("a b"));
    assert_eq!(first.header("x-secret"), Some("s3cret"));
    assert_eq!(first.header("user-agent"), Some("mine"));
    assert_eq!(first.header("authorization"), Some("Bearer t0ken"));
    // base64 of the UTF-8 bytes of fan:päss:word
    assert_eq!(second.header("authorization"), Some("Basic ZmFuOnDDpHNzOndvcmQ="));
}

#[tokio::test]
async fn a_log_target_keeps_the_newest_in_its_inbox() {
    let client = client();
    let target = target(json!({"type": "Log"}));
    for nth in 0..1_005 {
        let what = Notification { id: format!("id-{nth}").into(), ..firing() };
        let attempt = send(&client, &target, what).await;
        assert_eq!((attempt.result, attempt.status_code), (Ok(()), None));
    }
    let kept = client.inbox().recent(5_000);
    assert_eq!(kept.len(), 1_000);
    assert_eq!(&*kept[0].notification.id, "id-1004");
    assert_eq!(&*client.inbox().recent(1)[0].notification.id, "id-1004");
    assert_eq!(kept[999].target.to_string(), "shop/target");
}

#[test]
fn the_fixture_is_the_alert_of_the_samples() {
    let fired: Alert = alert();
    assert_eq!(fired.labels.fingerprint().to_string(), "9a246e1fba1b0348");
    assert_eq!(fired.starts_at, AT.parse().unwrap());
}
