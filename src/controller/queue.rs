//! The status work set: each object once, not before its time, never twice at once. Pure.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use super::ledger::ObjectKey;

/// Objects whose status is to be projected.
#[derive(Debug, Default)]
pub(super) struct Queue {
    when: BTreeMap<ObjectKey, Instant>,
    order: BTreeSet<(Instant, ObjectKey)>,
    busy: HashSet<ObjectKey>,
    failures: HashMap<ObjectKey, u32>,
}

// === impl Queue ===

impl Queue {
    /// The object is due at `at`, or earlier if that was said before.
    pub(super) fn mark(&mut self, key: &ObjectKey, at: Instant) {
        if let Some(&before) = self.when.get(key) {
            if before <= at {
                return;
            }
            self.order.remove(&(before, key.clone()));
        }
        self.when.insert(key.clone(), at);
        self.order.insert((at, key.clone()));
    }

    /// The next object that is due and not being worked on; it is off the queue now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<ObjectKey> {
        let due = self.order.iter().take_while(|(at, _)| *at <= now);
        let next =
            due.map(|(at, key)| (*at, key.clone())).find(|(_, key)| !self.busy.contains(key));
        let (at, key) = next?;
        self.order.remove(&(at, key.clone()));
        self.when.remove(&key);
        Some(key)
    }

    /// Work on the object begins; marks wait until it ends.
    pub(super) fn begin(&mut self, key: &ObjectKey) {
        self.busy.insert(key.clone());
    }

    /// Work has ended well, or the object is gone.
    pub(super) fn done(&mut self, key: &ObjectKey) {
        self.busy.remove(key);
        self.failures.remove(key);
    }

    /// Work has failed; it is due again after a pause that doubles from the one to the other.
    /// Answers whether the object had not failed before.
    pub(super) fn failed(
        &mut self,
        key: &ObjectKey,
        (first, longest): (Duration, Duration),
        now: Instant,
    ) -> bool {
        self.busy.remove(key);
        let failures = self.failures.entry(key.clone()).or_default();
        let is_first = *failures == 0;
        let pause = first.saturating_mul(2_u32.saturating_pow((*failures).min(16))).min(longest);
        *failures = failures.saturating_add(1);
        // What was marked meanwhile must not defeat the pause.
        if let Some(before) = self.when.remove(key) {
            self.order.remove(&(before, key.clone()));
        }
        self.mark(key, now + pause);
        is_first
    }

    /// When the next object is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.order.iter().find(|(_, key)| !self.busy.contains(key)).map(|(at, _)| *at)
    }

    /// Forgets everything that is not being worked on.
    pub(super) fn clear(&mut self) {
        self.when.clear();
        self.order.clear();
        self.failures.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::TargetKey;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::Target(TargetKey::new("sre", name))
    }

    #[test]
    fn an_object_is_queued_once_at_its_earliest_time() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.mark(&key("a"), now + Duration::from_secs(2));
        queue.mark(&key("a"), now);
        queue.mark(&key("a"), now + Duration::from_secs(1));
        assert_eq!(queue.pop(now), Some(key("a")));
        assert_eq!(queue.pop(now + Duration::from_secs(9)), None);
    }

    #[test]
    fn a_mark_during_work_waits_for_its_end() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.mark(&key("a"), now);
        let taken = queue.pop(now).unwrap();
        queue.begin(&taken);
        queue.mark(&key("a"), now);
        queue.mark(&key("b"), now);
        assert_eq!(queue.pop(now), Some(key("b")));
        assert_eq!(queue.pop(now), None);
        assert_eq!(queue.next_due(), None);
        queue.done(&taken);
        assert_eq!(queue.pop(now), Some(key("a")));
    }

    #[test]
    fn failures_back_off_and_success_forgets_them() {
        let mut now = Instant::now();
        let mut queue = Queue::default();
        let second = Duration::from_secs(1);
        let pauses = (second, 60 * second);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            queue.mark(&key("a"), now);
            assert_eq!(queue.failed(&key("a"), pauses, now), pause == 1);
            assert_eq!(queue.next_due(), Some(now + second * pause));
            now += second * pause;
            assert_eq!(queue.pop(now), Some(key("a")));
        }
        queue.done(&key("a"));
        assert!(queue.failed(&key("a"), pauses, now));
        assert_eq!(queue.next_due(), Some(now + second));
    }
}
