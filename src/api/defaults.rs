//! What holds when a field is absent. Fields of the specs stay absent in the cluster, so that a default can
//! improve with a release; everything that acts on a spec asks the methods here.

mod delivery;
mod health;
mod route;

use std::{borrow::Cow, time::Duration as StdDuration};

use super::{
    AllowedNamespaces, AllowedRoutes, Duration, HealthCheck, NamespacesFrom, PagerDuty,
    PagerDutySeverity, Payload, PayloadFormat, PublishTargetSpec, TargetType, Webhook,
    WebhookMethod,
};

/// `spec.delivery.timeout`.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// `spec.delivery.backoffDelay`.
pub const BACKOFF_DELAY: StdDuration = StdDuration::from_millis(500);
/// `spec.delivery.backoffMax`.
pub const BACKOFF_MAX: StdDuration = StdDuration::from_mins(5);
/// `spec.delivery.retryAfterMax`.
pub const RETRY_AFTER_MAX: StdDuration = StdDuration::from_mins(15);
/// `spec.delivery.maxAge`.
pub const MAX_AGE: StdDuration = StdDuration::from_hours(24);
/// `spec.circuitBreaker.window`.
pub const BREAKER_WINDOW: StdDuration = StdDuration::from_mins(1);
/// `spec.circuitBreaker.consecutiveFailures`.
pub const BREAKER_CONSECUTIVE_FAILURES: u32 = 5;
/// `spec.circuitBreaker.failureRateThreshold`.
pub const BREAKER_FAILURE_RATE: u32 = 50;
/// `spec.circuitBreaker.minimumNumberOfCalls`.
pub const BREAKER_MINIMUM_CALLS: u32 = 10;
/// `spec.circuitBreaker.successThreshold`.
pub const BREAKER_SUCCESSES: u32 = 1;
/// `spec.circuitBreaker.baseEjectionTime`.
pub const BASE_EJECTION_TIME: StdDuration = StdDuration::from_secs(30);
/// `spec.circuitBreaker.maxEjectionTime`.
pub const MAX_EJECTION_TIME: StdDuration = StdDuration::from_mins(5);
/// `spec.flow.queue.maxNotifications`.
pub const MAX_NOTIFICATIONS: u32 = 10_000;
/// `spec.repeatInterval` of a route.
pub const REPEAT_INTERVAL: StdDuration = StdDuration::from_hours(4);
/// `spec.grouping.wait` of a route.
pub const GROUP_WAIT: StdDuration = StdDuration::from_secs(30);
/// `spec.grouping.interval` of a route.
pub const GROUP_INTERVAL: StdDuration = StdDuration::from_mins(5);
/// `spec.fallback.after` of a route.
pub const FALLBACK_AFTER: StdDuration = StdDuration::from_mins(2);
/// `spec.flow.maxInFlight`.
pub const MAX_IN_FLIGHT: i32 = 8;
/// `spec.healthCheck.interval`.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// `spec.healthCheck.unhealthyInterval`.
pub const CHECK_UNHEALTHY_INTERVAL: Duration = Duration::from_secs(15);
/// `spec.healthCheck.timeout`.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// `spec.healthCheck.unhealthyThreshold`.
pub const UNHEALTHY_THRESHOLD: i32 = 3;
/// `spec.healthCheck.healthyThreshold`.
pub const HEALTHY_THRESHOLD: i32 = 1;
/// `spec.healthCheck.degradedLatency`, or half the timeout if that is shorter.
pub const DEGRADED_LATENCY: Duration = Duration::from_secs(5);
/// `spec.healthCheck.skipIfDeliveredWithin`.
pub const SKIP_IF_DELIVERED_WITHIN: Duration = Duration::from_secs(60);
/// `spec.healthCheck.http.path`.
pub const CHECK_PATH: &str = "/";
/// `spec.healthCheck.http.expectedStatuses`.
pub const EXPECTED_STATUSES: &str = "200-299";
/// `spec.pagerDuty.endpoint`.
pub const PAGERDUTY_ENDPOINT: &str = "https://events.pagerduty.com";
/// `PagerDuty`'s severity for a `severity` label that neither it nor `severityMap` knows.
pub const PAGERDUTY_SEVERITY: PagerDutySeverity = PagerDutySeverity::Error;
/// `spec.priority` of a route.
pub const PRIORITY: i32 = 0;

// === impl PublishTargetSpec ===

impl PublishTargetSpec {
    /// Form of the body that a Webhook receives.
    #[must_use]
    pub fn payload_format(&self) -> PayloadFormat {
        self.payload.as_ref().map_or(PayloadFormat::Native, |payload| payload.format)
    }

    /// Namespaces whose routes may point here.
    #[must_use]
    pub fn allowed_from(&self) -> NamespacesFrom {
        self.allowed_routes.as_ref().map_or(NamespacesFrom::Same, |allowed| allowed.namespaces.from)
    }

