//! What one target was told about one alert by one route, and what follows from it.

mod on_disk;

use std::time::Duration;

use jiff::Timestamp;

use super::{Heard, Hearing, lane::Place, millis::Millis};
use crate::alert::{Status, later};

/// What an alert says: which of its incidents, and whether it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Says {
    pub(super) incident: u32,
    pub(super) status: Status,
    /// How often what it says has changed.
    pub(super) version: u32,
    /// A group's flush decided already that it is owed: it is, until this version is settled.
    pub(super) decided: bool,
}

/// What the route demands of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// The route wants the alert now.
    pub(super) matches: bool,
    pub(super) repeat: Duration,
}

/// An entry of the notification log, and where the slot that belongs to it stands. There are many:
/// kept small.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// When it was last told or skipped.
    at: Option<Millis>,
    /// `maxAge` counts from here if this is later than the change.
    resumed_at: Option<Millis>,
    /// What the last delivered notification said.
    last: Option<Says>,
    /// Notifications told.
    count: u32,
    /// The version that is settled without having been told; 0: none.
    skipped: u32,
    /// The version that went to the dead letters; 0: none.
    dead_lettered: u32,
    /// The version in flight.
    pub(super) flying: u32,
    /// Number of the attempt or of the timer that this entry belongs to.
    pub(super) token: u32,
    /// Attempts of this version that failed in a retryable way.
    pub(super) failures: u32,
    /// Since when it is owed, in seconds, as the lane counts it.
    pub(super) since: u32,
    rejections: u8,
    pub(super) place: Place,
    /// A notification that fires, or one that resolves, may have arrived after `last`.
    pub(super) maybe_firing: bool,
    pub(super) maybe_resolved: bool,
    /// Bits that belong to the lane.
    pub(super) marks: u8,
}

// === impl Says ===

impl Says {
    /// The same incident and status, whatever the version.
    pub(super) fn agrees(self, other: Self) -> bool {
        self.incident == other.incident && self.status == other.status
    }
}

// === impl Told ===

impl Told {
    /// An entry for a target of which the log of an earlier process knows nothing.
    pub(super) fn unknown() -> Self {
        Self { maybe_firing: true, ..Self::default() }
    }

    /// An entry for a target that has surely heard nothing of what the alert says.
    pub(super) fn deaf(says: Option<Says>) -> Self {
        let over = says.filter(|says| says.status == Status::Resolved);
        Self { skipped: over.map_or(0, |says| says.version), ..Self::default() }
    }

    /// An entry for a target that joins now, while the alert says `says`.
    pub(super) fn joining(says: Option<Says>, now: Timestamp) -> Self {
        let mut told = Self::default();
        match says {
            Some(Says { status: Status::Firing, .. }) => told.resumed_at = Some(Millis::from(now)),
            Some(says) => told.skipped = says.version,
            None => {}
        }
        told
    }

    /// Whether the target must hear what the alert says now.
    pub(super) fn owes(&self, says: Says, demand: Demand, now: Timestamp) -> bool {
        self.owes_change(says, demand.matches)
            || (demand.matches && self.repeat_at(says, demand.repeat).is_some_and(|at| at <= now))
    }

    /// The same without repeats.
    pub(super) fn owes_change(&self, says: Says, matches: bool) -> bool {
        if says.decided {
            return self.skipped != says.version;
        }
        match says.status {
            Status::Firing => matches && !self.is_settled(says),
            Status::Resolved => self.open() && self.skipped != says.version,
        }
    }

    /// When a firing that is settled comes up again.
    pub(super) fn repeat_at(&self, says: Says, repeat: Duration) -> Option<Timestamp> {
        let settled = says.status == Status::Firing && self.is_settled(says) && !says.decided;
        settled.then(|| self.at.map_or(Timestamp::UNIX_EPOCH, |at| later(at.into(), repeat)))
    }

    /// Told exactly this, or left out on purpose.
    fn is_settled(&self, says: Says) -> bool {
        self.skipped == says.version
            || (self.last.is_some_and(|last| last.agrees(says)) && !self.maybe_resolved)
    }

