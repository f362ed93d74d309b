//! The rules of what is owed, for one (route, alert, target).

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Mute, Origin, Queued, Slot, TargetId, Verdict, Why,
    fallback::Turn,
    hearing::Hearings,
    lane::{Lanes, Place},
    line::GroupTold,
    link::{Delivery, Member},
    log::Log,
    mute::Mutes,
    names::Names,
    notice::{Content, What, Writer},
    told::Told,
    view::{Shown, View},
};
use crate::{
    alert::{Notification, Status},
    clock::Moment,
};

/// What the rules work on beside the alerts.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) names: Names,
    pub(super) lanes: Lanes,
    pub(super) log: Log,
    pub(super) writer: Writer,
    /// Resolves that one target too many is owed, perhaps.
    pub(super) over: Vec<Slot>,
    /// Targets whose circuit is open.
    pub(super) open: HashSet<TargetId>,
    /// Notifications that were not told because they are muted, since the start.
    pub(super) suppressed: [u64; Mute::ALL.len()],
}

/// One entry with everything that decides about it.
pub(super) struct Entry<'a> {
    pub(super) slot: Slot,
    /// The route wants the alert.
    pub(super) matches: bool,
    /// Why the alert is absent on the route.
    pub(super) muted: Mutes,
    pub(super) delivery: &'a Delivery,
    pub(super) member: &'a Member,
    /// Whether a firing may be told, where the route has a fallback.
    pub(super) turn: Turn,
    pub(super) told: &'a mut Told,
    /// What a group's target heard beside that; `None` for an alert on its own.
    pub(super) group: Option<&'a mut GroupTold>,
    /// What the alert says; `None` while it is stale.
    pub(super) content: Option<&'a Content>,
    /// Everything that it says is on disk.
    pub(super) confirmed: bool,
    pub(super) dirty: &'a mut (bool, bool),
    pub(super) desk: &'a mut Desk,
    pub(super) now: Moment,
}

// === impl Entry ===

