//! Metrics of the registry. Gauges are read from the present snapshot when they are scraped, so they
//! can't drift and go with their target.

use std::{collections::BTreeMap, fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        MetricType,
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry,
};
use tokio::sync::watch;

use super::{RouteEntry, Snapshot, Target, TargetEntry, Transition};
use crate::api::{CircuitState, HealthState, TargetType};

/// Targets that have series of their own; the others are counted in `per_target_series_dropped`.
const MAX_SERIES: usize = 1_000;
const STATES: [&str; 6] = ["healthy", "degraded", "unhealthy", "unknown", "suspended", "rejected"];
const ROUTE_STATES: [&str; 3] = ["accepted", "rejected", "suspended"];
/// Type of an object whose spec can't be read.
const NO_TYPE: &str = "Unknown";

/// Metrics of the registry room. The default counts into nothing.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    transitions: Family<Labels<2>, Counter>,
    turns: Family<Labels<2>, Counter>,
    frozen: Gauge,
}

type Labels<const N: usize> = [(&'static str, &'static str); N];

#[derive(Debug)]
struct Census(watch::Receiver<Arc<Snapshot>>);

// === impl Metrics ===

impl Metrics {
    /// Registers the room's metrics; `snapshots` is what the gauges are read from.
    pub fn register(
        registry: &mut registry::Registry,
        snapshots: watch::Receiver<Arc<Snapshot>>,
    ) -> Self {
        let metrics = Self::default();
        for kind in TargetType::ALL {
            for state in HealthState::ALL {
                drop(metrics.transitions.get_or_create(&transition_labels(kind, state)));
            }
            for state in CircuitState::ALL {
                drop(metrics.turns.get_or_create(&turn_labels(kind, state)));
            }
        }
        registry.register(
            "health_transitions",
            "Changes of a target's health state",
            metrics.transitions.clone(),
        );
        registry.register(
            "circuit_transitions",
            "Changes of a target's circuit breaker",
            metrics.turns.clone(),
        );
        registry.register(
            "health_frozen",
            "Whether health verdicts are frozen because most targets turned unreachable at once",
            metrics.frozen.clone(),
        );
        registry.register_collector(Box::new(Census(snapshots)));
        metrics
    }

    pub(super) fn transition(&self, kind: TargetType, transition: &Transition) {
        if transition.from != transition.to {
            self.transitions.get_or_create(&transition_labels(kind, transition.to)).inc();
        }
    }

    pub(super) fn turn(&self, kind: TargetType, to: CircuitState) {
        self.turns.get_or_create(&turn_labels(kind, to)).inc();
    }

    pub(super) fn frozen(&self, frozen: bool) {
        self.frozen.set(i64::from(frozen));
    }
}

fn transition_labels(kind: TargetType, to: HealthState) -> Labels<2> {
    [("type", kind.as_str()), ("to", word(to))]
}

const fn word(state: HealthState) -> &'static str {
    match state {
        HealthState::Healthy => "healthy",
        HealthState::Degraded => "degraded",
        HealthState::Unhealthy => "unhealthy",
        HealthState::Unknown => "unknown",
    }
}

fn turn_labels(kind: TargetType, to: CircuitState) -> Labels<2> {
    [("type", kind.as_str()), ("to", circuit_word(to))]
}

const fn circuit_word(state: CircuitState) -> &'static str {
    match state {
        CircuitState::Closed => "closed",
        CircuitState::Open => "open",
        CircuitState::HalfOpen => "half_open",
    }
}

// === impl Census ===

