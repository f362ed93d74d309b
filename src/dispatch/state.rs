//! The state machine.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use hashbrown::HashMap;
use jiff::Timestamp;

use super::{
    AlertId, Counts, GroupId, Mute, Owed, Phase, RouteId, Settings, Slot,
    deadline::Deadlines,
    entry::Desk,
    group::Group,
    held::{Held, Start},
    lane::Lanes,
    link::{Delivery, Link},
    log::Log,
    mute::Mutes,
    muting::Muting,
    names::Names,
    notice::{Content, Writer},
    plan::Plan,
    quota::Quota,
};
use crate::{
    alert::{Alert, Labels, Status, later},
    clock::Moment,
    publish::{Accepted, Source},
    routing::Route,
};

/// Alert state, what everyone was told, and what is owed.
///
/// Call [`State::accept`], [`State::reconfigure`] and [`State::tick`] with what happens. After each call
/// write what [`State::take_facts`] gives; when that is on disk, [`State::enqueue`] what the call
/// returned. Per target, [`State::next`] gives the notification to send; send it and
/// [`State::settle`] it. What came to its end without being told comes out of
/// [`State::take_ended`].
#[derive(Debug)]
pub struct State {
    pub(super) settings: Settings,
    pub(super) start: Start,
    pub(super) plan: Arc<Plan>,
    /// The plan's routes; one that did not change stays the same allocation.
    pub(super) deliveries: HashMap<RouteId, Arc<Delivery>>,
    /// Suspended routes with a target that needs every transition.
    pub(super) muted: Vec<(Arc<Route>, RouteId)>,
    /// Boxed, as the groups are: a table has room for up to twice what is in it, and makes another one
    /// of double the size to grow.
    pub(super) alerts: HashMap<AlertId, Box<Held>>,
    pub(super) index: HashMap<Labels, AlertId>,
    /// The part of each plan's route that is told in groups; see [`Group`].
    pub(super) grouped: HashMap<RouteId, Arc<Delivery>>,
    pub(super) groups: HashMap<GroupId, Box<Group>>,
    pub(super) group_index: HashMap<(RouteId, Labels), GroupId>,
    /// Groups that alerts may leave after a change of the configuration.
    pub(super) loose: Vec<GroupId>,
    /// Groups with members that went stale just now.
    pub(super) quitted: Vec<GroupId>,
    /// What alerts and groups take.
    pub(super) bytes: usize,
    pub(super) last_id: u64,
    pub(super) deadlines: Deadlines,
    /// Alerts that are over and may go, in that order; holds outdated entries too.
    pub(super) retired: VecDeque<(AlertId, Timestamp)>,
    pub(super) counts: Counts,
    pub(super) quota: Quota,
    pub(super) desk: Desk,
    pub(super) muting: Muting,
    /// Reused by every look into the table.
    pub(super) matched: Vec<Arc<Route>>,
}

// === impl State ===

impl State {
    /// Nothing held, nothing told, an empty plan.
    #[must_use]
    pub fn new(settings: Settings, now: Moment) -> Self {
        let grace = later(now.wall, settings.resolve_timeout);
        let desk = Desk {
            names: Names::default(),
            lanes: Lanes::default(),
            log: Log::default(),
            writer: Writer::new(settings.external_url.clone()),
            over: Vec::new(),
            open: HashSet::new(),
            suppressed: [0; Mute::ALL.len()],
        };
        Self {
            start: Start { at: now.wall, grace },
            quota: Quota::new(settings.max_per_name),
            settings,
            plan: Arc::default(),
            deliveries: HashMap::new(),
            muted: Vec::new(),
            alerts: HashMap::new(),
            index: HashMap::new(),
            grouped: HashMap::new(),
            groups: HashMap::new(),
            group_index: HashMap::new(),
            loose: Vec::new(),
            quitted: Vec::new(),
            bytes: 0,
            last_id: 0,
            deadlines: Deadlines::default(),
            retired: VecDeque::new(),
            counts: Counts::default(),
            desk,
            muting: Muting::default(),
            matched: Vec::new(),
        }
    }

    /// Takes a batch in, in its order.
    ///
    /// A resolve of an alert that is not held is taken and forgotten. A new alert over
    /// `--max-alerts`, over the limit of its name or over the memory for alerts is refused; re-sends and
    /// resolves never are.
    pub fn accept(&mut self, alerts: Vec<Alert>, source: Source, now: Moment) -> (Accepted, Owed) {
        let mut accepted = Accepted::default();
        let mut owed = Owed::default();
        for alert in alerts {
            let resolved = alert.status(now.wall) == Status::Resolved;
            let alert = self.fit(alert);
            let known = self.index.get(&alert.labels).copied();
            if let Some(id) = known.filter(|id| self.may_update(*id, resolved)) {
                let changed = self.change(id, now, |held, settings, start| {
                    let expired = held.advance(settings, start, now.wall);
                    held.update(alert, source, now.wall);
                    expired
                });
                if changed {
                    self.owe(id, &mut owed);
                }
                accepted.alerts += 1;
                self.weigh(id);
                self.schedule(id);
                accepted.unrouted += usize::from(!self.is_routed(id));
            } else if resolved {
                accepted.alerts += 1;
            } else if known.is_none() && !self.quota.admits(&alert.labels) {
                accepted.refused += 1;
                accepted.crowded += 1;
            } else if known.is_none() && self.may_hold(&alert) {
                let id = self.hold(alert, source, now);
                self.owe(id, &mut owed);
                accepted.alerts += 1;
                accepted.unrouted += usize::from(!self.is_routed(id));
            } else {
                accepted.refused += 1;
            }
        }
        self.depart_stale();
        owed.append(self.settle_mutes(now));
        self.trim(0);
        (accepted, owed)
    }

