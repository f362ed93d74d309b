//! One try at one target.

use std::{future::Future, sync::Arc, time::Duration};

use crate::{
    alert::Notification,
    api::Reason,
    publish::ErrorType,
    registry::{CircuitSample, Sample, Target},
};

/// Sends one notification to one target. The engine is generic over it, so that it can be measured
/// without a network.
pub trait Transport: Send + Sync + 'static {
    /// Makes one attempt under the target's own timeout. Never panics; never takes longer than the
    /// timeout and what it takes to close the connection afterwards (a quarter of a second at most):
    /// when it has ended, nothing of a request that was given up can reach the target any more.
    /// Dropping the future closes the connection, too, without waiting for it.
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
    /// Our own side may be at fault (name resolution, no route, no descriptors): says nothing about the target.
    pub local: bool,
}

/// Whether the same request may work later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Later, with backoff.
    Retry,
    /// Not before the far end's pause has passed; pauses the target.
    RetryAfter,
    /// Later but slowly, because people have to mend something first: a refused credential (401, 403; the
    /// Secret is read again), a missing route (404), a certificate, a name that does not exist, a forbidden
    /// address.
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

// === impl Attempt ===

impl Attempt {
    /// What the attempt says to the target's circuit breaker.
    #[must_use]
    pub fn circuit(&self) -> CircuitSample {
        self.result.as_ref().map_or_else(Failure::circuit, |()| CircuitSample::Success)
    }
}

// === impl Failure ===

impl Failure {
    /// What the failure says to the target's circuit breaker: nothing if this one notification was refused, a
    /// pause was asked for, or the target was not even tried.
    #[must_use]
    pub fn circuit(&self) -> CircuitSample {
        use ErrorType::{
            Auth, Blocked, Cancelled, ClientError, Connect, Dns, NotAttempted, RateLimited,
            ServerError, Timeout, Tls, Unexpected,
        };
        match self.error_type {
            _ if self.local => CircuitSample::Ours,
            // A redirect comes from a receiver that is well; its address is what is wrong.
            Unexpected if self.reason == Reason::Redirect => CircuitSample::Neutral,
            ClientError if !matches!(self.class, Class::RetrySlowly | Class::Gone) => {
                CircuitSample::Neutral
            }
            RateLimited | Blocked | Cancelled | NotAttempted => CircuitSample::Neutral,
            Timeout | Dns | Connect | Tls | Auth | ServerError | Unexpected | ClientError => {
                CircuitSample::Failure
            }
        }
    }
}
