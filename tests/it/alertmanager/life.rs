//! Alerts as their senders see them.

use std::collections::BTreeMap;

use fanfare::alert::Labels;
use fastrand::Rng;

use super::timeline::Post;

pub(super) const SECOND: i64 = 1_000;
pub(super) const MINUTE: i64 = 60 * SECOND;

/// One alert, what its sender believes, and until when Alertmanager believes it.
pub(super) struct Life {
    pub(super) labels: BTreeMap<&'static str, &'static str>,
    starts: Option<i64>,
    until: i64,
    /// The sender did not say until when.
    timeout: bool,
    over: bool,
    /// It often fires for an hour.
    long: bool,
    /// What was posted when, and until when it fires by that.
    pub(super) said: Vec<(i64, i64)>,
}

// === impl Life ===

impl Life {
    pub(super) fn new(rng: &mut Rng, long: bool) -> Self {
        let labels = [
            ("g", rng.choice(["1", "2"]).unwrap()),
            ("s", rng.choice(["x", "y"]).unwrap()),
            ("a", rng.choice(["1", "2", "3", "4"]).unwrap()),
        ];
        Self {
            labels: labels.into(),
            starts: None,
            until: i64::MIN,
            timeout: true,
            over: false,
            long,
            said: Vec::new(),
        }
    }

    /// Leaves one of each label set.
    pub(super) fn distinct(all: &mut Vec<Self>) {
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        all.dedup_by(|a, b| a.labels == b.labels);
    }

    pub(super) fn labels(&self) -> Labels {
        self.labels.iter().map(|(name, value)| (*name, *value)).collect()
    }

    /// Whether it fires at that moment.
    pub(super) fn fires(&self, at: i64) -> bool {
        let said = self.said.iter().rev().find(|(moment, _)| *moment <= at);
        said.is_some_and(|(_, until)| *until > at)
    }

    /// The next thing that its sender says. `once`: it does not fire again once it is over.
    pub(super) fn post(&mut self, now: i64, rng: &mut Rng, once: bool) -> Option<Post> {
        let fires = self.until > now;
        self.over |= self.starts.is_some() && !fires;
        if self.over && once {
            return None;
        }
        let labels = self.labels.clone();
        if fires && rng.u8(..3) == 0 {
            let starts = self.starts.take();
            let ends = now - rng.choice([0, 0, SECOND / 2]).unwrap();
            // An end before the start is refused.
            let ends = starts.map_or(ends, |starts| ends.max(starts));
            (self.until, self.over) = (ends, true);
            self.said.push((now, ends));
            return Some(Post { labels, starts, ends: Some(ends) });
        }
        if !fires && rng.bool() {
            self.starts = None;
        }
        let before = rng.choice([0, 0, 0, SECOND, 40 * SECOND]).unwrap();
        let starts = *self.starts.get_or_insert(now - before);
        let ends = match rng.u8(..4) {
            0 => None,
            1 => Some(now + MINUTE),
            2 if self.long => Some(now + 60 * MINUTE),
            _ => Some(now + 4 * MINUTE),
        };
        let until = ends.unwrap_or(now + 5 * MINUTE);
        // A time that a sender named holds if it is the latest.
        if self.until <= until || self.timeout {
            self.until = until;
        }
        self.timeout = ends.is_none();
        self.said.push((now, self.until));
        let unsaid = ends.is_none() && rng.u8(..3) == 0;
        Some(Post { labels, starts: (!unsaid).then_some(starts), ends })
    }
}
