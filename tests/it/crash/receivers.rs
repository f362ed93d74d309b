//! Receivers: two that are always well, others that fail in turns.

use std::{fmt::Write as _, time::Duration};

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use crate::support::sink::{Answer, Entry, Fault, Received, Sink};

/// Name, what its route does while it is unhealthy, what it needs to be told.
pub(super) const KINDS: [(&str, &str, &str); 7] = [
    ("well", "Send", "Latest"),
    (GROUPED[0], "Send", "Latest"),
    (GROUPED[1], "Hold", "Latest"),
    ("moody", "Send", "Latest"),
    ("held", "Hold", "Latest"),
    ("away", "Hold", "Latest"),
    (AUDIT, "Send", "Every"),
];
/// So many of them, the first, are always well.
const WELL: usize = 2;
/// The one that needs every transition.
pub(super) const AUDIT: &str = "audit";
/// Those that are told of groups.
pub(super) const GROUPED: [&str; 2] = ["grouped", "grouped-moody"];

pub(super) struct Receivers(Vec<(String, Sink)>);

/// One notification as it came in.
#[derive(Clone, Debug)]
pub(super) struct Notified {
    pub(super) id: String,
    pub(super) group: String,
    /// Whether it was taken: then the receiver knows of it, whether or not the program got to know that.
    pub(super) accepted: bool,
    /// Whether the answer said that it was not taken: then the receiver knows nothing of it.
    pub(super) refused: bool,
    pub(super) at: Instant,
    /// Never empty.
    pub(super) members: Vec<Mention>,
}

/// What a notification says of one alert.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Mention {
    pub(super) alert: String,
    pub(super) firing: bool,
    pub(super) starts_at: Timestamp,
}

// === impl Receivers ===

impl Receivers {
    pub(super) async fn start() -> Self {
        let mut all = Vec::new();
        for (name, ..) in KINDS {
            all.push((name.to_owned(), Sink::start().await));
        }
        Self(all)
    }

    pub(super) fn manifests(&self) -> String {
        let mut text = String::new();
        for ((name, sink), (_, policy, semantics)) in self.0.iter().zip(KINDS) {
            let url = sink.url("/");
            let grouping = if GROUPED.contains(&name.as_str()) {
                "  grouping: {by: [team], wait: 100ms, interval: 1s}\n"
            } else {
                ""
            };
            write!(
                text,
                "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata: {{name: {name}}}\nspec:\n  \
                 type: Webhook\n  webhook: {{url: \"{url}\"}}\n  \
                 delivery: {{timeout: 300ms, backoffDelay: 100ms, backoffMax: 1s, semantics: {semantics}}}\n  \
                 circuitBreaker: {{baseEjectionTime: 1s, maxEjectionTime: 2s}}\n  \
                 flow: {{queue: {{maxNotifications: 1000000}}}}\n  \
                 healthCheck: {{interval: 5s, unhealthyInterval: 1s, timeout: 500ms}}\n\
                 ---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {{name: {name}}}\nspec:\n  \
                 scope: Cluster\n  whenUnhealthy: {policy}\n  targets: [{{name: {name}}}]\n{grouping}",
            )
            .expect("writing to a String can't fail");
        }
        text
    }

    /// Every receiver but the first ones does something else from now on.
    pub(super) fn change_the_weather(&self, rng: &mut Rng) {
        for (_, sink) in &self.0[WELL..] {
            sink.answer(match rng.u32(0..7) {
                0 => Answer::status(500),
                1 => Answer::status(503),
                2 => Answer::fault(Fault::Reset),
                3 => Answer::fault(Fault::Hang),
                // Takes it, but the answer comes too late.
                4 => Answer::status(200).after(Duration::from_millis(400)),
                _ => Answer::status(200),
            });
        }
    }

    pub(super) fn clear_the_weather(&self) {
        for (_, sink) in &self.0 {
            sink.answer(Answer::status(200));
        }
    }

    /// What each receiver got, in order; whatever it answered.
    pub(super) fn notified(&self) -> Vec<(&str, Vec<Notified>)> {
        let each = self.0.iter().map(|(name, sink)| {
            let (all, ledger) = (sink.received(), sink.ledger().0);
            let posts = all.iter().zip(&ledger).filter(|(one, _)| one.method == "POST");
            (name.as_str(), posts.map(notified).collect())
        });
        each.collect()
    }

    pub(super) fn count(&self) -> usize {
        self.notified().iter().map(|(_, all)| all.len()).sum()
    }
}

fn notified((request, entry): (&Received, &Entry)) -> Notified {
    let body = request.json();
    let alerts = body["data"]["alerts"].as_array().expect("a list");
    assert!(!alerts.is_empty(), "a notification of nothing: {body}");
    Notified {
        id: request.header("webhook-id").expect("every notification has an id").to_owned(),
        group: entry.group.clone(),
        accepted: entry.accepted,
        refused: matches!(entry.answered, Some(500 | 503)),
        at: request.at,
        members: alerts.iter().map(mention).collect(),
    }
}

fn mention(alert: &Value) -> Mention {
    Mention {
        alert: alert["labels"]["alertname"].as_str().expect("a label").to_owned(),
        firing: alert["status"] == "firing",
        starts_at: alert["startsAt"].as_str().expect("a time").parse().expect("a time"),
    }
}
