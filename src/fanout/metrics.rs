//! The fan-out room's metrics: handles are made once, every closed series starts at zero.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{
    marks::Marks, muting_series::MutingSeries, owed_series::OwedSeries, series::SeriesTable,
};
use crate::{
    alert::Status,
    api::{TargetKey, TargetType},
    dispatch::OwedCounts,
    store::{DeadReason, QueueSize},
};

type Labels1 = [(&'static str, &'static str); 1];
type Labels2 = [(&'static str, &'static str); 2];

const BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
pub(super) const KINDS: usize = TargetType::ALL.len();

/// How a publish ended, as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// Every target that was tried accepted.
    Success,
    /// Some accepted, some failed.
    PartialSuccess,
    /// None accepted, at least one failed.
    Failure,
    /// None accepted before the overall timeout.
    Timeout,
    /// Every selected target was left out, or none was selected.
    Skipped,
    /// The caller left.
    Cancelled,
    /// The request itself is wrong; nothing was sent.
    Invalid,
}

/// What became of one notification of a routed alert at one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationOutcome {
    /// Accepted by the target.
    Delivered,
    /// Refused for good.
    Rejected,
    /// Failed; owed until the next try.
    Failed,
    /// Given up: too old, tried too often, or too much waited.
    Expired,
    /// Left out by the route's health policy.
    Skipped,
    /// Not told because the problem had gone before the target heard of it.
    Superseded,
    /// Taken back: shutdown, or target or route gone.
    Cancelled,
}

/// All metrics of the room.
#[derive(Debug)]
pub struct Metrics {
    pub(crate) in_flight: Gauge,
    pub(crate) series: SeriesTable,
    pub(crate) unrouted: Counter,
    pub(crate) expired: Counter,
    pub(crate) dropped: Counter,
    duration: Histogram,
    results: [Counter; PublishOutcome::ALL.len()],
    success: Counter,
    partial_success: Counter,
    failure: Counter,
    targets: [Counter; KINDS],
    notifications: [[Counter; NotificationOutcome::ALL.len()]; KINDS],
    alerts: [Gauge; 2],
    dead_letters: [Counter; DeadReason::ALL.len()],
    pub(crate) marks: Marks,
    owed: OwedSeries,
    pub(crate) muting: MutingSeries,
}

/// Targets that a publish tried, by type: counted together at its end.
#[derive(Debug, Default)]
pub(crate) struct Tried([u64; KINDS]);

// === impl Tried ===

impl Tried {
    pub(crate) fn add(&mut self, kind: TargetType) {
        self.0[index(kind)] += 1;
    }
}

// === impl PublishOutcome ===

impl PublishOutcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::PartialSuccess,
        Self::Failure,
        Self::Timeout,
        Self::Skipped,
        Self::Cancelled,
        Self::Invalid,
    ];

    /// The word as it stands in metric labels and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::PartialSuccess => "partial_success",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Invalid => "invalid",
        }
    }
}

// === impl NotificationOutcome ===

impl NotificationOutcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Delivered,
        Self::Rejected,
        Self::Failed,
        Self::Expired,
        Self::Skipped,
        Self::Superseded,
        Self::Cancelled,
    ];

    /// The word as it stands in metric labels and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Skipped => "skipped",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
        }
    }
}

// === impl Metrics ===

