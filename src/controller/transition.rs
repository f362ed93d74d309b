//! Which change of a status deserves an event. Pure: the old status against the new one, so that a
//! restart repeats nothing.

use jiff::Timestamp;

use super::ledger::Status;
use crate::api::{
    AlertRouteStatus, CircuitState, Condition, ConditionStatus, ConditionType, HealthState,
    PublishTargetStatus, Reason,
};

/// One event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) reason: Reason,
    pub(super) warning: bool,
    pub(super) text: String,
}

/// The events that tell of the change from `before` to `after`.
pub(super) fn transitions(before: &Status, after: &Status) -> Vec<Note> {
    let mut notes = Vec::new();
    match (before, after) {
        (Status::Target(before), Status::Target(after)) => target(before, after, &mut notes),
        (Status::Route(before), Status::Route(after)) => route(before, after, &mut notes),
        _ => {}
    }
    suspension(before, after, &mut notes);
    notes
}

fn target(before: &PublishTargetStatus, after: &PublishTargetStatus, notes: &mut Vec<Note>) {
    let ready = Change::of(ConditionType::Ready, &before.conditions, &after.conditions);
    notes.extend(ready.began().map(|now| Note::normal(Reason::Registered, &now.message)));
    notes.extend(ready.broke());

    let state = |status: &PublishTargetStatus| status.health.as_ref().map(|health| health.state);
    let was = state(before).unwrap_or_default();
    let is = state(after).unwrap_or_default();
    let healthy = find(ConditionType::Healthy, &after.conditions);
    let said = healthy.map(|condition| condition.message.as_str()).unwrap_or_default();
    if is == HealthState::Unhealthy && was != is {
        let reason = healthy.map_or("", |condition| condition.reason.as_str());
        notes.push(Note::warning(Reason::Unhealthy, &format!("{reason}: {said}")));
    }
    if was == HealthState::Unhealthy && matches!(is, HealthState::Healthy | HealthState::Degraded) {
        let length =
            outage(before, after).map_or(String::new(), |length| format!(" after {length}"));
        notes.push(Note::normal(Reason::Recovered, &format!("healthy again{length}: {said}")));
    }
    circuit(before, after, notes);
}

/// Once per outage: trials that fail are no news.
fn circuit(before: &PublishTargetStatus, after: &PublishTargetStatus, notes: &mut Vec<Note>) {
    let state = |status: &PublishTargetStatus| {
        status.circuit.as_ref().map_or(CircuitState::Closed, |circuit| circuit.state)
    };
    match (state(before), state(after)) {
        (CircuitState::Closed, CircuitState::Open) => {
            let delivering = find(ConditionType::Delivering, &after.conditions)
                .filter(|condition| condition.reason == Reason::CircuitOpen.as_str());
            let said = delivering.map_or("deliveries kept failing", |it| it.message.as_str());
            notes.push(Note::warning(Reason::CircuitOpen, said));
        }
        (CircuitState::Open | CircuitState::HalfOpen, CircuitState::Closed) => {
            let since = |status: &PublishTargetStatus| status.circuit.as_ref()?.since.clone();
            let length = length(since(before), since(after))
                .map_or(String::new(), |length| format!(" after {length}"));
            notes.push(Note::normal(
                Reason::CircuitClosed,
                &format!("deliveries are sent again{length}"),
            ));
        }
        _ => {}
    }
}

fn route(before: &AlertRouteStatus, after: &AlertRouteStatus, notes: &mut Vec<Note>) {
    let accepted = Change::of(ConditionType::Accepted, &before.conditions, &after.conditions);
    notes.extend(accepted.began().map(|now| Note::normal(Reason::Accepted, &now.message)));
    notes.extend(accepted.broke());
    notes.extend(
        Change::of(ConditionType::ResolvedRefs, &before.conditions, &after.conditions).broke(),
    );
    let health = Change::of(ConditionType::Healthy, &before.conditions, &after.conditions);
    let dark = |condition: Option<&Condition>| {
        condition.is_some_and(|condition| condition.reason == Reason::NoHealthyTarget.as_str())
    };
    match (dark(health.before), dark(health.after)) {
        (false, true) => notes.extend(health.broke()),
        (true, false) if health.is(ConditionStatus::True) => {
            let said = health.after.map(|condition| condition.message.as_str());
            notes.push(Note::normal(Reason::Recovered, said.unwrap_or_default()));
        }
        _ => {}
    }
}

