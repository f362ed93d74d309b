//! What one target is owed, in order: ready, held, waiting.
//!
//! Queues hold slots by value. A slot that leaves its place stays in the queue physically until it is
//! reached: the entry of the notification log knows whether it counts (`Place`), and a mark there
//! keeps it from being queued twice.

mod resolves;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{OwedCounts, Slot, TargetId, told::Told};

/// Where a slot stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: nothing is owed, or it may not be sent (suspended, not on disk yet).
    #[default]
    Idle,
    /// May be sent.
    Ready,
    /// Held until the target recovers or a trial is due.
    Held,
    /// Failed; waits for its time.
    Waiting,
    /// Being sent.
    InFlight,
}

/// Physically in the queue of that kind.
pub(super) const IN_READY: u8 = 1;
pub(super) const IN_HELD: u8 = 2;
pub(super) const IN_RESOLVES: u8 = 4;
/// Counts among the resolves that are owed.
pub(super) const RESOLVE: u8 = 8;
/// Stands nowhere, but is owed to a target that is sent nothing at present.
const PAUSED: u8 = 16;
/// Outdated entries of a queue are swept out beyond so many.
const SLACK: usize = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    at: Instant,
    pub(super) token: u32,
    pub(super) slot: Slot,
}

/// One target's queues.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) ready: VecDeque<Slot>,
    pub(super) held: VecDeque<Slot>,
    pub(super) timers: BinaryHeap<Reverse<Timer>>,
    /// Timers that have ended, or whose target recovered.
    pub(super) rush: VecDeque<Timer>,
    /// Which queue has its turn.
    turn: u8,
    /// So many at the front of `held` are ready because the target recovered.
    pub(super) draining: usize,
    pub(super) resolves: VecDeque<Slot>,
    resolves_owed: usize,
    /// When this lane is in the timetable.
    armed: Option<Instant>,
    counts: [usize; 5],
    paused: usize,
    /// How much is owed since which second.
    ages: BTreeMap<u32, u32>,
    /// The last attempt found that the target's address is out of bounds.
    pub(super) blocked: bool,
}

/// All lanes, by target.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    all: Vec<Lane>,
    alarms: BTreeSet<(Instant, TargetId)>,
    last_token: u32,
    /// Lanes whose queues hold many outdated entries.
    pub(super) crowded: BTreeSet<TargetId>,
}

/// A slot taken out of a queue, and how to tell whether it still counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Popped {
    pub(super) slot: Slot,
    from: Place,
    token: u32,
}

// === impl Lanes ===

impl Lanes {
    /// Makes room for the lane of a target.
    pub(super) fn open(&mut self, target: TargetId) {
        let wanted = target.0 as usize + 1;
        if self.all.len() < wanted {
            self.all.resize_with(wanted, Lane::default);
        }
    }

    /// The target is gone, and nothing that belongs to it counts any more.
    pub(super) fn close(&mut self, target: TargetId) {
        let lane = std::mem::take(self.lane(target));
        if let Some(at) = lane.armed {
            self.alarms.remove(&(at, target));
        }
        self.crowded.remove(&target);
    }

    pub(super) fn lane(&mut self, target: TargetId) -> &mut Lane {
        &mut self.all[target.0 as usize]
    }

    /// A number that no other attempt and no other timer has.
    pub(super) fn token(&mut self) -> u32 {
        self.last_token = self.last_token.checked_add(1).unwrap_or(1);
        self.last_token
    }

    /// Moves a slot to another place (not to wait: that needs a time). `since`: when what is owed was
    /// accepted.
    pub(super) fn place(&mut self, slot: Slot, told: &mut Told, to: Place, since: Timestamp) {
        let lane = self.lane(slot.target);
        lane.count(told, to, since);
        let (queue, mark) = match to {
            Place::Ready => (&mut lane.ready, IN_READY),
            Place::Held => (&mut lane.held, IN_HELD),
            Place::Idle | Place::Waiting | Place::InFlight => return,
        };
        if told.marks & mark == 0 {
            told.marks |= mark;
            queue.push_back(slot);
            if lane.overflows() {
                self.crowded.insert(slot.target);
            }
        }
    }

    /// Takes a slot out of every place.
    pub(super) fn idle(&mut self, slot: Slot, told: &mut Told) {
        self.lane(slot.target).count(told, Place::Idle, Timestamp::UNIX_EPOCH);
    }

    /// Counts a slot that stands nowhere as owed since then, until it stands somewhere or owes nothing.
    pub(super) fn pause(&mut self, slot: Slot, told: &mut Told, since: Timestamp) {
        let lane = self.lane(slot.target);
        lane.count(told, Place::Idle, since);
        told.marks |= PAUSED;
        lane.paused += 1;
        lane.age(told, since);
    }

    /// The entry goes: it counts for nothing any more.
    pub(super) fn leave(&mut self, slot: Slot, told: &mut Told) {
        self.count_resolve(slot, told, false);
        self.idle(slot, told);
    }

    /// Makes a slot the next one.
    pub(super) fn place_first(&mut self, slot: Slot, told: &mut Told, since: Timestamp) {
        let lane = self.lane(slot.target);
        lane.count(told, Place::Ready, since);
        if told.marks & IN_READY == 0 {
            told.marks |= IN_READY;
            lane.ready.push_front(slot);
        }
    }

    /// Lets a slot wait until `at`.
    pub(super) fn wait(&mut self, slot: Slot, told: &mut Told, at: Instant, since: Timestamp) {
        told.token = self.token();
        let timer = Timer { at, token: told.token, slot };
        let lane = self.lane(slot.target);
        lane.count(told, Place::Waiting, since);
        lane.timers.push(Reverse(timer));
        if lane.overflows() {
            self.crowded.insert(slot.target);
        }
        self.arm(slot.target);
    }

