//! Metrics of the room.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use super::{Redb, shared::Shared};

/// Metrics of the store.
#[derive(Debug)]
pub struct Metrics {
    shared: Arc<Shared>,
}

// === impl Metrics ===

impl Metrics {
    /// Registers the figures of `store` in `registry`, which carries the prefix `fanfare`. Does not keep
    /// the store open.
    pub fn register(registry: &mut Registry, store: &Redb) {
        let figures = store.shared.figures.clone();
        registry.register("store_commits", "Commits of the store, by result", figures.commits);
        registry.register(
            "store_operations",
            "Records written to or removed from the store's trees",
            figures.operations,
        );
        registry.register_with_unit(
            "store_commit_duration",
            "Time that commits of the store took, syncing included",
            Unit::Seconds,
            figures.commit,
        );
        registry.register_with_unit(
            "store_sync_duration",
            "Time that syncs of the store's file took",
            Unit::Seconds,
            figures.sync,
        );
        registry.register_collector(Box::new(Self { shared: store.shared.clone() }));
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.shared.stats();
        let mut gauge = |name, help, unit: Option<Unit>, value: u64| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let metric =
                encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?;
            gauge.encode(metric)
        };
        let bytes = || Some(Unit::Bytes);
        gauge("store_file", "Size of the store's file", bytes(), stats.file_bytes)?;
        gauge("store_free", "Free space on the store's file system", bytes(), stats.free_bytes)?;
        gauge(
            "store_full",
            "1 while new alerts are refused because the disk or the store is full",
            None,
            stats.full.into(),
        )?;
        gauge("store_history", "Size of the delivery history", bytes(), stats.history_bytes)?;
        let help = "Size of the dead letters";
        gauge("store_dead_letter", help, bytes(), stats.dead_letter_bytes)?;
        let help = "What waits to be written to the store";
        gauge("store_pending", help, bytes(), stats.pending_bytes)?;
        gauge(
            "store_damaged",
            "1 if the start found a damaged file and moved it aside",
            None,
            stats.damaged.is_some().into(),
        )?;
        let aside = ConstCounter::new(stats.set_aside);
        let help = "Records of the store that could not be used and were set aside";
        let metric =
            encoder.encode_descriptor("store_set_aside", help, None, aside.metric_type())?;
        aside.encode(metric)?;
        let help = "Records in the store, by kind";
        let mut family =
            encoder.encode_descriptor("store_records", help, None, MetricType::Gauge)?;
        for (kind, value) in [
            ("alerts", stats.alerts),
            ("queue", stats.queued),
            ("dead_letters", stats.dead_letters),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(family.encode_family(&[("kind", kind)])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::store::{Settings, in_memory};

    #[test]
    fn every_series_is_there_from_the_start() {
        let store = in_memory(Settings::for_memory(64 << 20)).unwrap();
        let mut registry = Registry::with_prefix("fanfare");
        Metrics::register(&mut registry, &store);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for series in [
            "fanfare_store_commits_total{result=\"ok\"} 0",
            "fanfare_store_commits_total{result=\"error\"} 0",
            "fanfare_store_commit_duration_seconds_count 0",
            "fanfare_store_sync_duration_seconds_count ",
            "fanfare_store_file_bytes ",
            "fanfare_store_free_bytes 0",
            "fanfare_store_full 0",
            "fanfare_store_records{kind=\"alerts\"} 0",
            "fanfare_store_records{kind=\"queue\"} 0",
            "fanfare_store_records{kind=\"dead_letters\"} 0",
            "fanfare_store_history_bytes 0",
            "fanfare_store_dead_letter_bytes 0",
            "fanfare_store_set_aside_total 0",
            "fanfare_store_damaged 0",
            "fanfare_store_pending_bytes 0",
        ] {
            assert!(text.contains(series), "{series} in\n{text}");
        }
    }
}
