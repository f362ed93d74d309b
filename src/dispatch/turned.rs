//! What each route tells, in numbers: of a plan, only what differs from the one before.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use hashbrown::HashMap;

use super::{
    GroupId, Plan, Recipient, RouteId, RouteTerms, State,
    entry::Desk,
    link::{Delivery, Member, Regulars},
    plan::OnRoute,
};
use crate::{api::RouteKey, clock::Moment};

/// A route that is told otherwise than before.
pub(super) struct Turned {
    pub(super) id: RouteId,
    /// What it tells alert by alert; `None`: the route is no more.
    alone: Option<Arc<Delivery>>,
    /// What it tells in groups.
    grouped: Option<Arc<Delivery>>,
}

// === impl State ===

impl State {
    /// The routes on which the plan differs from the present one, in numbers; what stays the same in
    /// one of the two forms stays the same allocation.
    pub(super) fn compile(&mut self, plan: &Plan) -> Vec<Turned> {
        let with_groups = self.routes_with_groups();
        let before = self.plan.clone();
        let mut turned = Vec::new();
        let is_leftover = |id: &RouteId, delivery: &Delivery| {
            delivery.terms.grouping.is_none() && !with_groups.contains(id)
        };
        for (id, delivery) in &self.grouped {
            if is_leftover(id, delivery) && !plan.kept.contains(&delivery.key) {
                let alone = self.deliveries.get(id).cloned();
                turned.push(Turned { id: *id, alone, grouped: None });
            }
        }
        let same = |a: &Arc<OnRoute>, b: &Arc<OnRoute>| Arc::ptr_eq(a, b) || a == b;
        for change in plan.routes.changes_since(&before.routes, same) {
            match change.after {
                Some(route) => turned.push(self.deliver(change.key, route, &with_groups)),
                None if plan.kept.contains(change.key) => {}
                None => turned.extend(self.gone(change.key)),
            }
        }
        let gone = |key: &&RouteKey| !plan.kept.contains(key) && !plan.routes.contains_key(*key);
        let gone = before.kept.iter().filter(gone).filter_map(|key| self.gone(key));
        turned.extend(gone);
        for key in plan.kept.iter().filter(|key| !plan.routes.contains_key(*key)) {
            let id = self.desk.names.route(key);
            let alone = Some(self.mute((id, key), plan));
            let grouped = self.mute_groups((id, key), plan);
            turned.push(Turned { id, alone, grouped });
        }
        turned
    }

    fn gone(&self, key: &RouteKey) -> Option<Turned> {
        let id = self.desk.names.find_route(key)?;
        Some(Turned { id, alone: None, grouped: None })
    }

    fn deliver(
        &mut self,
        key: &RouteKey,
        OnRoute { terms, recipients }: &OnRoute,
        with_groups: &HashSet<RouteId>,
    ) -> Turned {
        let Desk { names, lanes, .. } = &mut self.desk;
        let id = names.route(key);
        let members = recipients.iter().map(|recipient| {
            let id = names.target(&recipient.target);
            lanes.open(id);
            Member { id, recipient: recipient.clone() }
        });
        let members: Vec<Member> = members.collect();
        let regulars = Regulars::of(terms, &members);
        let (every, others): (Vec<_>, Vec<_>) = members.into_iter().partition(Member::needs_every);
        let put = |before: &HashMap<RouteId, Arc<Delivery>>, members| {
            let new = Delivery::new(key.clone(), terms.clone(), members);
            let new = Delivery { regulars: regulars.clone(), ..new };
            let same = before.get(&id).filter(|old| old.equals(&new));
            same.cloned().unwrap_or_else(|| Arc::new(new))
        };
        let grouped = (terms.grouping.is_some() || with_groups.contains(&id))
            .then(|| put(&self.grouped, others.clone()));
        let alone = if terms.grouping.is_some() { every } else { [every, others].concat() };
        Turned { id, alone: Some(put(&self.deliveries, alone)), grouped }
    }

    /// Whether somebody is not told any more, or the route is gone: names may be free.
    pub(super) fn leaves(&self, Turned { id, alone, grouped }: &Turned) -> bool {
        let left = |old: &HashMap<RouteId, Arc<Delivery>>, new: &Option<Arc<Delivery>>| {
            let old = old.get(id).into_iter().flat_map(|old| &old.members);
            let stays = |it: &Member| new.as_ref().is_some_and(|new| new.find(it.id).is_some());
            old.into_iter().any(|member| !stays(member))
        };
        alone.is_none() || left(&self.deliveries, alone) || left(&self.grouped, grouped)
    }

    /// Takes over the routes that turned. Returns those that are told otherwise alert by alert, and the
    /// groups that changed.
    pub(super) fn turn_routes(
        &mut self,
        turned: Vec<Turned>,
        now: Moment,
    ) -> (HashSet<RouteId>, (Vec<GroupId>, Vec<GroupId>)) {
        let mut otherwise = HashSet::new();
        let mut groups = std::mem::take(&mut self.grouped);
        for Turned { id, alone, grouped } in turned {
            let old = self.deliveries.get(&id);
            let same = match (old, &alone) {
                (Some(old), Some(new)) => Arc::ptr_eq(old, new),
                _ => false,
            };
            if !same {
                otherwise.insert(id);
            }
            put(&mut self.deliveries, id, alone);
            put(&mut groups, id, grouped);
        }
        (otherwise, self.reshape(groups, now))
    }

    /// A route that can't be used at present, with whom it reached and who still exists.
    fn mute(&self, (id, key): (RouteId, &RouteKey), plan: &Plan) -> Arc<Delivery> {
        let exists = |member: &&Member| {
            let Recipient { target, uid, .. } = &member.recipient;
            plan.uid(target) == Some(uid)
        };
        let old = self.deliveries.get(&id);
        let mut known = BTreeMap::new();
        let mut know = |members: &[Member]| {
            known.extend(members.iter().filter(exists).map(|member| (member.id, member.clone())));
        };
        match old {
            Some(old) => know(&old.members),
            // Nobody but the log can tell whom it reached.
            None => self
                .alerts
                .values()
                .flat_map(|held| &held.links)
                .filter(|link| link.route == id)
                .for_each(|link| know(&link.delivery.members)),
        }
        let never = || RouteTerms { repeat_interval: Duration::MAX, ..RouteTerms::default() };
        let terms = old.map_or_else(never, |old| old.terms.clone());
        let terms = RouteTerms { suspended: true, ..terms };
        let new = Delivery::new(key.clone(), terms, known.into_values().collect());
        old.filter(|old| old.equals(&new)).cloned().unwrap_or_else(|| Arc::new(new))
    }
}

fn put(all: &mut HashMap<RouteId, Arc<Delivery>>, id: RouteId, delivery: Option<Arc<Delivery>>) {
    match delivery {
        Some(delivery) => {
            all.insert(id, delivery);
        }
        None => {
            all.remove(&id);
        }
    }
}