fn suspension(before: &Status, after: &Status, notes: &mut Vec<Note>) {
    let held = |status: &Status| {
        let word = Reason::Suspended.as_str();
        status.conditions().iter().any(|condition| condition.reason == word)
    };
    match (held(before), held(after)) {
        (false, true) => {
            notes.push(Note::normal(Reason::Suspended, "held back by spec.suspend"));
        }
        (true, false) => {
            notes.push(Note::normal(Reason::Resumed, "spec.suspend is false again"));
        }
        _ => {}
    }
}

/// How long the target was unhealthy.
fn outage(before: &PublishTargetStatus, after: &PublishTargetStatus) -> Option<String> {
    let since = |status: &PublishTargetStatus| status.health.as_ref()?.since.clone();
    length(since(before), since(after))
}

/// The time from one moment to another, in whole seconds.
fn length(from: Option<String>, to: Option<String>) -> Option<String> {
    let time = |text: Option<String>| text?.parse::<Timestamp>().ok();
    let seconds = time(from)?.duration_until(time(to)?).as_secs();
    Some(match seconds.max(0) {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        seconds => format!("{}h{}m", seconds / 3600, seconds % 3600 / 60),
    })
}

/// One condition before and after.
struct Change<'a> {
    before: Option<&'a Condition>,
    after: Option<&'a Condition>,
}

// === impl Change ===

impl<'a> Change<'a> {
    fn of(kind: ConditionType, before: &'a [Condition], after: &'a [Condition]) -> Self {
        Self { before: find(kind, before), after: find(kind, after) }
    }

    fn is(&self, status: ConditionStatus) -> bool {
        self.after.is_some_and(|after| after.status == status)
    }

    /// The condition, if it became True.
    fn began(&self) -> Option<&'a Condition> {
        let was = self.before.is_some_and(|before| before.status == ConditionStatus::True);
        self.after.filter(|after| after.status == ConditionStatus::True && !was)
    }

    /// A warning, if it became False or is False for another reason.
    fn broke(&self) -> Option<Note> {
        let after = self.after.filter(|after| after.status == ConditionStatus::False)?;
        let same = self.before.is_some_and(|before| {
            before.status == ConditionStatus::False && before.reason == after.reason
        });
        let reason = Reason::ALL.iter().find(|reason| reason.as_str() == after.reason)?;
        (!same).then(|| Note::warning(*reason, &after.message))
    }
}

