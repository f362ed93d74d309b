//! One notification on its way out: taken, sent, settled.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{Slot, told::Says};
use crate::{
    alert::{Notification, Status},
    api::{RouteKey, TargetKey},
};

/// What is to be done with a notification that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it.
    Send,
    /// Leave it out until something changes or it repeats. A resolve is held instead: a target that was told
    /// of a problem is told of its end.
    Skip,
    /// Keep it owed until the target recovers or a trial is due.
    Hold,
}

/// The answer of [`State::next`](super::State::next).
#[derive(Debug)]
pub enum Next {
    /// Send this.
    Send(Arc<Notification>, Ticket),
    /// Nothing may be sent now.
    Nothing,
    /// So many were looked at that others should have their turn; call again.
    More,
}

/// Proof that a notification is in flight. Hand it back to [`State::settle`](super::State::settle) or
/// [`State::put_back`](super::State::put_back), whatever happened.
#[derive(Debug)]
#[must_use = "the slot stays in flight until the ticket is settled"]
pub struct Ticket {
    pub(super) slot: Slot,
    pub(super) token: u32,
    pub(super) says: Says,
    pub(super) route: RouteKey,
    pub(super) notification: Arc<Notification>,
    pub(super) attempts: u32,
    pub(super) changed_at: Timestamp,
    pub(super) must_commit: bool,
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The target took it: it is told.
    Delivered,
    /// The target refused it for good.
    Rejected,
    /// It failed in a way that may pass.
    Failed {
        /// The target may have taken it all the same (timeout, reset after writing, 502, 504).
        maybe_told: bool,
        /// How long to wait before it is tried again, if it is.
        retry_in: Duration,
    },
    /// Its address is out of bounds: nobody is at fault but the configuration. Tried again for as
    /// long as it is owed, and never given up because of that.
    Blocked {
        /// How long to wait before it is tried again.
        retry_in: Duration,
    },
    /// Not sent: taken back before anything was written. It stays owed, behind what is ready.
    Cancelled,
}

/// What follows from the end of an attempt.
#[derive(Debug, Default)]
pub struct Settlement {
    /// What came to its end with it.
    pub ended: Vec<Ended>,
    /// The target has something ready.
    pub work: bool,
}

/// Something owed that came to its end without being told.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The target.
    pub target: TargetKey,
    /// Its UID.
    pub uid: Arc<str>,
    /// The route.
    pub route: RouteKey,
    /// Why.
    pub why: Why,
    /// What was owed or, for a target or route that is gone, what it leaves open.
    pub notification: Arc<Notification>,
    /// Attempts made to tell it.
    pub attempts: u32,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// It belongs into the dead letters; otherwise it is noted in the history only.
    pub dead_letter: bool,
}

/// Why something owed came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// A newer state overtook it before it was told.
    Superseded,
    /// Left out because of the target's health, or because the route is muted.
    Skipped,
    /// Taken back because the alert is muted: silenced, inhibited, or off hours.
    Muted,
    /// The target refused it for good.
    Rejected,
    /// `delivery.maxAge` passed.
    MaxAge,
    /// `delivery.maxAttempts` failed.
    MaxAttempts,
    /// Too many resolves were owed to the target.
    QueueFull,
    /// The route was deleted.
    RouteDeleted,
    /// The target was deleted or recreated.
    TargetDeleted,
    /// The target was taken off the route.
    TargetRemoved,
    /// The target no longer admits the route.
    NotPermitted,
}

// === impl Ticket ===

impl Ticket {
    /// The slot.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The route.
    #[must_use]
    pub fn route(&self) -> &RouteKey {
        &self.route
    }

    /// Whether the notification says that the alert fires or that it is over.
    #[must_use]
    pub fn status(&self) -> Status {
        self.says.status
    }

    /// Attempts of this state that were made before: failed or refused.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// When what it says was accepted: what `maxAge` counts from.
    #[must_use]
    pub fn changed_at(&self) -> Timestamp {
        self.changed_at
    }

    /// The disk says that the target surely heard nothing of this. Before it is sent, take the facts
    /// and wait until they are on disk; otherwise a crash would leave it unresolved.
    #[must_use]
    pub fn must_commit(&self) -> bool {
        self.must_commit
    }
}
