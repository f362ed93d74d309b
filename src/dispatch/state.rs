//! The state machine.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    AlertId, Counts, Plan, Settings, Settled, Slot, Ticket,
    edit::{Deliveries, Edit, connect},
    held::{Held, Phase},
    size::size,
    told::Trigger,
};
use crate::{
    alert::{
        Alert, Labels, Member, Notification, NotificationId, NotificationReason, Status, later,
    },
    api::TargetKey,
    publish::{Accepted, Source},
    routing::Route,
};

/// Alert state and what everyone was told.
///
/// Call [`State::accept`], [`State::reconfigure`], [`State::tick`] and [`State::owed_of`] with what
/// happens; each returns slots. For a slot, [`State::take`] gives the notification that is owed at
/// that moment; send it and [`State::settle`] it. A slot may be returned more than once and may have
/// nothing owed any more when it is taken: keep them in a set.
#[derive(Debug)]
pub struct State {
    pub(super) settings: Settings,
    /// Nothing expires before: everyone must have had the time to send again after the start.
    grace: Timestamp,
    plan: Arc<Plan>,
    /// The plan's routes; lists of recipients that did not change stay the same allocation.
    routes: Deliveries,
    pub(super) alerts: HashMap<AlertId, Held>,
    pub(super) index: HashMap<Labels, AlertId>,
    /// What the held alerts take.
    pub(super) bytes: usize,
    last_id: u64,
    last_attempt: u32,
    deadlines: BinaryHeap<Reverse<(Timestamp, AlertId)>>,
    /// Alerts in the order in which they ended; holds outdated entries too.
    ended: VecDeque<(AlertId, Timestamp)>,
    counts: Counts,
    superseded: HashMap<TargetKey, u64>,
    /// Reused by every look into the table.
    matched: Vec<Arc<Route>>,
}

// === impl State ===

impl State {
    /// Nothing held, nothing told, an empty plan.
    #[must_use]
    pub fn new(settings: Settings, now: Timestamp) -> Self {
        Self {
            grace: later(now, settings.resolve_timeout),
            settings,
            plan: Arc::default(),
            routes: HashMap::new(),
            alerts: HashMap::new(),
            index: HashMap::new(),
            bytes: 0,
            last_id: 0,
            last_attempt: 0,
            deadlines: BinaryHeap::new(),
            ended: VecDeque::new(),
            counts: Counts::default(),
            superseded: HashMap::new(),
            matched: Vec::new(),
        }
    }

    /// Takes a batch in, in its order. Returns the slots that have something owed, those that
    /// failed before included: a re-send tries again.
    ///
    /// A resolve of an alert that is not held is taken and forgotten. A new alert over
    /// `--max-alerts` or over the memory for alerts is refused; re-sends and resolves never are.
    pub fn accept(
        &mut self,
        alerts: Vec<Alert>,
        source: Source,
        now: Timestamp,
    ) -> (Accepted, Vec<Slot>) {
        let mut accepted = Accepted::default();
        let mut slots = Vec::new();
        for alert in alerts {
            let resolved = alert.status(now) == Status::Resolved;
            let alert = self.fit(alert);
            let Some(id) = self.hold(&alert, source, resolved) else {
                if resolved {
                    accepted.alerts += 1;
                } else {
                    accepted.refused += 1;
                }
                continue;
            };
            accepted.alerts += 1;
            let before = self.alerts.get(&id).map_or(0, |held| size(&held.alert));
            self.change(id, |held, settings, grace| {
                let expired = held.advance(settings, grace, now);
                held.update(alert, source, now);
                expired
            });
            if let Some(held) = self.alerts.get(&id) {
                self.bytes = (self.bytes + size(&held.alert)).saturating_sub(before);
                accepted.unrouted += usize::from(!held.routed);
            }
            self.offer(id, (Trigger::Again, now), &mut slots);
        }
        self.trim(0);
        (accepted, slots)
    }

    /// Replaces routes and recipients. Returns the slots that have something owed and were not
    /// tried in vain already.
    pub fn reconfigure(&mut self, plan: Arc<Plan>, now: Timestamp) -> Vec<Slot> {
        let mut routes = plan.routes.clone();
        for (key, delivery) in &mut routes {
            if let Some(old) =
                self.routes.get(key).filter(|old| old.recipients == delivery.recipients)
            {
                delivery.recipients = old.recipients.clone();
            }
        }
        let edit = Edit::between((&self.plan.table, &self.routes), (&plan.table, &routes));
        let concerned: Vec<AlertId> = if edit.is_empty() {
            Vec::new()
        } else {
            let concerned = self.alerts.iter().filter(|(_, held)| edit.concerns(held));
            concerned.map(|(id, _)| *id).collect()
        };
        self.routes = routes;
        self.plan = plan;
        let mut slots = Vec::new();
        for id in concerned {
            if let Some(held) = self.alerts.get_mut(&id) {
                held.routed = self.plan.table.resolve_into(&held.alert.labels, &mut self.matched);
                connect(held, &self.routes, &self.matched);
            }
            self.offer(id, (Trigger::Change, now), &mut slots);
        }
        self.matched.clear();
        slots
    }

