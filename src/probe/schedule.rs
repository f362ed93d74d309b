//! The timetable: who is asked when. Pure; told the time.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;
use tokio::time::Instant;

use crate::{
    api::TargetKey,
    persistent::Map,
    registry::{Snapshot, Target, TargetEntry},
};

/// New targets are spread over this much time each, all together over at most [`MAX_SPREAD`].
const SPREAD: Duration = Duration::from_millis(10);
const MAX_SPREAD: Duration = Duration::from_secs(10);

/// Who is asked when.
#[derive(Debug)]
pub(super) struct Schedule {
    /// The targets of the last snapshot that was taken over.
    followed: Arc<Map<TargetKey, TargetEntry>>,
    entries: HashMap<TargetKey, Entry>,
    queue: BTreeSet<(Instant, TargetKey)>,
    rng: Rng,
    flights: u64,
}

/// One question that is open.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) target: Arc<Target>,
    number: u64,
}

#[derive(Debug)]
struct Entry {
    target: Arc<Target>,
    when: When,
    /// Its checks at the regular pace have a place of their own within the interval.
    placed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Due(Instant),
    /// Asked right now; the number of the flight.
    Open(u64),
}

// === impl Schedule ===

impl Schedule {
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            followed: Arc::default(),
            entries: HashMap::new(),
            queue: BTreeSet::new(),
            rng,
            flights: 0,
        }
    }

    /// Takes over a new snapshot: asks at once whoever is new, or has another endpoint, credential or
    /// kind of check; forgets whoever is gone, suspended or never asked.
    pub(super) fn follow(&mut self, snapshot: &Snapshot, now: Instant) {
        let after = Arc::clone(&snapshot.targets);
        let before = std::mem::replace(&mut self.followed, Arc::clone(&after));
        let mut new = Vec::new();
        for change in after.changes_since(&before, TargetEntry::is) {
            let target = change.after.and_then(TargetEntry::target);
            let Some(target) = target.filter(|it| it.probe.is_some() && !it.suspended()) else {
                self.forget(change.key);
                continue;
            };
            let Some(entry) = self.entries.get_mut(&target.key) else {
                new.push(target);
                continue;
            };
            let old = std::mem::replace(&mut entry.target, Arc::clone(target));
            if !Arc::ptr_eq(&old.live, &target.live) || old.probe != target.probe {
                new.push(target);
            } else if let When::Due(at) = entry.when {
                let pace = target.live.pace(&target.health);
                self.set(&target.key, at.min(now + pace));
            }
        }
        let count = u32::try_from(new.len()).unwrap_or(u32::MAX);
        let spread = SPREAD.saturating_mul(count).min(MAX_SPREAD);
        for target in new {
            let due = now + spread.mul_f64(self.rng.f64());
            if let Some(When::Due(at)) = self.entries.get(&target.key).map(|entry| entry.when) {
                self.queue.remove(&(at, target.key.clone()));
            }
            let entry = Entry { target: Arc::clone(target), when: When::Due(due), placed: false };
            self.entries.insert(target.key.clone(), entry);
            self.queue.insert((due, target.key.clone()));
        }
    }

    fn forget(&mut self, key: &TargetKey) {
        if let Some(Entry { when: When::Due(at), .. }) = self.entries.remove(key) {
            self.queue.remove(&(at, key.clone()));
        }
    }

    /// When the next question is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// The next question that is due; it must [`Schedule::land`].
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Flight> {
        self.queue.first().filter(|(at, _)| *at <= now)?;
        let (_, key) = self.queue.pop_first()?;
        let entry = self.entries.get_mut(&key)?;
        self.flights += 1;
        entry.when = When::Open(self.flights);
        Some(Flight { target: Arc::clone(&entry.target), number: self.flights })
    }

    /// The target that an answer is about, as it is now; `None` if the answer is out of date.
    pub(super) fn current(&self, flight: &Flight) -> Option<Arc<Target>> {
        let entry = self.entries.get(&flight.target.key)?;
        (entry.when == When::Open(flight.number)).then(|| Arc::clone(&entry.target))
    }

    /// Ends a question and plans the next one, at the pace that is right now, give or take a tenth. The first
    /// one at the regular pace comes at any moment of the interval: targets that were asked together, because
    /// they were created or came back together, are asked evenly spread from then on.
    pub(super) fn land(&mut self, flight: &Flight, now: Instant) {
        let Some(target) = self.current(flight) else { return };
        let Some(entry) = self.entries.get_mut(&target.key) else { return };
        let pace = target.live.pace(&target.health);
        let regular = pace == target.health.interval;
        let random = self.rng.f64();
        let wait = if regular && !entry.placed { 0.1 + random } else { 0.9 + 0.2 * random };
        entry.placed = regular;
        self.set(&target.key, now + pace.mul_f64(wait));
    }

    /// Asks a target that just failed a delivery no later than failing targets are asked.
    pub(super) fn hasten(&mut self, key: &TargetKey, now: Instant) {
        let Some(entry) = self.entries.get(key) else { return };
        let soon = now + entry.target.live.pace(&entry.target.health);
        if matches!(entry.when, When::Due(at) if at > soon) {
            self.set(key, soon);
        }
    }

    fn set(&mut self, key: &TargetKey, due: Instant) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let When::Due(at) = std::mem::replace(&mut entry.when, When::Due(due)) {
            self.queue.remove(&(at, key.clone()));
        }
        self.queue.insert((due, key.clone()));
    }
}