fn find(kind: ConditionType, conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

// === impl Note ===

impl Note {
    /// Good news.
    pub(super) fn normal(reason: Reason, text: &str) -> Self {
        Self { reason, warning: false, text: text.to_owned() }
    }

    /// Bad news.
    pub(super) fn warning(reason: Reason, text: &str) -> Self {
        Self { reason, warning: true, text: text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::controller::Kind;

    fn condition(kind: &str, status: &str, reason: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": "m",
               "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    fn status(conditions: &[(&str, &str, &str)], state: &str, since: &str) -> Status {
        let conditions: Vec<_> =
            conditions.iter().map(|(kind, status, why)| condition(kind, status, why)).collect();
        let stored = json!({"conditions": conditions, "health": {"state": state, "since": since}});
        Status::read(Kind::PublishTarget, &stored)
    }

    fn route(conditions: &[(&str, &str, &str)]) -> Status {
        let conditions: Vec<_> =
            conditions.iter().map(|(kind, status, why)| condition(kind, status, why)).collect();
        Status::read(Kind::AlertRoute, &json!({"conditions": conditions}))
    }

    fn reasons(before: &Status, after: &Status) -> Vec<Reason> {
        transitions(before, after).into_iter().map(|note| note.reason).collect()
    }

    const T0: &str = "2026-01-01T00:00:00Z";

    #[test]
    fn a_new_target_is_registered_once() {
        let none = status(&[("Ready", "Unknown", "Pending")], "Unknown", T0);
        let ready = status(&[("Ready", "True", "Registered")], "Unknown", T0);
        assert_eq!(reasons(&none, &ready), [Reason::Registered]);
        let healthy = status(&[("Ready", "True", "Registered")], "Healthy", T0);
        assert_eq!(reasons(&ready, &healthy), []);
        assert_eq!(reasons(&healthy, &healthy), []);
    }

    #[test]
    fn a_rejection_is_told_once_per_reason() {
        let ready = status(&[("Ready", "True", "Registered")], "Healthy", T0);
        let missing = status(&[("Ready", "False", "SecretNotFound")], "Healthy", T0);
        let forbidden = status(&[("Ready", "False", "SecretForbidden")], "Healthy", T0);
        assert_eq!(reasons(&ready, &missing), [Reason::SecretNotFound]);
        assert_eq!(reasons(&missing, &missing), []);
        assert_eq!(reasons(&missing, &forbidden), [Reason::SecretForbidden]);
        assert!(transitions(&ready, &missing)[0].warning);
    }

    #[test]
    fn recovery_names_the_length_of_the_outage() {
        let up = status(&[("Healthy", "True", "ProbeSucceeded")], "Healthy", T0);
        let down = status(&[("Healthy", "False", "Timeout")], "Unhealthy", T0);
        let again =
            status(&[("Healthy", "True", "ProbeSucceeded")], "Degraded", "2026-01-01T00:04:07Z");
        let notes = transitions(&up, &down);
        assert_eq!((notes[0].reason, notes[0].text.as_str()), (Reason::Unhealthy, "Timeout: m"));
        assert_eq!(transitions(&down, &again)[0].text, "healthy again after 4m7s: m");
    }

    fn circuit(state: &str, since: &str) -> Status {
        let open = condition("Delivering", "False", "CircuitOpen");
        let stored = json!({
            "conditions": if state == "Open" { vec![open] } else { Vec::new() },
            "circuit": {"state": state, "since": since},
        });
        Status::read(Kind::PublishTarget, &stored)
    }

    #[test]
    fn a_circuit_is_told_once_when_it_opens_and_once_when_it_closes() {
        let none = Status::read(Kind::PublishTarget, &json!({}));
        let open = circuit("Open", T0);
        let half = circuit("HalfOpen", "2026-01-01T00:03:00Z");
        let closed = circuit("Closed", "2026-01-01T00:04:07Z");
        assert_eq!(reasons(&none, &closed), [], "it was never open");
        for before in [&none, &closed] {
            let notes = transitions(before, &open);
            assert_eq!(notes, [Note::warning(Reason::CircuitOpen, "m")]);
        }
        assert_eq!(reasons(&open, &half), []);
        assert_eq!(reasons(&half, &open), []);
        assert_eq!(reasons(&half, &closed), [Reason::CircuitClosed]);
        let notes = transitions(&open, &closed);
        assert_eq!(
            notes,
            [Note::normal(Reason::CircuitClosed, "deliveries are sent again after 4m7s")]
        );
    }

    #[test]
    fn suspension_and_its_end_are_told() {
        let running = status(&[("Delivering", "True", "NothingHeld")], "Healthy", T0);
        let held = status(&[("Delivering", "False", "Suspended")], "Healthy", T0);
        assert_eq!(reasons(&running, &held), [Reason::Suspended]);
        assert_eq!(reasons(&held, &running), [Reason::Resumed]);
    }

    #[test]
    fn routes_tell_of_shadows_lost_targets_and_darkness() {
        let none = route(&[]);
        let good = route(&[
            ("Accepted", "True", "Accepted"),
            ("ResolvedRefs", "True", "Resolved"),
            ("Healthy", "True", "AllTargetsHealthy"),
        ]);
        let shadowed = route(&[("Accepted", "False", "Shadowed")]);
        let lost = route(&[
            ("Accepted", "True", "Accepted"),
            ("ResolvedRefs", "False", "TargetNotFound"),
            ("Healthy", "False", "NoHealthyTarget"),
        ]);
        assert_eq!(reasons(&none, &good), [Reason::Accepted]);
        assert_eq!(reasons(&good, &shadowed), [Reason::Shadowed]);
        assert_eq!(reasons(&good, &lost), [Reason::TargetNotFound, Reason::NoHealthyTarget]);
        assert_eq!(reasons(&lost, &good), [Reason::Recovered]);
    }
}
