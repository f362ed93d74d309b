//! From what is on disk to what is held.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    AlertId, AlertRecord, Limits, Phase, Recipient, Role, RouteId, RouteTerms, RouteTold, Settings,
    State, TargetId, ToldEntry, ToldRecord,
    held::Held,
    link::{Delivery, Link, Member},
    mute::Mutes,
    told::Told,
};
use crate::{api::RouteKey, clock::Moment};

/// Who is in the log for a route; most alerts of a route have the same.
type Known = (RouteId, Vec<(TargetId, Arc<str>)>);

/// A state that is being built from what is on disk, one alert at a time: there may be many.
#[derive(Debug)]
pub struct Restoring {
    state: State,
    deliveries: HashMap<Known, Arc<Delivery>>,
}

// === impl Restoring ===

impl Restoring {
    /// Nothing held yet.
    #[must_use]
    pub fn new(settings: Settings, now: Moment) -> Self {
        Self { state: State::new(settings, now), deliveries: HashMap::new() }
    }

    /// Adds an alert that was held at the last stop, with what was told about it.
    pub fn add(&mut self, id: AlertId, record: AlertRecord, told: Option<ToldRecord>) {
        let Self { state, deliveries } = self;
        let version = record.version;
        let mut held = Held::restore(record);
        for RouteTold { route, entries } in told.unwrap_or_default().routes {
            let link = state.restore_link(&route, entries, version, deliveries);
            held.links.push(link);
        }
        match held.phase {
            Phase::Firing => state.counts.firing += 1,
            Phase::Resolved => state.counts.resolved += 1,
            Phase::Stale => state.counts.stale += 1,
        }
        state.index.insert(held.alert.labels.clone(), id);
        state.alerts.insert(id, held);
        state.last_id = state.last_id.max(id.0);
        state.weigh(id);
        state.schedule(id);
    }

    /// The state. Until the first [`State::reconfigure`], which must bring a complete plan, nothing is
    /// sent to anyone.
    ///
    /// What is accepted but not in the log as told may have been told: it is owed again with
    /// the same id, and its end is owed too.
    #[must_use]
    pub fn finish(self) -> State {
        self.state
    }
}

// === impl State ===

impl State {
    /// What was held at the last stop; see [`Restoring`].
    pub fn restore(
        settings: Settings,
        alerts: impl IntoIterator<Item = (AlertId, AlertRecord, Option<ToldRecord>)>,
        now: Moment,
    ) -> Self {
        let mut restoring = Restoring::new(settings, now);
        for (id, record, told) in alerts {
            restoring.add(id, record, told);
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
        let known = told.iter().map(|(target, entry)| (*target, entry.uid.clone())).collect();
        let delivery = deliveries.entry((id, known)).or_insert_with_key(|(_, known)| {
            let member =
                |((id, uid), (_, entry)): (&(TargetId, Arc<str>), &(_, ToldEntry))| Member {
                    id: *id,
                    recipient: Recipient {
                        target: entry.target.clone(),
                        uid: uid.clone(),
                        send_resolved: true,
                        suspended: true,
                        limits: Limits::default(),
                        role: Role::default(),
                    },
                };
            let members = known.iter().zip(&told).map(member).collect();
            let terms = RouteTerms { repeat_interval: Duration::MAX, ..RouteTerms::default() };
            Arc::new(Delivery { provisional: true, ..Delivery::new(route.clone(), terms, members) })
        });
        for (target, _) in &told {
            self.desk.lanes.open(*target);
        }
        Link {
            route: id,
            matches: false,
            muted: Mutes::default(),
            delivery: delivery.clone(),
            told: told.iter().map(|(_, entry)| Told::restore(entry, version)).collect(),
        }
    }
}
