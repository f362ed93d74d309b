//! One group of a grouped route: its members, and what each target heard of them.
//!
//! Towards `Entry` a group looks like an alert whose version moves when a flush finds that a target is owed
//! something else: retries, delays, dead letters and health work as they do for alerts.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    AlertId, GroupEntry, GroupId, GroupRecord, Heard, Hearing, RouteId, Slot, TargetId,
    entry::{Desk, Entry},
    fallback::Turn,
    hearing::Wants,
    lane::Place,
    line::Line,
    link::{Delivery, Member},
    mute::Mutes,
    notice::Content,
    told::Told,
    view::{Roll, Shown, View, visible},
};
use crate::{
    alert::{Labels, NotificationReason, Status, later},
    clock::Moment,
};

/// Alerts of one route with equal group labels.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) route: RouteId,
    pub(super) labels: Labels,
    pub(super) delivery: Arc<Delivery>,
    /// One for each of the delivery's members.
    pub(super) lines: Box<[Line]>,
    /// Who is in it, absent or not; sorted. Who ended leaves once everyone who had to hear it did.
    pub(super) members: Vec<AlertId>,
    /// Alerts that belong to it, those that left included: what they left behind is kept as long.
    pub(super) linked: u32,
    /// When it is flushed next; `None` while it is empty.
    pub(super) next: Option<Timestamp>,
    /// When it was last flushed; the epoch if it never was.
    pub(super) flushed_at: Timestamp,
    /// Members that had ended by then and are not needed left.
    pub(super) left_at: Timestamp,
    /// Since when what was absent is there again: ages count from here.
    pub(super) resumed_at: Timestamp,
    /// Something changed since it was last flushed.
    pub(super) stirred: bool,
    /// Some line is to be looked at again before the next flush.
    pub(super) recheck: bool,
    /// Members that an earlier process accepted: who did not hear of them by the log may have.
    pub(super) suspects: Vec<AlertId>,
    /// Flushes whose facts may not be on disk yet.
    pub(super) unconfirmed: u32,
    pub(super) dirty: (bool, bool),
    pub(super) on_disk: bool,
    /// What it counts for in the memory.
    pub(super) bytes: usize,
    /// The earliest deadline in the queue.
    pub(super) queued: Option<Timestamp>,
}

// === impl Group ===

impl Group {
    pub(super) fn new(route: RouteId, labels: Labels, delivery: &Arc<Delivery>) -> Self {
        Self {
            route,
            labels,
            lines: delivery.members.iter().map(|_| Line::default()).collect(),
            delivery: delivery.clone(),
            members: Vec::new(),
            linked: 0,
            next: None,
            flushed_at: Timestamp::UNIX_EPOCH,
            left_at: Timestamp::UNIX_EPOCH,
            resumed_at: Timestamp::UNIX_EPOCH,
            stirred: true,
            recheck: false,
            suspects: Vec::new(),
            unconfirmed: 0,
            dirty: (false, false),
            on_disk: false,
            bytes: 0,
            queued: None,
        }
    }

    /// Adds a member. Returns whether it is new.
    pub(super) fn join(&mut self, alert: AlertId) -> bool {
        let at = self.members.binary_search(&alert);
        if let Err(at) = at {
            self.members.insert(at, alert);
        }
        at.is_err()
    }

    /// Takes a member out. Returns whether it was one.
    pub(super) fn remove(&mut self, alert: AlertId) -> bool {
        let at = self.members.binary_search(&alert);
        if let Ok(at) = at {
            self.members.remove(at);
        }
        at.is_ok()
    }

    /// Nobody who knows nothing of these alerts, sorted, has to hear of them. Returns those that were members.
    pub(super) fn pass_over(&mut self, heard: &[Heard]) -> Vec<AlertId> {
        for line in &mut self.lines {
            line.group.heard.learn(heard);
        }
        let passed = |id: &AlertId| heard.binary_search_by_key(id, |heard| heard.alert).is_ok();
        self.members.extract_if(.., |id| passed(id)).collect()
    }

    /// Sets the clock of a group that begins: it waits for company unless its first alert is old.
    pub(super) fn begin(&mut self, starts_at: Timestamp, now: Timestamp) {
        let Some(grouping) = &self.delivery.terms.grouping else {
            // What is left of a group whose route groups no more: every change is a flush.
            self.next = Some(now);
            return;
        };
        if self.next.is_none() {
            let old = later(starts_at, grouping.wait) < now;
            self.next = Some(if old { now } else { later(now, grouping.wait) });
        }
    }

    pub(super) fn entry(&mut self, target: TargetId) -> Option<&mut Told> {
        self.delivery.find(target).map(|at| &mut self.lines[at].told)
    }

