//! Fallback: who is told when a route's own targets could not be.
//!
//! A fallback is owed a firing that no regular target was told of, from its turn on: some time after the firing
//! was accepted, or at once while nothing can be sent to any of them. Everything is derived from what is
//! known anyway, so nothing about it has to survive a restart. On its own alert an entry is held back until
//! its [`Turn`]; in a group the members whose turn has not come do not concern the target. Where the
//! fallback stands in for the others, these are left out in the same way.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{
    AlertId, FallbackMode, GroupId, Hearing, Owed, RouteId, RouteTerms, Slot, State, TargetId, Why,
    entry::Entry,
    group::Group,
    lane::Place,
    link::{Delivery, Link, Member, Regulars},
    told::{Says, Told},
    view::Shown,
};
use crate::{
    alert::{Status, later},
    api::TargetKey,
    clock::Moment,
};

/// Whether one target may be told of a firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// As soon as it is owed.
    Now,
    /// From then on, or as soon as nothing can be sent to any regular target.
    At(Timestamp),
    /// Not before something changes: others were told.
    Never,
}

/// When a target's turn comes, by what everyone was told of the alert.
pub(super) fn turn(
    (delivery, told, at): (&Delivery, &[Told], usize),
    says: Option<(Says, Timestamp)>,
) -> Turn {
    let (Some(terms), Some((says, changed_at))) = (delivery.terms.fallback, says) else {
        return Turn::Now;
    };
    let member = &delivery.members[at];
    if says.status != Status::Firing || member.needs_every() {
        return Turn::Now;
    }
    let entries = || delivery.members.iter().zip(told);
    if !member.is_fallback() {
        let stands_in = terms.mode == FallbackMode::Instead
            && !told[at].knows(says)
            && entries().any(|(member, told)| member.is_fallback() && told.knows(says));
        return if stands_in { Turn::Never } else { Turn::Now };
    }
    let regular = |member: &Member| !member.is_fallback() && !member.needs_every();
    let mut since = None;
    for (_, told) in entries().filter(|(member, _)| regular(member)) {
        if told.knows(says) {
            return Turn::Never;
        }
        let from = told.resumed_at().map_or(changed_at, |resumed| resumed.max(changed_at));
        since = Some(since.map_or(from, |since: Timestamp| since.min(from)));
    }
    Turn::At(match since {
        Some(since) => later(since, terms.after),
        None => delivery.regulars.unheard(changed_at),
    })
}

// === impl Regulars ===

impl Regulars {
    /// The regular ones of everyone that the route reaches.
    pub(super) fn of(terms: &RouteTerms, members: &[Member]) -> Self {
        if terms.fallback.is_none() {
            return Self::default();
        }
        let regular = || members.iter().filter(|member| !member.is_fallback());
        let active = regular().filter(|member| !member.recipient.suspended);
        Self {
            active: active.map(|member| member.id).collect(),
            queued: regular().next().is_some() && regular().all(Member::needs_every),
        }
    }

    /// Nothing can be sent to any of them.
    pub(super) fn are_cut_off(&self, open: &HashSet<TargetId>) -> bool {
        self.active.iter().all(|target| open.contains(target))
    }

    /// When the fallback's turn comes where it is not known what the others were told: what was accepted
    /// `since` then is in their queues, or there are none.
    fn unheard(&self, since: Timestamp) -> Timestamp {
        if self.queued { Timestamp::MAX } else { since }
    }
}

// === impl Delivery ===

impl Delivery {
    /// What a fallback was told settles the others.
    pub(super) fn stands_in(&self) -> bool {
        self.terms.fallback.is_some_and(|terms| terms.mode == FallbackMode::Instead)
            && self.members.iter().any(Member::is_fallback)
    }
}

// === impl Entry ===

impl Entry<'_> {
    /// Its turn has not come.
    pub(super) fn is_held_back(&self) -> bool {
        match self.turn {
            Turn::Now => false,
            Turn::Never => true,
            Turn::At(at) => {
                at > self.now.wall && !self.delivery.regulars.are_cut_off(&self.desk.open)
            }
        }
    }

    /// A fallback that nobody turned to.
    pub(super) fn is_spared(&self) -> bool {
        self.member.is_fallback() && self.told.place == Place::Idle
    }

    /// Others were told: what is owed is owed no more.
    fn give_way(&mut self) {
        let firing = self.content.filter(|content| content.says.status == Status::Firing);
        let Some(content) = firing.filter(|_| self.turn == Turn::Never) else { return };
        let says = content.says;
        let stands = self.told.place != Place::InFlight && !self.is_spared();
        let muted = self.muted.any() || self.delivery.terms.suspended || self.delivery.provisional;
        if !stands || muted || !self.told.owes_change(says, self.matches) {
            return;
        }
        if !self.told.is_dead_lettered(says.version) {
            let (notification, since) = (self.write(content), self.since());
            self.end(Why::Superseded, notification, since, false);
        }
        self.desk.lanes.idle(self.slot, self.told);
        if !self.member.is_fallback() {
            self.told.skip(says.version, self.now.wall);
            self.mark();
        }
    }
}

// === impl Group ===

