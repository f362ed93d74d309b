//! What a person asks for: another try of something that was given up.

use super::{Slot, State, Subject, lane::Place};
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
