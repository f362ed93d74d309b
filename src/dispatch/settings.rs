//! What dispatch depends on besides the plan, and the figures it gives.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

/// What dispatch depends on besides the plan.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--resolve-timeout`: after a start nothing expires sooner than this.
    pub resolve_timeout: Duration,
    /// `--webhook-max-age`: a webhook alert not heard of for so long is stale.
    pub webhook_max_age: Duration,
    /// `--max-alerts`: firing alerts held; more are refused.
    pub max_alerts: usize,
    /// `--alerts-per-alertname-limit`: firing alerts of one `alertname`; more are refused. 0: no limit.
    pub max_per_name: usize,
    /// Memory for alerts and for what was told about them, roughly in bytes; new alerts are refused
    /// a little before, so that known ones may change.
    pub max_bytes: usize,
    /// `--external-url`: Fanfare's own address; may be empty.
    pub external_url: Arc<str>,
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
    /// Stale alerts forgotten early because there were too many, since the start.
    pub dropped: u64,
}

/// What one target is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwedCounts {
    /// May be sent now.
    pub ready: usize,
    /// Kept until the target is well again (Hold).
    pub held: usize,
    /// Failed or refused, and waits for its time.
    pub waiting: usize,
    /// Being sent.
    pub in_flight: usize,
    /// Waits for the target to be used again: it is suspended, or can't be used.
    pub paused: usize,
    /// When the oldest of it was accepted.
    pub oldest: Option<Timestamp>,
}

// === impl OwedCounts ===

impl OwedCounts {
    /// Everything that is owed.
    #[must_use]
    pub fn total(&self) -> usize {
        self.ready + self.held + self.waiting + self.in_flight + self.paused
    }
}