impl Group {
    /// Members that do not concern one target because others were told or its turn has not come, and
    /// when the first of these turns comes.
    pub(super) fn aside(
        &self,
        at: usize,
        members: &[Shown],
        open: &HashSet<TargetId>,
        now: Timestamp,
    ) -> (Vec<AlertId>, Option<Timestamp>) {
        let (mut aside, mut call) = (Vec::new(), None);
        let Some(terms) = self.delivery.terms.fallback else { return (aside, call) };
        let heard = &self.lines[at].group.heard;
        if !self.delivery.members[at].is_fallback() {
            let stands_in = |shown: &&Shown| {
                shown.status == Status::Firing
                    && heard.what(shown.id) != Some(Hearing::Firing)
                    && self.was_told(shown.id, true)
            };
            if terms.mode == FallbackMode::Instead {
                aside.extend(members.iter().filter(stands_in).map(|shown| shown.id));
            }
            return (aside, call);
        }
        let regulars = &self.delivery.regulars;
        let cut_off = regulars.are_cut_off(open);
        let alone = self.delivery.members.iter().all(Member::is_fallback);
        for shown in members.iter().filter(|shown| !heard.is_open(shown.id)) {
            if shown.status == Status::Resolved || self.was_told(shown.id, false) {
                aside.push(shown.id);
                continue;
            }
            let since = shown.changed_at.max(self.resumed_at);
            let at = match (cut_off, alone) {
                (true, _) => now,
                (_, true) => regulars.unheard(since),
                _ => later(since, terms.after),
            };
            if at > now {
                aside.push(shown.id);
                call = Some(call.map_or(at, |call: Timestamp| call.min(at)));
            }
        }
        (aside, call)
    }

    /// Notes that these members, sorted, were left out for one target because a fallback was told of them.
    /// Returns whether that is news.
    pub(super) fn leave_out(&mut self, at: usize, aside: &[AlertId], members: &[Shown]) -> bool {
        let heard = &mut self.lines[at].group.heard;
        let new = |shown: &&Shown| {
            heard.what(shown.id).is_none() && aside.binary_search(&shown.id).is_ok()
        };
        let new: Vec<&Shown> = members.iter().filter(new).collect();
        if !new.is_empty() {
            heard.skip(new.iter().copied());
        }
        !new.is_empty()
    }

    /// Some fallback, or some regular target, was told that the alert fires.
    pub(super) fn was_told(&self, alert: AlertId, fallback: bool) -> bool {
        self.delivery.members.iter().zip(&self.lines).any(|(member, line)| {
            member.is_fallback() == fallback
                && line.group.heard.what(alert) == Some(Hearing::Firing)
        })
    }

    /// What lines are owed is decided anew where it depends on what others were told.
    fn reconsider(&mut self) -> bool {
        let told = |(member, line): (&Member, &super::line::Line)| {
            member.is_fallback() && !line.group.heard.is_empty()
        };
        let stands_in =
            self.delivery.stands_in() && self.delivery.members.iter().zip(&self.lines).any(told);
        let mut any = false;
        for (member, line) in self.delivery.members.iter().zip(&mut self.lines) {
            if line.group.view.is_some() && (member.is_fallback() || stands_in) {
                line.group.behind = true;
                any = true;
            }
        }
        any
    }

    /// Looks at the turns that have come.
    pub(super) fn call(&mut self, now: Timestamp) {
        for line in &mut self.lines {
            if line.group.call().is_some_and(|at| at <= now) {
                line.group.call_at(None);
                line.group.behind = true;
            }
        }
    }
}

// === impl State ===

impl State {
    /// Targets whose circuits matter: tell every change by [`State::circuit`].
    pub fn watched(&self) -> impl Iterator<Item = &TargetKey> {
        let deliveries = self.deliveries.values().chain(self.grouped.values());
        deliveries
            .flat_map(|delivery| &delivery.regulars.active)
            .filter_map(|target| self.desk.names.target_name(*target))
    }

    /// The circuit of a target is open, or is not any more. Where nothing can be sent to any regular
    /// target of a route, its fallback is owed at once.
    pub fn circuit(&mut self, target: &TargetKey, open: bool, now: Moment) -> Owed {
        let mut owed = Owed::default();
        let Some(target) = self.desk.names.find_target(target) else { return owed };
        if !open {
            self.desk.open.remove(&target);
            return owed;
        }
        if !self.desk.open.insert(target) {
            return owed;
        }
        let cut_off = |delivery: &Delivery| {
            delivery.regulars.active.contains(&target)
                && delivery.regulars.are_cut_off(&self.desk.open)
        };
        let alone: HashSet<RouteId> =
            self.deliveries.iter().filter(|(_, it)| cut_off(it)).map(|(id, _)| *id).collect();
        let groups: Vec<GroupId> =
            self.groups.iter().filter(|(_, it)| cut_off(&it.delivery)).map(|(id, _)| *id).collect();
        let concerned = |link: &Link| link.matches && alone.contains(&link.route);
        if !alone.is_empty() {
            let alerts = self.alerts.iter().filter(|(_, held)| held.links.iter().any(concerned));
            let mut alerts: Vec<AlertId> = alerts.map(|(id, _)| *id).collect();
            alerts.sort_unstable();
            for id in alerts {
                self.review(id, now, &mut owed);
            }
        }
        for id in groups {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            for line in group.lines.iter_mut().filter(|line| line.group.call().is_some()) {
                line.group.call_at(Some(now.wall));
            }
            self.schedule_group(id);
        }
        owed
    }

    /// An attempt ended: where somebody was told, others may be owed no more.
    pub(super) fn give_way(&mut self, slot: Slot, now: Moment) {
        let here = |link: &Link| link.route == slot.route && link.delivery.terms.fallback.is_some();
        if let Some(id) = slot.subject.alert()
            && let Some(held) = self.alerts.get_mut(&id)
            && held.links.iter().any(here)
        {
            held.each((id, now), &mut self.desk, |entry| {
                if entry.slot.route == slot.route {
                    entry.give_way();
                }
            });
        }
        if let Some(id) = slot.subject.group()
            && let Some(group) = self.groups.get_mut(&id)
            && group.delivery.terms.fallback.is_some()
            && group.reconsider()
        {
            group.recheck = true;
            self.flush(id, false, now);
        }
    }
}
