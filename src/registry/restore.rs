//! From `.status` back to health and circuit: what was known before a restart.
//!
//! An open circuit stays open over a restart, with a trial at once: one delivery tells whether the
//! target is still away. Forgetting it would send a burst of deliveries to a target that is known to
//! fail, and write "closed" and "open" again into the status of each of them.

use jiff::Timestamp;
use tokio::time::Instant;

use super::{CircuitView, HealthView, Live, condition::find};
use crate::api::{CircuitState, ConditionType, HealthState, PublishTargetStatus, Reason};

/// What was known of a target before a restart.
#[derive(Debug)]
pub struct Restored {
    health: Option<HealthView>,
    circuit: Option<CircuitView>,
}

// === impl Restored ===

impl Restored {
    /// What `status` shows. Nothing that it says about another generation of the spec counts.
    #[must_use]
    pub fn from_status(status: &PublishTargetStatus, generation: i64) -> Self {
        Self {
            health: HealthView::from_status(status, generation),
            circuit: CircuitView::from_status(status, generation),
        }
    }

    /// What was known of its health.
    #[must_use]
    pub fn health(&self) -> HealthState {
        self.health.as_ref().map_or(HealthState::Unknown, |view| view.state)
    }
}

// === impl Live ===

impl Live {
    /// Takes over what was known before a restart, unless newer evidence is in.
    pub fn restore(&self, known: Restored, now: Instant) {
        if let Some(health) = known.health {
            self.restore_health(health);
        }
        if let Some(circuit) = known.circuit {
            self.restore_circuit(circuit, now);
        }
    }
}

// === impl CircuitView ===

impl CircuitView {
    fn from_status(status: &PublishTargetStatus, generation: i64) -> Option<Self> {
        let circuit = status.circuit.as_ref()?;
        if status.observed_generation != Some(generation) {
            return None;
        }
        let since = circuit.since.as_ref().and_then(|since| since.parse().ok());
        let message = match circuit.state {
            CircuitState::Closed => "",
            CircuitState::Open | CircuitState::HalfOpen => "deliveries failed before a restart",
        };
        Some(Self { state: circuit.state, since, reason: None, message: message.to_owned() })
    }
}

// === impl HealthView ===

impl HealthView {
    /// The view that `status` shows; `None` if it shows no verdict, or one about another generation of
    /// the spec. Bad content is no view: the first check will tell.
    fn from_status(status: &PublishTargetStatus, generation: i64) -> Option<Self> {
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
        Moment, TargetEntry,
        fixture::{now, target},
        project_target,
    };
    use super::*;

    #[test]
    fn a_restart_writes_nothing() {
        let at = now();
        let hour = std::time::Duration::from_hours(1);
        let later = Moment { mono: at.mono + hour, wall: at.wall + hour };
        let known = [target("a/x").healthy(), target("a/x").unhealthy(), target("a/x").ejected()];
        for before in known {
            let status = project_target(&TargetEntry::Accepted(before.build().into()), None, at);
            let after = target("a/x").build();
            after.live.restore(Restored::from_status(&status, 1), at.mono);
            let entry = TargetEntry::Accepted(after.into());
            assert_eq!(project_target(&entry, Some(&status), later), status);
        }
    }

    #[test]
    fn a_verdict_about_another_spec_or_none_is_not_restored() {
        let at = now();
        let healthy = TargetEntry::Accepted(target("a/x").healthy().build().into());
        let status = project_target(&healthy, None, at);
        assert_eq!(HealthView::from_status(&status, 2), None);
        let new = TargetEntry::Accepted(target("a/x").build().into());
        assert_eq!(HealthView::from_status(&project_target(&new, None, at), 1), None);
        let ejected = TargetEntry::Accepted(target("a/x").ejected().build().into());
        let status_of = project_target(&ejected, None, at);
        assert_eq!(CircuitView::from_status(&status_of, 2), None);
        let view = CircuitView::from_status(&status_of, 1).unwrap();
        assert_eq!((view.state, view.since), (CircuitState::Open, Some(at.wall)));
        let mut odd = status;
        odd.health.as_mut().unwrap().reason = Some("Strange".into());
        assert_eq!(HealthView::from_status(&odd, 1), None);
    }
}
