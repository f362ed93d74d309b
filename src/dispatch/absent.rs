//! What muting means for one entry.

use super::{Why, entry::Entry, lane::Place, mute::Mutes};
use crate::alert::Status;

// === impl Entry ===

impl Entry<'_> {
    /// The alert is absent on the route from now on: what waited to be told is taken back. An attempt in flight
    /// finishes.
    pub(super) fn mute(&mut self) {
        if matches!(self.told.place, Place::Ready | Place::Held | Place::Waiting) {
            if let Some(content) = self.content {
                let (notification, since) = (self.write(content), self.since());
                self.end(Why::Muted, notification, since, false);
            }
            self.desk.lanes.idle(self.slot, self.told);
        }
        if self.told.place != Place::InFlight && self.owes() {
            self.count_suppressed();
        }
    }

    /// The alert is there again: what is owed counts its age from now and is tried at once.
    pub(super) fn unmute(&mut self) {
        if self.owes() {
            self.told.resume(self.now.wall);
            self.mark();
        }
    }

    /// What the alert says now is not told because it is absent. Who needs every transition misses this
    /// one, which is noted.
    pub(super) fn suppress(&mut self) {
        let Some(content) = self.content else { return };
        if self.muted.any() && self.member.needs_every() && !self.delivery.terms.suspended {
            let resolved = content.says.status == Status::Resolved;
            let wanted = self.matches || (resolved && self.told.open());
            if wanted && (!resolved || self.member.recipient.send_resolved) {
                let notification = self.write(content);
                self.end(Why::Skipped, notification, content.changed_at, false);
                self.count_suppressed();
            }
        } else if self.told.place != Place::InFlight && self.owes() {
            self.count_suppressed();
        }
    }

    fn count_suppressed(&mut self) {
        let mut reasons = self.muted;
        reasons.set(Mutes::SUSPENDED, self.delivery.terms.suspended);
        if let Some(reason) = reasons.first() {
            self.desk.suppressed[reason as usize] += 1;
        }
    }
}
