//! What a change of configuration does to the alerts that it concerns.

use std::{collections::HashSet, sync::Arc};

use super::{
    AlertId, Owed, Plan, RouteId, Slot, State, Why,
    entry::{Desk, Entry},
    fallback::Turn,
    held::Held,
    lane::Place,
    leaving::Leaving,
    link::{Joining, Link, Member},
    mute::Mutes,
    notice::Content,
    regroup::Moved,
    told::Told,
};
use crate::{api::RouteKey, clock::Moment, routing::Route};

/// Beyond so many changed routes every alert is looked at: that is cheaper.
const FEW: usize = 64;

/// The difference between two plans.
struct Edit {
    /// Routes that came, went or whose recipients changed.
    deliveries: HashSet<RouteId>,
    /// Routes that came, went or were compiled anew. Only alerts that one of them wants, before or
    /// after, can be routed otherwise than before, `final` included.
    routes: Vec<Arc<Route>>,
}

// === impl State ===

impl State {
    /// Replaces routes and recipients. The plan must be complete: what it leaves out comes to its end. The
    /// work follows the routes that changed, and the alerts that are on them.
    pub fn reconfigure(&mut self, plan: Arc<Plan>, now: Moment) -> Owed {
        let turned = self.compile(&plan);
        let routes = plan.table.changes_since(&self.plan.table);
        let changed: Vec<RouteId> = turned.iter().map(|route| route.id).collect();
        // Before the first plan there may be names of an earlier process.
        let left = self.deliveries.is_empty() || turned.iter().any(|route| self.leaves(route));
        self.plan = plan;
        let (deliveries, changed_groups) = self.turn_routes(turned, now);
        let mut edit = Edit { deliveries, routes };
        self.muted = self.find_muted();
        edit.deliveries.extend(self.follow_mutes(&changed, now));
        let concerned = self.alerts.iter().filter(|(_, held)| edit.concerns(held));
        let mut concerned: Vec<AlertId> = concerned.map(|(id, _)| *id).collect();
        concerned.sort_unstable();
        let mut owed = Owed::default();
        for id in concerned {
            self.connect(id, now, false);
            self.review(id, now, &mut owed);
        }
        self.depart_stale();
        owed.append(self.settle_mutes(now));
        self.review_groups(changed_groups, now, &mut owed);
        self.bound_resolves(now);
        if left {
            self.forget_names();
        }
        owed
    }

    fn find_muted(&self) -> Vec<(Arc<Route>, RouteId)> {
        let muted = self.plan.table.suspended();
        muted
            .filter_map(|route| {
                let id = self.desk.names.find_route(&route.key)?;
                let every = self.deliveries.get(&id)?.members.iter().any(Member::needs_every);
                every.then(|| (route.clone(), id))
            })
            .collect()
    }

    /// A transition that a muted route does not tell is noted for those that need every one.
    pub(super) fn skip_muted(&mut self, id: AlertId, now: Moment) {
        if self.muted.is_empty() {
            return;
        }
        let Some((held, content)) =
            self.alerts.get(&id).and_then(|held| Some((held, Content::of(held)?)))
        else {
            return;
        };
        let mut nothing = Told::default();
        for (_, id_of_route) in
            self.muted.iter().filter(|(route, _)| route.matches(&held.alert.labels))
        {
            let Some(delivery) = self.deliveries.get(id_of_route) else { continue };
            for member in delivery.members.iter().filter(|member| member.needs_every()) {
                let mut entry = Entry {
                    slot: Slot { target: member.id, route: *id_of_route, subject: id.into() },
                    matches: true,
                    muted: Mutes::default(),
                    delivery,
                    member,
                    turn: Turn::Now,
                    told: &mut nothing,
                    group: None,
                    content: Some(&content),
                    confirmed: true,
                    dirty: &mut (true, true),
                    desk: &mut self.desk,
                    now,
                };
                let notification = entry.write(&content);
                entry.end(Why::Skipped, notification, content.changed_at, false);
            }
        }
    }

