//! Targets of any health, without a cluster.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fanfare::{
    api::{DeliveryPolicy, HealthState, Jitter, PublishTargetSpec, Reason, TargetKey, TargetType},
    registry::{
        Allowed, Depth, HealthPolicy, HttpMethod, Live, Moment, ProbePlan, RejectedTarget, Sample,
        SampleFailure, SampleSource, Snapshot, Target, TargetEntry,
    },
};
use jiff::Timestamp;
use tokio::time::Instant;

/// Builds targets: `target("ns/a").unhealthy()`.
#[derive(Clone, Debug)]
pub(crate) struct TargetBuilder {
    key: TargetKey,
    kind: TargetType,
    health: HealthState,
    suspend: bool,
    max_in_flight: usize,
    labels: BTreeMap<String, String>,
    policy: DeliveryPolicy,
    credential: &'static str,
}

pub(crate) fn key(name: &str) -> TargetKey {
    name.parse().expect("namespace/name")
}

pub(crate) fn target(name: &str) -> TargetBuilder {
    TargetBuilder {
        key: key(name),
        kind: TargetType::Webhook,
        health: HealthState::Healthy,
        suspend: false,
        max_in_flight: 8,
        labels: BTreeMap::new(),
        policy: policy(),
        credential: "first",
    }
}

/// Defaults without randomness.
fn policy() -> DeliveryPolicy {
    let mut policy = DeliveryPolicy::default();
    policy.retry.jitter = Jitter::None;
    policy
}

pub(crate) fn now() -> Moment {
    Moment { mono: Instant::now(), wall: Timestamp::now() }
}

pub(crate) fn snapshot(generation: u64, targets: Vec<Arc<Target>>) -> Snapshot {
    let entries =
        targets.into_iter().map(|target| (target.key.clone(), TargetEntry::Accepted(target)));
    Snapshot {
        generation,
        complete: true,
        targets: Arc::new(entries.collect()),
        ..Snapshot::default()
    }
}

/// The same target while its Secret is missing.
pub(crate) fn rejected(name: &str) -> RejectedTarget {
    RejectedTarget {
        key: key(name),
        uid: uid(&key(name)),
        generation: 1,
        kind: None,
        labels: Arc::default(),
        reason: Reason::SecretNotFound,
        message: "Secret missing".into(),
        allowed: Allowed::Same,
        policies: None,
        suspended: false,
        health: HealthState::Unknown,
        permanent: false,
    }
}

fn uid(key: &TargetKey) -> Arc<str> {
    format!("uid-{key}").into()
}

/// Evidence that makes a target's health what is wanted, if it comes often enough.
pub(crate) fn sample(target: &Target, wanted: HealthState) -> Sample {
    let (verdict, latency) = match wanted {
        HealthState::Healthy | HealthState::Unknown => (Ok(Depth::Credential), Duration::ZERO),
        HealthState::Degraded => (Ok(Depth::Credential), target.health.degraded_latency),
        HealthState::Unhealthy => {
            let failure = SampleFailure {
                reason: Reason::ServerError,
                depth: Depth::Answer,
                local: false,
                http_status: Some(500),
                message: "answered 500".into(),
            };
            (Err(failure), Duration::ZERO)
        }
    };
    Sample { verdict, latency, source: SampleSource::Probe }
}

fn set_health(target: &Target, wanted: HealthState) {
    if wanted == HealthState::Unknown {
        return;
    }
    let sample = sample(target, wanted);
    for _ in 0..target.health.unhealthy_threshold {
        target.live.observe(&sample, &target.health, now());
    }
    assert_eq!(target.live.health(), wanted);
}

// === impl TargetBuilder ===

impl TargetBuilder {
    pub(crate) fn healthy(self) -> Self {
        self.health(HealthState::Healthy)
    }

    pub(crate) fn degraded(self) -> Self {
        self.health(HealthState::Degraded)
    }

    pub(crate) fn unhealthy(self) -> Self {
        self.health(HealthState::Unhealthy)
    }

    pub(crate) fn unknown(self) -> Self {
        self.health(HealthState::Unknown)
    }

    pub(crate) fn health(self, health: HealthState) -> Self {
        Self { health, ..self }
    }

    pub(crate) fn suspended(self) -> Self {
        Self { suspend: true, ..self }
    }

    pub(crate) fn kind(self, kind: TargetType) -> Self {
        Self { kind, ..self }
    }

    pub(crate) fn max_in_flight(self, max_in_flight: usize) -> Self {
        Self { max_in_flight, ..self }
    }

    pub(crate) fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Changes the delivery policy.
    pub(crate) fn policy(mut self, change: impl FnOnce(&mut DeliveryPolicy)) -> Self {
        change(&mut self.policy);
        self
    }

    /// Another credential than `first`.
    pub(crate) fn credential(self, credential: &'static str) -> Self {
        Self { credential, ..self }
    }

    pub(crate) fn build(self) -> Arc<Target> {
        Arc::new(self.compiled())
    }

    pub(crate) fn compiled(self) -> Target {
        let Self { key, kind, health, suspend, max_in_flight, labels, policy, credential } = self;
        let mut headers = http::HeaderMap::new();
        headers.insert("x-credential", http::HeaderValue::from_static(credential));
        let target = Target {
            uid: uid(&key),
            generation: 1,
            labels: labels.into(),
            kind,
            spec: Arc::new(PublishTargetSpec {
                type_: kind,
                webhook: None,
                slack: None,
                pager_duty: None,
                rootly: None,
                alertmanager: None,
                log: None,
                suspend,
                allowed_routes: None,
                connection: None,
                payload: None,
                delivery: None,
                flow: None,
                health_check: None,
                circuit_breaker: None,
            }),
            endpoints: Box::new([]),
            method: HttpMethod::Post,
            headers,
            body_credential: None,
            tls_roots: None,
            timeout: Duration::from_secs(10),
            max_in_flight,
            policy,
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
            live: Live::new(max_in_flight, now()),
            key,
        };
        set_health(&target, health);
        target
    }
}