    /// What is owed repeats what was told or skipped.
    pub(super) fn repeats(&self, says: Says) -> bool {
        says.status == Status::Firing && self.is_settled(says)
    }

    /// The target was told, or may have been told, of an incident whose end it has not heard.
    pub(super) fn open(&self) -> bool {
        self.maybe_firing || self.last.is_some_and(|last| last.status == Status::Firing)
    }

    /// What was told last, if anything, was an end: the next firing is the first of its incident.
    pub(super) fn begins(&self) -> bool {
        self.last.is_none_or(|last| last.status == Status::Resolved)
    }

    /// The last delivered notification said this, and none that says the opposite may have arrived since.
    pub(super) fn knows(&self, says: Says) -> bool {
        let doubted = match says.status {
            Status::Firing => self.maybe_resolved,
            Status::Resolved => self.maybe_firing,
        };
        !doubted && self.last.is_some_and(|last| last.agrees(says))
    }

    /// What is owed counts its age from here.
    pub(super) fn owed_since(&self, says: Says, changed: Timestamp, repeat: Duration) -> Timestamp {
        let since = self.repeat_at(says, repeat).unwrap_or(changed);
        self.resumed_at.map_or(since, |resumed| since.max(resumed.into()))
    }

    /// Notifications told before.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// When it was last told or skipped.
    pub(super) fn told_at(&self) -> Option<Timestamp> {
        self.at.map(Timestamp::from)
    }

    pub(super) fn resumed_at(&self) -> Option<Timestamp> {
        self.resumed_at.map(Timestamp::from)
    }

    /// The target refused what is owed.
    pub(super) fn is_rejected(&self) -> bool {
        self.rejections > 0
    }

    pub(super) fn is_skipped(&self, version: u32) -> bool {
        self.skipped == version
    }

    pub(super) fn is_dead_lettered(&self, version: u32) -> bool {
        self.dead_lettered == version
    }

    /// Nothing is known about the target: the entry can go.
    pub(super) fn is_blank(&self) -> bool {
        self.place == Place::Idle
            && self.last.is_none()
            && !self.maybe_firing
            && self.skipped == 0
            && self.dead_lettered == 0
    }

    /// Nothing was told or tried.
    pub(super) fn is_fresh(&self) -> bool {
        self.place == Place::Idle
            && (self.count, self.dead_lettered) == (0, 0)
            && self.at.is_none()
            && !self.maybe_firing
            && self.last.is_none()
    }

    /// The log need not say anything about it: without an entry it may have been told.
    pub(super) fn is_unknown(&self) -> bool {
        self.last.is_none()
            && self.skipped == 0
            && self.dead_lettered == 0
            && self.resumed_at.is_none()
            && !self.maybe_firing
    }

    /// It counts its age from now.
    pub(super) fn resumed_now(&self, now: Timestamp) -> bool {
        self.resumed_at == Some(Millis::from(now))
    }

    /// It may be that the target was told, or is being told, of an incident.
    pub(super) fn may_know(&self) -> bool {
        self.maybe_firing || self.place == Place::InFlight
    }

    /// Nothing else is owed, so that nothing has to be kept: the target surely does not wait for an
    /// end, or the end was given up.
    pub(super) fn is_closed(&self, says: Says) -> bool {
        self.place != Place::InFlight
            && (says.status == Status::Resolved && !self.owes_change(says, false))
    }

    // --- what happens to it

    /// The alert says something else: failures of the old state count no more.
    pub(super) fn news(&mut self) {
        (self.failures, self.rejections) = (0, 0);
    }

    /// Suspended until now: counts its age anew and is tried at once.
    pub(super) fn resume(&mut self, now: Timestamp) {
        self.news();
        self.postpone(now);
    }