    /// Lets time pass: expiry, confirmation of a second sender's alert, pauses, forgetting.
    /// Returns the slots that have something owed now.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Slot> {
        let mut slots = Vec::new();
        while let Some(Reverse((at, id))) = self.deadlines.peek().copied() {
            if at > now {
                break;
            }
            self.deadlines.pop();
            match self.alerts.get_mut(&id) {
                Some(held) if held.queued == Some(at) => held.queued = None,
                _ => continue,
            }
            self.change(id, |held, settings, grace| held.advance(settings, grace, now));
            if self.alerts.get(&id).is_some_and(|held| held.is_forgotten(now)) {
                self.forget(id);
            } else {
                self.offer(id, (Trigger::Pause, now), &mut slots);
            }
        }
        self.trim(0);
        slots
    }

    /// When [`State::tick`] has something to do; it may be early, never late.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.peek().map(|Reverse((at, _))| *at)
    }

    /// The notification owed for `slot`, now in flight. `None` if nothing is owed any more, if one
    /// is in flight already, or if route or target is suspended.
    pub fn take(&mut self, slot: &Slot, now: Timestamp) -> Option<(Arc<Notification>, Ticket)> {
        self.change(slot.alert, |held, settings, grace| held.advance(settings, grace, now));
        let held = self.alerts.get_mut(&slot.alert)?;
        let says = held.says()?;
        let alert = held.shown().clone();
        let (_, incident_start) = held.incident();
        let link = held.links.iter_mut().find(|link| link.route == slot.route)?;
        link.ready(&slot.target, says)?;
        let keys = link.keys(&alert.labels);
        let (recipient, told) = link.ready(&slot.target, says)?;
        self.last_attempt = self.last_attempt.checked_add(1).unwrap_or(1);
        told.begin(self.last_attempt);
        let id = NotificationId::new(&recipient.uid, &keys.group, told.count());
        let notification = Notification {
            id: id.member(&alert.labels, says.status, incident_start).finish().into(),
            group_key: keys.group,
            incident_key: keys.incident,
            receiver: slot.target.to_string().into(),
            status: says.status,
            group_labels: alert.labels.clone(),
            reason: match says.status {
                Status::Resolved => NotificationReason::AllResolved,
                Status::Firing if told.count() == 0 => NotificationReason::First,
                Status::Firing => NotificationReason::NewAlerts,
            },
            external_url: self.settings.external_url.clone(),
            at: now,
            members: vec![Member { alert, status: says.status }],
        };
        let ticket = Ticket { slot: slot.clone(), attempt: self.last_attempt, said: says };
        Some((Arc::new(notification), ticket))
    }

    /// Records what became of a notification. Returns the slot if something newer is owed for it.
    #[must_use = "the returned slot has something owed"]
    pub fn settle(&mut self, ticket: Ticket, outcome: Settled, now: Timestamp) -> Option<Slot> {
        let Ticket { slot, attempt, said } = ticket;
        let held = self.alerts.get_mut(&slot.alert)?;
        let says = held.says();
        let link = held.links.iter_mut().find(|link| link.route == slot.route)?;
        let told = link.entry(&slot.target).filter(|told| told.in_flight() == attempt)?;
        told.settle(said, outcome, now);
        let passed = says.is_some_and(|says| {
            says != said && said.status == Status::Firing && told.misses_out(said.incident)
        });
        if passed {
            *self.superseded.entry(slot.target.clone()).or_default() += 1;
        }
        let newer = says.is_some_and(|says| {
            says != said && link.offer_to(&slot.target, says, (Trigger::Again, now))
        });
        self.schedule(slot.alert);
        newer.then_some(slot)
    }

    /// Everything owed to `targets`, failed and skipped attempts included: for their recovery. One pass
    /// over the alerts, however many recover at once.
    pub fn owed_of(&mut self, targets: &BTreeSet<TargetKey>, now: Timestamp) -> Vec<Slot> {
        let mut slots = Vec::new();
        for (id, held) in &mut self.alerts {
            let Some(says) = held.says() else { continue };
            for link in &mut held.links {
                link.offer((*id, says), (Trigger::Again, now), Some(targets), &mut slots);
            }
        }
        slots
    }

    /// Incidents that came and went before a target could be told, per target, since the last
    /// call.
    pub fn take_superseded(&mut self) -> Vec<(TargetKey, u64)> {
        self.superseded.drain().collect()
    }

    /// What is held.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The place of an alert, made if it is new. `None` if there is none and none is made: a
    /// resolve of what is not held, or a new alert over the limit.
    fn hold(&mut self, alert: &Alert, source: Source, resolved: bool) -> Option<AlertId> {
        let full = self.counts.firing >= self.settings.max_alerts;
        if let Some(id) = self.index.get(&alert.labels) {
            let held = self.alerts.get(id)?;
            let refused = full && !resolved && held.phase != Phase::Firing && !held.is_open();
            return (!refused).then_some(*id);
        }
        let bytes = size(alert);
        if full || resolved || !self.has_room(bytes) {
            return None;
        }
        self.bytes += bytes;
        self.last_id += 1;
        let id = AlertId(self.last_id);
        let mut held = Held::new(alert.clone(), source);
        held.routed = self.plan.table.resolve_into(&alert.labels, &mut self.matched);
        connect(&mut held, &self.routes, &self.matched);
        self.matched.clear();
        self.index.insert(alert.labels.clone(), id);
        self.alerts.insert(id, held);
        self.counts.firing += 1;
        Some(id)
    }

    /// Runs `change`, which says whether the alert expired, and keeps the books.
    fn change(
        &mut self,
        id: AlertId,
        change: impl FnOnce(&mut Held, &Settings, Timestamp) -> bool,
    ) {
        let Some(held) = self.alerts.get_mut(&id) else { return };
        let (phase, said) = (held.phase, held.says());
        let expired = change(held, &self.settings, self.grace);
        self.counts.expired += u64::from(expired);
        if phase != held.phase {
            *of(&mut self.counts, phase) -= 1;
            *of(&mut self.counts, held.phase) += 1;
            if held.phase != Phase::Firing {
                self.ended.push_back((id, held.ended));
            }
        }
        let fired = said.filter(|said| said.status == Status::Firing);
        if let Some(said) = fired.filter(|_| held.phase == Phase::Resolved) {
            for link in &held.links {
                link.supersede(said.incident, &mut self.superseded);
            }
        }
    }

    fn offer(&mut self, id: AlertId, on: (Trigger, Timestamp), slots: &mut Vec<Slot>) {
        let Some(held) = self.alerts.get_mut(&id) else { return };
        if let Some(says) = held.says() {
            held.links.iter_mut().for_each(|link| link.offer((id, says), on, None, slots));
        }
        self.schedule(id);
    }

    /// At most one entry of the queue counts for an alert: the earliest. Later ones are made when
    /// that one is due, so that a re-send that only moves the end makes none.
    fn schedule(&mut self, id: AlertId) {
        let Some(held) = self.alerts.get_mut(&id) else { return };
        let deadline = held.deadline(&self.settings, self.grace);
        if let Some(at) = deadline.filter(|at| held.queued.is_none_or(|queued| *at < queued)) {
            held.queued = Some(at);
            self.deadlines.push(Reverse((at, id)));
        }
    }

    fn forget(&mut self, id: AlertId) {
        if let Some(held) = self.alerts.remove(&id) {
            self.index.remove(&held.alert.labels);
            self.bytes = self.bytes.saturating_sub(size(&held.alert));
            *of(&mut self.counts, held.phase) -= 1;
        }
    }

    /// Keeps everything bounded. Alerts that ended are held beside those that fire, at most
    /// `--max-alerts` of them and only while there is room for `bytes` more; the oldest go first. Outdated
    /// entries of the queues go in bulk.
    pub(super) fn trim(&mut self, bytes: usize) {
        let Settings { max_alerts, max_bytes, .. } = self.settings;
        let mut tries = self.ended.len();
        while tries > 0
            && (self.counts.resolved + self.counts.stale > max_alerts
                || self.bytes + bytes > max_bytes)
        {
            tries -= 1;
            let Some((id, ended)) = self.ended.pop_front() else { break };
            match self.alerts.get(&id) {
                Some(held) if held.phase == Phase::Firing || held.ended != ended => {}
                Some(held) if held.in_flight() => self.ended.push_back((id, ended)),
                Some(held) => {
                    self.counts.dropped += u64::from(held.is_open());
                    self.forget(id);
                }
                None => {}
            }
        }
        if self.deadlines.len() > 2 * self.alerts.len() + 1_024 {
            let alerts = &self.alerts;
            self.deadlines.retain(|Reverse((at, id))| {
                alerts.get(id).is_some_and(|held| held.queued == Some(*at))
            });
        }
        if self.ended.len() > 2 * (self.counts.resolved + self.counts.stale) + 1_024 {
            let alerts = &self.alerts;
            self.ended.retain(|(id, ended)| {
                alerts
                    .get(id)
                    .is_some_and(|held| held.phase != Phase::Firing && held.ended == *ended)
            });
        }
    }
}

fn of(counts: &mut Counts, phase: Phase) -> &mut usize {
    match phase {
        Phase::Firing => &mut counts.firing,
        Phase::Resolved => &mut counts.resolved,
        Phase::Stale => &mut counts.stale,
    }
}
