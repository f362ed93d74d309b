//! What a change of configuration does to groups. Those that still exist keep their time and what everyone
//! was told.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use hashbrown::HashMap;
use jiff::Timestamp;

use super::{
    AlertId, GroupId, Heard, Hearing, Owed, Plan, RouteId, RouteTerms, Slot, State,
    entry::Entry,
    fallback::Turn,
    group::Group,
    lane::Place,
    line::Line,
    link::{Delivery, Member},
    mute::Mutes,
    notice::{Content, What},
    told::Says,
    view::{Roll, View},
};
use crate::{
    alert::{NotificationReason, Status, later},
    api::RouteKey,
    clock::Moment,
};

// === impl State ===

impl State {
    /// Routes that have groups, whether or not they group still.
    pub(super) fn routes_with_groups(&self) -> HashSet<RouteId> {
        self.groups.values().map(|group| group.route).collect()
    }

    /// The grouped part of a route that can't be used at present, with whom it reached and who still exists.
    pub(super) fn mute_groups(
        &self,
        (id, key): (RouteId, &RouteKey),
        plan: &Plan,
    ) -> Option<Arc<Delivery>> {
        let old = self.grouped.get(&id);
        let exists =
            |member: &&Member| plan.uid(&member.recipient.target) == Some(&member.recipient.uid);
        let mut known = BTreeMap::new();
        let mut know = |members: &[Member]| {
            known.extend(members.iter().filter(exists).map(|member| (member.id, member.clone())));
        };
        match old {
            Some(old) => know(&old.members),
            None => self
                .groups
                .values()
                .filter(|group| group.route == id)
                .for_each(|group| know(&group.delivery.members)),
        }
        if old.is_none() && known.is_empty() {
            return None;
        }
        let never = || RouteTerms { repeat_interval: Duration::MAX, ..RouteTerms::default() };
        let terms = old.map_or_else(never, |old| old.terms.clone());
        let terms = RouteTerms { suspended: true, ..terms };
        let new = Delivery::new(key.clone(), terms, known.into_values().collect());
        Some(old.filter(|old| old.equals(&new)).cloned().unwrap_or_else(|| Arc::new(new)))
    }

    /// Groups follow their routes. Returns those that changed, and those of them that an earlier process
    /// left.
    pub(super) fn reshape(
        &mut self,
        grouped: HashMap<RouteId, Arc<Delivery>>,
        now: Moment,
    ) -> (Vec<GroupId>, Vec<GroupId>) {
        self.grouped = grouped;
        let differs = |group: &Group| {
            let delivery = self.grouped.get(&group.route);
            !delivery.is_some_and(|delivery| Arc::ptr_eq(delivery, &group.delivery))
        };
        let mut changed: Vec<GroupId> =
            self.groups.iter().filter(|(_, group)| differs(group)).map(|(id, _)| *id).collect();
        changed.sort_unstable();
        let mut restored = Vec::new();
        for id in &changed {
            let Some(mut group) = self.groups.remove(id) else { continue };
            let old = group.delivery.clone();
            if old.provisional {
                restored.push(*id);
            }
            let left = if let Some(delivery) = self.grouped.get(&group.route) {
                group.follow(delivery, now)
            } else {
                let lines = std::mem::take(&mut group.lines);
                old.members.iter().cloned().zip(lines).collect()
            };
            if !old.provisional || !left.is_empty() {
                self.desk.log.told((*id).into(), &mut group.dirty);
            }
            for (member, line) in left {
                self.end_line((*id, &group), &old, (member, line), now);
            }
            let gone = !self.grouped.contains_key(&group.route);
            self.groups.insert(*id, group);
            if gone {
                self.drop_group(*id);
            }
        }
        (changed, restored)
    }

    /// After alerts found their groups: what is owed and may be sent now?
    pub(super) fn review_groups(
        &mut self,
        (mut changed, restored): (Vec<GroupId>, Vec<GroupId>),
        now: Moment,
        owed: &mut Owed,
    ) {
        self.judge_suspects(now.wall);
        for id in restored {
            if let Some(group) = self.groups.get_mut(&id)
                && let Some(grouping) = &group.delivery.terms.grouping
            {
                let soonest = later(group.flushed_at, grouping.interval);
                group.next = group.next.map(|next| next.max(soonest));
            }
        }
        // A later start does not look for those who may know of what a group does not want.
        let loose: HashSet<GroupId> = self.loose.iter().copied().collect();
        changed.append(&mut self.loose);
        changed.sort_unstable();
        changed.dedup();
        for id in changed {
            // Whom it does not want any more must not be told of out of what was decided before.
            if let Some(group) = self.groups.get_mut(&id) {
                group.lines.iter_mut().for_each(|line| line.group.look_again());
                if loose.contains(&id) {
                    self.desk.log.told(id.into(), &mut group.dirty);
                }
            }
            self.flush(id, false, now);
            let Some(group) = self.groups.get_mut(&id) else { continue };
            if group.linked == 0 {
                self.drop_group(id);
                continue;
            }
            group.queued = None;
            self.owe_group(id, now, owed);
            if let Some(group) = self.groups.get_mut(&id) {
                group.each((id, now), &mut self.desk, |entry| {
                    entry.offer();
                });
            }
            self.schedule_group(id);
        }
    }

