//! Metrics of the HTTP listeners.

use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::publish::Source;

/// Metrics of the HTTP listeners.
#[derive(Debug)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<SourceLabels, Histogram, fn() -> Histogram>,
    alerts: Family<AlertLabels, Counter>,
    api: Family<ApiLabels, Counter>,
}

/// How an intake request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Ok,
    Partial,
    BadRequest,
    TooLarge,
    Unauthorized,
    Timeout,
    Overloaded,
    /// The store takes nothing: disk full, too slow or failed.
    Store,
}

/// What became of one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum AlertOutcome {
    Accepted,
    Invalid,
    Refused,
    /// As many of its `alertname` fire as may.
    Crowded,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    source: Word,
    outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlertLabels {
    source: Word,
    outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabels {
    endpoint: Word,
    code_class: Word,
}

/// A label value from a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Word(&'static str);

const SOURCES: [Source; 2] = [Source::V2, Source::Webhook];
/// Names of the API's endpoints in `api_requests_total`.
pub(super) const ENDPOINTS: [&str; 13] = [
    "publish",
    "publish_status",
    "targets",
    "routes",
    "inbox",
    "deadletters",
    "deliveries",
    "alerts",
    "alert_groups",
    "receivers",
    "status",
    "silences",
    "removed",
];
const CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];

// === impl Metrics ===

impl Metrics {
    /// Registers the room's metrics, every series at zero.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let buckets: fn() -> Histogram = || Histogram::new(exponential_buckets(0.000_25, 4.0, 9));
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(buckets),
            alerts: Family::default(),
            api: Family::default(),
        };
        for source in SOURCES.map(Source::as_str).map(Word) {
            drop(metrics.durations.get_or_create(&SourceLabels { source }));
            for outcome in Outcome::ALL.map(Outcome::as_str).map(Word) {
                drop(metrics.requests.get_or_create(&RequestLabels { source, outcome }));
            }
            for outcome in AlertOutcome::ALL.map(AlertOutcome::as_str).map(Word) {
                drop(metrics.alerts.get_or_create(&AlertLabels { source, outcome }));
            }
        }
        for endpoint in ENDPOINTS.map(Word) {
            for code_class in CLASSES.map(Word) {
                drop(metrics.api.get_or_create(&ApiLabels { endpoint, code_class }));
            }
        }
        registry.register(
            "intake_requests",
            "Requests of alert senders by how they ended",
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "intake_request_duration",
            "Time from a sender's request to its answer",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "alerts_received",
            "Alerts received by what became of them",
            metrics.alerts.clone(),
        );
        registry.register("api_requests", "Requests to the API", metrics.api.clone());
        metrics
    }

    pub(super) fn request(&self, source: Source, outcome: Outcome, took: Duration) {
        let source = Word(source.as_str());
        let outcome = Word(outcome.as_str());
        self.requests.get_or_create(&RequestLabels { source, outcome }).inc();
        self.durations.get_or_create(&SourceLabels { source }).observe(took.as_secs_f64());
    }

    pub(super) fn alerts(&self, source: Source, outcome: AlertOutcome, count: usize) {
        let labels = AlertLabels { source: Word(source.as_str()), outcome: Word(outcome.as_str()) };
        self.alerts.get_or_create(&labels).inc_by(count as u64);
    }

    pub(super) fn api(&self, endpoint: &'static str, status: StatusCode) {
        let class = match status.as_u16() {
            200..=299 => "2xx",
            300..=499 => "4xx",
            _ => "5xx",
        };
        let labels = ApiLabels { endpoint: Word(endpoint), code_class: Word(class) };
        self.api.get_or_create(&labels).inc();
    }
}

// === impl Outcome ===

impl Outcome {
    const ALL: [Self; 8] = [
        Self::Ok,
        Self::Partial,
        Self::BadRequest,
        Self::TooLarge,
        Self::Unauthorized,
        Self::Timeout,
        Self::Overloaded,
        Self::Store,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::BadRequest => "bad_request",
            Self::TooLarge => "too_large",
            Self::Unauthorized => "unauthorized",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::Store => "store",
        }
    }
}

// === impl AlertOutcome ===

impl AlertOutcome {
    const ALL: [Self; 4] = [Self::Accepted, Self::Invalid, Self::Refused, Self::Crowded];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Crowded => "over_alertname_limit",
        }
    }
}

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.0, encoder)
    }
}
