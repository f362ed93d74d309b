//! Objects for the tests of this room and of its readers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::HeaderMap;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Allowed, CircuitSample, Depth, Endpoint, HealthPolicy, HttpMethod, Live, Metrics, Moment,
    Monitor, ProbePlan, RejectedTarget, Sample, SampleFailure, SampleSource, Secret, Target,
};
use crate::{
    api::{
        DeliveryPolicy, FallbackMode, HealthState, PublishTargetSpec, Reason, RouteKey, Scope,
        TargetType, WhenDegraded, WhenUnhealthy,
    },
    routing::{Fallback, Matchers, Route, TargetName},
};

/// A target under construction.
pub(crate) struct TargetBuilder(Target);

/// A route under construction.
pub(crate) struct RouteBuilder(Route);

/// Second 1000 of the epoch.
pub(crate) fn now() -> Moment {
    Moment { mono: Instant::now(), wall: Timestamp::from_second(1_000).unwrap() }
}

/// A Slack target `namespace/name`, generation 1, never probed before.
pub(crate) fn target(key: &str) -> TargetBuilder {
    let spec: PublishTargetSpec = serde_json::from_value(serde_json::json!({
        "type": "Slack",
        "slack": {"webhookURLSecretRef": {"name": "chat", "key": "url"}},
    }))
    .unwrap();
    TargetBuilder(Target {
        key: key.parse().unwrap(),
        uid: "uid-1".into(),
        generation: 1,
        labels: Arc::default(),
        kind: TargetType::Slack,
        spec: Arc::new(spec),
        endpoints: [Endpoint::new(
            "https://hooks.slack.com/services/T0/B0/canary".parse().unwrap(),
        )
        .unwrap()]
        .into(),
        method: HttpMethod::Post,
        headers: HeaderMap::new(),
        body_credential: None,
        tls_roots: None,
        timeout: Duration::from_secs(10),
        max_in_flight: 8,
        policy: DeliveryPolicy::default(),
        health: HealthPolicy {
            interval: Duration::from_mins(1),
            unhealthy_interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            unhealthy_threshold: 3,
            healthy_threshold: 1,
            degraded_latency: Duration::from_secs(5),
            skip_if_delivered_within: Duration::from_mins(1),
        },
        probe: Some(ProbePlan::Connect),
        allowed: Allowed::Same,
        live: Live::new(8, now()),
    })
}

/// A rejected target `namespace/name`.
pub(crate) fn rejected(key: &str, reason: Reason) -> RejectedTarget {
    RejectedTarget {
        key: key.parse().unwrap(),
        uid: "uid-1".into(),
        generation: 1,
        kind: Some(TargetType::Slack),
        labels: Arc::default(),
        reason,
        message: format!("it is {reason}"),
        allowed: Allowed::Same,
        policies: None,
        suspended: false,
        health: HealthState::Unknown,
        permanent: false,
    }
}

/// A route `namespace/name` that matches everything and names nothing.
pub(crate) fn route(key: &str) -> RouteBuilder {
    let spec = serde_json::from_value(serde_json::json!({})).unwrap();
    let key: RouteKey = key.parse().unwrap();
    RouteBuilder(Route {
        key,
        uid: "uid-1".into(),
        generation: 1,
        spec: Arc::new(spec),
        scope: Scope::Namespace,
        priority: 0,
        is_final: false,
        suspend: false,
        targets: Vec::new(),
        selector: None,
        when_unhealthy: WhenUnhealthy::Send,
        when_degraded: WhenDegraded::Send,
        repeat_interval: Duration::from_hours(4),
        grouping: None,
        inhibit: Arc::new([]),
        hours: Arc::default(),
        fallback: None,
        matchers: Matchers::sorted(Vec::new()),
        matcher_summary: "{severity=\"critical\"}".into(),
    })
}

/// Labels from pairs.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A good answer to a check.
pub(crate) fn well(depth: Depth) -> Sample {
    Sample { verdict: Ok(depth), latency: Duration::from_millis(182), source: SampleSource::Probe }
}

/// A check that failed at the connection.
pub(crate) fn ill(reason: Reason) -> Sample {
    Sample {
        verdict: Err(SampleFailure {
            reason,
            depth: Depth::Connect,
            local: reason == Reason::DNSFailed,
            http_status: None,
            message: format!("hooks.slack.com: {reason}"),
        }),
        latency: Duration::from_millis(20),
        source: SampleSource::Probe,
    }
}

// === impl TargetBuilder ===

impl TargetBuilder {
    pub(crate) fn build(self) -> Target {
        self.0
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Target)) -> Self {
        change(&mut self.0);
        self
    }

    pub(crate) fn labels(self, pairs: &[(&str, &str)]) -> Self {
        self.with(|target| target.labels = labels(pairs).into())
    }

    pub(crate) fn allowed(self, allowed: Allowed) -> Self {
        self.with(|target| target.allowed = allowed)
    }

    pub(crate) fn credential(self, text: &str) -> Self {
        self.with(|target| target.body_credential = Some(Secret::new(text.into())))
    }

    pub(crate) fn suspended(self) -> Self {
        self.with(|target| Arc::make_mut(&mut target.spec).suspend = true)
    }

    pub(crate) fn healthy(self) -> Self {
        self.with(|target| {
            target.live.observe(&well(Depth::Answer), &target.health, now());
        })
    }

    /// Its circuit is open.
    pub(crate) fn ejected(self) -> Self {
        self.with(|target| {
            let monitor = Monitor::new(Arc::default(), Metrics::default());
            let sample = Sample { source: SampleSource::Delivery, ..ill(Reason::ServerError) };
            for _ in 0..target.policy.breaker.consecutive_failures {
                monitor.record(target, &sample, now());
                monitor.attempted(target, None, CircuitSample::Failure, now());
            }
        })
    }

    pub(crate) fn unhealthy(self) -> Self {
        self.with(|target| {
            for _ in 0..3 {
                target.live.observe(&ill(Reason::Timeout), &target.health, now());
            }
        })
    }
}

// === impl RouteBuilder ===

impl RouteBuilder {
    pub(crate) fn build(self) -> Route {
        self.0
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Route)) -> Self {
        change(&mut self.0);
        self
    }

    pub(crate) fn to(self, key: &str) -> Self {
        self.with(|route| {
            route.targets.push(TargetName { key: key.parse().unwrap(), send_resolved: true });
        })
    }

    /// With a fallback after two minutes; each call adds a target.
    pub(crate) fn or_else(self, key: &str) -> Self {
        let target = TargetName { key: key.parse().unwrap(), send_resolved: true };
        self.with(|route| {
            let fallback = route.fallback.get_or_insert(Fallback {
                targets: Vec::new(),
                after: Duration::from_mins(2),
                mode: FallbackMode::Instead,
            });
            fallback.targets.push(target);
        })
    }

    pub(crate) fn selecting(self, pairs: &[(&str, &str)]) -> Self {
        self.with(|route| route.selector = Some(labels(pairs)))
    }

    pub(crate) fn generation(self, generation: i64) -> Self {
        self.with(|route| route.generation = generation)
    }
}
