//! What is written about attempts and outcomes: history and dead letters. Pure.

use std::{sync::Arc, time::Duration};

use hashbrown::HashSet;
use jiff::Timestamp;

use crate::{
    alert::{Fingerprint, Member, Notification},
    api::{RouteKey, TargetKey},
    delivery::{Attempt, Class, Failure},
    publish::ErrorType,
    store::{AttemptRecord, DeadLetter, DeadReason, Op, Outcome},
};

/// Longest message of a dead letter, in bytes.
const MAX_MESSAGE: usize = 1024;

/// What of a notification does not depend on whom it is for; worked out once where many are told the same.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    fingerprints: Arc<[Fingerprint]>,
    alerts: u32,
    alert: Option<Arc<str>>,
    names: Arc<[Arc<str>]>,
}

/// Which notification, for whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) target: &'a TargetKey,
    /// `None`: a publish.
    pub(super) route: Option<&'a RouteKey>,
    pub(super) notification: &'a Arc<Notification>,
}

/// What is known of a notification that was given up, beside what it is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct GivenUp<'a> {
    pub(super) uid: &'a Arc<str>,
    pub(super) reason: DeadReason,
    pub(super) message: &'a str,
    pub(super) status_code: Option<u16>,
    pub(super) attempts: u32,
    pub(super) accepted_at: Timestamp,
}

/// What an attempt came to, as the history names it.
pub(super) fn outcome(attempt: &Attempt) -> Outcome {
    match &attempt.result {
        Ok(()) => Outcome::Delivered,
        Err(Failure { class: Class::Rejected | Class::Gone, .. }) => Outcome::Rejected,
        Err(_) => Outcome::Failed,
    }
}

// === impl Subject ===

impl Subject {
    /// `name` as [`Notification::alert_name`] gives it.
    pub(super) fn of(members: &[Member], name: &str) -> Self {
        let told = members.iter().take(AttemptRecord::MOST_ALERTS);
        let names = if name.is_empty() { names(told.clone()) } else { Arc::default() };
        Self {
            names,
            fingerprints: told.map(|member| member.alert.labels.fingerprint()).collect(),
            alerts: u32::try_from(members.len()).unwrap_or(u32::MAX),
            alert: Some(name).filter(|name| !name.is_empty()).map(Arc::from),
        }
    }
}

/// The names of alerts, each once.
fn names<'a>(members: impl Iterator<Item = &'a Member>) -> Arc<[Arc<str>]> {
    let mut seen = HashSet::new();
    let names = members.map(|member| member.alert.labels.alert_name());
    let new = names.filter(|name| !name.is_empty() && seen.insert(*name));
    new.take(AttemptRecord::MOST_NAMES).map(Arc::from).collect()
}

// === impl About ===

