//! What a person asks for: another try of something that was given up.

use super::{Slot, State, lane::Place};
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

    /// Makes what the route owes the target about this alert the target's next one, and forgets that it
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
        let Some(alert) = self.index.get(labels).copied() else { return false };
        let Some(held) = self.alerts.get_mut(&alert) else { return false };
        let slot = Slot { target, route, alert };
        let owed = held.one((slot, now), &mut self.desk, |entry| {
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
        self.schedule(alert);
        owed == Some(true)
    }
}
