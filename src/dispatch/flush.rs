//! What time does to groups: flushes, and members that leave.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{
    AlertId, GroupId, Hearing, Owed, State, Subject, TargetId, group::Group, lane::Place,
    view::Roll,
};
use crate::{
    alert::{Status, later, order},
    clock::Moment,
};

/// The members of a group that are there, for every target.
struct Present {
    members: Arc<Roll>,
    /// Members that belong to other groups of the route too, because its grouping changed; whether they ended.
    elsewhere: Vec<(AlertId, bool, Vec<GroupId>)>,
}

// === impl State ===

impl State {
    /// Something is due with a group.
    pub(super) fn pass_group(
        &mut self,
        subject: Subject,
        at: Timestamp,
        now: Moment,
        owed: &mut Owed,
    ) {
        let Some(id) = subject.group() else { return };
        let Some(group) = self.groups.get_mut(&id).filter(|group| group.queued == Some(at)) else {
            return;
        };
        group.queued = None;
        group.recheck = false;
        group.call(now.wall);
        group.each((id, now), &mut self.desk, |entry| {
            entry.expire();
        });
        let due = group.next.is_some_and(|next| next <= now.wall);
        self.flush(id, due, now);
        self.owe_group(id, now, owed);
        self.schedule_group(id);
    }

    /// Decides what the targets are owed: all of them if the group's time has come, otherwise those that
    /// are to be looked at again.
    pub(super) fn flush(&mut self, id: GroupId, due: bool, now: Moment) {
        let Some(mut group) = self.groups.remove(&id) else { return };
        if due {
            self.count_absent(&group, now.wall);
        }
        if !(due && group.is_quiet(now.wall)) {
            let present = self.present(id, &group);
            for at in 0..group.lines.len() {
                if !due && !group.lines[at].group.behind {
                    continue;
                }
                let alerts = &self.alerts;
                group.lines[at]
                    .group
                    .heard
                    .revise(|heard| alerts.contains_key(&heard.alert).then_some(heard));
                let (mut aside, call) =
                    group.aside(at, &present.members, &self.desk.open, now.wall);
                aside.sort_unstable();
                group.lines[at].group.call_at(call);
                if !group.delivery.members[at].is_fallback()
                    && group.leave_out(at, &aside, &present.members)
                {
                    self.desk.log.told(id.into(), &mut group.dirty);
                }
                let hidden = self.hidden(&group, at, (&present, aside), now.wall);
                group.decide((id, now), at, (&present.members, hidden), &mut self.desk);
            }
            // Who was told elsewhere comes up again when that is old.
            group.stirred &= !due;
            group.stirred |= !present.elsewhere.is_empty();
        }
        if due {
            let interval = group.delivery.terms.grouping.as_ref().map(|terms| terms.interval);
            group.flushed_at = now.wall;
            group.next = interval.map(|interval| later(now.wall, interval));
        }
        self.groups.insert(id, group);
        self.depart(id);
    }

    /// Counts what this flush does not tell because it is muted, as Alertmanager does: at every flush of a group
    /// of which there is something new.
    fn count_absent(&mut self, group: &Group, now: Timestamp) {
        if group.is_quiet(now) {
            return;
        }
        for alert in &group.members {
            let Some(held) = self.alerts.get(alert) else { continue };
            let link = held.links.iter().find(|link| link.route == group.route && link.matches);
            let Some(reason) = link.and_then(|link| link.muted.first()) else { continue };
            let firing = held.stands() == Some(Status::Firing);
            let owed = group.lines.iter().filter(|line| {
                let heard = &line.group.heard;
                let told = matches!(heard.what(*alert), Some(Hearing::Firing | Hearing::Skipped));
                if firing { !told } else { heard.is_open(*alert) }
            });
            self.desk.suppressed[reason as usize] += owed.count() as u64;
        }
    }

    fn present(&self, id: GroupId, group: &Group) -> Present {
        let (mut members, mut elsewhere) = (Vec::with_capacity(group.members.len()), Vec::new());
        for alert in &group.members {
            let Some(held) = self.alerts.get(alert) else { continue };
            let link = held.links.iter().find(|link| link.route == group.route);
            let Some(link) = link.filter(|link| !link.muted.any()) else { continue };
            let lingers = link.group != Some(id) || !link.matches;
            let Some(mut shown) = held.show(*alert, lingers) else { continue };
            shown.elsewhere = !link.drains.is_empty() && !lingers;
            if shown.elsewhere {
                let ended = shown.status == Status::Resolved;
                elsewhere.push((*alert, ended, link.drains.clone()));
            }
            members.push(shown);
        }
        members.sort_by(|a, b| order(&a.alert.labels, &b.alert.labels));
        Present { members: Roll::new(members).into(), elsewhere }
    }

