//! Another try: of what was taken and not sent, and of what was given up if a person asks for it.

use tokio::time::Instant;

use super::{Slot, State, Subject, Ticket, lane::Place};
use crate::{
    alert::Labels,
    api::{RouteKey, TargetKey},
    clock::Moment,
};

// === impl State ===

impl State {
    /// Whether an alert of these labels is held.
    #[must_use]
    pub fn holds(&self, labels: &Labels) -> bool {
        self.index.contains_key(labels)
    }

    /// Takes a notification back that was not sent: it is the target's next one, and nothing is recorded.
    pub fn put_back(&mut self, ticket: Ticket, now: Moment) {
        self.take_back(ticket, None, now);
    }

    /// The same, but it is not sent before `until`: something else of its group has to go first.
    pub fn put_off(&mut self, ticket: Ticket, until: Instant, now: Moment) {
        self.take_back(ticket, Some(until), now);
    }

    fn take_back(&mut self, ticket: Ticket, until: Option<Instant>, now: Moment) {
        let slot = ticket.slot;
        self.with(slot, now, |entry| {
            if !ticket.is_of(entry) {
                return;
            }
            entry.mark_unlooked_for(&ticket);
            if !ticket.is_current(entry) {
                entry.overtaken(ticket, 0);
            } else if !(entry.confirmed && entry.owes() && entry.tries_on(&ticket)) {
                entry.ground();
            } else if until.is_some() {
                entry.wait(until);
            } else {
                entry.desk.lanes.place_first(slot, entry.told, ticket.changed_at);
            }
        });
        self.rearrange(slot.subject, true);
    }

    /// Makes what the route owes the target about this group or alert the target's next one, and forgets that it
    /// was given up: if it fails again, that is another dead letter. Answers whether anything is owed.
    pub fn try_again(
        &mut self,
        target: &TargetKey,
        route: &RouteKey,
        labels: &Labels,
        now: Moment,
    ) -> bool {
        let names = &self.desk.names;
        let (Some(target), Some(route)) = (names.find_target(target), names.find_route(route))
        else {
            return false;
        };
        let group = self.group_index.get(&(route, labels.clone())).map(|id| (*id).into());
        let alert = self.index.get(labels).map(|id| (*id).into());
        let subjects: [Option<Subject>; 2] = [group, alert];
        subjects.into_iter().flatten().any(|subject| {
            let slot = Slot { target, route, subject };
            let owed = self.with(slot, now, |entry| {
                if !entry.owes() {
                    return false;
                }
                entry.told.dead_letter(0);
                entry.mark();
                if matches!(entry.told.place, Place::Held | Place::Waiting) && !entry.is_muted() {
                    let since = entry.since();
                    entry.desk.lanes.place_first(slot, entry.told, since);
                }
                true
            });
            self.rearrange(subject, false);
            owed == Some(true)
        })
    }
}
