//! What holds in a health check when a field is absent.

use std::{borrow::Cow, time::Duration as StdDuration};

use super::{
    CHECK_INTERVAL, CHECK_PATH, CHECK_TIMEOUT, CHECK_UNHEALTHY_INTERVAL, DEGRADED_LATENCY,
    EXPECTED_STATUSES, HEALTHY_THRESHOLD, SKIP_IF_DELIVERED_WITHIN, UNHEALTHY_THRESHOLD,
};
use crate::api::{Duration, HealthCheck, HealthCheckType, HttpCheck, HttpCheckMethod};

// === impl HealthCheck ===

impl HealthCheck {
    /// Kind of check.
    #[must_use]
    pub fn kind(&self) -> HealthCheckType {
        self.type_.unwrap_or(HealthCheckType::Auto)
    }

    /// Time between checks of a healthy target.
    #[must_use]
    pub fn interval(&self) -> StdDuration {
        self.interval.unwrap_or(CHECK_INTERVAL).get()
    }

    /// Time between checks of a target that failed, is slow or unhealthy.
    #[must_use]
    pub fn unhealthy_interval(&self) -> StdDuration {
        self.unhealthy_interval.unwrap_or(CHECK_UNHEALTHY_INTERVAL).get()
    }

    /// Time limit of one check.
    #[must_use]
    pub fn timeout(&self) -> StdDuration {
        self.timeout.unwrap_or(CHECK_TIMEOUT).get()
    }

    /// Failures in a row that make the target unhealthy; at least 1.
    #[must_use]
    pub fn unhealthy_threshold(&self) -> u32 {
        threshold(self.unhealthy_threshold, UNHEALTHY_THRESHOLD)
    }

    /// Successes in a row that make the target healthy again; at least 1.
    #[must_use]
    pub fn healthy_threshold(&self) -> u32 {
        threshold(self.healthy_threshold, HEALTHY_THRESHOLD)
    }

    /// Answers that take at least this long make the target Degraded: 5 seconds, or half the timeout if that is shorter.
    #[must_use]
    pub fn degraded_latency(&self) -> StdDuration {
        self.degraded_latency
            .map_or_else(|| DEGRADED_LATENCY.get().min(self.timeout() / 2), Duration::get)
    }

    /// A check is left out if a delivery succeeded this recently.
    #[must_use]
    pub fn skip_if_delivered_within(&self) -> StdDuration {
        self.skip_if_delivered_within.unwrap_or(SKIP_IF_DELIVERED_WITHIN).get()
    }

    /// Details of an HTTP check; absent ones are all defaults.
    #[must_use]
    pub fn effective_http(&self) -> Cow<'_, HttpCheck> {
        self.http.as_ref().map_or_else(|| Cow::Owned(HttpCheck::default()), Cow::Borrowed)
    }

    /// The check with every default written out.
    #[must_use]
    pub fn effective(&self) -> Self {
        Self {
            type_: Some(self.kind()),
            interval: Some(self.interval.unwrap_or(CHECK_INTERVAL)),
            unhealthy_interval: Some(self.unhealthy_interval.unwrap_or(CHECK_UNHEALTHY_INTERVAL)),
            timeout: Some(self.timeout.unwrap_or(CHECK_TIMEOUT)),
            unhealthy_threshold: Some(self.unhealthy_threshold.unwrap_or(UNHEALTHY_THRESHOLD)),
            healthy_threshold: Some(self.healthy_threshold.unwrap_or(HEALTHY_THRESHOLD)),
            degraded_latency: Some(Duration(self.degraded_latency())),
            skip_if_delivered_within: Some(
                self.skip_if_delivered_within.unwrap_or(SKIP_IF_DELIVERED_WITHIN),
            ),
            http: (self.kind() == HealthCheckType::HTTP).then(|| self.effective_http().effective()),
        }
    }
}

fn threshold(value: Option<i32>, default: i32) -> u32 {
    u32::try_from(value.unwrap_or(default)).unwrap_or(1).max(1)
}

// === impl HttpCheck ===

impl HttpCheck {
    /// Path that is asked for.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(CHECK_PATH)
    }

    /// Method of the request.
    #[must_use]
    pub fn method(&self) -> HttpCheckMethod {
        self.method.unwrap_or(HttpCheckMethod::GET)
    }

    /// The details with every default written out.
    #[must_use]
    pub fn effective(&self) -> Self {
        Self {
            path: Some(self.path().to_owned()),
            method: Some(self.method()),
            expected_statuses: if self.expected_statuses.is_empty() {
                vec![EXPECTED_STATUSES.to_owned()]
            } else {
                self.expected_statuses.clone()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn degraded_latency_is_at_most_half_the_timeout() {
        for (check, expected) in [
            (json!({}), 5_000),
            (json!({"timeout": "10s"}), 5_000),
            (json!({"timeout": "60s"}), 5_000),
            (json!({"timeout": "3s"}), 1_500),
            (json!({"timeout": "3s", "degradedLatency": "2s"}), 2_000),
        ] {
            let check: HealthCheck = serde_json::from_value(check).unwrap();
            assert_eq!(check.degraded_latency().as_millis(), expected);
            assert!(check.degraded_latency() < check.timeout());
        }
    }

    #[test]
    fn thresholds_are_never_below_one() {
        let check = HealthCheck { unhealthy_threshold: Some(-1), ..HealthCheck::default() };
        assert_eq!(check.unhealthy_threshold(), 1);
        assert_eq!(check.healthy_threshold(), 1);
        assert_eq!(HealthCheck::default().unhealthy_threshold(), 3);
    }
}
