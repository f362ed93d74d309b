//! The health machine: pure, fed with samples, told the time.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{HealthState, Reason};

/// How health is judged; effective values, defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthPolicy {
    /// Time between probes of a healthy target.
    pub interval: Duration,
    /// Time between probes after a failure.
    pub unhealthy_interval: Duration,
    /// Time limit of one probe.
    pub timeout: Duration,
    /// Failures in a row that make a target Unhealthy.
    pub unhealthy_threshold: u32,
    /// Successes in a row that end Unhealthy.
    pub healthy_threshold: u32,
    /// Answers at least this slow make a target Degraded.
    pub degraded_latency: Duration,
    /// A probe is left out if a delivery succeeded this recently.
    pub skip_if_delivered_within: Duration,
}

/// How deep evidence goes: a success clears only failures of its own depth or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The connection (and TLS) stood.
    Connect,
    /// An HTTP answer came.
    Answer,
    /// The credential was accepted.
    Credential,
}

/// One piece of evidence about a target.
#[derive(Clone, Debug)]
pub struct Sample {
    /// How deep the success went, or what failed.
    pub verdict: Result<Depth, SampleFailure>,
    /// Time the check or the attempt took.
    pub latency: Duration,
    /// Where the evidence comes from.
    pub source: SampleSource,
}

/// What failed.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleFailure {
    /// The condition's reason.
    pub reason: Reason,
    /// How deep the failure is: what a success must reach to clear it.
    pub depth: Depth,
    /// Our own side may be at fault (DNS, no route): counted apart, and heard by the detector that
    /// freezes verdicts. With reason `LocalNetworkFault` it surely is (no file descriptors, no
    /// ephemeral ports): no verdict ever.
    pub local: bool,
    /// HTTP status, if there was an answer.
    pub http_status: Option<u16>,
    /// What happened, for people: never a secret, never the answer's body.
    pub message: String,
}

/// Where evidence comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleSource {
    /// A health check.
    Probe,
    /// A real delivery.
    Delivery,
}

/// A change of state that people should see.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The state before.
    pub from: HealthState,
    /// The state now.
    pub to: HealthState,
    /// Why.
    pub reason: Reason,
}

/// What status shows of a target's health: as of the last transition.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthView {
    /// The state.
    pub state: HealthState,
    /// Why.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// When the state began.
    pub since: Timestamp,
    /// Failures in a row at the transition.
    pub consecutive_failures: u32,
    /// Latency of the deciding sample.
    pub latency: Option<Duration>,
    /// The last failure as of the transition: time, reason, HTTP status.
    pub last_error: Option<(Timestamp, Reason, Option<u16>)>,
}
