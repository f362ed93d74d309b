//! Which groups an alert belongs to.

use std::collections::BTreeMap;

use super::{
    AlertId, GroupId, Heard, Hearing, RouteId, State,
    group::Group,
    link::{Link, Member},
    told::Told,
};
use crate::{
    alert::{Labels, Status},
    clock::Moment,
};

/// What a recipient that is told in groups from now on knew of an alert on its own.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) route: RouteId,
    pub(super) member: Member,
    pub(super) told: Told,
}

// === impl Moved ===

impl Moved {
    pub(super) fn is_of(&self, link: &Link) -> bool {
        self.route == link.route
    }
}

// === impl State ===

impl State {
    /// Brings the groups of an alert in line with its links: on a grouped route it belongs to the group of
    /// its labels. Groups that it belonged to before keep it until whoever was told there heard of its
    /// end. `restored`: an earlier process accepted it.
    pub(super) fn regroup(&mut self, id: AlertId, moved: Vec<Moved>, restored: bool, now: Moment) {
        let Some(held) = self.alerts.get_mut(&id) else { return };
        let is_grouped = |link: &Link| {
            let delivery = self.grouped.get(&link.route);
            delivery.is_some_and(|delivery| delivery.terms.grouping.is_some())
        };
        let concerns = |link: &Link| link.groups().next().is_some() || is_grouped(link);
        if moved.is_empty() && !held.links.iter().any(concerns) {
            return;
        }
        let labels = held.alert.labels.clone();
        let (version, incident) = (held.version(), held.incident());
        let mut links = std::mem::take(&mut held.links);
        for link in &mut links {
            self.place_link(link, &labels);
            let grouped = self.grouped.get(&link.route);
            if grouped.is_none_or(|new| new.terms.grouping.is_none()) {
                self.give_back((id, version, incident), link, &labels);
            }
            self.know_from_groups((id, version), link);
        }
        for one in moved {
            if let Some(link) = links.iter_mut().find(|link| one.is_of(link)) {
                self.take_over((id, version), link, &labels, one);
            }
        }
        let loose = links.iter().filter(|link| !link.matches || !link.drains.is_empty());
        self.loose.extend(loose.flat_map(Link::groups));
        if let Some(held) = self.alerts.get_mut(&id) {
            held.links = links;
        }
        if restored {
            self.suspect(id);
        }
        self.stir(id, now);
    }

    /// Puts an alert into the group of its labels.
    fn place_link(&mut self, link: &mut Link, labels: &Labels) {
        let terms = self.grouped.get(&link.route).map(|delivery| &delivery.terms);
        let by = terms.and_then(|terms| terms.grouping.clone());
        let wanted = by.and_then(|by| {
            let of = (link.route, by.by.labels_of(labels));
            if link.matches {
                self.group_of(of.0, of.1)
            } else {
                // What the route does not want joins no group, but stays in its own.
                self.group_index.get(&of).copied().filter(|id| link.groups().any(|own| own == *id))
            }
        });
        if link.group != wanted {
            link.drains.extend(link.group.take());
            if let Some(new) = wanted {
                self.link_to(new, link);
                link.drains.retain(|old| *old != new);
                link.group = Some(new);
            }
        }
    }

    /// The group of these labels, made if need be.
    fn group_of(&mut self, route: RouteId, labels: Labels) -> Option<GroupId> {
        if let Some(id) = self.group_index.get(&(route, labels.clone())) {
            return Some(*id);
        }
        let delivery = self.grouped.get(&route)?;
        let group = Group::new(route, labels.clone(), delivery);
        self.last_id += 1;
        let id = GroupId(self.last_id);
        self.groups.insert(id, Box::new(group));
        self.group_index.insert((route, labels), id);
        self.weigh_group(id);
        Some(id)
    }

    fn link_to(&mut self, id: GroupId, link: &Link) {
        if link.groups().all(|known| known != id)
            && let Some(group) = self.groups.get_mut(&id)
        {
            group.linked += 1;
        }
    }

