//! What came to its end without being told: dead letters, history, events, metrics.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    desk::{Desk, Shared},
    metrics::NotificationOutcome,
    records::{About, GivenUp},
};
use crate::{
    api::{Reason, RouteKey, TargetKey, TargetType},
    delivery::Attempt,
    dispatch::{Ended, Why},
    registry::{Notices, Snapshot, TargetEntry},
    store::{DeadReason, Op, Outcome},
};

/// Alerts that a notice names; the others are counted.
const LISTED: usize = 10;

/// What the last attempt came to.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) message: String,
    pub(super) status_code: Option<u16>,
}

/// What is said of something that was given up for this reason, when no attempt tells more.
pub(super) const fn words(reason: DeadReason) -> &'static str {
    match reason {
        DeadReason::Rejected => "the target refuses it",
        DeadReason::MaxAge => "delivery.maxAge passed before an attempt succeeded",
        DeadReason::MaxAttempts => "delivery.maxAttempts attempts failed",
        DeadReason::QueueFull => "too much waited for the target (flow.queue.maxNotifications)",
        DeadReason::RouteDeleted => "the route was deleted; what it leaves open stays open there",
        DeadReason::TargetDeleted => "the target was deleted or made anew",
        DeadReason::TargetRemoved => "the target was taken off the route",
        DeadReason::NotPermitted => "the target's allowedRoutes no longer admits the route",
        DeadReason::Unusable => "it could not be rendered",
    }
}

const fn reason(why: Why) -> Option<DeadReason> {
    match why {
        Why::Superseded | Why::Skipped | Why::Muted => None,
        Why::Rejected => Some(DeadReason::Rejected),
        Why::MaxAge => Some(DeadReason::MaxAge),
        Why::MaxAttempts => Some(DeadReason::MaxAttempts),
        Why::QueueFull => Some(DeadReason::QueueFull),
        Why::RouteDeleted => Some(DeadReason::RouteDeleted),
        Why::TargetDeleted => Some(DeadReason::TargetDeleted),
        Why::TargetRemoved => Some(DeadReason::TargetRemoved),
        Why::NotPermitted => Some(DeadReason::NotPermitted),
    }
}

/// What history and metrics call it; `None`: the attempt says it.
const fn outcome(why: Why) -> Option<(Outcome, NotificationOutcome)> {
    match why {
        Why::Rejected => None,
        Why::Superseded => Some((Outcome::Superseded, NotificationOutcome::Superseded)),
        Why::Skipped => Some((Outcome::Skipped, NotificationOutcome::Skipped)),
        Why::MaxAge | Why::MaxAttempts | Why::QueueFull => {
            Some((Outcome::Expired, NotificationOutcome::Expired))
        }
        Why::RouteDeleted
        | Why::TargetDeleted
        | Why::TargetRemoved
        | Why::NotPermitted
        | Why::Muted => Some((Outcome::Cancelled, NotificationOutcome::Cancelled)),
    }
}

/// Nothing more is sent, and what stays open there is for people to close.
const fn leaves_open(reason: DeadReason) -> bool {
    matches!(
        reason,
        DeadReason::RouteDeleted
            | DeadReason::TargetDeleted
            | DeadReason::TargetRemoved
            | DeadReason::NotPermitted
    )
}

/// Type of a target, if it is known.
pub(super) fn kind(snapshot: &Snapshot, key: &TargetKey) -> Option<TargetType> {
    match snapshot.targets.get(key)? {
        TargetEntry::Accepted(target) => Some(target.kind),
        TargetEntry::Rejected(target) => target.kind,
    }
}