    pub(super) fn line(&self, target: TargetId) -> Option<&Line> {
        self.delivery.find(target).map(|at| &self.lines[at])
    }

    /// The target was told here that the alert fires, and that is not old.
    pub(super) fn tells(&self, target: TargetId, alert: AlertId, now: Timestamp) -> bool {
        self.line(target).is_some_and(|line| {
            let repeat = self.delivery.terms.repeat_interval;
            let fresh = line.told.told_at().is_some_and(|at| later(at, repeat) > now);
            fresh && line.group.heard.what(alert) == Some(Hearing::Firing)
        })
    }

    /// Whether the target was told this of the alert and is not suspended.
    pub(super) fn knows(&self, target: TargetId, alert: AlertId, status: Status) -> bool {
        let Some(at) = self.delivery.find(target) else { return false };
        let what = self.lines[at].group.heard.what(alert);
        let knows = match status {
            Status::Firing => what == Some(Hearing::Firing),
            Status::Resolved => matches!(what, Some(Hearing::Resolved | Hearing::Past)),
        };
        knows && !self.delivery.members[at].recipient.suspended
    }

    /// Some target may believe that the alert fires, or is just being told.
    pub(super) fn is_needed(&self, alert: AlertId) -> bool {
        self.lines.iter().any(|line| line.needs(alert))
    }

    /// Some target was told something.
    pub(super) fn has_told(&self) -> bool {
        self.lines.iter().any(|line| line.told.count() > 0)
    }

    /// Some target is owed something, or being told.
    pub(super) fn is_busy(&self) -> bool {
        self.lines.iter().any(|line| line.group.view.is_some())
    }

    /// Nothing changed, nothing is owed, and nothing repeats.
    pub(super) fn is_quiet(&self, now: Timestamp) -> bool {
        let repeats = |line: &Line| !line.group.heard.is_empty() && self.repeats(line, now);
        let is_quiet =
            |line: &Line| line.group.view.is_none() && !line.group.behind && !repeats(line);
        !self.stirred && self.lines.iter().all(is_quiet)
    }

    fn repeats(&self, line: &Line, now: Timestamp) -> bool {
        let repeat = self.delivery.terms.repeat_interval;
        line.told.told_at().is_some_and(|at| later(at, repeat) < now)
    }

