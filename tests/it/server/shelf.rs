//! Dead letters and attempts to put into the store.

use std::{sync::Arc, time::Duration};

use fanfare::{
    alert::{Alert, Labels, Member, Notification, NotificationReason, Status, group_key},
    api::{RouteKey, TargetKey},
    publish::ErrorType,
    store::{AttemptRecord, DeadLetter, DeadReason, Op, Outcome},
};
use jiff::Timestamp;
use serde_json::Value;

use super::Bed;

/// Writes to the store and waits until it is durable.
pub(super) async fn put(bed: &Bed, ops: Vec<Op>) {
    let seq = bed.store.submit(ops, false);
    bed.store.durable(seq).await.unwrap();
}

pub(super) fn ago(minutes: i64) -> Timestamp {
    Timestamp::now() - Duration::from_secs(60 * u64::try_from(minutes).unwrap())
}

pub(super) fn alert(name: &str) -> Alert {
    Alert {
        labels: Labels::from_iter([("alertname", name), ("severity", "page")]),
        annotations: Labels::from_iter([("summary", "something is wrong")]),
        starts_at: "2026-03-01T10:15:00Z".parse().unwrap(),
        ends_at: "2026-03-01T10:20:00Z".parse().unwrap(),
        timeout: false,
        generator_url: "http://prometheus/graph".into(),
        updated_at: "2026-03-01T10:15:01Z".parse().unwrap(),
    }
}

pub(super) fn notification(alert: Alert) -> Notification {
    Notification {
        id: "00112233445566778899aabbccddeeff".into(),
        group_key: group_key("ns/route", &alert.labels).into(),
        incident_key: "incident".into(),
        receiver: "ns/slack".into(),
        status: Status::Firing,
        group_labels: alert.labels.clone(),
        members: vec![Member { alert: Arc::new(alert), status: Status::Firing }],
        reason: NotificationReason::First,
        external_url: "".into(),
        at: "2026-03-01T10:15:02Z".parse().unwrap(),
        fallback: false,
        digest: false,
    }
}

/// A dead letter of now for `ns/slack` that is about an alert `name`.
pub(super) fn letter(name: &str) -> DeadLetter {
    DeadLetter {
        at: Timestamp::now(),
        target: TargetKey::new("ns", "slack"),
        uid: "uid".into(),
        route: Some(RouteKey::new("ns", "route")),
        reason: DeadReason::MaxAge,
        message: "HTTP 500 from hooks.slack.com".to_owned(),
        status_code: Some(500),
        attempts: 17,
        accepted_at: ago(1_440),
        notification: Arc::new(notification(alert(name))),
    }
}

pub(super) fn dead(name: &str) -> Op {
    Op::DeadLetter(Box::new(letter(name)))
}

/// A failed attempt of now at `ns/slack` that is about an alert `name`.
pub(super) fn attempt(name: &str) -> AttemptRecord {
    AttemptRecord {
        at: Timestamp::now(),
        fingerprints: [alert(name).labels.fingerprint()].into(),
        alerts: 1,
        alert: Some(name.into()),
        names: [].into(),
        notification: "00112233445566778899aabbccddeeff".into(),
        status: Status::Firing,
        target: TargetKey::new("ns", "slack"),
        route: Some(RouteKey::new("ns", "route")),
        attempt: 2,
        outcome: Outcome::Failed,
        error_type: Some(ErrorType::ServerError),
        status_code: Some(503),
        duration: Duration::from_millis(12),
    }
}

/// The items of a list.
pub(super) fn items(list: &Value) -> &[Value] {
    list["items"].as_array().unwrap()
}

/// The alerts' names of a list of dead letters.
pub(super) fn names(list: &Value) -> Vec<String> {
    let name = |item: &Value| item["notification"]["alerts"][0]["labels"]["alertname"].clone();
    items(list).iter().map(|item| name(item).as_str().unwrap().to_owned()).collect()
}
