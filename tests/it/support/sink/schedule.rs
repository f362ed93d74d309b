//! When a receiver fails: by number, by share, by group; switched while it runs.

use std::sync::Arc;

use super::Answer;

/// Which requests get a plan's answer.
#[derive(Clone)]
pub(crate) enum When {
    /// All of them.
    Always,
    /// The first so many, counted from when the plan was made.
    First(u64),
    /// Every so manieth.
    Every(u64),
    /// So many of a hundred, at random; the seed makes it the same each time.
    Share { percent: u8, seed: u64 },
    /// Those of a group for which this holds; a request that names no group has the empty one.
    Group(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

/// A rule and what follows from it.
pub(super) struct Plan {
    when: When,
    answer: Answer,
    seen: u64,
    random: fastrand::Rng,
}

// === impl Plan ===

impl Plan {
    pub(super) fn new(when: When, answer: Answer) -> Self {
        let seed = if let When::Share { seed, .. } = when { seed } else { 0 };
        Self { when, answer, seen: 0, random: fastrand::Rng::with_seed(seed) }
    }

    /// The answer to a request of `group`, if the rule holds for it.
    pub(super) fn answer(&mut self, group: &str) -> Option<&Answer> {
        self.seen += 1;
        let holds = match &self.when {
            When::Always => true,
            When::First(many) => self.seen <= *many,
            When::Every(nth) => self.seen.is_multiple_of(*nth),
            When::Share { percent, .. } => self.random.u8(0..100) < *percent,
            When::Group(holds) => holds(group),
        };
        holds.then_some(&self.answer)
    }
}
