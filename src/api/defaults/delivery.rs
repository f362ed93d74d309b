//! What holds for the deliveries to a target when fields are absent.

use std::time::Duration as StdDuration;

use super::{DELIVERY_TIMEOUT, MAX_IN_FLIGHT};
use crate::api::{
    BreakerPolicy, CircuitBreaker, Delivery, DeliveryPolicy, Duration, Flow, FlowQueue,
    FlowRateLimit, Overflow, PublishTargetSpec, QueueLimit, RateLimit, RateUnit, RetryPolicy,
    Semantics, TargetType,
};

// === impl PublishTargetSpec ===

impl PublishTargetSpec {
    /// Time limit of one delivery attempt.
    #[must_use]
    pub fn delivery_timeout(&self) -> StdDuration {
        let timeout = self.delivery.as_ref().and_then(|delivery| delivery.timeout);
        timeout.unwrap_or(DELIVERY_TIMEOUT).get()
    }

    /// Requests that may be under way to this target at the same time; at least 1.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        let limit = self.flow.as_ref().and_then(|flow| flow.max_in_flight);
        usize::try_from(limit.unwrap_or(MAX_IN_FLIGHT)).unwrap_or(1).max(1)
    }

    /// Retries, circuit breaker, rate limit and queue.
    #[must_use]
    pub fn delivery_policy(&self) -> DeliveryPolicy {
        let flow = self.flow.as_deref();
        let delivery = self.delivery.as_deref();
        let semantics = delivery.and_then(|delivery| delivery.semantics).unwrap_or_default();
        DeliveryPolicy {
            retry: delivery.map(Delivery::retry).unwrap_or_default(),
            breaker: self
                .circuit_breaker
                .as_deref()
                .map(CircuitBreaker::policy)
                .unwrap_or_default(),
            rate: flow.and_then(|flow| flow.rate_limit.as_ref()).map_or_else(
                || default_rate(self.type_).map(|limit| limit.policy()),
                |limit| Some(limit.policy()),
            ),
            overflow: flow
                .and_then(|flow| flow.overflow)
                .unwrap_or_else(|| default_overflow(self.type_, semantics)),
            queue: flow
                .and_then(|flow| flow.queue.as_ref())
                .map(FlowQueue::policy)
                .unwrap_or_default(),
            semantics,
        }
    }

    /// `delivery` with every default written out.
    pub(super) fn effective_delivery(&self) -> Delivery {
        let DeliveryPolicy { retry, semantics, .. } = self.delivery_policy();
        Delivery {
            timeout: Some(Duration(self.delivery_timeout())),
            max_attempts: retry.max_attempts.map(signed),
            backoff_policy: Some(retry.backoff),
            backoff_delay: Some(Duration(retry.delay)),
            backoff_max: Some(Duration(retry.max)),
            jitter: Some(retry.jitter),
            retry_after_max: Some(Duration(retry.retry_after_max)),
            max_age: Some(Duration(retry.max_age)),
            semantics: Some(semantics),
        }
    }

    /// `flow` with every default written out; a rate limit only if there is one.
    pub(super) fn effective_flow(&self) -> Flow {
        let flow = self.flow.as_deref();
        let rate_limit =
            flow.and_then(|flow| flow.rate_limit.clone()).or_else(|| default_rate(self.type_));
        let DeliveryPolicy { queue, overflow, .. } = self.delivery_policy();
        Flow {
            max_in_flight: Some(flow.and_then(|flow| flow.max_in_flight).unwrap_or(MAX_IN_FLIGHT)),
            rate_limit: rate_limit
                .map(|limit| FlowRateLimit { burst: Some(limit.burst()), ..limit }),
            overflow: Some(overflow),
            queue: Some(FlowQueue {
                max_notifications: Some(signed(queue.max_notifications)),
                when_full: Some(queue.when_full),
            }),
        }
    }

    /// `circuitBreaker` with every default written out.
    pub(super) fn effective_circuit_breaker(&self) -> CircuitBreaker {
        let policy = self.delivery_policy().breaker;
        CircuitBreaker {
            consecutive_failures: Some(signed(policy.consecutive_failures)),
            failure_rate_threshold: Some(signed(policy.failure_rate_threshold)),
            minimum_number_of_calls: Some(signed(policy.minimum_calls)),
            window: Some(Duration(policy.window)),
            base_ejection_time: Some(Duration(policy.base_ejection)),
            max_ejection_time: Some(Duration(policy.max_ejection)),
            success_threshold: Some(signed(policy.success_threshold)),
        }
    }
}

