//! The values that dispatch and the engine exchange.

use std::{sync::Arc, time::Duration};

use super::told::Says;
use crate::{
    alert::Status,
    api::{RouteKey, TargetKey},
};

/// What dispatch depends on besides the plan.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--resolve-timeout`: after a start nothing expires sooner than this.
    pub resolve_timeout: Duration,
    /// `--webhook-max-age`: a webhook alert not heard of for so long is stale.
    pub webhook_max_age: Duration,
    /// `--max-alerts`: firing alerts held; more are refused.
    pub max_alerts: usize,
    /// Memory for alerts held, roughly in bytes; new ones are refused beyond it.
    pub max_bytes: usize,
    /// `--external-url`: Fanfare's own address; may be empty.
    pub external_url: Arc<str>,
}

/// Identifies a held alert within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertId(pub(super) u64);

/// One (route, alert, target): at most one notification of it is in flight, and one is owed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// The target.
    pub target: TargetKey,
    /// The route.
    pub route: RouteKey,
    /// The alert.
    pub alert: AlertId,
}

/// Proof that a notification is in flight. Hand it back to `State::settle`, whatever happened.
#[derive(Debug)]
#[must_use = "the slot stays in flight until the ticket is settled"]
pub struct Ticket {
    pub(super) slot: Slot,
    pub(super) attempt: u32,
    pub(super) said: Says,
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
    },
    /// Not sent because of the target's health.
    Skipped,
    /// Not sent: taken back before anything was written.
    Cancelled,
}

/// What is held, and totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Alerts that fire.
    pub firing: usize,
    /// Alerts that are over and not forgotten yet.
    pub resolved: usize,
    /// Webhook alerts not heard of for `--webhook-max-age`; in no other count.
    pub stale: usize,
    /// Alerts that ended because nobody sent them any more, since the start.
    pub expired: u64,
    /// Resolved or stale alerts forgotten early because there were too many, since the start.
    pub dropped: u64,
}

// === impl Ticket ===

impl Ticket {
    /// The slot.
    #[must_use]
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Whether the notification says that the alert fires or that it is over.
    #[must_use]
    pub fn status(&self) -> Status {
        self.said.status
    }
}
