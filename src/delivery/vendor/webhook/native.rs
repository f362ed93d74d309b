//! The native body. Fields are only ever added; `fallback` and `digest` are there only where they are true. What
//! would make it larger than receivers take is left out and counted in `truncatedAlerts`, the resolved ones
//! first.

use std::io;

use serde::Serialize;

use super::super::json;
use crate::{
    alert::{Member, Notification, Status, common, webhook},
    delivery::text::{Hex, Object, Pairs, Time},
};

/// The fields of each object are in the order of their names.
#[derive(Serialize)]
struct Body<'a> {
    data: Data<'a>,
    timestamp: Time,
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    alerts: Vec<Alert<'a>>,
    common_annotations: Pairs<'a>,
    common_labels: Pairs<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<bool>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<bool>,
    group_key: &'a str,
    group_labels: Object<'a>,
    id: &'a str,
    incident_key: &'a str,
    reason: &'static str,
    receiver: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated_alerts: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    annotations: Object<'a>,
    ends_at: Option<Time>,
    fingerprint: Hex,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    labels: Object<'a>,
    starts_at: Time,
    status: &'static str,
}

/// Counts the bytes that are written to it.
struct Count(usize);

pub(super) fn render(notification: &Notification) -> Vec<u8> {
    let members = &notification.members;
    let room = notification.room();
    let alerts = alerts(notification, room);
    let left_out = members.len() - alerts.len();
    let body = Body {
        data: Data {
            alerts,
            common_annotations: Pairs(common(members, |alert| &alert.annotations)),
            common_labels: Pairs(common(members, |alert| &alert.labels)),
            digest: notification.digest.then_some(true),
            external_url: &notification.external_url,
            fallback: notification.fallback.then_some(true),
            group_key: &notification.group_key,
            group_labels: Object(&notification.group_labels),
            id: &notification.id,
            incident_key: &notification.incident_key,
            reason: notification.reason.as_str(),
            receiver: &notification.receiver,
            status: notification.status.as_str(),
            truncated_alerts: (left_out > 0).then_some(left_out),
        },
        timestamp: Time(notification.at),
        r#type: match notification.status {
            Status::Firing => "alert.firing",
            Status::Resolved => "alert.resolved",
        },
    };
    json(&body, room.min(webhook::MOST_BYTES))
}

/// The members as far as there is room for them, but at least one.
fn alerts(notification: &Notification, room: usize) -> Vec<Alert<'_>> {
    let members = &notification.members;
    // An escape makes six bytes of one: less than a sixth of the limit fits in any case.
    if members.len() <= webhook::MOST_MEMBERS && room <= webhook::MOST_BYTES / 6 {
        return members.iter().map(alert).collect();
    }
    let all = fitting(members.iter());
    if all.len() == members.len() {
        return all;
    }
    fitting(notification.firing().chain(notification.resolved()))
}

fn fitting<'a>(members: impl Iterator<Item = &'a Member>) -> Vec<Alert<'a>> {
    let mut bytes = 0;
    let fits = |one: &(usize, Alert<'_>)| {
        bytes += size(&one.1) + 1;
        one.0 == 0 || bytes <= webhook::MOST_BYTES
    };
    let members = members.take(webhook::MOST_MEMBERS).map(alert).enumerate();
    members.take_while(fits).map(|(_, alert)| alert).collect()
}

fn alert(Member { alert, status }: &Member) -> Alert<'_> {
    Alert {
        annotations: Object(&alert.annotations),
        ends_at: (*status == Status::Resolved).then_some(Time(alert.ends_at)),
        fingerprint: Hex(alert.labels.fingerprint()),
        generator_url: &alert.generator_url,
        labels: Object(&alert.labels),
        starts_at: Time(alert.starts_at),
        status: status.as_str(),
    }
}

/// The bytes that `alert` takes.
fn size(alert: &Alert<'_>) -> usize {
    let mut count = Count(0);
    serde_json::to_writer(&mut count, alert).expect("counting takes all that is written");
    count.0
}

// === impl Count ===

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