impl Entry<'_> {
    /// Something must be told, now or as soon as it may be.
    pub(super) fn owes(&self) -> bool {
        self.content.is_some_and(|content| {
            let demand = self.delivery.demand(self.matches);
            !self.member.needs_every()
                && !self.is_held_back()
                && self.told.owes(content.says, demand, self.now.wall)
        })
    }

    /// The same without repeats: they are not noticed while nothing may be sent.
    fn owes_change(&self) -> bool {
        let says = self.content.map(|content| content.says);
        !self.is_held_back() && says.is_some_and(|says| self.told.owes_change(says, self.matches))
    }

    /// Nothing may be sent, whatever is owed.
    pub(super) fn is_muted(&self) -> bool {
        self.muted.any() || self.delivery.mutes(self.member)
    }

    /// When what is owed was accepted: `maxAge` counts from here.
    pub(super) fn since(&self) -> Timestamp {
        let repeat = self.delivery.terms.repeat_interval;
        let since = self.content.map_or(self.now.wall, |content| {
            self.told.owed_since(content.says, content.changed_at, repeat)
        });
        match self.turn {
            Turn::At(at) => since.max(at).min(self.now.wall),
            Turn::Now | Turn::Never => since,
        }
    }

    /// The alert or group says something else than `was`. What was owed is owed no more, and counts as
    /// superseded unless its end is known already.
    pub(super) fn news(&mut self, was: Option<&Content>) {
        if let Some(was) = was {
            let version = was.says.version;
            let superseded = if self.told.place == Place::InFlight {
                self.told.flying != version && (self.matches || self.told.open())
            } else {
                self.told.owes_change(was.says, self.matches)
                    && !self.told.is_dead_lettered(version)
                    && !self.is_spared()
            };
            let heard = !self.muted.any() && !self.delivery.provisional;
            if superseded && !self.member.needs_every() && heard {
                let notification = self.write(was);
                self.end(Why::Superseded, notification, was.changed_at, false);
            }
        }
        self.told.news();
        self.desk.lanes.count_resolve(self.slot, self.told, false);
        if self.told.place != Place::InFlight {
            self.desk.lanes.idle(self.slot, self.told);
        }
        self.close();
        self.tell_every();
        self.suppress();
    }

    /// The route no longer wants the alert.
    pub(super) fn news_is_lost(&mut self, content: &Content) {
        let says = content.says;
        if says.status != Status::Firing || self.told.place == Place::InFlight {
            return;
        }
        let spared = self.is_spared();
        self.desk.lanes.idle(self.slot, self.told);
        if !spared
            && self.told.owes_change(says, true)
            && !self.muted.any()
            && !self.told.is_dead_lettered(says.version)
            && !self.member.needs_every()
        {
            let notification = self.write(content);
            self.end(Why::Superseded, notification, content.changed_at, false);
        }
    }

    /// Notes that a target need not hear of an end, because it surely never heard of the problem.
    pub(super) fn close(&mut self) {
        let Some(says) = self.content.map(|content| content.says) else { return };
        if self.group.is_some() {
            return;
        }
        let deaf = says.status == Status::Resolved
            && self.told.place != Place::InFlight
            && !self.told.open()
            && !self.told.is_skipped(says.version);
        let listed = self.matches && !self.member.is_fallback();
        if deaf && (listed || !self.told.is_blank()) {
            self.told.close(says.version);
            self.mark();
        }
    }

    /// Where every transition is needed, this one goes into the queue, and counts as told.
    pub(super) fn tell_every(&mut self) {
        let Some(content) = self.content.filter(|_| self.member.needs_every()) else { return };
        self.desk.lanes.count_resolve(self.slot, self.told, false);
        if self.told.place == Place::InFlight {
            return;
        }
        self.desk.lanes.idle(self.slot, self.told);
        let route_muted = self.delivery.terms.suspended || self.delivery.provisional;
        if route_muted || self.muted.any() || !self.told.owes_change(content.says, self.matches) {
            return;
        }
        if content.says.status == Status::Firing || self.member.recipient.send_resolved {
            let queued = Queued {
                target: self.member.recipient.target.clone(),
                uid: self.member.recipient.uid.clone(),
                origin: Origin::Every(self.delivery.key.clone()),
                notification: self.write(content),
                accepted_at: self.since(),
                attempts: 0,
                limit: self.member.recipient.limits.queue,
            };
            self.desk.log.enqueue(queued);
        }
        self.told.deliver(content.says, self.now.wall);
        self.mark();
    }

    /// Puts the entry where it belongs: what is owed and may be sent is ready, what is not is nowhere.
    pub(super) fn offer(&mut self) {
        if self.member.needs_every() {
            return;
        }
        self.absorb();
        let wanted = self.owes() && !self.is_muted();
        let paused = self.delivery.pauses(self.member) && self.owes_change();
        match self.told.place {
            Place::InFlight => {}
            _ if paused && self.confirmed => {
                let since = self.since();
                self.desk.lanes.pause(self.slot, self.told, since);
            }
            _ if !wanted => self.desk.lanes.idle(self.slot, self.told),
            Place::Idle if self.confirmed => {
                let since = self.since();
                self.desk.lanes.place(self.slot, self.told, Place::Ready, since);
            }
            Place::Idle | Place::Ready | Place::Held | Place::Waiting => {}
        }
        self.count_resolve();
    }

    /// Notes what is not sent because the route leaves resolves out: or the next firing would
    /// look like one that was told already.
    fn absorb(&mut self) {
        let Some(says) = self.content.map(|content| content.says) else { return };
        if !self.member.recipient.send_resolved
            && !self.delivery.provisional
            && self.told.place != Place::InFlight
            && says.status == Status::Resolved
            && self.told.owes_change(says, self.matches)
        {
            self.desk.lanes.idle(self.slot, self.told);
            self.told.deliver(says, self.now.wall);
            self.hear(|heard, view| heard.deliver(view.shown(), true), true);
            self.mark();
        }
    }

    /// Notes what a group's target heard of what it is owed, and whether that settles it.
    pub(super) fn hear(&mut self, rule: impl FnOnce(&mut Hearings, &View), settles: bool) {
        if let Some(group) = &mut self.group
            && let Some(Content { what: What::Group(view, _), .. }) = self.content
        {
            rule(&mut group.heard, view);
            if settles {
                group.settle(self.told);
            }
        }
    }

    pub(super) fn count_resolve(&mut self) {
        let owed = self.content.is_some_and(|content| {
            content.says.status == Status::Resolved
                && self.told.owes_change(content.says, self.matches)
        }) && !self.delivery.provisional;
        let limit = self.member.recipient.limits.queue.max_notifications as usize;
        let count = self.desk.lanes.count_resolve(self.slot, self.told, owed);
        if count.is_some_and(|count| count > limit) {
            self.desk.over.push(self.slot);
        }
    }

    /// A slot that was popped: what becomes of it?
    pub(super) fn judge(&mut self, decide: impl FnOnce(Status) -> Verdict) -> Option<Verdict> {
        let content = self.content.filter(|_| self.confirmed && !self.is_muted() && self.owes());
        let Some(content) = content else {
            self.desk.lanes.idle(self.slot, self.told);
            return None;
        };
        let says = content.says;
        let verdict = match decide(says.status) {
            Verdict::Skip if says.status == Status::Resolved || self.tells_an_end() => {
                Verdict::Hold
            }
            verdict => verdict,
        };
        match verdict {
            Verdict::Send => {}
            Verdict::Hold => {
                let since = self.since();
                self.desk.lanes.place(self.slot, self.told, Place::Held, since);
            }
            Verdict::Skip => {
                let (notification, since) = (self.write(content), self.since());
                self.end(Why::Skipped, notification, since, false);
                self.told.skip(says.version, self.now.wall);
                self.hear(|heard, view| heard.skip(view.shown()), true);
                self.desk.lanes.idle(self.slot, self.told);
                self.mark();
            }
        }
        Some(verdict)
    }

    /// Some member ended that the target may believe to fire.
    fn tells_an_end(&self) -> bool {
        let Some(Content { what: What::Group(view, _), .. }) = self.content else { return false };
        let ended = |shown: &Shown| {
            let open = self.group.as_ref().is_some_and(|group| group.heard.is_open(shown.id));
            shown.status == Status::Resolved && open
        };
        view.shown().any(ended)
    }

    /// An attempt begins.
    pub(super) fn begin(&mut self, content: &Content) -> Begun {
        let (notification, since) = (self.write(content), self.since());
        let mut must_commit = self.told.begin(content.says, self.delivery.terms.repeat_interval);
        self.hear(|heard, view| must_commit |= heard.begin(view.shown()), false);
        // A later start takes a fallback that is not listed for one that was never told.
        must_commit |= self.member.is_fallback() && content.says.status == Status::Firing;
        if must_commit {
            self.mark();
        }
        self.told.token = self.desk.lanes.token();
        self.desk.lanes.place(self.slot, self.told, Place::InFlight, since);
        Begun { notification, since, must_commit }
    }

    /// Lets the entry wait.
    pub(super) fn wait(&mut self, until: Option<Instant>) {
        let since = self.since();
        // A wait without an end that can be named is as good as for ever.
        let until = until.unwrap_or(self.now.mono + std::time::Duration::from_hours(24 * 365));
        self.desk.lanes.wait(self.slot, self.told, until, since);
    }

    pub(super) fn write(&mut self, content: &Content) -> Arc<Notification> {
        let of = (self.slot.subject, self.slot.route);
        let to = (self.delivery, self.member, &*self.told);
        self.desk.writer.write(content, of, to, self.now.wall)
    }

    pub(super) fn mark(&mut self) {
        self.desk.log.told(self.slot.subject, self.dirty);
    }
}

/// What belongs to an attempt that begins.
pub(super) struct Begun {
    pub(super) notification: Arc<Notification>,
    pub(super) since: Timestamp,
    pub(super) must_commit: bool,
}