impl About<'_> {
    /// An attempt; `number` counts the attempts of this notification from 1.
    pub(super) fn attempted(self, number: u32, attempt: &Attempt, at: Timestamp) -> Op {
        Op::Attempt(Box::new(self.attempt(&self.subject(), number, attempt, at)))
    }

    /// The record of an attempt.
    pub(super) fn attempt(
        self,
        subject: &Subject,
        number: u32,
        attempt: &Attempt,
        at: Timestamp,
    ) -> AttemptRecord {
        let error_type = attempt.result.as_ref().err().map(|failure| failure.error_type);
        let mut record = self.record(subject, outcome(attempt), at);
        record.attempt = number;
        record.error_type = error_type;
        record.status_code = attempt.status_code;
        record.duration = attempt.latency;
        record
    }

    /// An attempt that was cut off before its end.
    pub(super) fn cut_off(self, number: u32, after: Duration, at: Timestamp) -> Op {
        Op::Attempt(Box::new(self.cut(number, after, at)))
    }

    /// The record of an attempt that was cut off.
    pub(super) fn cut(self, number: u32, after: Duration, at: Timestamp) -> AttemptRecord {
        let mut record = self.record(&self.subject(), Outcome::Cancelled, at);
        record.attempt = number;
        record.error_type = Some(ErrorType::Cancelled);
        record.duration = after;
        record
    }

    /// An outcome that came without an attempt.
    pub(super) fn ended(self, outcome: Outcome, at: Timestamp) -> Op {
        Op::Attempt(Box::new(self.record(&self.subject(), outcome, at)))
    }

    /// A dead letter.
    pub(super) fn dead_letter(self, given_up: GivenUp<'_>, at: Timestamp) -> Op {
        let GivenUp { uid, reason, message, status_code, attempts, accepted_at } = given_up;
        let end = (0..=message.len().min(MAX_MESSAGE))
            .rev()
            .find(|end| message.is_char_boundary(*end))
            .unwrap_or(0);
        Op::DeadLetter(Box::new(DeadLetter {
            at,
            target: self.target.clone(),
            uid: uid.clone(),
            route: self.route.cloned(),
            reason,
            message: message[..end].to_owned(),
            status_code,
            attempts,
            accepted_at,
            notification: self.notification.clone(),
        }))
    }

    fn subject(self) -> Subject {
        Subject::of(&self.notification.members, self.notification.alert_name())
    }

    fn record(self, subject: &Subject, outcome: Outcome, at: Timestamp) -> AttemptRecord {
        let Subject { fingerprints, alerts, alert, names } = subject;
        AttemptRecord {
            at,
            fingerprints: fingerprints.clone(),
            alerts: *alerts,
            alert: alert.clone(),
            names: names.clone(),
            notification: self.notification.id.clone(),
            status: self.notification.status,
            target: self.target.clone(),
            route: self.route.cloned(),
            attempt: 0,
            outcome,
            error_type: None,
            status_code: None,
            duration: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Alert, Labels, NotificationReason, Status};

    fn labels(node: usize) -> Labels {
        Labels::from_iter([("alertname", "Down".to_owned()), ("node", node.to_string())])
    }

    fn group(members: usize) -> Arc<Notification> {
        let member = |node| {
            let alert = Alert {
                labels: labels(node),
                annotations: Labels::default(),
                starts_at: Timestamp::UNIX_EPOCH,
                ends_at: Timestamp::UNIX_EPOCH,
                timeout: false,
                generator_url: "".into(),
                updated_at: Timestamp::UNIX_EPOCH,
            };
            Member { alert: Arc::new(alert), status: Status::Firing }
        };
        Arc::new(Notification {
            id: "id".into(),
            group_key: "".into(),
            incident_key: "".into(),
            receiver: "".into(),
            status: Status::Firing,
            members: (0..members).map(member).collect(),
            group_labels: Labels::from_iter([("alertname", "Down")]),
            reason: NotificationReason::First,
            fallback: false,
            digest: false,
            external_url: "".into(),
            at: Timestamp::UNIX_EPOCH,
        })
    }

    #[test]
    fn history_names_the_alerts_of_a_group_that_has_no_name_of_its_own() {
        let named = |name: &str| {
            let mut member = group(1).members[0].clone();
            Arc::make_mut(&mut member.alert).labels = Labels::from_iter([("alertname", name)]);
            member
        };
        let members = ["Up", "Down", "Up", ""].map(named);
        let subject = Subject::of(&members, "");
        let kept: Vec<&str> = subject.names.iter().map(|name| &**name).collect();
        assert_eq!((kept, subject.alert), (vec!["Up", "Down"], None));
        let many: Vec<_> = (0..200).map(|one| named(&format!("Alert{one}"))).collect();
        assert_eq!(Subject::of(&many, "").names.len(), AttemptRecord::MOST_NAMES);
        assert!(Subject::of(&many, "Shared").names.is_empty());
    }

    #[test]
    fn history_names_every_alert_of_a_group_up_to_a_limit() {
        let target = TargetKey::new("a", "t");
        for (members, named) in [(1, 1), (3, 3), (1_001, 1_000)] {
            let notification = group(members);
            let about = About { target: &target, route: None, notification: &notification };
            let Op::Attempt(record) = about.ended(Outcome::Superseded, Timestamp::UNIX_EPOCH)
            else {
                panic!("it is an attempt");
            };
            let expected: Vec<_> = (0..named).map(|node| labels(node).fingerprint()).collect();
            assert_eq!(&*record.fingerprints, expected);
            assert_eq!(record.alerts as usize, members);
            assert_eq!(record.alert.as_deref(), Some("Down"));
        }
    }
}
