//! What time does: expiry, doubts, repeats, ages, retries, forgetting.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    time::Duration,
};

use jiff::Timestamp;

use super::{AlertId, Owed, Slot, State, Subject, lane::Place, muting::Muting};
use crate::{api::TargetKey, clock::Moment};

/// Alerts, groups and timers looked at in one call of [`State::tick`].
const BOUND: usize = 4_096;

/// When something happens to an alert or group by itself. At most one entry of each counts: the earliest.
/// Later ones are made when that one is due, so that a re-send that only moves the end makes none.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BinaryHeap<Reverse<(Timestamp, Subject)>>);

// === impl Deadlines ===

impl Deadlines {
    pub(super) fn push(&mut self, at: Timestamp, subject: Subject) {
        self.0.push(Reverse((at, subject)));
    }

    pub(super) fn first(&self) -> Option<Timestamp> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, Subject)> {
        self.first().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse(due)| due)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(Timestamp, Subject) -> bool) {
        self.0.retain(|Reverse((at, id))| keep(*at, *id));
    }
}

// === impl State ===

impl State {
    /// Lets time pass: expiry, confirmation of a second sender's alert, repeats, `maxAge`, retries,
    /// flushes of groups, forgetting. Returns what changed, and the targets that have work at once (retries).
    pub fn tick(&mut self, now: Moment) -> (Owed, Vec<TargetKey>) {
        let mut owed = self.pass_mutes(now);
        if self.waits_for_mutes(now) {
            // What is told depends on who is there; that is known in a moment.
            let rung = self.desk.lanes.ring(now.mono, BOUND);
            return (owed, self.names_of(&rung));
        }
        let mut groups = Vec::new();
        for _ in 0..BOUND {
            let Some((at, subject)) = self.deadlines.pop_due(now.wall) else { break };
            let Some(id) = subject.alert() else {
                groups.push((at, subject));
                continue;
            };
            match self.alerts.get_mut(&id) {
                Some(held) if held.queued == Some(at) => held.queued = None,
                _ => continue,
            }
            self.pass(id, now, &mut owed);
        }
        self.depart_stale();
        // What ended just now keeps nobody quiet any more: groups show who is there after that.
        owed.append(self.settle_mutes(now));
        for (at, subject) in groups {
            self.pass_group(subject, at, now, &mut owed);
        }
        self.trim(0);
        let rung = self.desk.lanes.ring(now.mono, BOUND);
        (owed, self.names_of(&rung))
    }

    /// Something became of this entry and of no other: keeps what depends on it in line. `ended`: an attempt did.
    pub(super) fn rearrange_entry(&mut self, slot: Slot, ended: bool) {
        let Some(id) = slot.subject.alert() else {
            self.rearrange(slot.subject, ended);
            return;
        };
        let Some(held) = self.alerts.get_mut(&id) else { return };
        if let Some(at) = held.deadline_after(slot, &self.settings, self.start)
            && held.queued.is_none_or(|queued| at < queued)
        {
            held.queued = Some(at);
            self.deadlines.push(at, id.into());
        }
        debug_assert!(
            held.deadline(&self.settings, self.start)
                .is_none_or(|at| held.queued.is_some_and(|queued| queued <= at)),
            "nothing is due before the timetable says so"
        );
        if ended {
            self.retire(id);
        }
    }

    fn pass(&mut self, id: AlertId, now: Moment, owed: &mut Owed) {
        let changed =
            self.change(id, now, |held, settings, start| held.advance(settings, start, now.wall));
        let Some(held) = self.alerts.get_mut(&id) else { return };
        if held.is_forgotten(now.wall) {
            self.forget(id);
            return;
        }
        let mut idle = false;
        held.each((id, now), &mut self.desk, |entry| {
            entry.expire();
            idle |= entry.told.place == Place::Idle && entry.owes() && !entry.is_muted();
        });
        if changed || idle {
            self.owe(id, owed);
        }
        self.retire(id);
        self.schedule(id);
    }

    /// How long until [`State::tick`] has something to do; it may be early, never late while the wall
    /// clock runs evenly. Zero: at once.
    #[must_use]
    pub fn next_due(&self, now: Moment) -> Option<Duration> {
        if self.is_turning() {
            return Some(Duration::ZERO);
        }
        let Muting { silences, hours, .. } = &self.muting;
        let walls = [self.deadlines.first(), silences.next_due(), hours.next_due()];
        let alerts =
            walls.into_iter().flatten().min().map(|at| {
                Duration::try_from(at.duration_since(now.wall)).unwrap_or(Duration::ZERO)
            });
        let timers = self.desk.lanes.next_alarm().map(|at| at.saturating_duration_since(now.mono));
        alerts.into_iter().chain(timers).min()
    }

    fn names_of(&self, targets: &BTreeSet<super::TargetId>) -> Vec<TargetKey> {
        let name = |target: &super::TargetId| self.desk.names.target_name(*target).cloned();
        targets.iter().filter_map(name).collect()
    }
}
