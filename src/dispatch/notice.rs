//! What a notification says, and its names.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    AlertId, RouteId,
    held::Held,
    link::{Delivery, Member},
    told::{Says, Told},
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

/// What an alert says, with everything that a notification of it needs.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) alert: Arc<Alert>,
    pub(super) says: Says,
    pub(super) incident_start: Timestamp,
    pub(super) changed_at: Timestamp,
}

/// Makes notifications.
#[derive(Debug)]
pub(super) struct Writer {
    external_url: Arc<str>,
    keys: Box<[Option<Keys>]>,
}

/// Group key and incident key of one alert on one route.
#[derive(Clone, Debug)]
struct Keys {
    of: (AlertId, RouteId),
    group: Arc<str>,
    incident: Arc<str>,
}

// === impl Content ===

impl Content {
    /// `None` while the alert is stale.
    pub(super) fn of(held: &Held) -> Option<Self> {
        Some(Self {
            says: held.says()?,
            alert: held.shown().clone(),
            incident_start: held.incident_start(),
            changed_at: held.changed_at,
        })
    }

    /// What targets heard last of it: a stale alert counts as firing.
    pub(super) fn last_of(held: &Held) -> Self {
        Self::of(held).unwrap_or_else(|| Self {
            says: held.before_stale(),
            alert: held.alert.clone(),
            incident_start: held.incident_start(),
            changed_at: held.changed_at,
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
        (id, route): (AlertId, RouteId),
        (delivery, member, told): (&Delivery, &Member, &Told),
        now: Timestamp,
    ) -> Arc<Notification> {
        let Content { alert, says, incident_start, .. } = content;
        let Keys { group, incident, .. } = self.keys((id, route), &delivery.key, &alert.labels);
        let name = NotificationId::new(&member.recipient.uid, &group, told.count());
        Arc::new(Notification {
            id: name.member(&alert.labels, says.status, *incident_start).finish().into(),
            group_key: group,
            incident_key: incident,
            receiver: member.recipient.target.to_string().into(),
            status: says.status,
            group_labels: alert.labels.clone(),
            reason: match says.status {
                Status::Resolved => NotificationReason::AllResolved,
                Status::Firing if told.count() == 0 => NotificationReason::First,
                Status::Firing if told.repeats(*says) => NotificationReason::Repeat,
                Status::Firing => NotificationReason::NewAlerts,
            },
            external_url: self.external_url.clone(),
            at: now,
            members: vec![AlertMember { alert: alert.clone(), status: says.status }],
        })
    }

    fn keys(&mut self, of: (AlertId, RouteId), route: &RouteKey, labels: &Labels) -> Keys {
        let AlertId(alert) = of.0;
        let place = alert.wrapping_mul(31).wrapping_add(u64::from(of.1.0)) % KEYS as u64;
        let place = &mut self.keys[usize::try_from(place).expect("it is below KEYS")];
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
