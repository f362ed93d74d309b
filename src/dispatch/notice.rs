//! What a notification says, and its names.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    RouteId, Subject,
    held::Held,
    link::{Delivery, Member},
    told::{Says, Told},
    view::{Shown, View},
};
use crate::{
    alert::{
        Alert, Labels, Member as AlertMember, Notification, NotificationId, NotificationReason,
        Status, group_key, incident_key,
    },
    api::RouteKey,
};

/// So many keys are kept: those of what was sent last are asked for again by the next target.
const KEYS: usize = 1_024;

/// What an alert or a group says, with everything that a notification of it needs.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) says: Says,
    pub(super) changed_at: Timestamp,
    pub(super) what: What,
}

/// Of whom it says that.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// An alert, whose incident began then.
    Alert(Arc<Alert>, Timestamp),
    /// A group of these labels.
    Group(Arc<View>, Labels),
}

/// Makes notifications.
#[derive(Debug)]
pub(super) struct Writer {
    external_url: Arc<str>,
    keys: Box<[Option<Keys>]>,
}

/// Group key and incident key of one alert or group on one route.
#[derive(Clone, Debug)]
struct Keys {
    of: (Subject, RouteId),
    group: Arc<str>,
    incident: Arc<str>,
}

// === impl Content ===

impl Content {
    /// `None` while the alert is stale.
    pub(super) fn of(held: &Held) -> Option<Self> {
        Some(Self {
            says: held.says()?,
            changed_at: held.changed_at,
            what: What::Alert(held.shown().clone(), held.incident_start()),
        })
    }

    /// What targets heard last of it: a stale alert counts as firing.
    pub(super) fn last_of(held: &Held) -> Self {
        Self::of(held).unwrap_or_else(|| Self {
            says: held.before_stale(),
            changed_at: held.changed_at,
            what: What::Alert(held.alert.clone(), held.incident_start()),
        })
    }
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(external_url: Arc<str>) -> Self {
        Self { external_url, keys: vec![None; KEYS].into() }
    }

    /// The notification that tells `content` to a recipient, after what it was told before.
    pub(super) fn write(
        &mut self,
        content: &Content,
        of: (Subject, RouteId),
        (delivery, member, told): (&Delivery, &Member, &Told),
        now: Timestamp,
    ) -> Arc<Notification> {
        let Content { says, what, .. } = content;
        let labels = match what {
            What::Alert(alert, _) => &alert.labels,
            What::Group(_, labels) => labels,
        };
        let Keys { group, incident, .. } = self.keys(of, &delivery.key, labels);
        let name = NotificationId::new(&member.recipient.uid, &group, told.count());
        let (name, reason, members) = match what {
            What::Alert(alert, incident_start) => {
                let reason = match says.status {
                    Status::Resolved => NotificationReason::AllResolved,
                    Status::Firing if told.begins() => NotificationReason::First,
                    Status::Firing if told.repeats(*says) => NotificationReason::Repeat,
                    Status::Firing => NotificationReason::NewAlerts,
                };
                let members = vec![AlertMember { alert: alert.clone(), status: says.status }];
                (name.member(&alert.labels, says.status, *incident_start), reason, members)
            }
            What::Group(view, _) => {
                let told = |shown: &&Shown| {
                    shown.status == Status::Firing || member.recipient.send_resolved
                };
                let shown = || view.shown().filter(told);
                let name = shown().fold(name, |name, shown| {
                    name.member(&shown.alert.labels, shown.status, shown.incident_start)
                });
                let member = |Shown { alert, status, .. }: &Shown| AlertMember {
                    alert: alert.clone(),
                    status: *status,
                };
                (name, view.reason, shown().map(member).collect())
            }
        };
        Arc::new(Notification {
            id: name.finish().into(),
            group_key: group,
            incident_key: incident,
            receiver: member.recipient.target.to_string().into(),
            status: says.status,
            group_labels: labels.clone(),
            reason,
            external_url: self.external_url.clone(),
            at: now,
            members,
            fallback: member.is_fallback(),
            digest: false,
        })
    }

    fn keys(&mut self, of: (Subject, RouteId), route: &RouteKey, labels: &Labels) -> Keys {
        let number = of.0.number().wrapping_mul(31).wrapping_add(u64::from(of.1.0));
        let place = usize::try_from(number % KEYS as u64).expect("it is below KEYS");
        let place = &mut self.keys[place];
        match place {
            Some(keys) if keys.of == of => keys.clone(),
            _ => {
                let group = group_key(&route.to_string(), labels);
                let keys = Keys { of, incident: incident_key(&group).into(), group: group.into() };
                place.insert(keys).clone()
            }
        }
    }

    /// Numbers may stand for other names from now on.
    pub(super) fn forget(&mut self) {
        self.keys.fill(None);
    }
}
