//! What a target must be reminded of because it forgets by itself (Alertmanager).

use std::time::Duration;

use jiff::Timestamp;

use super::{State, link::Link};
use crate::{
    alert::{Member, Status, later},
    api::TargetKey,
};

/// How long a resolve is repeated, as Prometheus does.
const REPEAT_RESOLVED: Duration = Duration::from_mins(15);

// === impl State ===

impl State {
    /// What `target` was told and still holds: the alerts that fire, and those that ended at most
    /// 15 minutes ago, each once. Posting them again is no notification and changes nothing here;
    /// without it a target that forgets would take a firing alert as over.
    ///
    /// A route that is muted or no longer wants an alert does not end it, so it is in here; for a
    /// suspended target there is nothing.
    #[must_use]
    pub fn reminders(&self, target: &TargetKey, now: Timestamp) -> Vec<Member> {
        let Some(target) = self.desk.names.find_target(target) else { return Vec::new() };
        let told = self.alerts.iter().filter_map(|(id, held)| {
            let says = held.says()?;
            let recent = says.status == Status::Firing || later(held.ended, REPEAT_RESOLVED) > now;
            let knows = |link: &Link| {
                let mut groups = link.groups().filter_map(|id| self.groups.get(&id));
                link.knows(target, says)
                    || groups.any(|group| group.knows(target, *id, says.status))
            };
            (recent && held.links.iter().any(knows))
                .then(|| Member { alert: held.shown().clone(), status: says.status })
        });
        told.collect()
    }
}
