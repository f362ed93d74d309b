//! From `.status` back to health: what was known before a restart.

use jiff::Timestamp;

use super::{HealthView, condition::find};
use crate::api::{ConditionType, HealthState, PublishTargetStatus, Reason};

// === impl HealthView ===

impl HealthView {
    /// The view that `status` shows; `None` if it shows no verdict, or one about another generation of
    /// the spec. Bad content is no view: the first check will tell.
    #[must_use]
    pub fn from_status(status: &PublishTargetStatus, generation: i64) -> Option<Self> {
        let health = status.health.as_ref()?;
        if health.state == HealthState::Unknown || status.observed_generation != Some(generation) {
            return None;
        }
        let healthy = find(&status.conditions, ConditionType::Healthy);
        let last_error = status.last_error.as_ref().and_then(|error| {
            let code = error.http_status.and_then(|code| u16::try_from(code).ok());
            Some((error.time.parse().ok()?, reason(&error.reason)?, code))
        });
        Some(Self {
            state: health.state,
            reason: reason(health.reason.as_deref()?)?,
            message: healthy.map(|one| one.message.clone()).unwrap_or_default(),
            since: health.since.as_ref()?.parse::<Timestamp>().ok()?,
            consecutive_failures: health
                .consecutive_failures
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(0),
            latency: health.latency.map(crate::api::Duration::get),
            last_error,
        })
    }
}

fn reason(word: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| reason.as_str() == word)
}

#[cfg(test)]
mod tests {
    use super::super::{
        TargetEntry,
        fixture::{now, target},
        project_target,
    };
    use super::*;

    #[test]
    fn a_restart_writes_nothing() {
        let at = now().wall;
        let later = at + std::time::Duration::from_hours(1);
        for before in [target("a/x").healthy(), target("a/x").unhealthy()] {
            let status = project_target(&TargetEntry::Accepted(before.build().into()), None, at);
            let after = target("a/x").build();
            after.live.restore(HealthView::from_status(&status, 1).unwrap());
            let entry = TargetEntry::Accepted(after.into());
            assert_eq!(project_target(&entry, Some(&status), later), status);
        }
    }

    #[test]
    fn a_verdict_about_another_spec_or_none_is_not_restored() {
        let at = now().wall;
        let healthy = TargetEntry::Accepted(target("a/x").healthy().build().into());
        let status = project_target(&healthy, None, at);
        assert_eq!(HealthView::from_status(&status, 2), None);
        let new = TargetEntry::Accepted(target("a/x").build().into());
        assert_eq!(HealthView::from_status(&project_target(&new, None, at), 1), None);
        let mut odd = status;
        odd.health.as_mut().unwrap().reason = Some("Strange".into());
        assert_eq!(HealthView::from_status(&odd, 1), None);
    }
}
