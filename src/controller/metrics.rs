//! Metrics of this room.

use std::{fmt::Write as _, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{source::Kind, watch_state::Stream};

/// Metrics of this room. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    reconciles: Family<Reconcile, Counter>,
    reconcile_seconds: Family<OfKind, Histogram, fn() -> Histogram>,
    watch_errors: Family<OfStream, Counter>,
    last_event: Family<OfStream, Gauge>,
    status_writes: Family<Write, Counter>,
    events: Family<EventWrite, Counter>,
    secret_reads: Family<Read, Counter>,
    /// 1 while this process holds the Lease.
    pub leader: Gauge,
}

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(super) enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                encoder.write_str(match self { $(Self::$variant => $text),* })
            }
        }
    };
}

labels! {
    /// What became of an object.
    Verdict {
        /// In use.
        Accepted = "accepted",
        /// Not usable.
        Rejected = "rejected",
        /// Gone.
        Deleted = "deleted",
    }
}
labels! {
    /// What became of a status write.
    Written {
        /// Stored.
        Done = "written",
        /// Not needed.
        Unchanged = "unchanged",
        /// Somebody else was faster.
        Conflict = "conflict",
        /// Failed.
        Error = "error",
    }
}
labels! {
    /// What became of an event.
    Published {
        /// Stored.
        Written = "written",
        /// Failed or dropped.
        Error = "error",
    }
}
labels! {
    /// What became of reading one Secret or ConfigMap for one target.
    ReadResult {
        /// Read.
        Ok = "ok",
        /// There is none.
        NotFound = "not_found",
        /// It lacks the key.
        KeyMissing = "key_missing",
        /// Not allowed.
        Forbidden = "forbidden",
        /// No answer.
        Error = "error",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStream {
    kind: Stream,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconcile {
    kind: Kind,
    result: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    kind: Kind,
    result: Written,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventWrite {
    result: Published,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Read {
    result: ReadResult,
}

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.write_str(self.as_str())
    }
}

impl EncodeLabelValue for Stream {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.write_str(self.as_str())
    }
}

fn reconcile_buckets() -> Histogram {
    Histogram::new([0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5])
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            reconcile_seconds: Family::new_with_constructor(reconcile_buckets),
            watch_errors: Family::default(),
            last_event: Family::default(),
            status_writes: Family::default(),
            events: Family::default(),
            secret_reads: Family::default(),
            leader: Gauge::default(),
        };
        metrics.create_series();
        metrics
    }
}

impl Metrics {
    /// Registers them; every series with a closed set of labels exists from the start.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "reconcile",
            "Changes of objects taken in, by what became of the object",
            metrics.reconciles.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "Time to take in a change of one object or a list of all",
            Unit::Seconds,
            metrics.reconcile_seconds.clone(),
        );
        registry.register("watch_errors", "Failed watches", metrics.watch_errors.clone());
        registry.register_with_unit(
            "watch_last_event_timestamp",
            "When the API server last answered for this kind; moves at least every minute",
            Unit::Seconds,
            metrics.last_event.clone(),
        );
        registry.register("status_writes", "Status writes", metrics.status_writes.clone());
        registry.register("events", "Kubernetes events", metrics.events.clone());
        registry.register("leader", "1 while this process holds the Lease", metrics.leader.clone());
        registry.register(
            "secret_reads",
            "Secrets and ConfigMaps read for targets",
            metrics.secret_reads.clone(),
        );
        metrics
    }

    fn create_series(&self) {
        for kind in Kind::ALL {
            self.reconcile_seconds.get_or_create_owned(&OfKind { kind });
            for &result in Verdict::ALL {
                self.reconciles.get_or_create_owned(&Reconcile { kind, result });
            }
            for &result in Written::ALL {
                self.status_writes.get_or_create_owned(&Write { kind, result });
            }
        }
        for kind in Stream::ALL {
            self.watch_errors.get_or_create_owned(&OfStream { kind });
        }
        for kind in Kind::ALL {
            self.last_event(kind.into());
        }
        for &result in Published::ALL {
            self.events.get_or_create_owned(&EventWrite { result });
        }
        for &result in ReadResult::ALL {
            self.secret_reads.get_or_create_owned(&Read { result });
        }
    }

    pub(super) fn reconciled(&self, kind: Kind, result: Verdict) {
        self.reconciles.get_or_create_owned(&Reconcile { kind, result }).inc();
    }

    pub(super) fn taken_in(&self, kind: Kind, took: Duration) {
        self.reconcile_seconds.get_or_create_owned(&OfKind { kind }).observe(took.as_secs_f64());
    }

    pub(super) fn watch_error(&self, kind: Stream) {
        self.watch_errors.get_or_create_owned(&OfStream { kind }).inc();
    }

    pub(super) fn last_event(&self, kind: Stream) -> Gauge {
        self.last_event.get_or_create_owned(&OfStream { kind })
    }

    pub(super) fn status_write(&self, kind: Kind, result: Written) {
        self.status_writes.get_or_create_owned(&Write { kind, result }).inc();
    }

    pub(super) fn event(&self, result: Published) {
        self.events.get_or_create_owned(&EventWrite { result }).inc();
    }

    /// So many events found no place to wait.
    pub(super) fn events_lost(&self, count: u64) {
        self.events.get_or_create_owned(&EventWrite { result: Published::Error }).inc_by(count);
    }

    pub(super) fn secret_read(&self, result: ReadResult) {
        self.secret_reads.get_or_create_owned(&Read { result }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_exists_from_the_start() {
        let mut registry = Registry::default();
        Metrics::register(registry.sub_registry_with_prefix("fanfare"));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for series in [
            "fanfare_reconcile_total{kind=\"AlertRoute\",result=\"deleted\"} 0",
            "fanfare_reconcile_duration_seconds_count{kind=\"PublishTarget\"} 0",
            "fanfare_watch_errors_total{kind=\"Namespace\"} 0",
            "fanfare_watch_last_event_timestamp_seconds{kind=\"AlertRoute\"} 0",
            "fanfare_status_writes_total{kind=\"PublishTarget\",result=\"conflict\"} 0",
            "fanfare_events_total{result=\"error\"} 0",
            "fanfare_secret_reads_total{result=\"key_missing\"} 0",
            "fanfare_leader 0",
        ] {
            assert!(text.contains(series), "{series} is missing from\n{text}");
        }
    }
}