    /// Does something with every entry.
    pub(super) fn each(
        &mut self,
        (id, now): (GroupId, Moment),
        desk: &mut Desk,
        mut rule: impl FnMut(&mut Entry<'_>),
    ) {
        for at in 0..self.lines.len() {
            self.at((id, now), at, desk, &mut rule);
        }
    }

    /// Does something with one entry, if there is one.
    pub(super) fn one<R>(
        &mut self,
        (id, now): (GroupId, Moment),
        target: TargetId,
        desk: &mut Desk,
        rule: impl FnOnce(&mut Entry<'_>) -> R,
    ) -> Option<R> {
        let at = self.delivery.find(target)?;
        Some(self.at((id, now), at, desk, rule))
    }

    fn at<R>(
        &mut self,
        (id, now): (GroupId, Moment),
        at: usize,
        desk: &mut Desk,
        rule: impl FnOnce(&mut Entry<'_>) -> R,
    ) -> R {
        let (member, line) = (&self.delivery.members[at], &mut self.lines[at]);
        let content = line.content(&self.labels);
        rule(&mut Entry {
            slot: Slot { target: member.id, route: self.route, subject: id.into() },
            matches: true,
            muted: Mutes::default(),
            delivery: &self.delivery,
            member,
            turn: Turn::Now,
            told: &mut line.told,
            group: Some(&mut line.group),
            content: content.as_ref(),
            confirmed: self.unconfirmed == 0,
            dirty: &mut self.dirty,
            desk,
            now,
        })
    }

    /// Decides anew what a target is owed, now that these members are present. While it is being told
    /// something that waits.
    pub(super) fn decide(
        &mut self,
        (id, now): (GroupId, Moment),
        at: usize,
        (members, hidden): (&Arc<Roll>, Box<[AlertId]>),
        desk: &mut Desk,
    ) {
        let wants = Wants {
            send_resolved: self.delivery.members[at].recipient.send_resolved,
            repeat: self.repeats(&self.lines[at], now.wall),
        };
        let line = &mut self.lines[at];
        if line.told.place == Place::InFlight {
            line.group.behind = true;
            return;
        }
        line.group.behind = false;
        let reason = line.group.heard.owed(visible(members, &hidden), wants);
        let fallback = self.delivery.members[at].is_fallback();
        let others_know =
            |shown: &Shown| shown.status == Status::Resolved || self.was_told(shown.id, false);
        let reason = reason.filter(|reason| {
            let repeats = fallback && *reason == NotificationReason::Repeat;
            !(repeats && visible(members, &hidden).all(others_know))
        });
        let line = &mut self.lines[at];
        if reason.is_none() && !wants.send_resolved {
            // An end that is left out is not told, but the next firing must not look like the last one.
            if line.group.heard.give_up(visible(members, &hidden)) {
                desk.log.told(id.into(), &mut self.dirty);
            }
        }
        let line = &mut self.lines[at];
        let was = line.content(&self.labels);
        let new = reason.and_then(|reason| View::new(members, hidden, reason));
        let old = line.group.view.take();
        match (&old, new) {
            (None, None) => return,
            (Some(old), Some(new)) if old.state == new.state => {
                line.group.view =
                    Some(Arc::new(View { reason: old.reason, changed_at: old.changed_at, ..new }));
                if line.told.is_rejected() {
                    // Refused at the last flush: offered again at this one.
                    self.at((id, now), at, desk, |entry| {
                        entry.desk.lanes.idle(entry.slot, entry.told);
                    });
                }
                return;
            }
            (_, new) => {
                // A fallback is owed nothing before its turn comes.
                let since = if fallback { now.wall } else { self.resumed_at };
                line.group.owe(new, since, &mut line.told);
            }
        }
        self.at((id, now), at, desk, |entry| entry.news(was.as_ref()));
    }

    /// When the next thing happens by itself.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let lines = self.delivery.members.iter().zip(&self.lines);
        let of = |(member, line): (&Member, &Line)| self.line_deadline(member, line);
        let own = if self.recheck { Some(Timestamp::UNIX_EPOCH) } else { self.next };
        let calls = self.lines.iter().filter_map(|line| line.group.call());
        own.into_iter().chain(lines.filter_map(of)).chain(calls).min()
    }

    /// When what is owed is given up.
    fn line_deadline(&self, member: &Member, line: &Line) -> Option<Timestamp> {
        let Line { told, .. } = line;
        let Content { says, changed_at, .. } = line.content(&self.labels)?;
        let lettered = says.status == Status::Firing && told.is_dead_lettered(says.version);
        let idle = self.delivery.mutes(member) || told.place == Place::InFlight || lettered;
        let repeat = self.delivery.terms.repeat_interval;
        let since = told.owed_since(says, changed_at, repeat);
        (!idle && told.owes_change(says, true))
            .then(|| later(since, member.recipient.limits.max_age))
    }

    /// What everyone was told, as written to disk.
    pub(super) fn record(&self) -> GroupRecord {
        let lines = self.delivery.members.iter().zip(&self.lines);
        let entries = lines.filter(|(_, line)| line.is_known());
        let entry = |(Member { recipient, .. }, line): (&Member, &Line)| GroupEntry {
            target: recipient.target.clone(),
            uid: recipient.uid.clone(),
            heard: line.written().record(),
            at: line.told.told_at().unwrap_or(Timestamp::UNIX_EPOCH),
            count: line.told.count(),
            dead_lettered: line.lettered(),
            resumed_at: line.told.resumed_at(),
        };
        GroupRecord {
            route: self.delivery.key.clone(),
            labels: self.labels.clone(),
            flushed_at: self.flushed_at,
            left_at: self.left_at,
            entries: entries.map(entry).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alert::Alert,
        dispatch::{
            Subject,
            held::Held,
            link::Link,
            size::{ENTRY, FIXED, GROUP, HEARD, LINE},
        },
    };

    #[test]
    fn a_hundred_thousand_groups_fit() {
        // With an alert each that a target was told of. Maps, queues and the timetable have room for up to
        // twice what is in them; an allocator adds up to 16 bytes to each piece.
        let due = size_of::<(Timestamp, Subject)>();
        let index = size_of::<(Labels, AlertId)>() + size_of::<(AlertId, Box<Held>)>() + due;
        let alert = size_of::<Alert>() + size_of::<Held>() + 5 * 16 + 2 * index;
        assert!(alert <= FIXED, "{alert}");
        let entry = size_of::<Told>() + 2 * size_of::<Slot>() + 16;
        assert!(entry.max(size_of::<Link>() + 16) <= ENTRY, "{entry}");
        let index = size_of::<((RouteId, Labels), GroupId)>() + 2 * size_of::<GroupId>() + due;
        let group = size_of::<Group>() + 2 * 16 + 2 * index;
        assert!(group <= GROUP, "{group}");
        let line = size_of::<Line>() + 2 * size_of::<Slot>() + size_of::<Heard>() + 3 * 16;
        assert!(line <= LINE + HEARD, "{line}");
    }
}