    /// Whoever is told alert by alert from now on is not told again what groups told.
    fn know_from_groups(&self, (id, version): (AlertId, u32), link: &mut Link) {
        let drains = &link.drains;
        for (member, told) in link.delivery.members.iter().zip(&mut link.told) {
            if !told.is_fresh() {
                continue;
            }
            let lines = drains.iter().filter_map(|group| self.groups.get(group)?.line(member.id));
            let told_there =
                lines.into_iter().find(|line| line.group.heard.what(id) == Some(Hearing::Firing));
            if let Some(line) = told_there {
                told.pass(version, &line.told);
            }
        }
    }

    /// A group of this alert alone has the name that the alert has on its own: what was told in it goes
    /// back to the alert when the route groups no more.
    fn give_back(
        &mut self,
        (id, version, incident): (AlertId, u32, u32),
        link: &mut Link,
        labels: &Labels,
    ) {
        let group_id = self.group_index.get(&(link.route, labels.clone())).copied();
        let Some(group_id) = group_id.filter(|id| link.groups().any(|known| known == *id)) else {
            return;
        };
        let Some(group) = self.groups.get_mut(&group_id) else { return };
        for (member, told) in link.delivery.members.iter().zip(&mut link.told) {
            if let Some(line) = group.line(member.id).filter(|_| told.is_fresh()) {
                let heard = line.written().of(id);
                // Since then it ended at most.
                let same = |heard: Heard| version.saturating_sub(heard.version) <= 1;
                let incident = heard.filter(|heard| same(*heard)).map_or(0, |_| incident);
                told.take_back(heard, incident, version, &line.told);
                self.desk.log.told(group_id.into(), &mut group.dirty);
            }
        }
        link.stays -= u32::from(group.remove(id));
        link.group = link.group.filter(|known| *known != group_id);
        link.drains.retain(|known| *known != group_id);
        self.unlink(group_id, id);
    }

    /// What a recipient was told of an alert on its own is kept in a group of that alert alone: it has the
    /// same name there.
    fn take_over(
        &mut self,
        (id, version): (AlertId, u32),
        link: &mut Link,
        labels: &Labels,
        Moved { route, member, told }: Moved,
    ) {
        let Some(group) = self.group_of(route, labels.clone()) else { return };
        self.link_to(group, link);
        if link.group != Some(group) && !link.drains.contains(&group) {
            link.drains.push(group);
        }
        let Some(group_of) = self.groups.get_mut(&group) else { return };
        let Some(at) = group_of.delivery.find(member.id) else { return };
        let heir = &mut group_of.lines[at];
        let what = if told.may_know() || told.maybe_resolved {
            Hearing::Unsure
        } else if told.open() {
            Hearing::Firing
        } else {
            Hearing::Past
        };
        heir.group.heard.note(Heard { alert: id, version, what });
        heir.told.pass(0, &told);
        self.desk.log.told(group.into(), &mut group_of.dirty);
    }

    /// Who did not hear of an alert by the log may have, unless it left its group before.
    fn suspect(&mut self, id: AlertId) {
        let Some(held) = self.alerts.get(&id) else { return };
        let (stands, changed_at) = (held.stands(), held.changed_at);
        for link in held.links.iter().filter(|link| link.matches) {
            let Some(group) = link.group.and_then(|id| self.groups.get_mut(&id)) else { continue };
            let left = stands == Some(Status::Resolved) && changed_at <= group.left_at;
            if stands.is_some() && !left {
                group.suspects.push(id);
            }
        }
    }

    /// An alert says something else, or belongs to other groups: they look at it at their next flush.
    pub(super) fn stir(&mut self, id: AlertId, now: Moment) {
        let Self { alerts, groups, .. } = self;
        let Some(held) = alerts.get_mut(&id) else { return };
        let (stands, starts_at) = (held.stands(), held.alert.starts_at);
        let mut stirred = Vec::new();
        for link in &mut held.links {
            let current = link.group.filter(|_| link.matches);
            for group_id in link.groups().collect::<Vec<_>>() {
                let Some(group) = groups.get_mut(&group_id) else { continue };
                let wanted = match stands {
                    Some(Status::Firing) => current == Some(group_id) || group.is_needed(id),
                    Some(Status::Resolved) => {
                        group.is_needed(id) || group.suspects.last() == Some(&id)
                    }
                    None => false,
                };
                let joins = wanted && group.join(id);
                link.stays += u32::from(joins);
                group.stirred = true;
                if !group.members.is_empty() {
                    group.begin(starts_at, now.wall);
                }
                stirred.push(group_id);
            }
        }
        for group in stirred {
            if stands.is_none() {
                self.quitted.push(group);
            }
            self.schedule_group(group);
        }
    }

