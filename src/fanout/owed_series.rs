//! What waits for each target, as gauges. A target for which nothing waits shows zeros, and goes with its
//! other series.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::{HashMap, HashSet};
use jiff::Timestamp;
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{api::TargetKey, dispatch::OwedCounts, store::QueueSize};

type TargetLabel = [(&'static str, Arc<str>); 1];

/// What waits, target by target.
pub(super) type Waits<'a> = (&'a [(TargetKey, OwedCounts)], &'a [(TargetKey, Arc<str>, QueueSize)]);

/// Gauges of what waits.
#[derive(Debug, Default)]
pub(super) struct OwedSeries {
    total: Gauge,
    owed: Family<TargetLabel, Gauge>,
    age: Family<TargetLabel, Gauge>,
    queued: Family<TargetLabel, Gauge>,
    /// Targets that have series now.
    shown: Mutex<HashSet<Arc<str>>>,
}

/// What waits for one target.
#[derive(Debug, Default)]
struct Line {
    owed: usize,
    queued: u64,
    oldest: Option<Timestamp>,
}

// === impl OwedSeries ===

impl OwedSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "owed_notifications",
            "Notifications that are owed to all targets and wait",
            self.total.clone(),
        );
        registry.register(
            "owed",
            "Notifications that are owed to the target: alerts whose latest state it was not told",
            self.owed.clone(),
        );
        registry.register_with_unit(
            "owed_oldest_age",
            "Age of the oldest notification that waits for the target, queued ones included",
            Unit::Seconds,
            self.age.clone(),
        );
        registry.register(
            "queued_records",
            "Records in the target's queue on disk",
            self.queued.clone(),
        );
    }

    /// Shows what waits now; `label` names the targets that have series.
    pub(super) fn show(
        &self,
        (owed, queues): Waits<'_>,
        label: impl Fn(&TargetKey) -> Option<Arc<str>>,
        now: Timestamp,
    ) {
        let total: usize = owed.iter().map(|(_, owed)| owed.total()).sum();
        self.total.set(i64::try_from(total).unwrap_or(i64::MAX));
        let mut lines: HashMap<Arc<str>, Line> = HashMap::new();
        for (target, counts) in owed {
            let Some(label) = label(target) else { continue };
            let line = lines.entry(label).or_default();
            line.owed = counts.total();
            line.oldest = counts.oldest;
        }
        for (target, _, size) in queues {
            let Some(label) = label(target) else { continue };
            let line = lines.entry(label).or_default();
            line.queued += size.records;
            line.oldest = line.oldest.into_iter().chain(size.oldest).min();
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|label| lines.contains_key(label) || self.settle(label));
        for (label, line) in lines {
            let labels = [("target", label.clone())];
            let age = line.oldest.map_or(0, |oldest| now.duration_since(oldest).as_secs().max(0));
            let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            self.owed.get_or_create(&labels).set(count(line.owed as u64));
            self.age.get_or_create(&labels).set(age);
            self.queued.get_or_create(&labels).set(count(line.queued));
            shown.insert(label);
        }
    }

    /// Nothing waits for a target any more: its series go. Answers whether they stay.
    fn settle(&self, label: &Arc<str>) -> bool {
        let labels = [("target", label.clone())];
        self.owed.remove(&labels);
        self.age.remove(&labels);
        self.queued.remove(&labels);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(series: &OwedSeries) -> String {
        let mut registry = Registry::with_prefix("fanfare");
        series.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn what_waits_is_shown_and_goes_when_nothing_waits() {
        let series = OwedSeries::default();
        let now = Timestamp::from_second(1_000).unwrap();
        let (a, b) = (TargetKey::new("ns", "a"), TargetKey::new("ns", "b"));
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let owed = [(
            a.clone(),
            OwedCounts { ready: 2, held: 3, oldest: at(940), ..OwedCounts::default() },
        )];
        let size = QueueSize { records: 7, bytes: 70, oldest: at(900) };
        let queues = [(a, "u".into(), size), (b, "u".into(), QueueSize { records: 1, ..size })];
        let label = |target: &TargetKey| Some(Arc::from(target.to_string()));
        series.show((&owed, &queues), label, now);
        let first = text(&series);
        for line in [
            "fanfare_owed_notifications 5",
            "fanfare_owed{target=\"ns/a\"} 5",
            "fanfare_owed{target=\"ns/b\"} 0",
            "fanfare_owed_oldest_age_seconds{target=\"ns/a\"} 100",
            "fanfare_queued_records{target=\"ns/a\"} 7",
        ] {
            assert!(first.contains(line), "{line} is missing from\n{first}");
        }
        series.show((&[], &[]), label, now);
        let second = text(&series);
        assert!(second.contains("fanfare_owed_notifications 0"), "{second}");
        assert!(!second.contains("target="), "{second}");
    }
}