    /// Keeps the timetable in line with the lane's first timer.
    pub(super) fn arm(&mut self, target: TargetId) {
        let lane = &mut self.all[target.0 as usize];
        let first = lane.timers.peek().map(|Reverse(timer)| timer.at);
        if lane.armed != first {
            if let Some(at) = lane.armed.take() {
                self.alarms.remove(&(at, target));
            }
            lane.armed = first;
            if let Some(at) = first {
                self.alarms.insert((at, target));
            }
        }
    }

    /// When the first timer ends.
    pub(super) fn next_alarm(&self) -> Option<Instant> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Moves at most `most` timers that have ended to where they are taken from. Returns the targets.
    pub(super) fn ring(&mut self, now: Instant, mut most: usize) -> BTreeSet<TargetId> {
        let mut rung = BTreeSet::new();
        while let Some((at, target)) = self.alarms.first().copied().filter(|_| most > 0) {
            if at > now {
                break;
            }
            let lane = self.lane(target);
            if let Some(Reverse(timer)) = lane.timers.pop() {
                lane.rush.push_back(timer);
            }
            most -= 1;
            rung.insert(target);
            self.arm(target);
        }
        rung
    }

    /// Everything that is held or waits may be taken at once. Costs nothing, however much it is.
    pub(super) fn recover(&mut self, target: TargetId) {
        let lane = self.lane(target);
        lane.draining = lane.held.len();
        let timers = std::mem::take(&mut lane.timers).into_vec();
        lane.rush.extend(timers.into_iter().map(|Reverse(timer)| timer));
        self.arm(target);
    }

    /// The next slot that may count. The queues take turns, so that none waits for another to be empty.
    pub(super) fn pop(&mut self, target: TargetId) -> Option<Popped> {
        let lane = self.lane(target);
        for _ in 0..3 {
            lane.turn = (lane.turn + 1) % 3;
            let popped = match lane.turn {
                0 => lane.ready.pop_front().map(|slot| (slot, Place::Ready, 0)),
                1 => lane.rush.pop_front().map(|timer| (timer.slot, Place::Waiting, timer.token)),
                _ if lane.draining > 0 => {
                    lane.draining -= 1;
                    lane.held.pop_front().map(|slot| (slot, Place::Held, 0))
                }
                _ => None,
            };
            if let Some((slot, from, token)) = popped {
                return Some(Popped { slot, from, token });
            }
        }
        None
    }

    /// Puts back what was popped and not looked at.
    pub(super) fn unpop(&mut self, Popped { slot, from, token }: Popped, now: Instant) {
        let lane = self.lane(slot.target);
        match from {
            Place::Ready => lane.ready.push_front(slot),
            Place::Held => {
                lane.draining += 1;
                lane.held.push_front(slot);
            }
            Place::Waiting => lane.rush.push_front(Timer { at: now, token, slot }),
            Place::Idle | Place::InFlight => {}
        }
    }

    /// The next slot that may be held.
    pub(super) fn pop_held(&mut self, target: TargetId) -> Option<Popped> {
        let lane = self.lane(target);
        let slot = lane.held.pop_front()?;
        lane.draining = lane.draining.saturating_sub(1);
        Some(Popped { slot, from: Place::Held, token: 0 })
    }

    /// There is something to pop.
    pub(super) fn has_work(&self, target: TargetId) -> bool {
        let lane = &self.all[target.0 as usize];
        !lane.ready.is_empty()
            || (lane.draining > 0 && !lane.held.is_empty())
            || !lane.rush.is_empty()
    }

    /// What the target is owed.
    pub(super) fn counts(&self, target: TargetId) -> OwedCounts {
        let Lane { counts, paused, ages, .. } = &self.all[target.0 as usize];
        let oldest = ages
            .first_key_value()
            .and_then(|(second, _)| Timestamp::from_second(i64::from(*second)).ok());
        let [_, ready, held, waiting, in_flight] = *counts;
        OwedCounts { ready, held, waiting, in_flight, paused: *paused, oldest }
    }
}

// === impl Lane ===

impl Lane {
    fn count(&mut self, told: &mut Told, to: Place, since: Timestamp) {
        let paused = told.marks & PAUSED != 0;
        if paused {
            told.marks ^= PAUSED;
            self.paused -= 1;
        }
        if told.place != Place::Idle {
            self.counts[told.place as usize] -= 1;
        }
        if (paused || told.place != Place::Idle)
            && let Some(count) = self.ages.get_mut(&told.since)
        {
            *count -= 1;
            if *count == 0 {
                self.ages.remove(&told.since);
            }
        }
        told.place = to;
        if to != Place::Idle {
            self.counts[to as usize] += 1;
            self.age(told, since);
        }
    }

    fn age(&mut self, told: &mut Told, since: Timestamp) {
        told.since = u32::try_from(since.as_second()).unwrap_or(0);
        *self.ages.entry(told.since).or_default() += 1;
    }

    /// Whether some queue holds much more than counts.
    fn overflows(&self) -> bool {
        let live: usize = self.counts.iter().sum::<usize>() + self.resolves_owed;
        let most = self.ready.len().max(self.held.len()).max(self.resolves.len());
        most.max(self.timers.len()).max(self.rush.len()) > 2 * live + SLACK
    }
}

// === impl Popped ===

impl Popped {
    /// Notes that the slot is out of its queue. Returns whether it still stood there.
    pub(super) fn counts(self, told: &mut Told) -> bool {
        match self.from {
            Place::Ready => told.marks &= !IN_READY,
            Place::Held => told.marks &= !IN_HELD,
            Place::Idle | Place::Waiting | Place::InFlight => {}
        }
        told.place == self.from && (self.from != Place::Waiting || told.token == self.token)
    }
}
