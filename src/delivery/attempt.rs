//! One try at one target.

use std::{future::Future, sync::Arc, time::Duration};

use crate::{
    alert::Notification,
    api::Reason,
    publish::ErrorType,
    registry::{Sample, Target},
};

/// Sends one notification to one target. The engine is generic over it, so that it can be measured
/// without a network.
pub trait Transport: Send + Sync + 'static {
    /// Makes one attempt under the target's own timeout. Never panics; never takes longer than the
    /// timeout. Dropping the future closes the connection.
    fn send(
        &self,
        target: &Arc<Target>,
        notification: &Arc<Notification>,
    ) -> impl Future<Output = Attempt> + Send;
}

/// What one try at one target came to.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Accepted, or why not.
    pub result: Result<(), Failure>,
    /// HTTP status of the answer.
    pub status_code: Option<u16>,
    /// Time the attempt took.
    pub latency: Duration,
    /// What the attempt says about the target's health; `None` if nothing (429, one bad alert).
    pub sample: Option<Sample>,
}

/// Why a target did not accept.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Kind for results and metrics.
    pub error_type: ErrorType,
    /// Whether the same request may work later.
    pub class: Class,
    /// The condition's reason.
    pub reason: Reason,
    /// What happened, for people: never a secret, never the answer's body.
    pub message: String,
    /// How long the far end asked to wait, unclamped above but never negative.
    pub retry_after: Option<Duration>,
    /// Whether the target may have been told all the same.
    pub told: Told,
}

/// Whether the same request may work later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Later, with backoff.
    Retry,
    /// Not before the far end's pause has passed; pauses the target.
    RetryAfter,
    /// Later but slowly, after the Secret was read again (401, 403, 404).
    RetrySlowly,
    /// Never: this notification is refused; the target may be fine.
    Rejected,
    /// Never, and the target itself is gone (410).
    Gone,
}

/// What is known about whether a failed attempt reached the receiver (`owed.md`, "May have been told").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Surely not: failed before the request was written, or answered 4xx, 429, 500, 503.
    No,
    /// Perhaps: timeout, reset after writing, 502, 504.
    Maybe,
}