    /// The health check; an absent one is all defaults.
    #[must_use]
    pub fn effective_health_check(&self) -> Cow<'_, HealthCheck> {
        let check = self.health_check.as_deref();
        check.map_or_else(|| Cow::Owned(HealthCheck::default()), Cow::Borrowed)
    }

    /// The spec with every default written out: what the read API shows.
    #[must_use]
    pub fn effective(&self) -> Self {
        let mut spec = self.clone();
        spec.allowed_routes.get_or_insert(AllowedRoutes {
            namespaces: AllowedNamespaces { from: NamespacesFrom::Same, selector: None },
        });
        spec.delivery = Some(self.effective_delivery().into());
        spec.flow = Some(self.effective_flow().into());
        spec.circuit_breaker = Some(self.effective_circuit_breaker().into());
        if self.type_ == TargetType::Webhook {
            spec.payload = Some(Payload { format: self.payload_format() });
        }
        if let Some(webhook) = &mut spec.webhook {
            webhook.method = Some(webhook.method());
        }
        if let Some(pager_duty) = &mut spec.pager_duty {
            pager_duty.endpoint = Some(pager_duty.endpoint().to_owned());
        }
        spec.health_check = Some(self.effective_health_check().effective().into());
        spec
    }
}

// === impl Webhook ===

impl Webhook {
    /// HTTP method of a delivery.
    #[must_use]
    pub fn method(&self) -> WebhookMethod {
        self.method.unwrap_or(WebhookMethod::POST)
    }
}

// === impl PagerDuty ===

impl PagerDuty {
    /// Base address of the Events API.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.endpoint.as_deref().unwrap_or(PAGERDUTY_ENDPOINT)
    }

    /// `PagerDuty`'s severity for a value of the alert's `severity` label.
    #[must_use]
    pub fn severity(&self, label: Option<&str>) -> PagerDutySeverity {
        let Some(label) = label else {
            return PAGERDUTY_SEVERITY;
        };
        let mapped = self.severity_map.as_ref().and_then(|map| map.get(label));
        mapped.copied().unwrap_or(match label {
            "critical" => PagerDutySeverity::Critical,
            "warning" => PagerDutySeverity::Warning,
            "info" => PagerDutySeverity::Info,
            _ => PAGERDUTY_SEVERITY,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(value: serde_json::Value) -> PublishTargetSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_empty_target_has_every_default() {
        let spec = spec(json!({"type": "Webhook", "webhook": {"url": "http://a/"}}));
        assert_eq!(spec.delivery_timeout().as_secs(), 10);
        assert_eq!(spec.max_in_flight(), 8);
        assert_eq!(spec.payload_format(), PayloadFormat::Native);
        assert_eq!(spec.allowed_from(), NamespacesFrom::Same);
        assert_eq!(spec.webhook.unwrap().method(), WebhookMethod::POST);
    }

    #[test]
    fn effective_spec_writes_out_what_holds() {
        let spec = spec(
            json!({"type": "Webhook", "webhook": {"url": "http://a/"}, "delivery": {"timeout": "3s"}}),
        );
        let effective = spec.effective();
        assert_eq!(
            serde_json::to_value(&effective).unwrap(),
            json!({
                "type": "Webhook",
                "webhook": {"url": "http://a/", "method": "POST"},
                "suspend": false,
                "allowedRoutes": {"namespaces": {"from": "Same"}},
                "payload": {"format": "Native"},
                "delivery": {
                    "timeout": "3s", "backoffPolicy": "Exponential", "backoffDelay": "500ms", "backoffMax": "5m",
                    "jitter": "Full", "retryAfterMax": "15m", "maxAge": "24h", "semantics": "Latest"
                },
                "flow": {
                    "maxInFlight": 8, "overflow": "Hold",
                    "queue": {"maxNotifications": 10000, "whenFull": "DeadLetterOldest"}
                },
                "circuitBreaker": {
                    "consecutiveFailures": 5, "failureRateThreshold": 50, "minimumNumberOfCalls": 10,
                    "window": "1m", "baseEjectionTime": "30s", "maxEjectionTime": "5m", "successThreshold": 1
                },
                "healthCheck": {
                    "type": "Auto", "interval": "1m", "unhealthyInterval": "15s", "timeout": "10s",
                    "unhealthyThreshold": 3, "healthyThreshold": 1, "degradedLatency": "5s",
                    "skipIfDeliveredWithin": "1m"
                }
            })
        );
        assert_eq!(effective.effective(), effective);
    }

    #[test]
    fn effective_specs_are_valid_specs() {
        for spec in [
            json!({"type": "Log"}),
            json!({"type": "Webhook", "webhook": {"url": "http://a/"}, "healthCheck": {"type": "HTTP"}}),
            json!({"type": "PagerDuty", "pagerDuty": {"routingKeySecretRef": {"name": "s", "key": "k"}}}),
        ] {
            let object = json!({"apiVersion": "fanfare.dev/v1alpha1", "kind": "PublishTarget",
                "metadata": {"name": "t"}, "spec": super::tests::spec(spec).effective()});
            assert!(crate::api::validate::validate_target(&object).is_ok(), "{object}");
        }
    }

    #[test]
    fn severities_map_by_table_then_by_name_then_to_error() {
        let pager_duty: PagerDuty = serde_json::from_value(json!({
            "routingKeySecretRef": {"name": "s", "key": "k"},
            "severityMap": {"page": "critical", "info": "warning"}
        }))
        .unwrap();
        for (label, expected) in [
            (Some("page"), PagerDutySeverity::Critical),
            (Some("info"), PagerDutySeverity::Warning),
            (Some("critical"), PagerDutySeverity::Critical),
            (Some("warning"), PagerDutySeverity::Warning),
            (Some("error"), PagerDutySeverity::Error),
            (Some("Critical"), PagerDutySeverity::Error),
            (Some(""), PagerDutySeverity::Error),
            (None, PagerDutySeverity::Error),
        ] {
            assert_eq!(pager_duty.severity(label), expected, "{label:?}");
        }
    }
}
