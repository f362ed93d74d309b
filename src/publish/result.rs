//! What a publish did, per target and in total.

use std::time::Duration;

use super::ErrorType;
use crate::api::{TargetKey, TargetType};

/// The outcome of one publish; `results` in request order, skipped targets included.
#[derive(Clone, Debug)]
pub struct PublishResult {
    /// One entry per selected target.
    pub results: Vec<TargetResult>,
    /// The overall timeout passed before every target had answered.
    pub timed_out: bool,
    /// Wall time of the publish.
    pub duration: Duration,
}

/// The outcome at one target.
#[derive(Clone, Debug)]
pub struct TargetResult {
    /// Which target.
    pub key: TargetKey,
    /// Its type; `None` if the object's spec can't be read.
    pub kind: Option<TargetType>,
    /// Why it was left out; `None` if it was tried or should have been.
    pub skipped: Option<SkipReason>,
    /// Kind of failure; `None` on success and when skipped.
    pub error_type: Option<ErrorType>,
    /// What happened, for people; never a secret, never the answer's body.
    pub error: Option<String>,
    /// HTTP status of the answer.
    pub status_code: Option<u16>,
    /// Time spent on this target, waiting for its limits included.
    pub duration: Duration,
    /// Attempts made before the answer: 0 or 1.
    pub attempts: u32,
    /// It is queued on disk and will be tried until it is delivered or given up.
    pub queued: bool,
}

// A publish makes one for each target, and keeps them for repeats of the request.
const _: () = assert!(size_of::<TargetResult>() <= 96);

/// What the targets of a publish came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Targets that accepted.
    pub succeeded: usize,
    /// Targets that failed.
    pub failed: usize,
    /// Targets left out.
    pub skipped: usize,
    /// Targets that something was sent to.
    pub attempted: usize,
}

/// Why a target was left out of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// Unhealthy, and the strategy leaves those out.
    Unhealthy,
    /// Degraded, and the strategy leaves those out.
    Degraded,
    /// Its circuit is open.
    CircuitOpen,
    /// Suspended, or its spec or credentials are not usable.
    Disabled,
}

/// Totals since the start, percentiles over a sliding window.
#[derive(Clone, Debug, Default)]
pub struct FanOutStats {
    /// Publishes ended.
    pub publishes: u64,
    /// Targets tried.
    pub attempted: u64,
    /// Targets that accepted.
    pub succeeded: u64,
    /// Targets that failed.
    pub failed: u64,
    /// Targets skipped.
    pub skipped: u64,
    /// Publishes under way.
    pub in_flight: u64,
    /// Median duration of a publish in the window.
    pub p50: Option<Duration>,
    /// 95th percentile.
    pub p95: Option<Duration>,
    /// 99th percentile.
    pub p99: Option<Duration>,
    /// Length of the window.
    pub window: Duration,
    /// Per target, sorted by key.
    pub targets: Vec<TargetStats>,
}

/// Totals of one target since it was created.
#[derive(Clone, Debug)]
pub struct TargetStats {
    /// Which target.
    pub key: TargetKey,
    /// Deliveries that succeeded.
    pub succeeded: u64,
    /// Deliveries that failed.
    pub failed: u64,
    /// Times it was skipped.
    pub skipped: u64,
    /// Attempts under way.
    pub in_flight: u64,
    /// Median attempt duration in the window.
    pub p50: Option<Duration>,
    /// 99th percentile.
    pub p99: Option<Duration>,
}

// === impl PublishResult ===

impl PublishResult {
    /// What the targets came to, in one pass.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for result in &self.results {
            counts.succeeded += usize::from(result.success());
            counts.skipped += usize::from(result.skipped.is_some());
            counts.attempted += usize::from(result.attempts > 0);
        }
        counts.failed = self.results.len() - counts.succeeded - counts.skipped;
        counts
    }

    /// Targets that accepted.
    #[must_use]
    pub fn success_count(&self) -> usize {
        self.counts().succeeded
    }

    /// Targets left out.
    #[must_use]
    pub fn skipped_count(&self) -> usize {
        self.counts().skipped
    }

    /// Targets that failed.
    #[must_use]
    pub fn failure_count(&self) -> usize {
        self.counts().failed
    }
}

// === impl TargetResult ===

impl TargetResult {
    /// The target accepted the alert.
    #[must_use]
    pub fn success(&self) -> bool {
        self.skipped.is_none() && self.error_type.is_none() && !self.queued
    }
}

// === impl SkipReason ===

impl SkipReason {
    /// The word as it stands in `skip_reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unhealthy => "unhealthy",
            Self::Degraded => "degraded",
            Self::CircuitOpen => "circuit_open",
            Self::Disabled => "disabled",
        }
    }
}