    /// An attempt begins. Returns whether the disk says that the target surely heard nothing of this.
    pub(super) fn begin(&mut self, says: Says, repeat: Duration) -> bool {
        self.flying = says.version;
        let mut believed = self.skipped == says.version;
        if believed {
            let since = self.repeat_at(says, repeat).map(Millis::from);
            self.resumed_at = self.resumed_at.max(since);
            self.skipped = 0;
        }
        // A group that had nothing to tell of this version gave it back as over.
        if let Some(last) = &mut self.last
            && last.version == says.version
            && last.status != says.status
        {
            last.version = 0;
            believed = true;
        }
        believed
    }

    pub(super) fn deliver(&mut self, said: Says, now: Timestamp) {
        self.news();
        (self.last, self.maybe_firing, self.maybe_resolved) = (Some(said), false, false);
        self.count = self.count.saturating_add(1);
        self.at = Some(Millis::from(now));
    }

    pub(super) fn fail(&mut self, said: Says, maybe_told: bool) {
        self.maybe_firing |= maybe_told && said.status == Status::Firing;
        self.maybe_resolved |= maybe_told && said.status == Status::Resolved;
    }

    /// Attempts of this version that were made.
    pub(super) fn attempts(&self) -> u32 {
        self.failures.saturating_add(u32::from(self.rejections))
    }

    /// Its age counts from `at` at the earliest.
    pub(super) fn resumed(&mut self, at: Timestamp) {
        self.resumed_at = self.resumed_at.max(Some(Millis::from(at)));
    }

    /// Its age counts from now.
    pub(super) fn postpone(&mut self, now: Timestamp) {
        self.resumed_at = Some(Millis::from(now));
    }

    /// Refused: how long to wait before it is offered again.
    pub(super) fn reject(&mut self, most: Duration) -> Duration {
        const FIRST: Duration = Duration::from_mins(5);
        let wait = FIRST * (1 << u32::from(self.rejections.min(10)));
        self.rejections = self.rejections.saturating_add(1);
        wait.min(most.max(FIRST))
    }

    /// A firing is left out.
    pub(super) fn skip(&mut self, version: u32, now: Timestamp) {
        self.skipped = version;
        self.at = Some(Millis::from(now));
    }

    /// This version is settled without being told: surely not heard of, or given up.
    pub(super) fn close(&mut self, version: u32) {
        self.skipped = version;
    }

    /// What was left out is owed again, from now on.
    pub(super) fn reopen(&mut self, now: Timestamp) {
        if self.skipped != 0 && self.last.is_none_or(|last| last.version != self.skipped) {
            self.skipped = 0;
            self.postpone(now);
        }
    }

    /// This version was told in another way: not again before it repeats.
    pub(super) fn pass(&mut self, version: u32, other: &Self) {
        self.skipped = version;
        (self.at, self.count) = (self.at.max(other.at), self.count.saturating_add(other.count));
    }

    /// It was told that in a group that had its name. `incident`: of which incident, 0 if of an old one.
    pub(super) fn take_back(
        &mut self,
        heard: Option<Heard>,
        incident: u32,
        version: u32,
        other: &Self,
    ) {
        let Some(heard) = heard else { return self.count = other.count };
        let last = |status| Says { incident, status, version: heard.version, decided: false };
        (self.at, self.count, self.skipped) = (other.at, other.count, 0);
        match heard.what {
            Hearing::Firing => self.last = Some(last(Status::Firing)),
            Hearing::Resolved | Hearing::Past => self.last = Some(last(Status::Resolved)),
            Hearing::Unsure => (self.maybe_firing, self.maybe_resolved) = (true, true),
            Hearing::Skipped => self.skipped = version,
        }
    }

    /// Notes a dead letter of this version. Returns whether it is the first.
    pub(super) fn dead_letter(&mut self, version: u32) -> bool {
        std::mem::replace(&mut self.dead_lettered, version) != version
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::Slot;

    #[test]
    fn a_million_entries_and_slots_fit() {
        assert!(size_of::<Told>() <= 64);
        assert_eq!(size_of::<Slot>(), 16);
    }
}
