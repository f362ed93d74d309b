//! One alert on one route: what each of the route's recipients was told about it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    AlertId, Recipient, Slot,
    plan::Delivery,
    told::{Says, Told, Trigger},
};
use crate::{
    alert::{Labels, group_key, incident_key},
    api::{RouteKey, TargetKey},
};

/// One alert on one route. Kept while the route exists, even if it no longer wants the alert: the
/// resolve still goes to those told.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) route: RouteKey,
    /// The route wants the alert now.
    pub(super) matches: bool,
    suspended: bool,
    recipients: Arc<[Recipient]>,
    /// One for each recipient.
    told: Vec<Told>,
    keys: Option<Keys>,
}

/// Group key and incident key, made when first needed.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) group: Arc<str>,
    pub(super) incident: Arc<str>,
}

// === impl Link ===

impl Link {
    pub(super) fn new(route: RouteKey, delivery: &Delivery) -> Self {
        Self {
            route,
            matches: true,
            suspended: delivery.suspended,
            recipients: delivery.recipients.clone(),
            told: vec![Told::default(); delivery.recipients.len()],
            keys: None,
        }
    }

    /// Follows a change of the route's recipients. Entries stay with their target as long as it
    /// has the same UID; those of recipients that left are forgotten.
    pub(super) fn follow(&mut self, delivery: &Delivery, matches: bool) {
        let resumed = self.suspended && !delivery.suspended;
        self.matches = matches;
        self.suspended = delivery.suspended;
        if resumed {
            self.told.iter_mut().for_each(Told::retry_at_once);
        }
        if Arc::ptr_eq(&self.recipients, &delivery.recipients) {
            return;
        }
        let told = delivery.recipients.iter().map(|new| {
            let Some(at) = find(&self.recipients, &new.target) else { return Told::default() };
            let old = &self.recipients[at];
            if old.uid != new.uid {
                return Told::default();
            }
            let mut told = std::mem::take(&mut self.told[at]);
            if old.suspended && !new.suspended {
                told.retry_at_once();
            }
            told
        });
        self.told = told.collect();
        self.recipients = delivery.recipients.clone();
    }

    /// Hands out the slots that have something owed on this occasion; `only` limits them to some
    /// targets.
    pub(super) fn offer(
        &mut self,
        (alert, says): (AlertId, Says),
        (trigger, now): (Trigger, Timestamp),
        only: Option<&BTreeSet<TargetKey>>,
        out: &mut Vec<Slot>,
    ) {
        if self.suspended {
            return;
        }
        for (recipient, told) in self.recipients.iter().zip(&mut self.told) {
            if only.is_none_or(|only| only.contains(&recipient.target))
                && owed(recipient, told, says, self.matches)
                && told.offers(says, trigger, now)
            {
                let (target, route) = (recipient.target.clone(), self.route.clone());
                out.push(Slot { target, route, alert });
            }
        }
    }

    /// The entry of one target, with the recipient, if something may be sent to it now.
    pub(super) fn ready(
        &mut self,
        target: &TargetKey,
        says: Says,
    ) -> Option<(&Recipient, &mut Told)> {
        let at = find(&self.recipients, target).filter(|_| !self.suspended)?;
        let (recipient, told) = (&self.recipients[at], &mut self.told[at]);
        let ready = owed(recipient, told, says, self.matches) && told.in_flight() == 0;
        ready.then_some((recipient, told))
    }

    /// The entry of one target.
    pub(super) fn entry(&mut self, target: &TargetKey) -> Option<&mut Told> {
        find(&self.recipients, target).map(|at| &mut self.told[at])
    }

    /// Whether the target was told exactly this and is not suspended.
    pub(super) fn knows(&self, target: &TargetKey, says: Says) -> bool {
        find(&self.recipients, target)
            .is_some_and(|at| !self.recipients[at].suspended && self.told[at].knows(says))
    }

    /// Offers to one target only.
    pub(super) fn offer_to(
        &mut self,
        target: &TargetKey,
        says: Says,
        (trigger, now): (Trigger, Timestamp),
    ) -> bool {
        self.ready(target, says).is_some_and(|(_, told)| told.offers(says, trigger, now))
    }

    /// Counts the recipients that never heard of the incident that ends now.
    pub(super) fn supersede(&self, incident: u32, superseded: &mut HashMap<TargetKey, u64>) {
        for (recipient, told) in self.recipients.iter().zip(&self.told) {
            if self.matches && told.misses_out(incident) {
                *superseded.entry(recipient.target.clone()).or_default() += 1;
            }
        }
    }

    /// Nobody waits for an end, and nothing is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.told.iter().all(|told| told.in_flight() == 0 && !told.open())
    }

    /// Something is under way.
    pub(super) fn in_flight(&self) -> bool {
        self.told.iter().any(|told| told.in_flight() != 0)
    }

    /// Somebody was told, or may have been told, of an incident whose end they have not heard.
    pub(super) fn is_open(&self) -> bool {
        self.told.iter().any(Told::open)
    }

    /// Nothing was ever told or tried.
    pub(super) fn is_blank(&self) -> bool {
        self.told.iter().all(Told::is_blank)
    }

    /// When the first pause of a failed notification ends.
    pub(super) fn next_pause(&self, says: Says) -> Option<Timestamp> {
        let waiting = self.recipients.iter().zip(&self.told).filter(|(recipient, told)| {
            !self.suspended
                && !recipient.suspended
                && told.in_flight() == 0
                && told.owes(says, self.matches)
        });
        waiting.filter_map(|(_, told)| told.pause_ends()).min()
    }

    pub(super) fn keys(&mut self, labels: &Labels) -> Keys {
        self.keys
            .get_or_insert_with(|| {
                let group = group_key(&self.route.to_string(), labels);
                Keys { incident: incident_key(&group).into(), group: group.into() }
            })
            .clone()
    }
}

/// Whether something is owed to a recipient that is not suspended. A resolve that the route leaves
/// out is noted as told.
fn owed(recipient: &Recipient, told: &mut Told, says: Says, matches: bool) -> bool {
    if !recipient.send_resolved {
        told.absorb(says);
    }
    !recipient.suspended && told.owes(says, matches)
}

fn find(recipients: &[Recipient], target: &TargetKey) -> Option<usize> {
    recipients.binary_search_by(|one| one.target.cmp(target)).ok()
}