    /// Members that do not concern one target: those that the group does not want and the target does not
    /// know, and those that it was told in another group.
    fn hidden(
        &self,
        group: &Group,
        at: usize,
        (present, aside): (&Present, Vec<AlertId>),
        now: Timestamp,
    ) -> Box<[AlertId]> {
        let heard = &group.lines[at].group.heard;
        let strangers =
            present.members.iter().filter(|shown| shown.lingers && !heard.is_open(shown.id));
        let mut hidden: Vec<AlertId> = strangers.map(|shown| shown.id).chain(aside).collect();
        let target = group.delivery.members[at].id;
        for (alert, ended, groups) in &present.elsewhere {
            let mut groups = groups.iter().filter_map(|id| self.groups.get(id));
            let told = groups.any(|group| group.tells(target, *alert, now));
            if told || (*ended && heard.what(*alert).is_none()) {
                hidden.push(*alert);
            }
        }
        hidden.sort_unstable();
        hidden.into()
    }

    /// Lets members go that nobody needs any more: those that ended and of whose end everyone heard who had
    /// to, those that the group does not want and nobody there was told of.
    pub(super) fn depart(&mut self, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let (mut left, mut unlinked) = (Vec::new(), Vec::new());
        let mut ended = false;
        let members = std::mem::take(&mut group.members);
        group.members = members
            .into_iter()
            .filter(|alert| {
                let Some(held) = self.alerts.get(alert) else { return false };
                let link = held.links.iter().find(|link| link.route == group.route);
                let Some(link) = link else { return false };
                let lingers = link.group != Some(id) || !link.matches;
                let stays = match held.stands() {
                    Some(Status::Firing) => !lingers || group.is_needed(*alert),
                    Some(Status::Resolved) if group.is_needed(*alert) => true,
                    Some(Status::Resolved) => {
                        let seen = held.changed_at <= group.flushed_at;
                        ended |= seen || lingers;
                        !seen && !lingers
                    }
                    None => false,
                };
                if !stays {
                    left.push(*alert);
                    // If the route wants it again, what was told must not be told under the same id.
                    let counts = || link.group == Some(id) && group.has_told();
                    if lingers && !group.is_needed(*alert) && !counts() {
                        unlinked.push(*alert);
                    }
                }
                stays
            })
            .collect();
        if group.members.is_empty() && !group.is_busy() {
            group.next = None;
        }
        if left.is_empty() {
            return;
        }
        if ended {
            group.left_at = group.flushed_at;
            self.desk.log.told(id.into(), &mut group.dirty);
        }
        let route = group.route;
        for alert in left {
            if let Some(link) = self.alerts.get_mut(&alert).and_then(|held| held.link(route)) {
                link.stays = link.stays.saturating_sub(1);
            }
            self.retire(alert);
            self.schedule(alert);
        }
        self.detach(id, &unlinked);
        self.weigh_group(id);
    }

    /// Alerts that say nothing any more leave their groups, all at once: a group may have very many of them.
    pub(super) fn depart_stale(&mut self) {
        let mut groups = std::mem::take(&mut self.quitted);
        groups.sort_unstable();
        groups.dedup();
        for id in groups {
            self.depart(id);
            self.schedule_group(id);
        }
    }

    /// If a target is owed something new, it is told once the facts are on disk.
    pub(super) fn owe_group(&mut self, id: GroupId, now: Moment, owed: &mut Owed) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let mut news = false;
        group.each((id, now), &mut self.desk, |entry| {
            news |= entry.told.place == Place::Idle && entry.owes() && !entry.is_muted();
        });
        if news {
            group.unconfirmed = group.unconfirmed.saturating_add(1);
            owed.0.push(id.into());
        }
    }

    /// The facts of a flush are on disk.
    pub(super) fn enqueue_group(
        &mut self,
        subject: Subject,
        now: Moment,
        targets: &mut BTreeSet<TargetId>,
    ) {
        let Some(id) = subject.group() else { return };
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.unconfirmed = group.unconfirmed.saturating_sub(1);
        if group.unconfirmed > 0 {
            return;
        }
        group.each((id, now), &mut self.desk, |entry| {
            entry.offer();
            if entry.told.place == Place::Ready {
                targets.insert(entry.slot.target);
            }
        });
        self.bound_resolves(now);
        self.depart(id);
        self.schedule_group(id);
    }

    /// An attempt came to its end. What was decided meanwhile is decided now.
    pub(super) fn group_landed(&mut self, id: GroupId) {
        if let Some(group) = self.groups.get_mut(&id) {
            let waits =
                |line: &super::line::Line| line.group.behind && line.told.place != Place::InFlight;
            group.recheck |= group.lines.iter().any(waits);
        }
        self.depart(id);
        self.schedule_group(id);
    }

    /// Keeps the group's place in the timetable.
    pub(super) fn schedule_group(&mut self, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if let Some(at) = group.deadline()
            && group.queued.is_none_or(|queued| at < queued)
        {
            group.queued = Some(at);
            self.deadlines.push(at, id.into());
        }
    }
}
