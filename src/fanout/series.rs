//! Per-target metric series: made with the target, capped, removed with it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hashbrown::HashMap;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{
    api::TargetKey,
    registry::{Series, Snapshot, TargetEntry},
};

/// Targets that get series of their own; more would hurt whoever scrapes.
pub const SERIES_CAP: usize = 1_000;

type TargetLabel = [(&'static str, Arc<str>); 1];
type ResultLabels = (TargetLabel, [(&'static str, &'static str); 1]);

const RESULTS: [&str; 3] = ["success", "failure", "skipped"];

/// The per-target families and the handles made from them.
#[derive(Debug, Default)]
pub(crate) struct SeriesTable {
    published: Family<ResultLabels, Counter>,
    last_success: Family<TargetLabel, Gauge>,
    targets: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    generation: Option<u64>,
    series: HashMap<TargetKey, Series>,
}

/// Read access by name, for whoever has no [`Target`](crate::registry::Target) at hand; a target over
/// the cap has no series.
#[derive(Debug)]
pub(crate) struct SeriesReader<'a>(RwLockReadGuard<'a, Held>);

fn show(entry: &TargetEntry, series: &Series) {
    if let TargetEntry::Accepted(target) = entry {
        target.live.show_in(series);
    }
}

// === impl SeriesTable ===

impl SeriesTable {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "target_publish",
            "Publishes and notifications per target, by result",
            self.published.clone(),
        );
        registry.register_with_unit(
            "target_last_success_timestamp",
            "When the target last accepted something; 0 if never",
            Unit::Seconds,
            self.last_success.clone(),
        );
    }

    /// Makes the series of new targets, up to the cap, hands them to the targets, and removes those of
    /// targets that are gone. Cheap if this generation was followed before.
    pub(crate) fn follow(&self, snapshot: &Snapshot) {
        let stale = |held: &Held| held.generation.is_none_or(|seen| seen < snapshot.generation);
        if !stale(&self.targets.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut held = self.targets.write().unwrap_or_else(PoisonError::into_inner);
        if !stale(&held) {
            return;
        }
        held.generation = Some(snapshot.generation);
        held.series.retain(|key, series| {
            let entry = snapshot.targets.get(key);
            match entry {
                Some(entry) => show(entry, series),
                None => self.remove(series),
            }
            entry.is_some()
        });
        for (key, entry) in snapshot.targets.iter() {
            if held.series.len() >= SERIES_CAP {
                break;
            }
            if !held.series.contains_key(key) {
                let series = self.create(key);
                show(entry, &series);
                held.series.insert(key.clone(), series);
            }
        }
    }

    pub(crate) fn read(&self) -> SeriesReader<'_> {
        SeriesReader(self.targets.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn create(&self, key: &TargetKey) -> Series {
        let label: Arc<str> = key.to_string().into();
        let target = [("target", label.clone())];
        let [success, failure, skipped] = RESULTS.map(|result| {
            self.published.get_or_create_owned(&(target.clone(), [("result", result)]))
        });
        Series {
            success,
            failure,
            skipped,
            last_success: self.last_success.get_or_create_owned(&target),
            label,
        }
    }

    fn remove(&self, series: &Series) {
        let target = [("target", series.label.clone())];
        for result in RESULTS {
            self.published.remove(&(target.clone(), [("result", result)]));
        }
        self.last_success.remove(&target);
    }
}

// === impl SeriesReader ===

impl SeriesReader<'_> {
    /// The series of a target that has its own.
    pub(crate) fn get(&self, key: &TargetKey) -> Option<&Series> {
        self.0.series.get(key)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        api::{HealthState, Reason},
        registry::{Allowed, RejectedTarget, TargetEntry},
    };

    fn snapshot(generation: u64, names: impl Iterator<Item = String>) -> Snapshot {
        let entry = |name: String| {
            let key = TargetKey::new("ns", &name);
            let rejected = RejectedTarget {
                key: key.clone(),
                uid: "u".into(),
                generation: 1,
                kind: None,
                labels: Arc::default(),
                reason: Reason::InvalidSpec,
                message: String::new(),
                allowed: Allowed::Same,
                policies: None,
                suspended: false,
                health: HealthState::Unknown,
                permanent: true,
            };
            (key, TargetEntry::Rejected(Arc::new(rejected)))
        };
        Snapshot {
            generation,
            targets: Arc::new(names.map(entry).collect()),
            ..Snapshot::default()
        }
    }

    fn text(table: &SeriesTable) -> String {
        let mut registry = Registry::with_prefix("fanfare");
        table.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn series_come_at_zero_with_the_target_and_go_with_it() {
        let table = SeriesTable::default();
        table.follow(&snapshot(1, ["a".into(), "b".into()].into_iter()));
        let a = TargetKey::new("ns", "a");
        table.read().get(&a).unwrap().succeeded(Timestamp::from_second(77).unwrap());
        let first = text(&table);
        for line in [
            "fanfare_target_publish_total{target=\"ns/a\",result=\"success\"} 1",
            "fanfare_target_publish_total{target=\"ns/b\",result=\"skipped\"} 0",
            "fanfare_target_last_success_timestamp_seconds{target=\"ns/a\"} 77",
            "fanfare_target_last_success_timestamp_seconds{target=\"ns/b\"} 0",
        ] {
            assert!(first.contains(line), "{line} is missing from\n{first}");
        }
        table.follow(&snapshot(2, ["b".to_owned()].into_iter()));
        let second = text(&table);
        assert!(!second.contains("ns/a"), "{second}");
        assert!(second.contains("ns/b"), "{second}");
    }

    #[test]
    fn no_more_than_the_cap_and_room_is_used_again() {
        let table = SeriesTable::default();
        let names = |range: std::ops::Range<usize>| range.map(|number| format!("t{number:05}"));
        table.follow(&snapshot(1, names(0..1_500)));
        assert_eq!(table.read().0.series.len(), SERIES_CAP);
        assert!(table.read().get(&TargetKey::new("ns", "t01400")).is_none());
        table.follow(&snapshot(2, names(900..1_500)));
        assert_eq!(table.read().0.series.len(), 600);
        assert!(table.read().0.series.contains_key(&TargetKey::new("ns", "t01400")));
    }
}
