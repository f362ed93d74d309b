//! Deliveries that the disk does not know yet.
//!
//! The id of a notification counts those that the target was told before. Were the next one sent before
//! the last one is on disk, a crash would forget the last one, and the next one would be sent again under
//! another id.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::{dispatch::Slot, store::Seq};

/// Slots whose last delivery is not on disk yet. Bounded by what is delivered between two commits.
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    /// Delivered since the last submission.
    fresh: Vec<Slot>,
    /// Submitted, in that order.
    submitted: VecDeque<(Seq, Vec<Slot>)>,
    /// How often each slot is in one of them.
    slots: HashMap<Slot, u32>,
}

// === impl Unsaved ===

impl Unsaved {
    /// A target was told; the fact goes with the next submission.
    pub(super) fn delivered(&mut self, slot: Slot) {
        self.fresh.push(slot);
        *self.slots.entry(slot).or_default() += 1;
    }

    /// Every fact there is was submitted.
    pub(super) fn submitted(&mut self, seq: Seq, durable: Seq) {
        self.forget(durable);
        if !self.fresh.is_empty() {
            self.submitted.push_back((seq, std::mem::take(&mut self.fresh)));
        }
    }

    /// Whether the disk does not know the slot's last delivery yet.
    pub(super) fn has(&mut self, slot: Slot, durable: Seq) -> bool {
        self.forget(durable);
        self.slots.contains_key(&slot)
    }

    fn forget(&mut self, durable: Seq) {
        while let Some((_, slots)) = self.submitted.pop_front_if(|(seq, _)| *seq <= durable) {
            for slot in slots {
                if let Some(count) = self.slots.get_mut(&slot) {
                    *count -= 1;
                    if *count == 0 {
                        self.slots.remove(&slot);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{AlertId, RouteId, TargetId};

    fn slot(alert: u64) -> Slot {
        Slot {
            target: TargetId::default(),
            route: RouteId::default(),
            subject: AlertId(alert).into(),
        }
    }

    #[test]
    fn a_delivery_is_unsaved_until_its_submission_is_durable() {
        let mut unsaved = Unsaved::default();
        unsaved.delivered(slot(1));
        assert!(unsaved.has(slot(1), Seq(9)), "not even submitted");
        assert!(!unsaved.has(slot(2), Seq(9)));
        unsaved.submitted(Seq(10), Seq(9));
        assert!(unsaved.has(slot(1), Seq(9)));
        unsaved.delivered(slot(1));
        unsaved.submitted(Seq(11), Seq(9));
        assert!(unsaved.has(slot(1), Seq(10)), "it was delivered again since");
        assert!(!unsaved.has(slot(1), Seq(11)));
        assert!(unsaved.slots.is_empty() && unsaved.submitted.is_empty());
    }
}