    /// An alert is absent on a route from now on, or there again. What is owed of it is decided anew at
    /// once if it went, at the next flush if it came.
    pub(super) fn member_changed(&mut self, id: AlertId, route: RouteId, now: Moment) {
        let Some(held) = self.alerts.get_mut(&id) else { return };
        let starts_at = held.alert.starts_at;
        let Some(link) = held.link(route) else { return };
        let muted = link.muted.any();
        let groups: Vec<GroupId> = link.groups().collect();
        for id in groups {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            group.stirred = true;
            if muted {
                for line in group.lines.iter_mut().filter(|line| line.group.view.is_some()) {
                    line.group.behind = true;
                    group.recheck = true;
                }
            } else {
                group.resumed_at = now.wall;
                if !group.members.is_empty() {
                    group.begin(starts_at, now.wall);
                }
            }
            self.schedule_group(id);
        }
    }

    /// The alert is no more.
    pub(super) fn unlink(&mut self, id: GroupId, alert: AlertId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.remove(alert);
        group.linked = group.linked.saturating_sub(1);
        if group.linked == 0 {
            self.drop_group(id);
        }
    }

    /// The alerts, sorted, do not belong to the group any more.
    pub(super) fn detach(&mut self, id: GroupId, alerts: &[AlertId]) {
        let Some(route) = self.groups.get(&id).map(|group| group.route) else { return };
        let mut passed: BTreeMap<GroupId, Vec<Heard>> = BTreeMap::new();
        for alert in alerts.iter().copied() {
            let mut before = Vec::new();
            if let Some(held) = self.alerts.get_mut(&alert) {
                before.extend(held.links.iter().map(|link| link.route));
                let (over, version) = (held.stands() == Some(Status::Resolved), held.version());
                if let Some(link) = held.link(route) {
                    link.group = link.group.filter(|group| *group != id);
                    link.drains.retain(|group| *group != id);
                    let group = link.group.and_then(|id| Some((id, self.groups.get(&id)?)));
                    if let Some((new, group)) = group
                        && over
                        && !group.is_needed(alert)
                    {
                        // Its end was told where its beginning was.
                        let heard = Heard { alert, version, what: Hearing::Past };
                        passed.entry(new).or_default().push(heard);
                    }
                }
                held.links.retain(|link| link.matches || !link.is_idle());
            }
            self.note_links(alert, &before);
            self.unlink(id, alert);
        }
        for (new, heard) in passed {
            let Some(group) = self.groups.get_mut(&new) else { continue };
            let members = group.pass_over(&heard);
            self.desk.log.told(new.into(), &mut group.dirty);
            for alert in members {
                if let Some(link) = self.alerts.get_mut(&alert).and_then(|held| held.link(route)) {
                    link.stays -= 1;
                }
            }
            self.weigh_group(new);
        }
        for alert in alerts {
            self.schedule(*alert);
        }
    }

    pub(super) fn drop_group(&mut self, id: GroupId) {
        let Some(mut group) = self.groups.remove(&id) else { return };
        for (member, line) in group.delivery.members.iter().zip(&mut group.lines) {
            let slot = super::Slot { target: member.id, route: group.route, subject: id.into() };
            self.desk.lanes.leave(slot, &mut line.told);
        }
        self.bytes = self.bytes.saturating_sub(group.bytes);
        if group.on_disk || group.dirty.1 {
            self.desk.log.forget(id.into());
        }
        self.group_index.remove(&(group.route, group.labels));
    }
}