impl Metrics {
    /// Registers everything in `registry`, which carries the prefix `fanfare`.
    pub fn register(registry: &mut Registry) -> Arc<Self> {
        let results = Family::<Labels1, Counter>::default();
        let targets = Family::<Labels1, Counter>::default();
        let notifications = Family::<Labels2, Counter>::default();
        let alerts = Family::<Labels1, Gauge>::default();
        let dead_letters = Family::<Labels1, Counter>::default();
        let metrics = Self {
            in_flight: Gauge::default(),
            series: SeriesTable::default(),
            unrouted: Counter::default(),
            expired: Counter::default(),
            dropped: Counter::default(),
            duration: Histogram::new(BUCKETS),
            results: PublishOutcome::ALL
                .map(|outcome| results.get_or_create_owned(&[("result", outcome.as_str())])),
            success: Counter::default(),
            partial_success: Counter::default(),
            failure: Counter::default(),
            targets: TargetType::ALL
                .map(|kind| targets.get_or_create_owned(&[("type", kind.as_str())])),
            marks: Marks::register(registry),
            notifications: TargetType::ALL.map(|kind| {
                NotificationOutcome::ALL.map(|outcome| {
                    notifications.get_or_create_owned(&[
                        ("type", kind.as_str()),
                        ("outcome", outcome.as_str()),
                    ])
                })
            }),
            alerts: [Status::Firing, Status::Resolved]
                .map(|state| alerts.get_or_create_owned(&[("state", state.as_str())])),
            dead_letters: DeadReason::ALL
                .map(|reason| dead_letters.get_or_create_owned(&[("reason", reason.as_str())])),
            owed: OwedSeries::default(),
            muting: MutingSeries::register(registry),
        };
        registry.register_with_unit(
            "publish_duration",
            "Time a publish took, from plan to last result",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register("publish", "Publishes ended, by result", results);
        registry.register(
            "publish_success",
            "Publishes that every target tried accepted",
            metrics.success.clone(),
        );
        registry.register(
            "publish_partial_success",
            "Publishes that some targets accepted and some did not",
            metrics.partial_success.clone(),
        );
        registry.register(
            "publish_failure",
            "Publishes that targets were tried for and none accepted, timeouts included",
            metrics.failure.clone(),
        );
        registry.register("publish_targets", "Targets that publishes tried, by type", targets);
        registry.register("publish_in_flight", "Publishes under way", metrics.in_flight.clone());
        registry.register(
            "notifications",
            "Notifications of routed alerts that ended, by type of target and outcome",
            notifications,
        );
        registry.register(
            "dead_letters",
            "Notifications that went to the dead letters, by reason",
            dead_letters,
        );
        registry.register("alerts", "Alerts held, by state", alerts);
        registry.register(
            "alerts_unrouted",
            "Alerts taken in that match no route",
            metrics.unrouted.clone(),
        );
        registry.register(
            "alerts_expired",
            "Alerts that ended because their sender stopped sending them",
            metrics.expired.clone(),
        );
        registry.register(
            "alerts_dropped",
            "Alerts that ended and were forgotten before everyone was told, because there were too many",
            metrics.dropped.clone(),
        );
        metrics.series.register(registry);
        metrics.owed.register(registry);
        Arc::new(metrics)
    }

    /// Counts a publish that ended; `duration` is missing if nothing was planned.
    pub(crate) fn published(&self, outcome: PublishOutcome, duration: Option<Duration>) {
        self.results[outcome as usize].inc();
        match outcome {
            PublishOutcome::Success => self.success.inc(),
            PublishOutcome::PartialSuccess => self.partial_success.inc(),
            PublishOutcome::Failure | PublishOutcome::Timeout => self.failure.inc(),
            PublishOutcome::Skipped | PublishOutcome::Cancelled | PublishOutcome::Invalid => 0,
        };
        if let Some(duration) = duration {
            self.duration.observe(duration.as_secs_f64());
        }
    }

    /// Counts the targets that a publish tried.
    pub(crate) fn tried(&self, tried: &Tried) {
        for (counter, times) in self.targets.iter().zip(tried.0).filter(|(_, times)| *times > 0) {
            counter.inc_by(times);
        }
    }

    /// Counts notifications of routed alerts.
    pub(crate) fn notified(&self, kind: TargetType, outcome: NotificationOutcome, times: u64) {
        self.notifications[index(kind)][outcome as usize].inc_by(times);
    }

    /// Counts dead letters.
    pub(crate) fn buried(&self, reason: DeadReason, count: u64) {
        if let Some(at) = DeadReason::ALL.iter().position(|known| *known == reason) {
            self.dead_letters[at].inc_by(count);
        }
    }

    /// Shows what waits for each target.
    pub(crate) fn show_waiting(
        &self,
        owed: &[(TargetKey, OwedCounts)],
        queues: &[(TargetKey, Arc<str>, QueueSize)],
        now: Timestamp,
    ) {
        let series = self.series.read();
        self.owed.show(
            (owed, queues),
            |target| series.get(target).map(|series| series.label.clone()),
            now,
        );
    }

    /// Shows how many alerts are held.
    pub(crate) fn hold(&self, firing: usize, resolved: usize) {
        for (gauge, count) in self.alerts.iter().zip([firing, resolved]) {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

/// Position in [`TargetType::ALL`].
pub(super) const fn index(kind: TargetType) -> usize {
    match kind {
        TargetType::Webhook => 0,
        TargetType::Slack => 1,
        TargetType::PagerDuty => 2,
        TargetType::Rootly => 3,
        TargetType::Alertmanager => 4,
        TargetType::Log => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn every_closed_series_starts_at_zero() {
        let mut registry = Registry::with_prefix("fanfare");
        let metrics = Metrics::register(&mut registry);
        let text = text(&registry);
        for line in [
            "fanfare_publish_duration_seconds_count 0",
            "fanfare_publish_total{result=\"partial_success\"} 0",
            "fanfare_publish_total{result=\"cancelled\"} 0",
            "fanfare_publish_success_total 0",
            "fanfare_publish_partial_success_total 0",
            "fanfare_publish_failure_total 0",
            "fanfare_publish_targets_total{type=\"PagerDuty\"} 0",
            "fanfare_publish_in_flight 0",
            "fanfare_notifications_total{type=\"Log\",outcome=\"superseded\"} 0",
            "fanfare_alerts{state=\"firing\"} 0",
            "fanfare_alerts_unrouted_total 0",
            "fanfare_alerts_expired_total 0",
            "fanfare_notifications_total{type=\"Slack\",outcome=\"expired\"} 0",
            "fanfare_dead_letters_total{reason=\"max_age\"} 0",
            "fanfare_owed_notifications 0",
            "fanfare_fallbacks_total{type=\"Slack\"} 0",
            "fanfare_digests_total{type=\"Slack\"} 0",
        ] {
            assert!(text.contains(line), "{line} is missing from\n{text}");
        }
        assert_eq!(metrics.results.len(), PublishOutcome::ALL.len());
    }

    #[test]
    fn position_of_every_kind_and_outcome_is_its_own() {
        for (at, kind) in TargetType::ALL.into_iter().enumerate() {
            assert_eq!(index(kind), at);
        }
        for (at, outcome) in PublishOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at);
        }
        for (at, outcome) in NotificationOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at);
        }
    }

    #[test]
    fn a_timeout_counts_as_failure_too() {
        let mut registry = Registry::with_prefix("fanfare");
        let metrics = Metrics::register(&mut registry);
        metrics.published(PublishOutcome::Timeout, Some(Duration::from_secs(1)));
        let text = text(&registry);
        assert!(text.contains("fanfare_publish_failure_total 1"), "{text}");
        assert!(text.contains("fanfare_publish_total{result=\"timeout\"} 1"), "{text}");
        assert!(text.contains("fanfare_publish_duration_seconds_count 1"), "{text}");
    }
}