    /// What is held.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn is_routed(&self, id: AlertId) -> bool {
        self.alerts.get(&id).is_some_and(|held| held.routed)
    }

    /// What is held is updated, unless it is over, nobody waits for its end, and too much fires.
    fn may_update(&self, id: AlertId, resolved: bool) -> bool {
        let full = self.counts.firing >= self.settings.max_alerts;
        !full
            || resolved
            || self
                .alerts
                .get(&id)
                .is_some_and(|held| held.phase == Phase::Firing || held.is_open())
    }

    /// A new alert.
    fn hold(&mut self, alert: Alert, source: Source, now: Moment) -> AlertId {
        self.last_id += 1;
        let id = AlertId(self.last_id);
        let labels = alert.labels.clone();
        self.index.insert(labels.clone(), id);
        self.quota.moved(&labels, None, Some(Phase::Firing));
        self.alerts.insert(id, Box::new(Held::new(alert, source, now.wall)));
        self.counts.firing += 1;
        self.note_new(id, &labels);
        self.connect(id, now, true);
        self.tell_news(id, None, now);
        self.count_unlinked(id);
        self.weigh(id);
        if let Some(held) = self.alerts.get_mut(&id) {
            self.desk.log.alert(id, &mut held.dirty);
        }
        self.schedule(id);
        id
    }

    /// Nothing is sent about the alert until `owed` is enqueued.
    pub(super) fn owe(&mut self, id: AlertId, owed: &mut Owed) {
        if let Some(held) = self.alerts.get_mut(&id) {
            held.unconfirmed = held.unconfirmed.saturating_add(1);
            owed.0.push(id.into());
        }
    }

    /// Runs `change`, which says whether the alert expired, and keeps the books. Returns whether the
    /// alert says something else now.
    pub(super) fn change(
        &mut self,
        id: AlertId,
        now: Moment,
        change: impl FnOnce(&mut Held, &Settings, Start) -> bool,
    ) -> bool {
        let Some(held) = self.alerts.get_mut(&id) else { return false };
        let (state, was) = (held.state(), Content::of(held));
        let expired = change(held, &self.settings, self.start);
        self.counts.expired += u64::from(expired);
        if state.0 != held.phase {
            *of(&mut self.counts, state.0) -= 1;
            *of(&mut self.counts, held.phase) += 1;
            self.quota.moved(&held.alert.labels, Some(state.0), Some(held.phase));
            held.retired = false;
        }
        let said = was.as_ref().map(|was| was.says);
        let changed = match (said, held.says()) {
            (Some(said), Some(says)) => !said.agrees(says),
            (None, None) => false,
            _ => true,
        };
        if changed {
            held.changed(now.wall);
        }
        if changed || state != held.state() {
            self.desk.log.alert(id, &mut held.dirty);
        }
        let turned = state.0 != held.phase;
        // Others are kept quiet by what fires, be it by a slower sender's word alone.
        let fires = held.phase == Phase::Firing;
        if fires != (state.0 == Phase::Firing) {
            let labels = held.alert.labels.clone();
            self.note_status(id, &labels, fires);
        }
        if changed {
            self.tell_news(id, was.as_ref(), now);
        }
        if changed || turned {
            self.stir(id, now);
        }
        changed
    }

    /// The alert says something else than `was`.
    fn tell_news(&mut self, id: AlertId, was: Option<&Content>, now: Moment) {
        let Some(held) = self.alerts.get_mut(&id) else { return };
        held.each((id, now), &mut self.desk, |entry| entry.news(was));
        self.skip_muted(id, now);
    }

    /// Keeps the alert's place in the timetable.
    pub(super) fn schedule(&mut self, id: AlertId) {
        let Some(held) = self.alerts.get_mut(&id) else { return };
        if let Some(at) = held.deadline(&self.settings, self.start)
            && held.queued.is_none_or(|queued| at < queued)
        {
            held.queued = Some(at);
            self.deadlines.push(at, id.into());
        }
    }

    /// Notes that an alert may be forgotten early, if so.
    pub(super) fn retire(&mut self, id: AlertId) {
        if let Some(held) = self.alerts.get_mut(&id)
            && !held.retired
            && held.may_retire()
        {
            held.retired = true;
            self.retired.push_back((id, held.ended));
        }
    }

    pub(super) fn forget(&mut self, id: AlertId) {
        let Some(mut held) = self.alerts.remove(&id) else { return };
        let Muting { silences, inhibition, alerts, .. } = &mut self.muting;
        silences.forget(id, &held.alert.labels);
        Mutes::default().count(held.absent, alerts);
        for Link { route, delivery, told, .. } in &mut held.links {
            inhibition.leave(id, &held.alert.labels, *route);
            for (member, told) in delivery.members.iter().zip(told) {
                let slot = Slot { target: member.id, route: *route, subject: id.into() };
                self.desk.lanes.leave(slot, told);
            }
        }
        for group in held.links.iter().flat_map(Link::groups) {
            self.unlink(group, id);
        }
        self.index.remove(&held.alert.labels);
        self.bytes = self.bytes.saturating_sub(held.bytes);
        *of(&mut self.counts, held.phase) -= 1;
        self.quota.moved(&held.alert.labels, Some(held.phase), None);
        if held.on_disk || held.dirty.0 {
            self.desk.log.forget(id.into());
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
