//! Outdated entries of a target's queues.

use std::cmp::Reverse;

use super::{
    Slot,
    lane::{IN_HELD, IN_READY, IN_RESOLVES, Lanes, Place, RESOLVE, Timer},
    told::Told,
};

// === impl Lanes ===

impl Lanes {
    /// Sweeps outdated entries out of crowded queues. `with` shows the entry of a slot to a function and
    /// gives its answer; false if there is none.
    pub(super) fn sweep(
        &mut self,
        mut with: impl FnMut(Slot, &mut dyn FnMut(&mut Told) -> bool) -> bool,
    ) {
        for target in std::mem::take(&mut self.crowded) {
            let lane = self.lane(target);
            let mut stands = |slot: Slot, mark: u8, place: Place| {
                with(slot, &mut |told| {
                    let stands = told.place == place;
                    if !stands {
                        told.marks &= !mark;
                    }
                    stands
                })
            };
            lane.ready.retain(|slot| stands(*slot, IN_READY, Place::Ready));
            let (mut at, mut draining) = (0, 0);
            lane.held.retain(|slot| {
                let stands = stands(*slot, IN_HELD, Place::Held);
                draining += usize::from(stands && at < lane.draining);
                at += 1;
                stands
            });
            lane.draining = draining;
            let mut counts = |told: &mut Told| {
                let counts = told.marks & RESOLVE != 0;
                if !counts {
                    told.marks &= !IN_RESOLVES;
                }
                counts
            };
            lane.resolves.retain(|slot| with(*slot, &mut counts));
            let mut waits = |timer: &Timer| {
                with(timer.slot, &mut |told| {
                    told.place == Place::Waiting && told.token == timer.token
                })
            };
            lane.timers.retain(|Reverse(timer)| waits(timer));
            lane.rush.retain(waits);
            self.arm(target);
        }
    }
}
