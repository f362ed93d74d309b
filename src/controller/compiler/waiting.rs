//! Who waits, and until when: found by name and by time.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::api::TargetKey;

/// Targets that wait for what they name, each until a moment of its own.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    until: BTreeMap<TargetKey, Instant>,
    order: BTreeSet<(Instant, TargetKey)>,
}

// === impl Waiting ===

impl Waiting {
    pub(super) fn contains(&self, key: &TargetKey) -> bool {
        self.until.contains_key(key)
    }

    /// Until when the target waits.
    pub(super) fn until(&self, key: &TargetKey) -> Option<Instant> {
        self.until.get(key).copied()
    }

    /// The target waits until then, and no longer until anything that was said before.
    pub(super) fn set(&mut self, key: &TargetKey, until: Instant) {
        self.remove(key);
        self.until.insert(key.clone(), until);
        self.order.insert((until, key.clone()));
    }

    /// The target waits no more.
    pub(super) fn remove(&mut self, key: &TargetKey) {
        if let Some(until) = self.until.remove(key) {
            self.order.remove(&(until, key.clone()));
        }
    }

    /// When the first one has waited long enough.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.order.first().map(|(until, _)| *until)
    }

    /// Those that have waited long enough.
    pub(super) fn overdue(&self, now: Instant) -> Vec<TargetKey> {
        let due = self.order.iter().take_while(|(until, _)| *until <= now);
        due.map(|(_, key)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_last_word_counts_for_when_a_target_is_overdue() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let (a, b) = (TargetKey::new("sre", "a"), TargetKey::new("sre", "b"));
        let mut waiting = Waiting::default();
        waiting.set(&a, now + second);
        waiting.set(&b, now + 2 * second);
        waiting.set(&a, now + 3 * second);
        assert_eq!(waiting.next_deadline(), Some(now + 2 * second));
        assert_eq!(waiting.overdue(now + 2 * second), std::slice::from_ref(&b));
        waiting.remove(&b);
        assert_eq!(waiting.overdue(now + 9 * second), [a]);
    }
}