/// What the vendor publishes as the limit of one webhook or key, such that `requests + burst` stay within it.
///
/// Slack: 1 per second and webhook, short bursts tolerated. `PagerDuty`: about 120 per minute and integration
/// key. Rootly: 3000 writes per minute and key (its API; none is published for its alert sources).
fn default_rate(kind: TargetType) -> Option<FlowRateLimit> {
    let (requests, unit, burst) = match kind {
        TargetType::Slack => (1, RateUnit::Second, 5),
        TargetType::PagerDuty => (100, RateUnit::Minute, 20),
        TargetType::Rootly => (2500, RateUnit::Minute, 500),
        TargetType::Webhook | TargetType::Alertmanager | TargetType::Log => return None,
    };
    Some(FlowRateLimit { requests, unit, burst: Some(burst) })
}

/// In a chat one message that sums up is worth more than a hundred that come late.
fn default_overflow(kind: TargetType, semantics: Semantics) -> Overflow {
    match (kind, semantics) {
        (TargetType::Slack, Semantics::Latest) => Overflow::Digest,
        _ => Overflow::Hold,
    }
}

/// A count; whatever is below one is one.
fn count(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(1).max(1)
}

fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

// === impl Delivery ===

impl Delivery {
    fn retry(&self) -> RetryPolicy {
        let default = RetryPolicy::default();
        let delay = self.backoff_delay.map_or(default.delay, Duration::get);
        RetryPolicy {
            max_attempts: self.max_attempts.map(count),
            backoff: self.backoff_policy.unwrap_or_default(),
            delay,
            max: self.backoff_max.map_or(default.max, Duration::get).max(delay),
            jitter: self.jitter.unwrap_or_default(),
            retry_after_max: self.retry_after_max.map_or(default.retry_after_max, Duration::get),
            max_age: self.max_age.map_or(default.max_age, Duration::get),
        }
    }
}

// === impl FlowRateLimit ===

impl FlowRateLimit {
    /// Notifications that may be sent at once after a quiet time.
    #[must_use]
    pub fn burst(&self) -> i32 {
        self.burst.unwrap_or(self.requests)
    }

    fn policy(&self) -> RateLimit {
        RateLimit {
            requests: count(self.requests),
            per: self.unit.duration(),
            burst: count(self.burst()),
        }
    }
}

// === impl RateUnit ===

impl RateUnit {
    /// Its length.
    #[must_use]
    pub const fn duration(self) -> StdDuration {
        match self {
            Self::Second => StdDuration::from_secs(1),
            Self::Minute => StdDuration::from_mins(1),
            Self::Hour => StdDuration::from_hours(1),
        }
    }
}

// === impl FlowQueue ===

impl FlowQueue {
    fn policy(&self) -> QueueLimit {
        let default = QueueLimit::default();
        QueueLimit {
            max_notifications: self.max_notifications.map_or(default.max_notifications, count),
            when_full: self.when_full.unwrap_or_default(),
        }
    }
}

// === impl CircuitBreaker ===