impl Collector for Census {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let snapshot = self.0.borrow().clone();
        gauges(
            &mut encoder,
            ("targets", "Targets by type and state."),
            count_targets(&snapshot)
                .iter()
                .map(|((kind, state), count)| ([("type", *kind), ("state", *state)], *count)),
        )?;
        gauges(
            &mut encoder,
            ("routes", "Routes by state."),
            count_routes(&snapshot).iter().map(|(state, count)| ([("state", *state)], *count)),
        )?;
        let accepted = snapshot.targets.values().filter_map(TargetEntry::target);
        gauges(
            &mut encoder,
            ("target_healthy", "Whether a target is healthy or degraded; absent while unknown."),
            accepted.take(MAX_SERIES).filter_map(|target| {
                let healthy = match state(target) {
                    "healthy" | "degraded" => 1,
                    "unhealthy" => 0,
                    _ => return None,
                };
                Some(([("target", target.key.to_string())], healthy))
            }),
        )?;
        let accepted = snapshot.targets.values().filter_map(TargetEntry::target);
        gauges(
            &mut encoder,
            ("circuit_state", "Whether a target's circuit breaker is in this state."),
            accepted.take(MAX_SERIES).flat_map(|target| {
                let (key, is) = (target.key.to_string(), target.live.circuit());
                CircuitState::ALL.map(|state| {
                    let labels = [("target", key.clone()), ("state", circuit_word(state).into())];
                    (labels, usize::from(state == is))
                })
            }),
        )?;
        let accepted = snapshot.targets.values().filter_map(TargetEntry::target).count();
        single(
            &mut encoder,
            ("per_target_series_dropped", "Targets beyond the 1,000 that have their own series."),
            accepted.saturating_sub(MAX_SERIES),
        )?;
        single(
            &mut encoder,
            ("registry_generation", "Swaps of the registry since the start."),
            usize::try_from(snapshot.generation).unwrap_or(usize::MAX),
        )
    }
}

fn count_targets(snapshot: &Snapshot) -> BTreeMap<(&'static str, &'static str), usize> {
    let kinds = TargetType::ALL.map(TargetType::as_str).into_iter().chain([NO_TYPE]);
    let mut counts: BTreeMap<_, usize> =
        kinds.flat_map(|kind| STATES.map(|state| ((kind, state), 0))).collect();
    for entry in snapshot.targets.values() {
        let key = match entry {
            TargetEntry::Accepted(target) => (target.kind.as_str(), state(target)),
            TargetEntry::Rejected(rejected) => {
                (rejected.kind.map_or(NO_TYPE, TargetType::as_str), "rejected")
            }
        };
        *counts.entry(key).or_default() += 1;
    }
    counts
}

fn count_routes(snapshot: &Snapshot) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::from(ROUTE_STATES.map(|state| (state, 0)));
    for entry in snapshot.routes.values() {
        let state = match entry {
            RouteEntry::Rejected(_) => "rejected",
            RouteEntry::Accepted(route) if route.route.suspend => "suspended",
            RouteEntry::Accepted(_) => "accepted",
        };
        *counts.entry(state).or_default() += 1;
    }
    counts
}

fn state(target: &Target) -> &'static str {
    if target.suspended() { "suspended" } else { word(target.live.health()) }
}

fn gauges<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder,
    (name, help): (&str, &str),
    values: impl Iterator<Item = (L, usize)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        gauge.encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

