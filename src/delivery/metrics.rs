//! Metrics of the room: attempts and how long they took. Every series exists from the start.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{api::TargetType, publish::ErrorType};

/// Bounds of the duration histogram, in seconds.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Handles that are looked up once: an attempt touches no map and no lock but the histogram's own.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    types: [PerType; TargetType::ALL.len()],
}

#[derive(Clone, Debug)]
struct PerType {
    delivered: Counter,
    /// In the order of [`ErrorType::ALL`].
    failed: [Counter; ErrorType::ALL.len()],
    duration: Histogram,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TypeLabel {
    r#type: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabels {
    r#type: &'static str,
    result: &'static str,
}

/// Counts an attempt as cancelled unless it comes to an end.
pub(super) struct Timed<'a> {
    metrics: &'a PerType,
    ended: bool,
}

// === impl Metrics ===

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let attempts = Family::<ResultLabels, Counter>::default();
        let durations =
            Family::<TypeLabel, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register(
            "delivery_attempts",
            "Attempts to deliver a notification to a target, by result",
            attempts.clone(),
        );
        registry.register_with_unit(
            "delivery_attempt_duration",
            "Time that attempts took, from the name lookup to the answer",
            Unit::Seconds,
            durations.clone(),
        );
        let types = TargetType::ALL.map(|kind| {
            let r#type = kind.as_str();
            let counter = |result| attempts.get_or_create_owned(&ResultLabels { r#type, result });
            PerType {
                delivered: counter("delivered"),
                failed: ErrorType::ALL.map(|error| match error {
                    // Says that there was no attempt: never counted here.
                    ErrorType::NotAttempted => Counter::default(),
                    error => counter(error.as_str()),
                }),
                duration: durations.get_or_create_owned(&TypeLabel { r#type }),
            }
        });
        Self { types }
    }

    /// Begins an attempt.
    pub(super) fn begin(&self, kind: TargetType) -> Timed<'_> {
        let at = TargetType::ALL.iter().position(|it| *it == kind).expect("ALL names every type");
        Timed { metrics: &self.types[at], ended: false }
    }
}

// === impl Timed ===

impl Timed<'_> {
    /// The attempt came to an end.
    pub(super) fn end(mut self, error: Option<ErrorType>, took: Duration) {
        self.ended = true;
        match error {
            None => self.metrics.delivered.inc(),
            Some(error) => self.metrics.failed(error).inc(),
        };
        self.metrics.duration.observe(took.as_secs_f64());
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.metrics.failed(ErrorType::Cancelled).inc();
        }
    }
}

// === impl PerType ===

impl PerType {
    fn failed(&self, error: ErrorType) -> &Counter {
        let at = ErrorType::ALL.iter().position(|it| *it == error).expect("ALL names every kind");
        &self.failed[at]
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn every_series_exists_at_zero_and_a_dropped_attempt_is_cancelled() {
        let mut registry = Registry::with_prefix("fanfare");
        let metrics = Metrics::register(&mut registry);
        metrics.begin(TargetType::Slack).end(Some(ErrorType::Dns), Duration::from_millis(20));
        metrics.begin(TargetType::Slack).end(None, Duration::from_millis(20));
        drop(metrics.begin(TargetType::Slack));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let has =
            |line: &str| assert!(text.lines().any(|it| it == line), "{line} is missing in\n{text}");
        has(r#"fanfare_delivery_attempts_total{type="Slack",result="dns"} 1"#);
        has(r#"fanfare_delivery_attempts_total{type="Slack",result="delivered"} 1"#);
        has(r#"fanfare_delivery_attempts_total{type="Slack",result="cancelled"} 1"#);
        has(r#"fanfare_delivery_attempts_total{type="Log",result="blocked"} 0"#);
        has(r#"fanfare_delivery_attempt_duration_seconds_count{type="Slack"} 2"#);
        assert!(!text.contains("not_attempted"));
        assert_eq!(text.matches("fanfare_delivery_attempts_total{").count(), 6 * 12);
    }
}