impl CircuitBreaker {
    fn policy(&self) -> BreakerPolicy {
        let default = BreakerPolicy::default();
        let base_ejection = self.base_ejection_time.map_or(default.base_ejection, Duration::get);
        let max_ejection = self.max_ejection_time.map_or(default.max_ejection, Duration::get);
        BreakerPolicy {
            consecutive_failures: self
                .consecutive_failures
                .map_or(default.consecutive_failures, count),
            failure_rate_threshold: self
                .failure_rate_threshold
                .map_or(default.failure_rate_threshold, count),
            minimum_calls: self.minimum_number_of_calls.map_or(default.minimum_calls, count),
            window: self.window.map_or(default.window, Duration::get),
            base_ejection,
            max_ejection: max_ejection.max(base_ejection),
            success_threshold: self.success_threshold.map_or(default.success_threshold, count),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{BackoffPolicy, Jitter, WhenFull};

    fn spec(value: Value) -> PublishTargetSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_empty_target_has_every_default() {
        let spec = spec(json!({"type": "Webhook", "webhook": {"url": "http://a/"}}));
        assert_eq!(spec.delivery_timeout().as_secs(), 10);
        assert_eq!(spec.max_in_flight(), 8);
        assert_eq!(spec.delivery_policy(), DeliveryPolicy::default());
    }

    #[test]
    fn every_field_reaches_the_policy() {
        let spec = spec(json!({
            "type": "Log",
            "delivery": {
                "maxAttempts": 7, "backoffPolicy": "Linear", "backoffDelay": "2s", "backoffMax": "1h", "jitter": "None",
                "retryAfterMax": "0s", "maxAge": "720h", "semantics": "Every"
            },
            "flow": {
                "rateLimit": {"requests": 30, "unit": "Hour"},
                "queue": {"maxNotifications": 5, "whenFull": "DeadLetterNewest"}
            },
            "circuitBreaker": {
                "consecutiveFailures": 2, "failureRateThreshold": 90, "minimumNumberOfCalls": 4, "window": "30s",
                "baseEjectionTime": "1s", "maxEjectionTime": "9s", "successThreshold": 3
            }
        }));
        let expected = DeliveryPolicy {
            retry: RetryPolicy {
                max_attempts: Some(7),
                backoff: BackoffPolicy::Linear,
                delay: StdDuration::from_secs(2),
                max: StdDuration::from_hours(1),
                jitter: Jitter::None,
                retry_after_max: StdDuration::ZERO,
                max_age: StdDuration::from_hours(720),
            },
            breaker: BreakerPolicy {
                consecutive_failures: 2,
                failure_rate_threshold: 90,
                minimum_calls: 4,
                window: StdDuration::from_secs(30),
                base_ejection: StdDuration::from_secs(1),
                max_ejection: StdDuration::from_secs(9),
                success_threshold: 3,
            },
            rate: Some(RateLimit { requests: 30, per: StdDuration::from_hours(1), burst: 30 }),
            overflow: Overflow::Hold,
            queue: QueueLimit { max_notifications: 5, when_full: WhenFull::DeadLetterNewest },
            semantics: Semantics::Every,
        };
        assert_eq!(spec.delivery_policy(), expected);
        assert_eq!(spec.effective().delivery_policy(), expected);
    }

    #[test]
    fn services_have_the_limits_that_they_publish() {
        let rate = |kind: &str| spec(json!({"type": kind})).delivery_policy().rate;
        let per_minute = |kind: &str| {
            let rate = rate(kind).unwrap();
            let minutes = u32::try_from(60 / rate.per.as_secs()).unwrap();
            rate.requests * minutes + rate.burst
        };
        assert_eq!(per_minute("Slack"), 65);
        assert_eq!(per_minute("PagerDuty"), 120);
        assert_eq!(per_minute("Rootly"), 3000);
        for kind in ["Webhook", "Alertmanager", "Log"] {
            assert_eq!(rate(kind), None, "{kind}");
        }
    }

    #[test]
    fn a_chat_sums_up_what_is_too_much_and_the_others_wait() {
        for kind in TargetType::ALL {
            let policy = spec(json!({"type": kind})).delivery_policy();
            let chat = kind == TargetType::Slack;
            assert_eq!(policy.overflow == Overflow::Digest, chat, "{kind}");
        }
        let every = spec(json!({"type": "Slack", "delivery": {"semantics": "Every"}}));
        assert_eq!(every.delivery_policy().overflow, Overflow::Hold);
        let summed = spec(json!({"type": "Log", "flow": {"overflow": "Digest"}}));
        assert_eq!(summed.delivery_policy().overflow, Overflow::Digest);
        let held = spec(json!({"type": "Slack", "flow": {"overflow": "Hold"}}));
        assert_eq!(held.effective().delivery_policy().overflow, Overflow::Hold);
    }

    #[test]
    fn a_rate_limit_of_ones_own_replaces_that_of_the_service() {
        let spec = spec(json!({
            "type": "Slack",
            "flow": {"rateLimit": {"requests": 10, "unit": "Minute", "burst": 2}}
        }));
        let expected = RateLimit { requests: 10, per: StdDuration::from_mins(1), burst: 2 };
        assert_eq!(spec.delivery_policy().rate, Some(expected));
        assert_eq!(spec.effective().delivery_policy().rate, Some(expected));
    }

    #[test]
    fn no_count_is_zero_and_no_cap_lies_below_what_it_caps() {
        let spec = spec(json!({
            "type": "Log",
            "delivery": {"maxAttempts": -1, "backoffDelay": "10m"},
            "flow": {
                "maxInFlight": -3, "rateLimit": {"requests": 0, "unit": "Second", "burst": -1},
                "queue": {"maxNotifications": 0}
            },
            "circuitBreaker": {"consecutiveFailures": 0, "baseEjectionTime": "10m"}
        }));
        let policy = spec.delivery_policy();
        assert_eq!(spec.max_in_flight(), 1);
        assert_eq!(policy.retry.max_attempts, Some(1));
        assert_eq!(policy.retry.max, StdDuration::from_mins(10));
        assert_eq!(policy.rate.unwrap().requests, 1);
        assert_eq!(policy.rate.unwrap().burst, 1);
        assert_eq!(policy.queue.max_notifications, 1);
        assert_eq!(policy.breaker.consecutive_failures, 1);
        assert_eq!(policy.breaker.max_ejection, StdDuration::from_mins(10));
    }
}
