//! What waits on disk for one target: transitions for those who need every one, publishes that may be
//! retried, dead letters that were replayed. In order, through the same gates as everything else.
//!
//! Each record is sent as it is, whatever happened since; but what a target may no longer be told
//! (its route is gone or muted, or it is not permitted any more) comes to its end before it is sent.

use jiff::Timestamp;
use tracing::error;

use super::{
    lane::{Found, Lane, View},
    policy::{decide, uid},
    settle::{self, End},
    window::Record,
};
use crate::{
    api::{Reason, RouteKey, TargetKey},
    delivery::Transport,
    dispatch::{Origin, Verdict},
    registry::{RouteEntry, Snapshot, Target},
    store::{DeadReason, Failed, Outcome, Seq},
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
            let Some(record) = self.window.take(now.mono, backlog.store().durable_seq()) else {
                match self.window.fill(backlog, (&self.key, &target.uid)) {
                    Ok(true) => continue,
                    Ok(false) => self.close_queue(),
                    Err(failed) => unreadable(&self.key, &failed),
                }
                return Found::Nothing;
            };
            let from = shared.counts_from(&self.key, record.queued.accepted_at);
            let fitness = fitness(view, &record, from);
            if fitness == Fitness::Hold {
                let next = now.mono + target.health.unhealthy_interval;
                if !view.trial {
                    self.window.later(record.id, next);
                    continue;
                }
                shared.desk().trials.insert(self.key.clone(), next);
            }
            match backlog.store().claim(&self.key, &target.uid, record.id) {
                Ok(true) => {
                    let Fitness::End(end) = fitness else { return Found::Record(record) };
                    let written = shared.end_record(target, &record, end, (Vec::new(), None));
                    self.window.end(record.id, written);
                }
                Ok(false) => {
                    // It gave way to a newer one: the store has seen to the rest.
                    let owner = (&self.key, &*target.uid);
                    backlog.ended(owner, record.group, Seq::default());
                    self.window.end(record.id, Seq::default());
                }
                Err(failed) => {
                    self.window.later(record.id, now.mono);
                    unreadable(&self.key, &failed);
                    return Found::Nothing;
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

/// The process ends: see [`Router::run`](super::Router::run).
pub(super) fn unreadable(target: &TargetKey, failed: &Failed) {
    error!(to = %target, error = %failed, "A queue can't be read");
}

/// Whether a record may be sent now; `from`: when its age began to count.
fn fitness(view: View<'_>, record: &Record, from: Timestamp) -> Fitness {
    let View { target, now, .. } = view;
    let queued = &record.queued;
    if let Origin::Every(route) = &queued.origin {
        if let Some(end) = out_of_reach(view.snapshot, target, route) {
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

/// Why a record is not sent any more, if its target or its route went while it was under way.
pub(super) fn is_gone(snapshot: &Snapshot, target: &Target, record: &Record) -> Option<End> {
    let entry = snapshot.targets.get(&target.key);
    if entry.is_none_or(|entry| *uid(entry) != target.uid) {
        return Some(End::dead(DeadReason::TargetDeleted));
    }
    let Origin::Every(route) = &record.queued.origin else { return None };
    out_of_reach(snapshot, target, route)
}

/// Why a target may no longer be told of a route's alerts.
fn out_of_reach(snapshot: &Snapshot, target: &Target, route: &RouteKey) -> Option<End> {
    let reaches = |target: &Target, named: &Target| named.key == target.key;
    match snapshot.routes.get(route) {
        None => Some(End::dead(DeadReason::RouteDeleted)),
        // Broken for the moment: what it wanted before it broke is still wanted.
        Some(RouteEntry::Rejected(_)) => None,
        Some(RouteEntry::Accepted(resolved)) => {
            let mut named = resolved.targets.iter().chain(&resolved.fallback);
            if named.any(|named| reaches(target, &named.target)) {
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