fn single(
    encoder: &mut DescriptorEncoder,
    (name, help): (&str, &str),
    value: usize,
) -> fmt::Result {
    let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::encoding::text;

    use super::super::{
        CircuitSample, Monitor, Publisher,
        fixture::{ill, now, rejected, route, target},
    };
    use super::*;
    use crate::{
        api::{BreakerPolicy, Reason},
        registry,
    };

    struct Bed {
        prometheus: prometheus_client::registry::Registry,
        publisher: Publisher,
        metrics: Metrics,
    }

    impl Bed {
        fn new() -> Self {
            let publisher = Publisher::new(registry::Registry::default());
            let mut prometheus = prometheus_client::registry::Registry::with_prefix("fanfare");
            let metrics = Metrics::register(&mut prometheus, publisher.subscribe());
            Self { prometheus, publisher, metrics }
        }

        fn text(&mut self) -> String {
            self.publisher.publish();
            let mut text = String::new();
            text::encode(&mut text, &self.prometheus).unwrap();
            text
        }
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|one| one == line), "no {line} in\n{text}");
    }

    #[test]
    fn every_closed_series_exists_at_zero() {
        let text = Bed::new().text();
        for kind in TargetType::ALL {
            for state in STATES {
                has(&text, &format!("fanfare_targets{{type=\"{kind}\",state=\"{state}\"}} 0"));
            }
            for to in HealthState::ALL.map(word) {
                let labels = format!("{{type=\"{kind}\",to=\"{to}\"}}");
                has(&text, &format!("fanfare_health_transitions_total{labels} 0"));
            }
        }
        for (kind, to) in
            TargetType::ALL.into_iter().flat_map(|kind| CircuitState::ALL.map(|to| (kind, to)))
        {
            let labels = format!("{{type=\"{kind}\",to=\"{}\"}}", circuit_word(to));
            has(&text, &format!("fanfare_circuit_transitions_total{labels} 0"));
        }
        for state in ROUTE_STATES {
            has(&text, &format!("fanfare_routes{{state=\"{state}\"}} 0"));
        }
        has(&text, "fanfare_health_frozen 0");
        has(&text, "fanfare_per_target_series_dropped 0");
        has(&text, "fanfare_registry_generation 0");
    }

    #[test]
    fn gauges_follow_health_and_objects() {
        let mut bed = Bed::new();
        let registry = bed.publisher.registry();
        registry.apply_target(Ok(target("a/well").healthy().build()));
        registry.apply_target(Ok(target("a/new").build()));
        registry.apply_target(Ok(target("a/off").healthy().suspended().build()));
        registry.apply_target(Err(rejected("a/bad", Reason::InvalidSpec).into()));
        registry.apply_route(Ok(route("a/r").to("a/well").build()));
        registry.apply_route(Ok(route("a/off").with(|route| route.suspend = true).build()));
        let text = bed.text();
        for state in ["healthy", "unknown", "suspended", "rejected"] {
            has(&text, &format!("fanfare_targets{{type=\"Slack\",state=\"{state}\"}} 1"));
        }
        has(&text, "fanfare_routes{state=\"accepted\"} 1");
        has(&text, "fanfare_routes{state=\"suspended\"} 1");
        has(&text, "fanfare_target_healthy{target=\"a/well\"} 1");
        assert_eq!(text.matches("fanfare_target_healthy{").count(), 1);

        let snapshot = bed.publisher.subscribe().borrow().clone();
        let well = snapshot.target(&"a/well".parse().unwrap()).unwrap();
        for _ in 0..3 {
            if let Some(change) = well.live.observe(&ill(Reason::Timeout), &well.health, now()) {
                bed.metrics.transition(well.kind, &change);
            }
        }
        let text = bed.text();
        has(&text, "fanfare_target_healthy{target=\"a/well\"} 0");
        has(&text, "fanfare_health_transitions_total{type=\"Slack\",to=\"unhealthy\"} 1");
        bed.publisher.registry().remove_target(&"a/well".parse().unwrap());
        assert!(!bed.text().contains("fanfare_target_healthy{"));
    }

    #[test]
    fn a_circuit_has_one_series_per_state_and_its_turns_are_counted() {
        let mut bed = Bed::new();
        let monitor = Monitor::new(Arc::default(), bed.metrics.clone());
        let target = Arc::new(target("a/x").build());
        for _ in 0..5 {
            monitor.attempted(&target, None, CircuitSample::Failure, now());
        }
        let live = Arc::clone(&target.live);
        bed.publisher.registry().apply_target(Ok(Arc::into_inner(target).unwrap()));
        let text = bed.text();
        for (state, is) in [("closed", 0), ("open", 1), ("half_open", 0)] {
            let labels = format!("{{target=\"a/x\",state=\"{state}\"}}");
            has(&text, &format!("fanfare_circuit_state{labels} {is}"));
        }
        has(&text, "fanfare_circuit_transitions_total{type=\"Slack\",to=\"open\"} 1");
        let policy = BreakerPolicy { max_ejection: Duration::ZERO, ..BreakerPolicy::default() };
        let trial = live.admit(&policy, now());
        has(&bed.text(), "fanfare_circuit_state{target=\"a/x\",state=\"half_open\"} 1");
        drop(trial);
    }

    #[test]
    fn series_of_targets_are_capped_and_the_rest_is_counted() {
        let mut bed = Bed::new();
        for index in 0..=MAX_SERIES {
            let target = target(&format!("a/{index}")).healthy();
            bed.publisher.registry().apply_target(Ok(target.build()));
        }
        let text = bed.text();
        assert_eq!(text.matches("fanfare_target_healthy{").count(), MAX_SERIES);
        assert_eq!(text.matches("fanfare_circuit_state{").count(), 3 * MAX_SERIES);
        has(&text, "fanfare_per_target_series_dropped 1");
    }
}
