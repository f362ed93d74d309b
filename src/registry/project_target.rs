//! From a target and its live state to `.status`. Pure.
//!
//! # Why
//!
//! - Messages are as of the last transition, word for word, also after a restart: nothing is written
//!   because the same thing was said another way.
//! - A suspended target is not probed (nothing is sent to it, not even a question), so its health is
//!   Unknown; what was known before is kept for the moment it is resumed.
//! - Degraded is Healthy=True with reason Slow: the far end answers.
//! - What holds deliveries back is told by its strongest cause: suspension, then an open circuit, then
//!   a pause. A circuit that is half-open for longer than a moment has nothing to try: nothing is held.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    CircuitView, HealthView, Moment, RejectedTarget, Target, TargetEntry,
    advice::advice,
    condition::{Draft, find, merge, time},
};
use crate::api::{
    self, BreakerPolicy, CircuitState, CircuitStatus, ConditionStatus, ConditionType,
    HealthCheckType, HealthState, HealthStatus, LastError, PublishTargetStatus, Reason, TargetKey,
};

/// What `.status` of a target says now. `previous` is what it says in the cluster; an equal answer
/// needs no write.
#[must_use]
pub fn project_target(
    entry: &TargetEntry,
    previous: Option<&PublishTargetStatus>,
    now: Moment,
) -> PublishTargetStatus {
    let before = previous.map_or(&[][..], |status| &status.conditions);
    match entry {
        TargetEntry::Rejected(rejected) => PublishTargetStatus {
            observed_generation: Some(rejected.generation),
            conditions: merge(before, refused(rejected), rejected.generation, now.wall),
            ..PublishTargetStatus::default()
        },
        TargetEntry::Accepted(target) => {
            let view = target.live.health_view().filter(|_| !target.suspended());
            let health = health(target, view.as_ref());
            let healthy = healthy(target, view.as_ref(), &health, previous);
            let circuit = target.live.circuit_view(now.mono);
            let delivering = delivering(target, &circuit, previous, now.mono);
            let drafts = vec![ready(target), healthy, delivering];
            PublishTargetStatus {
                observed_generation: Some(target.generation),
                conditions: merge(before, drafts, target.generation, now.wall),
                endpoint: target.host().map(str::to_owned),
                last_error: view.and_then(|view| view.last_error).map(last_error),
                health: Some(health),
                circuit: Some(circuit_status(&circuit)),
            }
        }
    }
}

fn refused(rejected: &RejectedTarget) -> Vec<Draft> {
    let RejectedTarget { reason, message, .. } = rejected;
    let hint = format!("not registered ({reason}); see condition Ready");
    let mut drafts = vec![
        Draft::new(ConditionType::Ready, ConditionStatus::False, *reason, message),
        Draft::new(ConditionType::Healthy, ConditionStatus::Unknown, *reason, &hint),
        Draft::new(ConditionType::Delivering, ConditionStatus::False, *reason, &hint),
    ];
    if rejected.permanent {
        let stalled = (ConditionType::Stalled, ConditionStatus::True);
        drafts.push(Draft::new(stalled.0, stalled.1, *reason, message));
    }
    drafts
}

fn ready(target: &Target) -> Draft {
    let (status, reason, message) = if target.live.namespaces_unreadable() {
        (
            ConditionStatus::False,
            Reason::NamespaceSelectorForbidden,
            "spec.allowedRoutes selects namespaces by label and the operator may not read \
             namespaces, so only routes of this namespace are served. Grant it get, list, watch on \
             namespaces, or use from: Same or All"
                .to_owned(),
        )
    } else {
        let message = format!("registered at generation {}", target.generation);
        (ConditionStatus::True, Reason::Registered, message)
    };
    Draft::new(ConditionType::Ready, status, reason, message)
}

fn delivering(
    target: &Target,
    circuit: &CircuitView,
    previous: Option<&PublishTargetStatus>,
    now: Instant,
) -> Draft {
    let held = |reason, message| {
        Draft::new(ConditionType::Delivering, ConditionStatus::False, reason, message)
    };
    if target.suspended() {
        let TargetKey { namespace, name } = &target.key;
        let command = format!("kubectl -n {namespace} patch ptgt {name} --type merge -p");
        let message = format!(
            "held back by spec.suspend. Resume: {command} '{{\"spec\":{{\"suspend\":false}}}}'"
        );
        return held(Reason::Suspended, message);
    }
    if circuit.state == CircuitState::Open {
        let shown = previous
            .filter(|status| status.observed_generation == Some(target.generation))
            .filter(|status| status.circuit.as_ref() == Some(&circuit_status(circuit)))
            .and_then(|status| find(&status.conditions, ConditionType::Delivering))
            .filter(|shown| shown.reason == Reason::CircuitOpen.as_str());
        let message =
            shown.map_or_else(|| explain_circuit(target, circuit), |shown| shown.message.clone());
        return held(Reason::CircuitOpen, message).since(circuit.since);
    }
    if target.live.paused_until(now).is_some() {
        let host = target.host().unwrap_or("the target");
        let message = format!("{host} asked for a pause (429); deliveries wait until it ends");
        return held(Reason::RateLimited, message);
    }
    let message = match circuit.state {
        CircuitState::HalfOpen => {
            "nothing holds deliveries back; the circuit is half-open, the next delivery decides"
        }
        _ => "nothing holds deliveries back",
    };
    Draft::new(ConditionType::Delivering, ConditionStatus::True, Reason::NothingHeld, message)
}

