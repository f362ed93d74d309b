//! What all publishes came to, since the start and lately.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    publish::{Counts, FanOutStats, PublishResult, TargetStats},
    registry::{LatencyWindow, Moment, Snapshot, TargetEntry},
};

/// How far back [`LatencyWindow`] looks.
const WINDOW: Duration = Duration::from_mins(5);

/// Totals over all publishes.
#[derive(Debug)]
pub(crate) struct Totals {
    publishes: AtomicU64,
    attempted: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
    in_flight: AtomicU64,
    window: Mutex<LatencyWindow>,
}

// === impl Totals ===

impl Totals {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            publishes: AtomicU64::new(0),
            attempted: AtomicU64::new(0),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            window: Mutex::new(LatencyWindow::new(now)),
        }
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a publish that ended, however it did.
    pub(crate) fn end(&self, result: &PublishResult, counts: &Counts, now: Instant) {
        let Counts { succeeded, failed, skipped, attempted } = *counts;
        for (total, count) in [
            (&self.attempted, attempted),
            (&self.succeeded, succeeded),
            (&self.failed, failed),
            (&self.skipped, skipped),
        ] {
            total.fetch_add(count as u64, Ordering::Relaxed);
        }
        self.publishes.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.window.lock().unwrap_or_else(PoisonError::into_inner).record(result.duration, now);
    }

    /// Everything as it stands, with one entry per usable target of the snapshot.
    pub(crate) fn read(&self, snapshot: &Snapshot, now: Moment) -> FanOutStats {
        let read = |total: &AtomicU64| total.load(Ordering::Relaxed);
        let [p50, p95, p99] = self
            .window
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .quantiles([0.5, 0.95, 0.99], now.mono);
        FanOutStats {
            publishes: read(&self.publishes),
            attempted: read(&self.attempted),
            succeeded: read(&self.succeeded),
            failed: read(&self.failed),
            skipped: read(&self.skipped),
            in_flight: read(&self.in_flight),
            p50,
            p95,
            p99,
            window: WINDOW,
            targets: targets(snapshot, now),
        }
    }
}

fn targets(snapshot: &Snapshot, now: Moment) -> Vec<TargetStats> {
    let read = |entry: &TargetEntry| {
        let TargetEntry::Accepted(target) = entry else { return None };
        let stats = target.live.stats(now);
        Some(TargetStats {
            key: target.key.clone(),
            succeeded: stats.succeeded,
            failed: stats.failed,
            skipped: stats.skipped,
            in_flight: stats.in_flight,
            p50: stats.p50,
            p99: stats.p99,
        })
    };
    snapshot.targets.values().filter_map(read).collect()
}