/// What one change of the configuration leaves open, by where that is and why: one notice for each.
#[derive(Debug, Default)]
struct LeftOpen(BTreeMap<(TargetKey, Option<RouteKey>, &'static str), Names>);

#[derive(Debug, Default)]
struct Names {
    first: BTreeSet<String>,
    more: usize,
}

// === impl LeftOpen ===

impl LeftOpen {
    fn add(&mut self, about: &About<'_>, reason: DeadReason) {
        let route = about.route.filter(|_| reason != DeadReason::RouteDeleted).cloned();
        let names = self.0.entry((about.target.clone(), route, words(reason))).or_default();
        let name = about.notification.alert_name();
        let name = if name.is_empty() { "an alert" } else { name };
        if names.first.len() < LISTED {
            names.first.insert(name.to_owned());
        } else if !names.first.contains(name) {
            names.more += 1;
        }
    }

    fn tell(self, notices: &Notices) {
        for ((target, route, why), Names { first, more }) in self.0 {
            let mut list = first.into_iter().collect::<Vec<_>>().join(", ");
            if more > 0 {
                list = format!("{list} and {more} more");
            }
            let text = format!(
                "left open at {target}: {list}; {why}; close it there by hand, GET /api/v1/deadletters lists all"
            );
            match route {
                Some(route) => notices.note(route, Reason::LeftOpen, text),
                None => notices.note(target, Reason::LeftOpen, text),
            }
        }
    }
}

// === impl Last ===

impl Last {
    pub(super) fn of(attempt: &Attempt) -> Self {
        let message = attempt.result.as_ref().err().map(|failure| failure.message.clone());
        Self { message: message.unwrap_or_default(), status_code: attempt.status_code }
    }
}

// === impl Shared ===

impl<T> Shared<T> {
    /// Notes what came to its end since the last time.
    pub(super) fn note_ended(&self, desk: &mut Desk) {
        let ended = desk.state.take_ended();
        self.note(desk, ended, None);
    }

    /// Notes what came to its end. `last`: with an attempt that came to this, and the true reason if
    /// that was a different one.
    pub(super) fn note(
        &self,
        desk: &mut Desk,
        ended: Vec<Ended>,
        last: Option<(&Last, Option<DeadReason>)>,
    ) {
        let at = Timestamp::now();
        let mut ops = std::mem::take(&mut desk.outcomes);
        let mut open = LeftOpen::default();
        for Ended { target, uid, route, why, notification, attempts, accepted_at, dead_letter } in
            ended
        {
            let about = About { target: &target, route: Some(&route), notification: &notification };
            // Where every transition is told from a queue, what still waits there says so itself.
            let waits = dead_letter
                && reason(why).is_some_and(leaves_open)
                && self.backlog().holds(&target, &uid, &notification.group_key);
            if waits {
                continue;
            }
            if let Some((outcome, counted)) = outcome(why) {
                ops.push(about.ended(outcome, at));
                self.count(&desk.snapshot, &target, counted);
            }
            let (last, overruled) = last.unzip();
            let Some(reason) = overruled.flatten().or(reason(why)).filter(|_| dead_letter) else {
                continue;
            };
            let message = last.map(|last| last.message.as_str()).filter(|text| !text.is_empty());
            let given_up = GivenUp {
                uid: &uid,
                reason,
                message: message.unwrap_or(words(reason)),
                status_code: last.and_then(|last| last.status_code),
                attempts,
                accepted_at,
            };
            if leaves_open(reason) {
                open.add(&about, reason);
                self.write_off(&about, given_up, at, &mut ops);
            } else {
                self.bury(&about, given_up, at, &mut ops);
            }
        }
        open.tell(self.courier.monitor().notices());
        desk.outcomes = ops;
    }

    fn count(&self, snapshot: &Snapshot, target: &TargetKey, outcome: NotificationOutcome) {
        let metrics = self.courier.metrics();
        if let Some(kind) = kind(snapshot, target) {
            metrics.notified(kind, outcome, 1);
        }
        if outcome == NotificationOutcome::Skipped {
            if let Some(series) = metrics.series.read().get(target) {
                series.skipped.inc();
            }
            if let Some(target) = snapshot.target(target) {
                target.live.skipped();
            }
        }
    }

    /// Writes a dead letter, and tells people: once per target and reason.
    pub(super) fn bury(
        &self,
        about: &About<'_>,
        given_up: GivenUp<'_>,
        at: Timestamp,
        ops: &mut Vec<Op>,
    ) {
        let GivenUp { reason, message, .. } = given_up;
        self.write_off(about, given_up, at, ops);
        let notices = self.courier.monitor().notices();
        if leaves_open(reason) {
            let mut open = LeftOpen::default();
            open.add(about, reason);
            open.tell(notices);
        } else {
            let name = about.notification.alert_name();
            let text = format!(
                "{} was given up ({}): {message}; GET /api/v1/deadletters lists it, POST …/replay sends it again",
                if name.is_empty() { "a notification" } else { name },
                reason.as_str(),
            );
            notices.note(about.target.clone(), Reason::DeadLettered, text);
        }
    }

    /// Writes a dead letter, and counts it.
    fn write_off(
        &self,
        about: &About<'_>,
        given_up: GivenUp<'_>,
        at: Timestamp,
        ops: &mut Vec<Op>,
    ) {
        self.courier.metrics().buried(given_up.reason, 1);
        ops.push(about.dead_letter(given_up, at));
    }
}
