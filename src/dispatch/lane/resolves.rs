//! Resolves that are owed: bounded per target, the oldest first.

use super::{IN_RESOLVES, Lanes, Place, RESOLVE};
use crate::dispatch::{Slot, TargetId, told::Told};

// === impl Lanes ===

impl Lanes {
    /// Counts a slot among the resolves that are owed, or no more. Returns how many there are then, if
    /// it is new among them.
    pub(in crate::dispatch) fn count_resolve(
        &mut self,
        slot: Slot,
        told: &mut Told,
        owed: bool,
    ) -> Option<usize> {
        let lane = self.lane(slot.target);
        if owed == (told.marks & RESOLVE != 0) {
            return None;
        }
        told.marks ^= RESOLVE;
        if !owed {
            lane.resolves_owed -= 1;
            return None;
        }
        lane.resolves_owed += 1;
        if told.marks & IN_RESOLVES == 0 {
            told.marks |= IN_RESOLVES;
            lane.resolves.push_back(slot);
            if lane.overflows() {
                self.crowded.insert(slot.target);
            }
        }
        Some(self.lane(slot.target).resolves_owed)
    }

    /// How many resolves are owed.
    pub(in crate::dispatch) fn resolves_owed(&self, target: TargetId) -> usize {
        self.all[target.0 as usize].resolves_owed
    }

    /// The resolve that is owed longest, perhaps; how many to try at most.
    pub(in crate::dispatch) fn pop_resolve(&mut self, target: TargetId) -> Option<Slot> {
        self.lane(target).resolves.pop_front()
    }

    /// The slot is out of the list of resolves. Returns whether it still counts; if it is in flight it
    /// goes to the end of the list.
    pub(in crate::dispatch) fn popped_resolve(&mut self, slot: Slot, told: &mut Told) -> bool {
        told.marks &= !IN_RESOLVES;
        let counts = told.marks & RESOLVE != 0;
        if counts && told.place == Place::InFlight {
            told.marks |= IN_RESOLVES;
            self.lane(slot.target).resolves.push_back(slot);
            return false;
        }
        counts
    }

    /// How many there may be in the list of resolves.
    pub(in crate::dispatch) fn resolves(&self, target: TargetId) -> usize {
        self.all[target.0 as usize].resolves.len()
    }
}
