//! What a target is sent: the present state of one group.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Alert, Labels, Status};

/// The present state of one group, for one target. Renderers read it; nothing changes it.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The same over retries, restarts and replays: sent as `webhook-id`. No `.` in it.
    pub id: Arc<str>,
    /// Alertmanager's group key form: identifies the group to receivers.
    pub group_key: Arc<str>,
    /// Lower-case hex SHA-256 of the group key: key of the incident downstream (PagerDuty and the like).
    pub incident_key: Arc<str>,
    /// Name of the receiver shown in webhook payloads: `namespace/name` of the target.
    pub receiver: Arc<str>,
    /// Firing if any member fires.
    pub status: Status,
    /// The members, firing and resolved; never empty.
    pub members: Vec<Member>,
    /// Labels that all members share because they define the group.
    pub group_labels: Labels,
    /// Why the group is notified now.
    pub reason: Reason,
    /// `--external-url`: Fanfare's own address; may be empty.
    pub external_url: Arc<str>,
    /// The moment whose state this is.
    pub at: Timestamp,
    /// The target is told because none of the route's own targets could be.
    pub fallback: bool,
    /// Several groups of one route in one message, because there are more than the target's rate limit lets
    /// through.
    pub digest: bool,
}

/// One alert of a notification, with the status it had when the notification was made.
#[derive(Clone, Debug)]
pub struct Member {
    /// The alert.
    pub alert: Arc<Alert>,
    /// Its status at [`Notification::at`].
    pub status: Status,
}

/// Why a group is notified; texts as in Alertmanager's `notification_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing was told about the group before.
    First,
    /// An alert joined the group.
    NewAlerts,
    /// Some alerts resolved, others fire.
    SomeResolved,
    /// No alert fires any more.
    AllResolved,
    /// `repeatInterval` passed while an alert fires.
    Repeat,
}

/// Pairs that all members share, sorted by name.
#[must_use]
pub fn common<'a>(
    members: &'a [Member],
    of: impl Fn(&'a Alert) -> &'a Labels,
) -> Vec<(&'a str, &'a str)> {
    let Some((first, rest)) = members.split_first() else { return Vec::new() };
    // Alerts of one rule have the same names, and so each pair in the same place.
    let has = |labels: &'a Labels, at: usize, pair: (&str, &str)| {
        labels.iter().nth(at) == Some(pair) || labels.get(pair.0) == pair.1
    };
    let pairs = of(&first.alert).iter().enumerate();
    let shared = pairs.filter(|(at, pair)| rest.iter().all(|it| has(of(&it.alert), *at, *pair)));
    shared.map(|(_, pair)| pair).collect()
}

// === impl Notification ===

impl Notification {
    /// Name of the alert: that of the only member, or the one that all members share. Cut to a length
    /// that fits everywhere; empty if there is none.
    #[must_use]
    pub fn alert_name(&self) -> &str {
        match self.members.as_slice() {
            [only] => only.alert.labels.alert_name(),
            _ => self.group_labels.alert_name(),
        }
    }

    /// The bytes of a body that holds all of it as JSON, roughly: what to reserve for one.
    #[must_use]
    pub fn room(&self) -> usize {
        let texts = |labels: &Labels| -> usize {
            labels.iter().map(|(name, value)| name.len() + value.len() + 6).sum()
        };
        let member = |Member { alert, .. }: &Member| {
            // The links of Prometheus are full of `&`, which takes six bytes.
            let link = alert.generator_url.len() + alert.generator_url.len() / 8;
            texts(&alert.labels) + texts(&alert.annotations) + link + 200
        };
        let shared = self.members.first().map_or(0, member);
        self.members.iter().map(member).sum::<usize>() + shared + 2 * self.group_key.len() + 768
    }

    /// Members that fire.
    pub fn firing(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.status == Status::Firing)
    }

    /// Members that are resolved.
    pub fn resolved(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.status == Status::Resolved)
    }
}

// === impl Reason ===

impl Reason {
    /// Alertmanager's text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first notification",
            Self::NewAlerts => "new alerts added",
            Self::SomeResolved => "some alerts resolved",
            Self::AllResolved => "all alerts resolved",
            Self::Repeat => "repeat interval elapsed",
        }
    }
}