    /// Brings an alert's links in line with the routes that exist and those that want it. `new`: it is
    /// just accepted.
    pub(super) fn connect(&mut self, id: AlertId, now: Moment, new: bool) {
        let Some(held) = self.alerts.get_mut(&id) else { return };
        held.routed = self.plan.table.resolve_into(&held.alert.labels, &mut self.matched);
        let wanting = |key: &RouteKey| self.matched.iter().any(|route| route.key == *key);
        let says = held.says().filter(|_| !new);
        let restored = held.restored;
        // What it said before may have been told before the silence.
        let first = restored && held.version() == 1;
        let silenced = first && self.muting.silences.covers(id, held.changed_at);
        let joining = Joining { says, restored, silenced, now: now.wall };
        let content = Content::last_of(held);
        let stale = held.says().is_none();
        let mut links = std::mem::take(&mut held.links);
        let (mut told, mut moved) = (false, Vec::<Moved>::new());
        let before: Vec<RouteId> = links.iter().map(|link| link.route).collect();
        links.retain_mut(|link| {
            let wanted = wanting(&link.delivery.key);
            let matches = link.matches;
            let (left, old) = match self.deliveries.get(&link.route) {
                None => {
                    link.matches = false;
                    link.forget_groups();
                    let told = std::mem::take(&mut link.told).into_iter().enumerate().collect();
                    (told, link.delivery.clone())
                }
                Some(delivery) => {
                    if !delivery.terms.suspended {
                        link.matches = wanted;
                    }
                    let old = link.delivery.clone();
                    if Arc::ptr_eq(&old, delivery) {
                        (Vec::new(), old)
                    } else {
                        let (left, joined) = link.follow(delivery, joining);
                        told |= joined && !(joining.restored && link.matches);
                        (left, old)
                    }
                }
            };
            told |= !left.is_empty();
            if link.matches && !matches && !joining.restored {
                link.rejoin(joining);
                told = true;
            }
            for (at, mut entry) in left {
                let member = &old.members[at];
                let slot = Slot { target: member.id, route: link.route, subject: id.into() };
                let grouped = self.grouped.get(&link.route);
                let grouped = grouped.and_then(|new| Some(&new.members[new.find(member.id)?]));
                if grouped.is_some_and(|new| new.recipient.uid == member.recipient.uid) {
                    entry.maybe_firing |= entry.place == Place::InFlight;
                    self.desk.lanes.leave(slot, &mut entry);
                    if !entry.is_blank() {
                        let (route, member) = (link.route, member.clone());
                        moved.push(Moved { route, member, told: entry });
                    }
                    continue;
                }
                let told = entry;
                let leaving = Leaving { slot, delivery: &old, member, told, matches, stale };
                let gone = !self.deliveries.contains_key(&link.route);
                let why = self.plan.why_left(&old.key, &member.recipient, gone);
                leaving.end(&content, why, &mut self.desk, now);
            }
            // A later start looks for those who may know only where they are wanted.
            told |= !link.is_looked_for() && link.told.iter().any(Told::may_know);
            told |= link.told.iter().any(|told| told.resumed_now(now.wall));
            if matches && !link.matches {
                told = true;
                if !stale {
                    link.lose((id, &content), &mut self.desk, now);
                }
            }
            // A group takes over what was told alert by alert: the link must be there to find it.
            let kept = link.matches || !link.is_idle() || moved.iter().any(|it| it.is_of(link));
            told |= !kept && !link.told.iter().all(Told::is_unknown);
            kept
        });
        links.reserve_exact(self.matched.len().saturating_sub(links.len()));
        for route in &self.matched {
            let Some(of) = self.desk.names.find_route(&route.key) else { continue };
            if let Some(delivery) = self.deliveries.get(&of)
                && links.iter().all(|link| link.route != of)
            {
                told |= joining.says.is_some() && !joining.restored;
                links.push(Link::new(of, delivery, joining));
            }
        }
        held.links = links;
        held.restored = false;
        if told {
            self.desk.log.told(id.into(), &mut held.dirty);
        }
        self.note_links(id, &before);
        if new {
            self.find_mutes(id);
        } else {
            self.remute(id, now);
        }
        if restored {
            self.resume_restored(id, now);
        }
        self.weigh(id);
        self.regroup(id, moved, joining.restored, now);
    }

    /// After a change of its links: what is owed and may be sent now?
    pub(super) fn review(&mut self, id: AlertId, now: Moment, owed: &mut Owed) {
        let Some(held) = self.alerts.get_mut(&id) else { return };
        let mut news = false;
        held.each((id, now), &mut self.desk, |entry| {
            entry.tell_every();
            news |= entry.told.place == Place::Idle && entry.owes() && !entry.is_muted();
        });
        if news {
            self.owe(id, owed);
        }
        if let Some(held) = self.alerts.get_mut(&id) {
            held.each((id, now), &mut self.desk, |entry| {
                entry.offer();
            });
        }
        self.retire(id);
        self.schedule(id);
    }

    fn forget_names(&mut self) {
        let Desk { names, lanes, writer, open, .. } = &mut self.desk;
        let used: HashSet<_> = self
            .deliveries
            .values()
            .chain(self.grouped.values())
            .flat_map(|delivery| delivery.members.iter().map(|member| member.id))
            .collect();
        for target in names.forget_targets(|target| used.contains(&target)) {
            lanes.close(target);
        }
        open.retain(|target| used.contains(target));
        names.forget_routes(|route| self.deliveries.contains_key(&route));
        writer.forget();
    }
}

// === impl Link ===

impl Link {
    /// The route no longer wants the alert: a firing that was to be told is not told.
    fn lose(&mut self, (id, content): (AlertId, &Content), desk: &mut Desk, now: Moment) {
        let Self { route, muted, delivery, told, .. } = self;
        for (member, told) in delivery.members.iter().zip(told) {
            let mut entry = Entry {
                slot: Slot { target: member.id, route: *route, subject: id.into() },
                matches: true,
                muted: *muted,
                delivery,
                member,
                turn: Turn::Now,
                told,
                group: None,
                content: Some(content),
                confirmed: true,
                dirty: &mut (true, true),
                desk,
                now,
            };
            entry.news_is_lost(content);
        }
    }
}

// === impl Edit ===

impl Edit {
    /// Whether the alert may be routed, or told, otherwise than before.
    fn concerns(&self, held: &Held) -> bool {
        held.restored
            || self.routes.len() > FEW
            || held.links.iter().any(|link| self.deliveries.contains(&link.route))
            || self.routes.iter().any(|route| route.matches(&held.alert.labels))
    }
}
