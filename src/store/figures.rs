//! What the store counts while it works.

use std::time::Duration;

use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};

const BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Handles that the committer moves and the registry shows.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) commits: Family<[(&'static str, &'static str); 1], Counter>,
    pub(super) committed: Counter,
    failed: Counter,
    pub(super) operations: Counter,
    pub(super) commit: Histogram,
    pub(super) sync: Histogram,
}

// === impl Figures ===

impl Figures {
    pub(super) fn new() -> Self {
        let commits = Family::<[(&'static str, &'static str); 1], Counter>::default();
        Self {
            committed: commits.get_or_create_owned(&[("result", "ok")]),
            failed: commits.get_or_create_owned(&[("result", "error")]),
            commits,
            operations: Counter::default(),
            commit: Histogram::new(BUCKETS),
            sync: Histogram::new(BUCKETS),
        }
    }

    pub(super) fn commit(&self, succeeded: bool, took: Duration) {
        if succeeded { &self.committed } else { &self.failed }.inc();
        self.commit.observe(took.as_secs_f64());
    }
}
