//! Rootly and Alertmanager: receivers that speak Alertmanager's own forms.

use fanfare::{
    alert::{Notification, Status},
    delivery::{Class, Client, Told},
    publish::ErrorType,
    registry::Depth,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::fixture::{
    Values, about, alert, alert_of, client, failure, firing, resolved, sample, send, target,
    target_with,
};
use crate::support::sink::{Answer, DeadPort, Fault, Received, Sink};

fn spec(urls: &Value) -> Value {
    json!({"type": "Alertmanager", "alertmanager": {"urls": urls}, "delivery": {"timeout": "2s"}})
}

/// What an Alertmanager receives in its first POST, already checked.
pub(super) async fn alertmanager(client: &Client, notification: Notification) -> Value {
    let sink = Sink::start().await;
    let attempt = send(client, &target(spec(&json!([sink.url("")]))), notification).await;
    assert_eq!(attempt.result, Ok(()));
    check(&sink.received()[0])
}

/// Alertmanager's own validation.
fn check(request: &Received) -> Value {
    assert_eq!(request.method, "POST");
    assert!(request.path.ends_with("/api/v2/alerts"), "{}", request.path);
    assert_eq!(request.header("content-type"), Some("application/json"));
    let body = request.json();
    let alerts = body.as_array().unwrap();
    assert!((1..=256).contains(&alerts.len()));
    for alert in alerts {
        let labels = alert["labels"].as_object().unwrap();
        assert!(!labels.is_empty() && labels.values().all(|it| it.as_str() != Some("")));
        let time = |name: &str| -> Timestamp { alert[name].as_str().unwrap().parse().unwrap() };
        assert!(time("endsAt") >= time("startsAt"), "start time must be before end time");
    }
    body
}

#[tokio::test]
async fn a_firing_alert_lasts_an_hour_and_a_resolved_one_ends_when_it_ended() {
    let body = alertmanager(&client(), firing()).await;
    let mut expected = sample("alertmanager-v2-post-firing.json")[0].clone();
    let ends: Timestamp = body[0]["endsAt"].as_str().unwrap().parse().unwrap();
    let life = ends.duration_since(Timestamp::now());
    assert!(
        life > SignedDuration::from_mins(58) && life <= SignedDuration::from_mins(60),
        "{life:?}"
    );
    expected["endsAt"] = body[0]["endsAt"].clone();
    assert_eq!(body[0], expected);
    let body = alertmanager(&client(), resolved()).await;
    assert_eq!(body[0]["endsAt"], "2026-03-01T10:42:30.000Z");
}

#[tokio::test]
async fn times_never_end_before_they_begin() {
    let mut odd = alert();
    odd.ends_at = odd.starts_at - SignedDuration::from_hours(1);
    alertmanager(&client(), about(vec![(odd.clone(), Status::Resolved)])).await;
    odd.starts_at = Timestamp::now() + SignedDuration::from_hours(5);
    alertmanager(&client(), about(vec![(odd, Status::Firing)])).await;
}

#[tokio::test]
async fn every_url_gets_every_alert_in_batches_and_one_2xx_is_success() {
    let (one, two, dead) = (Sink::start().await, Sink::start().await, DeadPort::reserve());
    let urls = json!([dead.url(""), one.url("/prefix/"), two.url("")]);
    let members = (0..600).map(|nth| (alert_of("x", nth), Status::Firing)).collect();
    let attempt = send(&client(), &target(spec(&urls)), about(members)).await;
    assert_eq!((attempt.result, attempt.status_code), (Ok(()), Some(200)));
    assert_eq!(attempt.sample.unwrap().verdict, Ok(Depth::Credential));
    for (sink, path) in [(&one, "/prefix/api/v2/alerts"), (&two, "/api/v2/alerts")] {
        let sizes: Vec<_> =
            sink.received().iter().map(|it| check(it).as_array().unwrap().len()).collect();
        assert_eq!(sizes, [256, 256, 88]);
        assert!(sink.received().iter().all(|it| it.path == path));
    }
    // One that hangs does not keep the others from being told, and all down is a failure.
    one.answer(Answer::fault(Fault::Hang));
    let attempt = send(&client(), &target(spec(&urls)), firing()).await;
    assert_eq!(attempt.result, Ok(()));
    two.answer(Answer::status(502));
    let attempt = send(&client(), &target(spec(&urls)), firing()).await;
    assert_eq!((failure(&attempt).class, failure(&attempt).told), (Class::Retry, Told::Maybe));
}

#[tokio::test]
async fn a_400_is_partly_stored_and_not_sent_again() {
    let sink = Sink::start().await;
    let answer = sample("responses/alertmanager-400-validation.json");
    sink.answer(Answer::status(400).json(&answer["body"]));
    let members = (0..300).map(|nth| (alert_of("x", nth), Status::Firing)).collect();
    let attempt = send(&client(), &target(spec(&json!([sink.url("")]))), about(members)).await;
    let refused = failure(&attempt);
    assert_eq!((refused.class, refused.told), (Class::Rejected, Told::Maybe));
    assert_eq!(refused.error_type, ErrorType::ClientError);
    assert!(!refused.message.contains("start time"), "{}", refused.message);
    assert_eq!(attempt.sample.unwrap().verdict, Ok(Depth::Answer));
    assert_eq!(sink.received().len(), 2, "the second batch is sent all the same");
}

#[tokio::test]
async fn rootly_gets_the_v4_body_with_its_secret_and_whom_to_page() {
    let sink = Sink::start().await;
    let from = |key: &str| json!({"name": "s", "key": key});
    let rootly = |notify: Value| {
        let mut spec = json!({
            "type": "Rootly",
            "rootly": {"webhookURLSecretRef": from("url"), "tokenSecretRef": from("token")},
        });
        if !notify.is_null() {
            spec["rootly"]["notify"] = notify;
        }
        spec
    };
    let url = sink.url("/webhooks/incoming/alertmanager_webhooks?secret=x");
    let values = Values::default().with("s/url", &url).with("s/token", "rootly-token");
    let client = client();
    for (notify, path) in [
        (Value::Null, "/webhooks/incoming/alertmanager_webhooks?secret=x"),
        (
            json!({"type": "EscalationPolicy", "id": "a/b?c"}),
            "/webhooks/incoming/alertmanager_webhooks/notify/EscalationPolicy/a%2Fb%3Fc?secret=x",
        ),
    ] {
        sink.clear();
        let target = target_with(rootly(notify), &values);
        send(&client, &target, resolved()).await.result.unwrap();
        let request = &sink.received()[0];
        assert_eq!(request.path, path);
        assert_eq!(request.header("authorization"), Some("Bearer rootly-token"));
        let body = request.json();
        assert_eq!((&body["version"], &body["status"]), (&json!("4"), &json!("resolved")));
        assert_eq!(body["alerts"][0]["status"], "resolved");
        assert_eq!(body.get("fallback"), None);
        sink.clear();
        let fallback = Notification { fallback: true, ..resolved() };
        send(&client, &target, fallback).await.result.unwrap();
        assert_eq!(sink.received()[0].json()["fallback"], true);
    }
}
