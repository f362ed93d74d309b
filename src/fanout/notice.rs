//! What a publish sends: its one alert, ungrouped, as a notification per target.
//!
//! The group key is `publish:` and the alert's labels, so that the incident key is the same for
//! every publish of the same labels: a second publish of a firing alert updates the incident that
//! the first one opened downstream (PagerDuty and the like), and a publish of the same labels with
//! an end closes it. Routed alerts have the route in their group key and never share an incident
//! with a publish.
//!
//! The id is unique per publish and target, and the same for a repeat of a request with the same
//! `Idempotency-Key`: a receiver that saw the first one can tell.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::records::Subject;
use crate::{
    alert::{
        Alert, Member, Notification, NotificationReason, PublishId, Status, group_key, incident_key,
    },
    publish::Idempotency,
    registry::Target,
};

/// One publish's notification without what differs per target. What is large is shared.
#[derive(Debug)]
pub(crate) struct Notice {
    id: PublishId,
    group_key: Arc<str>,
    incident_key: Arc<str>,
    member: Member,
    subject: Subject,
    external_url: Arc<str>,
    at: Timestamp,
}

// === impl Notice ===

impl Notice {
    pub(crate) fn new(
        alert: Arc<Alert>,
        idempotency: Option<&Idempotency>,
        external_url: Arc<str>,
        at: Timestamp,
    ) -> Self {
        let unique = match idempotency {
            Some(Idempotency { key, body }) => format!("{key}/{body:02x?}"),
            None => Uuid::new_v4().to_string(),
        };
        let group_key = group_key("publish", &alert.labels);
        let member = Member { status: alert.status(at), alert };
        let subject = Subject::of(std::slice::from_ref(&member), member.alert.labels.alert_name());
        Self {
            id: PublishId::new(&unique),
            incident_key: incident_key(&group_key).into(),
            group_key: group_key.into(),
            member,
            subject,
            external_url,
            at,
        }
    }

    /// Identifies publishes of the same labels.
    pub(crate) fn group_key(&self) -> &str {
        &self.group_key
    }

    /// What the history says of it, whoever it is for.
    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What its texts take, roughly.
    pub(crate) fn bytes(&self) -> usize {
        let alert = &self.member.alert;
        alert.labels.size() + alert.annotations.size() + alert.generator_url.len()
    }

    /// The notification for one target.
    pub(crate) fn to(&self, target: &Target) -> Arc<Notification> {
        let receiver = match target.live.series() {
            Some(series) => series.label.clone(),
            None => target.key.to_string().into(),
        };
        self.addressed(&target.uid, receiver)
    }

    /// The notification for a target of which only object and name are known.
    pub(crate) fn addressed(&self, uid: &str, receiver: Arc<str>) -> Arc<Notification> {
        let reason = match self.member.status {
            Status::Firing => NotificationReason::First,
            Status::Resolved => NotificationReason::AllResolved,
        };
        Arc::new(Notification {
            id: self.id.of(uid),
            group_key: self.group_key.clone(),
            incident_key: self.incident_key.clone(),
            receiver,
            status: self.member.status,
            members: vec![self.member.clone()],
            group_labels: self.member.alert.labels.clone(),
            reason,
            external_url: self.external_url.clone(),
            at: self.at,
            fallback: false,
            digest: false,
        })
    }
}
