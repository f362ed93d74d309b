//! A recipient that a route no longer reaches.

use super::{
    Slot, Why,
    entry::{Desk, Entry},
    fallback::Turn,
    lane::Place,
    link::{Delivery, Member},
    mute::Mutes,
    notice::Content,
    told::Told,
};
use crate::{alert::Status, clock::Moment};

/// A recipient that is left, with the entry that it leaves.
pub(super) struct Leaving<'a> {
    pub(super) slot: Slot,
    pub(super) delivery: &'a Delivery,
    pub(super) member: &'a Member,
    pub(super) told: Told,
    pub(super) matches: bool,
    /// The alert says nothing any more, so that nothing is owed.
    pub(super) stale: bool,
}

// === impl Leaving ===

impl Leaving<'_> {
    /// Nothing more is sent. What stays open, and what was to be told, is said once.
    pub(super) fn end(mut self, content: &Content, why: Why, desk: &mut Desk, now: Moment) {
        let says = content.says;
        let in_flight = self.told.place == Place::InFlight;
        let open = self.told.open() || (in_flight && says.status == Status::Firing);
        let given_up = says.status == Status::Resolved && self.told.is_skipped(says.version);
        let spared = self.member.is_fallback() && self.told.place == Place::Idle;
        let owed = !self.stale
            && !self.delivery.provisional
            && !spared
            && self.told.owes_change(says, self.matches);
        desk.lanes.leave(self.slot, &mut self.told);
        if (open && !given_up) || owed {
            let mut entry = Entry {
                slot: self.slot,
                matches: self.matches,
                muted: Mutes::default(),
                delivery: self.delivery,
                member: self.member,
                turn: Turn::Now,
                told: &mut self.told,
                group: None,
                content: Some(content),
                confirmed: true,
                dirty: &mut (true, true),
                desk,
                now,
            };
            let notification = entry.write(content);
            entry.end(why, notification, content.changed_at, open);
        }
    }
}
