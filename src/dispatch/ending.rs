//! How what is owed comes to its end without being told.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Ended, Why, entry::Entry, lane::Place, notice::Content};
use crate::alert::{Notification, Status, later};

// === impl Entry ===

impl Entry<'_> {
    /// Gives up what is owed if it is too old. A firing stays owed.
    pub(super) fn expire(&mut self) {
        let Some(content) = self.content else { return };
        let owes = self.owes();
        let idle = self.is_muted() || self.member.needs_every();
        if self.told.place == Place::InFlight || idle || !owes {
            return;
        }
        if self.is_too_old() && !self.postpone() {
            self.give_up(Why::MaxAge, content);
        }
    }

    /// While the target's address is out of bounds, nothing grows too old. Returns whether that is so.
    pub(super) fn postpone(&mut self) -> bool {
        let blocked = self.desk.lanes.lane(self.slot.target).blocked;
        if blocked {
            self.told.postpone(self.now.wall);
            self.mark();
        }
        blocked
    }

    pub(super) fn is_too_old(&self) -> bool {
        later(self.since(), self.member.recipient.limits.max_age) <= self.now.wall
    }

    /// One dead letter, unless there is one of this state. A resolve ends here.
    pub(super) fn give_up(&mut self, why: Why, content: &Content) {
        let (says, since) = (content.says, self.since());
        let ends = says.status == Status::Resolved;
        let first = !self.told.is_dead_lettered(says.version);
        if first || ends {
            let notification = self.write(content);
            self.end(why, notification, since, first);
            self.told.dead_letter(says.version);
            self.mark();
        }
        if ends {
            self.told.close(says.version);
            self.hear(|heard, view| _ = heard.give_up(view.shown()), true);
            self.desk.lanes.count_resolve(self.slot, self.told, false);
            self.desk.lanes.idle(self.slot, self.told);
        }
    }

    /// Notes the end.
    pub(super) fn end(
        &mut self,
        why: Why,
        notification: Arc<Notification>,
        accepted_at: Timestamp,
        dead_letter: bool,
    ) {
        let attempts = self.told.attempts();
        self.end_after(attempts, (why, dead_letter), notification, accepted_at);
    }

    /// The same after so many attempts.
    pub(super) fn end_after(
        &mut self,
        attempts: u32,
        (why, dead_letter): (Why, bool),
        notification: Arc<Notification>,
        accepted_at: Timestamp,
    ) {
        self.desk.log.ended.push(Ended {
            target: self.member.recipient.target.clone(),
            uid: self.member.recipient.uid.clone(),
            route: self.delivery.key.clone(),
            why,
            notification,
            attempts,
            accepted_at,
            dead_letter,
        });
    }
}
