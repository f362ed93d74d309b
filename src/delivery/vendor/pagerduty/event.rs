//! The event itself, within PagerDuty's limits.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use super::super::json;
use crate::{
    alert::{Member, Notification, Status},
    api::PagerDutySeverity,
    delivery::text::{self, Hex, Object, Time},
    registry::Target,
};

/// Longest body that Alertmanager dares to send; the documentation says 512 KB.
const MAX_BODY: usize = 512_000;
/// Longest summary, in characters.
const MAX_SUMMARY: usize = 1_024;
/// Longest of the fields without a stated limit.
const MAX_FIELD: usize = 1_024;
/// Members whose labels and annotations are listed in the details.
const MAX_LISTED: usize = 100;
/// What stands in for details that make the event too large.
const DETAILS_DROPPED: &str = "details left out by Fanfare: the event would be larger than PagerDuty's limit of 512,000 bytes";

/// The fields of each object are in the order of their names; empty ones are left out.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are PagerDuty's")]
struct Event<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_url: Option<String>,
    dedup_key: &'a str,
    event_action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Vec<Link>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload<'a>>,
    routing_key: &'a str,
}

#[derive(Serialize)]
struct Link {
    href: String,
    text: &'static str,
}

#[derive(Serialize)]
struct Payload<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    class: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    component: Cow<'a, str>,
    custom_details: Details<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: Cow<'a, str>,
    severity: &'static str,
    source: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    summary: String,
    timestamp: Time,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Details<'a> {
    One {
        annotations: Object<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        fallback: Option<&'static str>,
        fingerprint: Hex,
        labels: Object<'a>,
    },
    Several {
        #[serde(skip_serializing_if = "Option::is_none")]
        fallback: Option<&'static str>,
        firing: Listed<'a>,
        num_firing: usize,
        num_resolved: usize,
        resolved: Listed<'a>,
    },
    Dropped {
        note: &'static str,
    },
}

/// The first members of one status.
struct Listed<'a>(&'a Notification, Status);

pub(super) fn render(target: &Target, notification: &Notification) -> Vec<u8> {
    let room = notification.room().min(MAX_BODY);
    let mut event = event(target, notification);
    let body = json(&event, room);
    match &mut event.payload {
        Some(payload) if body.len() > MAX_BODY => {
            payload.custom_details = Details::Dropped { note: DETAILS_DROPPED };
            json(&event, 4 * MAX_FIELD)
        }
        _ => body,
    }
}

fn event<'a>(target: &'a Target, notification: &'a Notification) -> Event<'a> {
    let event = Event {
        client: None,
        client_url: None,
        dedup_key: &notification.incident_key,
        event_action: "resolve",
        links: None,
        payload: None,
        routing_key: target.body_credential.as_ref().map_or("", |key| key.expose()),
    };
    let (Status::Firing, Some(lead)) = (notification.status, text::lead(notification)) else {
        return event;
    };
    let links = text::links(notification);
    let source = links.iter().find(|(name, _)| *name == "Source").map(|(_, href)| href.clone());
    Event {
        client: Some("Fanfare"),
        client_url: text::link(&notification.external_url).or(source),
        event_action: "trigger",
        links: Some(links.into_iter().map(|(text, href)| Link { href, text }).collect()),
        payload: Some(payload(target, notification, lead)),
        ..event
    }
}

fn payload<'a>(target: &Target, notification: &'a Notification, lead: &'a Member) -> Payload<'a> {
    let label = |names: &[&str]| text::cut(text::first_label(notification, names), MAX_FIELD);
    let origin = label(&["instance", "pod", "node", "service", "namespace", "cluster"]);
    let began = notification.firing().map(|member| member.alert.starts_at).min();
    Payload {
        class: label(&["alertname"]),
        component: label(&["job", "service", "container"]),
        custom_details: details(notification, lead),
        group: label(&["namespace"]),
        severity: severity(target, notification),
        source: if origin.is_empty() { "fanfare".into() } else { origin },
        summary: text::cut(&text::headline(notification), MAX_SUMMARY).into_owned(),
        timestamp: Time(began.unwrap_or(lead.alert.starts_at)),
    }
}

/// The most severe of the firing members.
fn severity(target: &Target, notification: &Notification) -> &'static str {
    let of = |member: &Member| {
        let label = Some(member.alert.label("severity")).filter(|label| !label.is_empty());
        match &target.spec.pager_duty {
            Some(spec) => spec.severity(label),
            None => PagerDutySeverity::Error,
        }
    };
    let rank = |severity: &PagerDutySeverity| match severity {
        PagerDutySeverity::Critical => 3,
        PagerDutySeverity::Error => 2,
        PagerDutySeverity::Warning => 1,
        PagerDutySeverity::Info => 0,
    };
    match notification.firing().map(of).max_by_key(rank) {
        Some(PagerDutySeverity::Critical) => "critical",
        Some(PagerDutySeverity::Warning) => "warning",
        Some(PagerDutySeverity::Info) => "info",
        Some(PagerDutySeverity::Error) | None => "error",
    }
}

fn details<'a>(notification: &'a Notification, lead: &'a Member) -> Details<'a> {
    let fallback = notification.fallback.then_some(text::FALLBACK);
    if notification.members.len() == 1 {
        return one(lead, fallback);
    }
    Details::Several {
        fallback,
        firing: Listed(notification, Status::Firing),
        num_firing: notification.firing().count(),
        num_resolved: notification.resolved().count(),
        resolved: Listed(notification, Status::Resolved),
    }
}

fn one<'a>(member: &'a Member, fallback: Option<&'static str>) -> Details<'a> {
    Details::One {
        annotations: Object(&member.alert.annotations),
        fallback,
        fingerprint: Hex(member.alert.labels.fingerprint()),
        labels: Object(&member.alert.labels),
    }
}

// === impl Listed ===

impl Serialize for Listed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let of_status = self.0.members.iter().filter(|member| member.status == self.1);
        serializer.collect_seq(of_status.take(MAX_LISTED).map(|member| one(member, None)))
    }
}