    /// Who did not hear of an alert by the log may have, unless it was told in another group of the route.
    fn judge_suspects(&mut self, now: Timestamp) {
        let with = self.groups.iter().filter(|(_, group)| !group.suspects.is_empty());
        let ids: Vec<GroupId> = with.map(|(id, _)| *id).collect();
        for id in ids {
            let Some(mut group) = self.groups.remove(&id) else { continue };
            let suspects = std::mem::take(&mut group.suspects);
            let drains = |alert: &AlertId| {
                let links = self.alerts.get(alert).map_or(&[][..], |held| &held.links);
                let link = links.iter().find(|link| link.route == group.route);
                link.map_or(&[][..], |link| &link.drains)
            };
            for (member, line) in group.delivery.members.iter().zip(&mut group.lines) {
                let is_stranger = |alert: &&AlertId| {
                    let mut drains = drains(alert).iter().filter_map(|id| self.groups.get(id));
                    drains.all(|group| !group.tells(member.id, **alert, now))
                };
                let unsure: Vec<AlertId> = suspects.iter().filter(is_stranger).copied().collect();
                // The log names every fallback that may have been told.
                if !member.is_fallback() {
                    line.group.heard.suspect(&unsure);
                }
            }
            self.groups.insert(id, group);
        }
    }

    /// A recipient is no more: nothing more is sent. What stays open, and what was to be told, is said once.
    fn end_line(
        &mut self,
        (id, group): (GroupId, &Group),
        old: &Arc<Delivery>,
        (member, mut line): (Member, Line),
        now: Moment,
    ) {
        let slot = Slot { target: member.id, route: group.route, subject: id.into() };
        let flies = line.told.place == Place::InFlight;
        self.desk.lanes.leave(slot, &mut line.told);
        let uid = &member.recipient.uid;
        let alone = self.deliveries.get(&group.route);
        let alone = alone.and_then(|delivery| Some(&delivery.members[delivery.find(member.id)?]));
        if alone.is_some_and(|alone| alone.recipient.uid == *uid) {
            return;
        }
        let gone = !self.grouped.contains_key(&group.route);
        let why = self.plan.why_left(&old.key, &member.recipient, gone);
        let pending = line.content(&group.labels).filter(|_| !old.provisional);
        let fires = pending.as_ref().is_some_and(|it| it.says.status == Status::Firing);
        let open = self.left_open(group, &line);
        let is_open = open.is_some() || (flies && fires);
        let Some(content) = pending.or(open) else { return };
        let mut entry = Entry {
            slot,
            matches: true,
            muted: Mutes::default(),
            delivery: old,
            member: &member,
            turn: Turn::Now,
            told: &mut line.told,
            group: None,
            content: Some(&content),
            confirmed: true,
            dirty: &mut (true, true),
            desk: &mut self.desk,
            now,
        };
        let notification = entry.write(&content);
        entry.end(why, notification, content.changed_at, is_open);
    }

    /// What a target may believe to fire.
    fn left_open(&self, group: &Group, line: &Line) -> Option<Content> {
        let shown = |alert| self.alerts.get(&alert).and_then(|held| held.show(alert, false));
        let members = Roll::new(line.group.heard.open().filter_map(shown).collect());
        let view = View::new(&members.into(), Box::default(), NotificationReason::NewAlerts)?;
        let version = line.group.version;
        Some(Content {
            says: Says { incident: version, status: view.status, version, decided: true },
            changed_at: view.changed_at,
            what: What::Group(Arc::new(view), group.labels.clone()),
        })
    }
}

// === impl Group ===

impl Group {
    /// Follows a change of the route's recipients. What was told stays with its target as long as it has
    /// the same UID; recipients that left are returned.
    fn follow(&mut self, delivery: &Arc<Delivery>, now: Moment) -> Vec<(Member, Line)> {
        let old = std::mem::replace(&mut self.delivery, delivery.clone());
        let released = old.stands_in() && !delivery.stands_in();
        let lines = std::mem::take(&mut self.lines).into_iter().map(Some);
        let mut left: Vec<Option<Line>> = lines.collect();
        self.lines = delivery
            .members
            .iter()
            .map(|new| {
                let kept = old
                    .find(new.id)
                    .filter(|at| old.members[*at].recipient.uid == new.recipient.uid);
                match kept.and_then(|at| Some((at, left[at].take()?))) {
                    Some((at, mut line)) => {
                        let was_muted = !old.provisional && old.mutes(&old.members[at]);
                        if was_muted && !delivery.mutes(new) {
                            line.told.resume(now.wall);
                        }
                        if released {
                            let left_out = |heard: Heard| heard.what == Hearing::Skipped;
                            line.group.heard.revise(|heard| (!left_out(heard)).then_some(heard));
                        }
                        line.group.behind |= released || new.is_fallback();
                        line
                    }
                    None if old.provisional => {
                        let mut line = Line::default();
                        line.group.behind = new.is_fallback();
                        line
                    }
                    None => Line::joining(now.wall),
                }
            })
            .collect();
        let flushed = self.flushed_at > Timestamp::UNIX_EPOCH;
        self.recheck |= flushed && self.lines.iter().any(|line| line.group.behind);
        self.stirred = true;
        let left = old.members.iter().zip(left);
        left.filter_map(|(member, line)| Some((member.clone(), line?))).collect()
    }
}
