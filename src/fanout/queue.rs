//! What waits on disk for one target: transitions for those who need every one, publishes that may be
//! retried, dead letters that were replayed. In order, through the same gates as everything else.
//!
//! Each record is sent as it is, whatever happened since; but what a target may no longer be told
//! (its route is gone or muted, or it is not permitted any more) comes to its end before it is sent.

use jiff::Timestamp;
use tracing::error;

use super::{
    lane::{Found, Lane, View},
    policy::decide,
    settle::{self, End},
    window::Record,
};
use crate::{
    api::{Reason, RouteKey},
    delivery::Transport,
    dispatch::{Origin, Verdict},
    registry::{RouteEntry, Target},
    store::{DeadReason, Outcome},
};

/// Records looked at before others have their turn.
const LOOKS: usize = 16;

/// What is to be done with a record before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fitness {
    Send,
    /// Its route holds it back because of the target's health.
    Hold,
    /// It is not sent at all.
    End(End),
}

// === impl Lane ===

impl<T: Transport> Lane<T> {
    /// The next record of the target's queue that may be sent.
    pub(super) fn record(&mut self, view: View<'_>) -> Found {
        let View { target, now, .. } = view;
        let shared = self.shared.clone();
        let backlog = shared.backlog();
        if shared.stopping.is_cancelled() || backlog.uid(&self.key).as_ref() != Some(&target.uid) {
            return Found::Nothing;
        }
        for _ in 0..LOOKS {
            if let Err(failed) = self.window.fill(backlog, (&self.key, &target.uid)) {
                // The process ends: see `Router::run`.
                error!(to = %self.key, error = %failed, "A queue can't be read");
                return Found::Nothing;
            }
            let Some(record) = self.window.take(now.mono, backlog.store().durable_seq()) else {
                self.close_queue();
                return Found::Nothing;
            };
            let from = shared.counts_from(&self.key, record.queued.accepted_at);
            match fitness(view, &record, from) {
                Fitness::Send => return Found::Record(record),
                Fitness::Hold if view.trial => {
                    let next = now.mono + target.health.unhealthy_interval;
                    shared.desk().trials.insert(self.key.clone(), next);
                    return Found::Record(record);
                }
                Fitness::Hold => {
                    self.window.later(record.id, now.mono + target.health.unhealthy_interval);
                }
                Fitness::End(end) => {
                    let written = shared.end_record(target, &record, end, (Vec::new(), None));
                    self.window.end(record.id, written);
                }
            }
        }
        Found::Again
    }

    /// Everything that was queued has come to its end, if nothing came since.
    fn close_queue(&mut self) {
        let backlog = self.shared.backlog();
        let Some(seen) = self.window.emptied() else { return };
        let written = self.window.unwritten(backlog.store().durable_seq()).is_none();
        if written && !backlog.emptied(&self.key, seen) {
            self.window.look_again();
        }
    }
}

/// Whether a record may be sent now; `from`: when its age began to count.
fn fitness(view: View<'_>, record: &Record, from: Timestamp) -> Fitness {
    let View { target, now, .. } = view;
    let queued = &record.queued;
    if let Origin::Every(route) = &queued.origin {
        if let Some(end) = out_of_reach(view, route) {
            return Fitness::End(end);
        }
        let held = view.snapshot.route(route).is_some_and(|it| decide(it, target) != Verdict::Send);
        if held {
            let old = settle::too_old(target, from, now.wall);
            return if old { Fitness::End(End::dead(DeadReason::MaxAge)) } else { Fitness::Hold };
        }
    }
    if settle::too_old(target, from, now.wall) {
        Fitness::End(End::dead(DeadReason::MaxAge))
    } else {
        Fitness::Send
    }
}

/// Why a target may no longer be told of a route's alerts.
fn out_of_reach(view: View<'_>, route: &RouteKey) -> Option<End> {
    let View { snapshot, target, .. } = view;
    let reaches = |target: &Target, named: &Target| named.key == target.key;
    match snapshot.routes.get(route) {
        None => Some(End::dead(DeadReason::RouteDeleted)),
        // Broken for the moment: what it wanted before it broke is still wanted.
        Some(RouteEntry::Rejected(_)) => None,
        Some(RouteEntry::Accepted(resolved)) => {
            if resolved.targets.iter().any(|named| reaches(target, &named.target)) {
                let muted = End { reason: None, outcome: Outcome::Skipped };
                return resolved.route.suspend.then_some(muted);
            }
            let unresolved = resolved.unresolved.iter().find(|named| named.key == target.key);
            let revoked =
                unresolved.is_some_and(|named| named.reason == Reason::TargetNotPermitted);
            Some(End::dead(if revoked {
                DeadReason::NotPermitted
            } else {
                DeadReason::TargetRemoved
            }))
        }
    }
}
