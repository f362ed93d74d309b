//! What a target's delivery fields come to: effective values, defaults filled in.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;

/// How notifications are delivered to one target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeliveryPolicy {
    /// When a failed notification is tried again, and when it is given up.
    pub retry: RetryPolicy,
    /// When nothing is sent for a while because everything fails.
    pub breaker: BreakerPolicy,
    /// How many notifications may be sent in which time; `None`: no limit.
    pub rate: Option<RateLimit>,
    /// What becomes of notifications beyond `rate`.
    pub overflow: Overflow,
    /// What may wait.
    pub queue: QueueLimit,
    /// Whether the target needs the latest state or every transition.
    pub semantics: Semantics,
}

/// `spec.delivery`, effective.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts that may fail in a retryable way; `None`: as many as `max_age` allows.
    pub max_attempts: Option<u32>,
    /// How the delay grows.
    pub backoff: BackoffPolicy,
    /// The first delay.
    pub delay: Duration,
    /// The longest delay.
    pub max: Duration,
    /// Whether delays are spread at random.
    pub jitter: Jitter,
    /// The longest `Retry-After` that is honoured; zero: none is.
    pub retry_after_max: Duration,
    /// After this time a notification that still fails goes to the dead letters.
    pub max_age: Duration,
}

/// How delays grow from failure to failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum BackoffPolicy {
    /// delay · 2ⁿ
    #[default]
    Exponential,
    /// delay · (n + 1)
    Linear,
}

/// How delays are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum Jitter {
    /// Evenly from zero to the delay.
    #[default]
    Full,
    /// Not at all.
    None,
}

/// `spec.circuitBreaker`, effective.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// Failures in a row that open the circuit.
    pub consecutive_failures: u32,
    /// Percentage of failures in the window that opens it, 1 to 100.
    pub failure_rate_threshold: u32,
    /// Attempts in the window below which the percentage says nothing.
    pub minimum_calls: u32,
    /// Length of the window.
    pub window: Duration,
    /// How long the circuit stays open at first; grows with each time in a row.
    pub base_ejection: Duration,
    /// How long it stays open at most.
    pub max_ejection: Duration,
    /// Successes in a row that close it again.
    pub success_threshold: u32,
}

/// `spec.flow.rateLimit`, effective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Notifications in one `per`; at least 1.
    pub requests: u32,
    /// The time that `requests` counts for.
    pub per: Duration,
    /// Notifications that may be sent at once after a quiet time; at least 1.
    pub burst: u32,
}

/// `spec.flow.queue`, effective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimit {
    /// Notifications that may wait for the target.
    pub max_notifications: u32,
    /// Which one goes to the dead letters when one too many comes.
    pub when_full: WhenFull,
}

/// Which notification goes to the dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum WhenFull {
    /// The one that waits longest.
    #[default]
    DeadLetterOldest,
    /// The one that just came.
    DeadLetterNewest,
}

/// What becomes of notifications beyond the rate limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum Overflow {
    /// Each waits for its turn.
    #[default]
    Hold,
    /// They go out as one message per route.
    Digest,
}

/// What a target needs to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum Semantics {
    /// The latest state.
    #[default]
    Latest,
    /// Every transition, in order.
    Every,
}

// === impl RetryPolicy ===

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: None,
            backoff: BackoffPolicy::default(),
            delay: defaults::BACKOFF_DELAY,
            max: defaults::BACKOFF_MAX,
            jitter: Jitter::default(),
            retry_after_max: defaults::RETRY_AFTER_MAX,
            max_age: defaults::MAX_AGE,
        }
    }
}

// === impl BreakerPolicy ===

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            consecutive_failures: defaults::BREAKER_CONSECUTIVE_FAILURES,
            failure_rate_threshold: defaults::BREAKER_FAILURE_RATE,
            minimum_calls: defaults::BREAKER_MINIMUM_CALLS,
            window: defaults::BREAKER_WINDOW,
            base_ejection: defaults::BASE_EJECTION_TIME,
            max_ejection: defaults::MAX_EJECTION_TIME,
            success_threshold: defaults::BREAKER_SUCCESSES,
        }
    }
}

// === impl QueueLimit ===

impl Default for QueueLimit {
    fn default() -> Self {
        Self { max_notifications: defaults::MAX_NOTIFICATIONS, when_full: WhenFull::default() }
    }
}
