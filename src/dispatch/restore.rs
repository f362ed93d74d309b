//! From what is on disk to what is held.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    AlertId, AlertRecord, GroupEntry, GroupId, GroupRecord, Limits, Phase, Recipient, Role,
    RouteId, RouteTerms, RouteTold, Settings, State, TargetId, ToldEntry, ToldRecord,
    group::Group,
    held::Held,
    line::Line,
    link::{Delivery, Link, Member},
    told::Told,
};
use crate::{
    api::{RouteKey, TargetKey},
    clock::Moment,
    publish::{Silence, SilenceError},
};

/// Who is in the log for a route; most alerts of a route have the same.
type Known = (RouteId, Vec<(TargetId, Arc<str>)>);

/// A state that is being built from what is on disk, one alert at a time: there may be many.
#[derive(Debug)]
pub struct Restoring {
    state: State,
    deliveries: HashMap<Known, Arc<Delivery>>,
    now: Moment,
}

// === impl Restoring ===

impl Restoring {
    /// Nothing held yet.
    #[must_use]
    pub fn new(settings: Settings, now: Moment) -> Self {
        Self { state: State::new(settings, now), deliveries: HashMap::new(), now }
    }

    /// Adds a silence.
    ///
    /// # Errors
    /// [`SilenceError::Invalid`] if its conditions are none: it is left out.
    pub fn silence(&mut self, silence: Arc<Silence>) -> Result<(), SilenceError> {
        self.state.restore_silence(silence, self.now)
    }

    /// Adds an alert that was held at the last stop, with what was told about it.
    pub fn add(&mut self, id: AlertId, record: AlertRecord, told: Option<ToldRecord>) {
        let Self { state, deliveries, .. } = self;
        let version = record.version;
        let mut held = Held::restore(record);
        let routes = told.unwrap_or_default().routes;
        held.links.reserve_exact(routes.len());
        for RouteTold { route, entries } in routes {
            let link = state.restore_link(&route, entries, version, deliveries);
            held.links.push(link);
        }
        match held.phase {
            Phase::Firing => state.counts.firing += 1,
            Phase::Resolved => state.counts.resolved += 1,
            Phase::Stale => state.counts.stale += 1,
        }
        state.quota.moved(&held.alert.labels, None, Some(held.phase));
        state.index.insert(held.alert.labels.clone(), id);
        state.alerts.insert(id, Box::new(held));
        state.last_id = state.last_id.max(id.0);
        state.weigh(id);
        state.schedule(id);
    }

    /// Adds a group of which somebody was told at the last stop; after all alerts.
    pub fn add_group(&mut self, id: GroupId, record: GroupRecord) {
        let Self { state, deliveries, .. } = self;
        let route = state.desk.names.route(&record.route);
        state.last_id = state.last_id.max(id.0);
        let mut entries: Vec<(TargetId, &GroupEntry)> = Vec::new();
        for entry in &record.entries {
            let target = state.desk.names.target(&entry.target);
            state.desk.lanes.open(target);
            entries.push((target, entry));
        }
        entries.sort_by_key(|(target, _)| *target);
        entries.dedup_by_key(|(target, _)| *target);
        let whom = entries.iter().map(|(target, entry)| (*target, &entry.target, &entry.uid));
        let delivery = provisional(deliveries, (route, &record.route), whom);
        let nobody = provisional(deliveries, (route, &record.route), std::iter::empty());
        let mut group = Box::new(Group::new(route, record.labels.clone(), &delivery));
        (group.flushed_at, group.left_at, group.on_disk) =
            (record.flushed_at, record.left_at, true);
        let alerts = &mut state.alerts;
        let version = |alert: AlertId| alerts.get(&alert).map(|held| held.version());
        let line = |(_, entry): &(TargetId, &GroupEntry)| Line::restore(entry, version);
        group.lines = entries.iter().map(line).collect();
        let heard = record.entries.iter().flat_map(|entry| entry.heard.iter());
        for heard in heard {
            let Some(held) = alerts.get_mut(&heard.alert) else { continue };
            if held.link(route).is_none() {
                held.links.push(Link::provisional(route, &nobody));
            }
            if let Some(link) = held.link(route)
                && !link.drains.contains(&id)
            {
                link.drains.push(id);
                group.linked += 1;
            }
        }
        state.group_index.insert((route, record.labels), id);
        state.groups.insert(id, group);
        state.weigh_group(id);
    }

    /// The state. Until the first [`State::reconfigure`], which must bring a complete plan, nothing is
    /// sent to anyone.
    ///
    /// What is accepted but not in the log as told may have been told: it is owed again with
    /// the same id, and its end is owed too.
    #[must_use]
    pub fn finish(mut self) -> State {
        self.state.meet_silences();
        self.state
    }
}

// === impl State ===

impl State {
    /// What was held at the last stop; see [`Restoring`].
    pub fn restore(
        settings: Settings,
        alerts: impl IntoIterator<Item = (AlertId, AlertRecord, Option<ToldRecord>)>,
        groups: impl IntoIterator<Item = (GroupId, GroupRecord)>,
        now: Moment,
    ) -> Self {
        let mut restoring = Restoring::new(settings, now);
        for (id, record, told) in alerts {
            restoring.add(id, record, told);
        }
        for (id, record) in groups {
            restoring.add_group(id, record);
        }
        restoring.finish()
    }

    fn restore_link(
        &mut self,
        route: &RouteKey,
        entries: Vec<ToldEntry>,
        version: u32,
        deliveries: &mut HashMap<Known, Arc<Delivery>>,
    ) -> Link {
        let id = self.desk.names.route(route);
        let mut told: Vec<(TargetId, ToldEntry)> = entries
            .into_iter()
            .map(|entry| (self.desk.names.target(&entry.target), entry))
            .collect();
        told.sort_by_key(|(target, _)| *target);
        told.dedup_by_key(|(target, _)| *target);
        let whom = told.iter().map(|(target, entry)| (*target, &entry.target, &entry.uid));
        let delivery = provisional(deliveries, (id, route), whom);
        for (target, _) in &told {
            self.desk.lanes.open(*target);
        }
        let told = told.iter().map(|(_, entry)| Told::restore(entry, version)).collect();
        Link { told, ..Link::provisional(id, &delivery) }
    }
}

/// What an earlier process knew of a route; the same for most of its alerts.
fn provisional<'a>(
    deliveries: &mut HashMap<Known, Arc<Delivery>>,
    (id, route): (RouteId, &RouteKey),
    whom: impl Iterator<Item = (TargetId, &'a TargetKey, &'a Arc<str>)> + Clone,
) -> Arc<Delivery> {
    let known = whom.clone().map(|(target, _, uid)| (target, uid.clone())).collect();
    let delivery = deliveries.entry((id, known)).or_insert_with(|| {
        let member = |(id, target, uid): (TargetId, &TargetKey, &Arc<str>)| Member {
            id,
            recipient: Recipient {
                target: target.clone(),
                uid: uid.clone(),
                send_resolved: true,
                suspended: true,
                limits: Limits::default(),
                role: Role::default(),
            },
        };
        let terms = RouteTerms { repeat_interval: Duration::MAX, ..RouteTerms::default() };
        let new = Delivery::new(route.clone(), terms, whom.map(member).collect());
        Arc::new(Delivery { provisional: true, ..new })
    });
    delivery.clone()
}
