//! A target's own metric series, at hand wherever something is counted: no lock, no look-up by name.

use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

use super::Live;

/// Handles of one target's series.
#[derive(Clone, Debug)]
pub struct Series {
    /// Value of the label `target`: `namespace/name`.
    pub label: Arc<str>,
    /// What the target accepted.
    pub success: Counter,
    /// What it did not.
    pub failure: Counter,
    /// What it was left out of.
    pub skipped: Counter,
    /// When it last accepted something, in seconds.
    pub last_success: Gauge,
}

// === impl Series ===

impl Series {
    /// Counts what the target accepted.
    pub fn succeeded(&self, now: Timestamp) {
        self.success.inc();
        self.last_success.set(now.as_second());
    }
}

// === impl Live ===

impl Live {
    /// The target's own series; `None` while it has none: there may be too many targets.
    #[must_use]
    pub fn series(&self) -> Option<&Series> {
        self.series.get()
    }

    /// Gives it its series; the first ones stay.
    pub fn show_in(&self, series: &Series) {
        self.series.get_or_init(|| series.clone());
    }
}
