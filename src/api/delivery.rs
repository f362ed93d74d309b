//! How notifications reach a target: retries, limits, circuit breaker. [`super::DeliveryPolicy`] is what it
//! comes to.

#![expect(
    clippy::doc_markdown,
    reason = "field documentation is printed verbatim by kubectl explain"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BackoffPolicy, Duration, Jitter, Overflow, Semantics, WhenFull, rules};

/// How notifications are delivered: time limit, retries, how long they are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::not_shorter(
    ("backoffMax", "5m"),
    ("backoffDelay", "500ms"),
    "it caps the delays, the first one too"
))]
pub struct Delivery {
    /// Time limit of one attempt, from 100ms to 5m: name resolution, connection, TLS, headers and body.
    /// Default: 10s.
    #[x_kube(validation = rules::duration_between("100ms", "5m"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Attempts that may fail before a notification goes to the dead letters, from 1 to 1000. Counts those that
    /// were really sent and failed in a way that a retry can mend. Default: no limit but maxAge.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i32>,
    /// How the delay between attempts grows. Exponential: it doubles with every failure. Linear: it grows by
    /// backoffDelay with every failure. Default: Exponential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_policy: Option<BackoffPolicy>,
    /// Delay after the first failure, from 100ms to 1h. Default: 500ms.
    #[x_kube(validation = rules::duration_between("100ms", "1h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_delay: Option<Duration>,
    /// Longest delay between attempts, from 100ms to 24h and not shorter than backoffDelay. Default: 5m.
    #[x_kube(validation = rules::duration_between("100ms", "24h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_max: Option<Duration>,
    /// How delays are spread, so that many notifications do not come back at the same moment. Full: evenly
    /// between zero and the delay. None: not at all. Default: Full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Jitter>,
    /// Longest pause that the target may ask for with Retry-After or a header like it, from 0s (such wishes are
    /// ignored) to 24h; a longer wish is shortened to this. Default: 15m.
    #[x_kube(validation = rules::duration_between("0s", "24h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_max: Option<Duration>,
    /// How long after the change that it tells a notification is tried, from 1s to 720h (30 days); then it goes
    /// to the dead letters. Time in which the target is suspended does not count. Default: 24h.
    #[x_kube(validation = rules::duration_between("1s", "720h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// What the target needs to hear. Latest: the present state of an alert; what came and went while the target
    /// was away is left out. Every: each change of each alert in order, for audit and event receivers; nothing
    /// is repeated. Default: Latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semantics: Option<Semantics>,
}

/// Limits on the traffic to one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// Requests that may be under way to this target at the same time, from 1 to 1000; further ones wait.
    /// Default: 8.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<i32>,
    /// How many notifications may be sent in which time; further ones wait. Default: what the service publishes
    /// as its limit: Slack 1 per Second with burst 5, PagerDuty 100 per Minute with burst 20, Rootly 2500 per
    /// Minute with burst 500; no limit for Webhook, Alertmanager and Log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<FlowRateLimit>,
    /// What becomes of notifications beyond rateLimit. Hold: each waits for its turn. Digest: all that wait go out
    /// as one message per route, which names the alerts or counts them; only for Slack, Webhook and Log, and not
    /// with delivery.semantics Every. Default: Digest for Slack, Hold for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow: Option<Overflow>,
    /// What may wait for this target. Default: 10000 notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<FlowQueue>,
}

/// How many notifications may be sent in which time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct FlowRateLimit {
    /// Notifications per unit, from 1 to 100000.
    #[schemars(range(min = 1, max = 100_000))]
    pub requests: i32,
    /// The time that requests counts for: Second, Minute or Hour.
    pub unit: RateUnit,
    /// Notifications that may go out at once after a quiet time, from 1 to 100000; then they follow evenly. Any
    /// one unit of time sees at most requests + burst. Default: the same as requests.
    #[schemars(range(min = 1, max = 100_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<i32>,
}

/// Units of a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum RateUnit {
    /// Second
    Second,
    /// Minute
    Minute,
    /// Hour
    Hour,
}

/// What may wait for a target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlowQueue {
    /// Notifications that may wait, from 1 to 1000000: resolves that are still owed, queued publishes, and every
    /// change if delivery.semantics is Every. What fires now is never dropped and does not count. Default: 10000.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_notifications: Option<i32>,
    /// What goes to the dead letters when one too many comes. DeadLetterOldest: the one that waits longest.
    /// DeadLetterNewest: the one that just came. Default: DeadLetterOldest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_full: Option<WhenFull>,
}

/// When nothing is sent for a while because everything fails. While the circuit is open every notification is
/// kept; then one is tried, and if it gets through the others follow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::not_shorter(
    ("maxEjectionTime", "5m"),
    ("baseEjectionTime", "30s"),
    "it caps the time that the circuit stays open, the first time too"
))]
pub struct CircuitBreaker {
    /// Failures in a row that open the circuit, from 1 to 1000. Default: 5.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_failures: Option<i32>,
    /// Percentage of failures within window that opens the circuit, from 1 to 100. Default: 50.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_rate_threshold: Option<i32>,
    /// Attempts within window below which failureRateThreshold says nothing, from 1 to 10000. Default: 10.
    #[schemars(range(min = 1, max = 10_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_number_of_calls: Option<i32>,
    /// The time that failureRateThreshold looks back, from 1s to 1h. Default: 60s.
    #[x_kube(validation = rules::duration_between("1s", "1h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
    /// How long the circuit stays open the first time, from 1s to 1h; it doubles with every further time in a
    /// row. A health check that sees the target recover ends the wait early. Default: 30s.
    #[x_kube(validation = rules::duration_between("1s", "1h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_ejection_time: Option<Duration>,
    /// How long the circuit stays open at most, from 1s to 24h and not shorter than baseEjectionTime.
    /// Default: 5m.
    #[x_kube(validation = rules::duration_between("1s", "24h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ejection_time: Option<Duration>,
    /// Trial deliveries in a row that must get through to close the circuit again, from 1 to 100. Default: 1.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_threshold: Option<i32>,
}