/// Since when, why, when it is tried again, what to do.
fn explain_circuit(target: &Target, circuit: &CircuitView) -> String {
    let CircuitView { since, reason, message, .. } = circuit;
    let place = match target.host() {
        Some(host) if !message.contains(host) => format!("{host}: "),
        _ => String::new(),
    };
    let since = since.map(|since| format!(" since {}", time(since))).unwrap_or_default();
    let BreakerPolicy { base_ejection, max_ejection, .. } = target.policy.breaker;
    let (first, longest) = (api::Duration(base_ejection), api::Duration(max_ejection));
    let advice = reason.and_then(|reason| advice(reason, target));
    let advice = advice.map(|text| format!(". {text}")).unwrap_or_default();
    format!(
        "{place}nothing has been sent{since}: {message}. Everything is kept; one delivery is tried about \
         {first} later, then after pauses that double up to {longest}, or once a check shows that it \
         is back{advice}"
    )
}

fn circuit_status(circuit: &CircuitView) -> CircuitStatus {
    CircuitStatus { state: circuit.state, since: circuit.since.map(time) }
}

fn healthy(
    target: &Target,
    view: Option<&HealthView>,
    health: &HealthStatus,
    previous: Option<&PublishTargetStatus>,
) -> Draft {
    let status = match health.state {
        HealthState::Healthy | HealthState::Degraded => ConditionStatus::True,
        HealthState::Unhealthy => ConditionStatus::False,
        HealthState::Unknown => ConditionStatus::Unknown,
    };
    let reason = reason(target, view);
    let shown = previous
        .filter(|status| status.observed_generation == Some(target.generation))
        .filter(|status| status.health.as_ref() == Some(health))
        .and_then(|status| find(&status.conditions, ConditionType::Healthy))
        .filter(|shown| shown.status == status && shown.reason == reason.as_str());
    let message = match (shown, view) {
        (Some(shown), _) => shown.message.clone(),
        (None, Some(view)) => explain(target, view),
        (None, None) => match reason {
            Reason::Suspended => "not checked while spec.suspend is true".to_owned(),
            Reason::ProbeDisabled => {
                "spec.healthCheck.type is None; known after the first delivery".to_owned()
            }
            _ => "the first check has not finished".to_owned(),
        },
    };
    let since = view.map(|view| view.since);
    Draft::new(ConditionType::Healthy, status, reason, message).since(since)
}

fn reason(target: &Target, view: Option<&HealthView>) -> Reason {
    let asked = || target.spec.health_check.as_ref()?.type_;
    match view {
        _ if target.suspended() => Reason::Suspended,
        // A check that the user spelled out was answered as the user expects.
        Some(view)
            if view.reason == Reason::Reachable && asked() == Some(HealthCheckType::HTTP) =>
        {
            Reason::ProbeSucceeded
        }
        Some(view) => view.reason,
        None if target.probe.is_none() => Reason::ProbeDisabled,
        None => Reason::ProbePending,
    }
}

fn explain(target: &Target, view: &HealthView) -> String {
    let HealthView { state, reason, message, consecutive_failures, .. } = view;
    let place = match target.host() {
        Some(host) if !message.contains(host) => format!("{host}: "),
        _ => String::new(),
    };
    match (state, advice(*reason, target)) {
        (HealthState::Unhealthy, advice) => {
            let advice = advice.map(|text| format!(". {text}")).unwrap_or_default();
            format!("{place}{message}; {consecutive_failures} failures in a row{advice}")
        }
        (_, Some(advice)) => format!("{message}. {advice}"),
        (_, None) => format!("{place}{message}"),
    }
}

fn health(target: &Target, view: Option<&HealthView>) -> HealthStatus {
    let reason = reason(target, view);
    let failures = view.map_or(0, |view| view.consecutive_failures);
    HealthStatus {
        state: view.map_or(HealthState::Unknown, |view| view.state),
        since: view.map(|view| time(view.since)),
        reason: Some(reason.as_str().to_owned()),
        consecutive_failures: (failures > 0).then(|| i32::try_from(failures).unwrap_or(i32::MAX)),
        latency: view.and_then(|view| view.latency).map(whole_millis),
    }
}

/// What is written must read back equal: whole milliseconds, one at least.
fn whole_millis(latency: Duration) -> api::Duration {
    let millis = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX).max(1);
    api::Duration(Duration::from_millis(millis))
}

fn last_error((at, reason, status): (Timestamp, Reason, Option<u16>)) -> LastError {
    LastError {
        time: time(at),
        reason: reason.as_str().to_owned(),
        http_status: status.map(i32::from),
    }
}

#[cfg(test)]
mod tests;
