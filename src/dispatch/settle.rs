//! How a notification leaves and what its outcome means.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Ended, Next, Owed, OwedCounts, Settled, Settlement, Slot, State, Subject, TargetId, Ticket,
    Verdict, Why,
    entry::{Begun, Entry},
    lane::{Place, Popped},
    notice::Content,
};
use crate::{
    alert::{Notification, Status},
    api::{RouteKey, TargetKey},
    clock::Moment,
};

/// Slots looked at in one call of [`State::next`].
const BOUND: usize = 128;

// === impl State ===

impl State {
    /// The facts that came with `owed` are on disk: what is owed may be sent. Returns the targets that
    /// have work now.
    pub fn enqueue(&mut self, owed: Owed, now: Moment) -> Vec<TargetKey> {
        let Owed(subjects) = owed;
        let mut targets = BTreeSet::new();
        for subject in subjects {
            let Some(id) = subject.alert() else {
                self.enqueue_group(subject, now, &mut targets);
                continue;
            };
            let Some(held) = self.alerts.get_mut(&id) else { continue };
            held.unconfirmed = held.unconfirmed.saturating_sub(1);
            if held.unconfirmed == 0 {
                held.each((id, now), &mut self.desk, |entry| {
                    entry.offer();
                    if entry.told.place == Place::Ready {
                        targets.insert(entry.slot.target);
                    }
                });
                self.bound_resolves(now);
            }
            self.retire(id);
            self.schedule(id);
        }
        let name = |target| self.desk.names.target_name(target).cloned();
        targets.into_iter().filter_map(name).collect()
    }

    /// The next notification for `target`, now in flight. `decide` says by health what is to be done with a
    /// route's firing or resolving notification.
    pub fn next(
        &mut self,
        target: &TargetKey,
        now: Moment,
        decide: &mut dyn FnMut(&RouteKey, Status) -> Verdict,
    ) -> Next {
        let Some(target) = self.desk.names.find_target(target) else { return Next::Nothing };
        for _ in 0..BOUND {
            let Some(popped) = self.desk.lanes.pop(target) else { return Next::Nothing };
            if let Some((notification, ticket)) = self.consider(popped, now, decide) {
                return Next::Send(notification, ticket);
            }
        }
        Next::More
    }

    pub(super) fn consider(
        &mut self,
        popped: Popped,
        now: Moment,
        decide: &mut dyn FnMut(&RouteKey, Status) -> Verdict,
    ) -> Option<(Arc<Notification>, Ticket)> {
        let slot = popped.slot;
        let sent = self.with(slot, now, |entry| {
            if !popped.counts(entry.told) {
                return None;
            }
            let verdict = entry.judge(|status| decide(&entry.delivery.key, status))?;
            if verdict != Verdict::Send {
                return None;
            }
            let (attempts, content) = (entry.told.attempts(), entry.content?);
            let Begun { notification, since, must_commit } = entry.begin(content);
            let ticket = Ticket {
                slot,
                token: entry.told.token,
                says: content.says,
                route: entry.delivery.key.clone(),
                notification: notification.clone(),
                attempts,
                changed_at: since,
                must_commit,
            };
            Some((notification, ticket))
        });
        self.rearrange_entry(slot, false);
        sent.flatten()
    }

    /// Records what became of a notification.
    #[must_use = "what ended must be recorded"]
    pub fn settle(&mut self, ticket: Ticket, outcome: Settled, now: Moment) -> Settlement {
        let slot = ticket.slot;
        let before = self.desk.log.ended.len();
        let landed = self.with(slot, now, |entry| {
            if ticket.is_of(entry) {
                entry.land(ticket, outcome);
            }
        });
        if landed.is_some() {
            self.give_way(slot, now);
            self.bound_resolves(now);
            self.rearrange_entry(slot, true);
        }
        let ended: Vec<Ended> = self.desk.log.ended.split_off(before);
        let known = self.desk.names.target_name(slot.target).is_some();
        Settlement { ended, work: known && self.desk.lanes.has_work(slot.target) }
    }

    /// Makes at most `most` of what is held for a target ready: for a trial. Returns how many.
    pub fn release(&mut self, target: &TargetKey, most: usize, now: Moment) -> usize {
        let Some(target) = self.desk.names.find_target(target) else { return 0 };
        let mut released = 0;
        while released < most {
            let Some(popped) = self.desk.lanes.pop_held(target) else { break };
            let slot = popped.slot;
            let ready = self.with(slot, now, |entry| {
                let stood = popped.counts(entry.told);
                if stood {
                    let since = entry.since();
                    entry.desk.lanes.place_first(slot, entry.told, since);
                }
                stood
            });
            released += usize::from(ready == Some(true));
        }
        released
    }

    /// These targets are well again: what is held for them, what failed and what they refused is ready
    /// at once. Costs little, however much that is. Returns those that have work.
    pub fn recovered(&mut self, targets: &BTreeSet<TargetKey>) -> Vec<TargetKey> {
        let work = targets.iter().filter(|key| {
            let Some(target) = self.desk.names.find_target(key) else { return false };
            self.desk.lanes.recover(target);
            self.desk.lanes.has_work(target)
        });
        work.cloned().collect()
    }

    /// Every target that is owed something. Work: one step per target.
    #[must_use]
    pub fn owed(&self) -> Vec<(TargetKey, OwedCounts)> {
        let of = |(target, key): (TargetId, &TargetKey)| {
            let counts = self.desk.lanes.counts(target);
            (counts.total() > 0).then(|| (key.clone(), counts))
        };
        self.desk.names.targets().filter_map(of).collect()
    }

    /// Resolves beyond what a target may be owed go to the dead letters.
    pub(super) fn bound_resolves(&mut self, now: Moment) {
        while let Some(newest) = self.desk.over.pop() {
            let mut tries = self.desk.lanes.resolves(newest.target);
            let done = self.with(newest, now, |entry| {
                !entry.is_owed_too_much() || (entry.newest_goes() && entry.drop_resolve())
            });
            if done != Some(false) {
                continue;
            }
            while tries > 0 {
                tries -= 1;
                let Some(oldest) = self.desk.lanes.pop_resolve(newest.target) else { break };
                let dropped = self.with(oldest, now, |entry| {
                    entry.desk.lanes.popped_resolve(oldest, entry.told) && entry.drop_resolve()
                });
                if dropped == Some(true) {
                    self.rearrange(oldest.subject, true);
                    break;
                }
            }
        }
    }

    /// Does something with one entry, if there is one.
    pub(super) fn with<R>(
        &mut self,
        slot: Slot,
        now: Moment,
        rule: impl FnOnce(&mut Entry<'_>) -> R,
    ) -> Option<R> {
        if let Some(id) = slot.subject.group() {
            let group = self.groups.get_mut(&id)?;
            return group.one((id, now), slot.target, &mut self.desk, rule);
        }
        let id = slot.subject.alert()?;
        self.alerts.get_mut(&id)?.one((slot, now), &mut self.desk, rule)
    }

    /// Something became of an entry: keeps what depends on it in line. `ended`: an attempt did.
    pub(super) fn rearrange(&mut self, subject: Subject, ended: bool) {
        match (subject.group(), subject.alert()) {
            (Some(group), _) if ended => self.group_landed(group),
            (Some(group), _) => self.schedule_group(group),
            (None, Some(alert)) => {
                self.schedule(alert);
                if ended {
                    self.retire(alert);
                }
            }
            (None, None) => {}
        }
    }
}

// === impl Ticket ===

impl Ticket {
    /// The entry still waits for this ticket.
    pub(super) fn is_of(&self, entry: &Entry<'_>) -> bool {
        entry.told.place == Place::InFlight && entry.told.token == self.token
    }

    /// The alert still says what the notification says, and the route still wants it to be told.
    pub(super) fn is_current(&self, entry: &Entry<'_>) -> bool {
        let wanted = entry.matches || self.says.status == Status::Resolved;
        wanted && entry.content.is_some_and(|content| content.says.version == self.says.version)
    }
}

// === impl Entry ===

impl Entry<'_> {
    /// An attempt came to its end.
    fn land(&mut self, ticket: Ticket, outcome: Settled) {
        self.mark_unlooked_for(&ticket);
        let current = self.content.filter(|_| ticket.is_current(self));
        let tries_on = self.tries_on(&ticket);
        if outcome != Settled::Cancelled {
            let blocked = matches!(outcome, Settled::Blocked { .. });
            self.desk.lanes.lane(self.slot.target).blocked = blocked;
        }
        match outcome {
            Settled::Delivered => {
                self.told.deliver(ticket.says, self.now.wall);
                let closed = ticket.says.status == Status::Resolved;
                self.hear(|heard, view| heard.deliver(view.shown(), closed), true);
                self.mark();
                self.ground();
            }
            Settled::Cancelled => match current {
                Some(_) => self.ground(),
                None => self.overtaken(ticket, 0),
            },
            Settled::Rejected => self.refused(ticket, current.filter(|_| tries_on)),
            Settled::Failed { maybe_told, retry_in } => {
                if self.group.is_none() {
                    self.told.fail(ticket.says, maybe_told);
                } else if maybe_told {
                    self.hear(|heard, view| heard.doubt(view.shown()), false);
                }
                match current.filter(|_| tries_on) {
                    Some(content) => self.failed(content, retry_in),
                    None if current.is_some() => self.ground(),
                    None => self.overtaken(ticket, 1),
                }
            }
            Settled::Blocked { retry_in } => match current.filter(|_| tries_on) {
                Some(_) => {
                    self.told.failures = self.told.failures.saturating_add(1);
                    self.try_again_in(retry_in);
                }
                None if current.is_some() => self.ground(),
                None => self.overtaken(ticket, 1),
            },
        }
        self.suppress();
    }

    /// The recipient still wants to hear it, and not from its queue on disk.
    pub(super) fn tries_on(&self, ticket: &Ticket) -> bool {
        let left_out =
            ticket.says.status == Status::Resolved && !self.member.recipient.send_resolved;
        !self.is_muted() && !left_out && !self.member.needs_every()
    }

    /// A later start does not look for those who may know if the route does not want the alert, so the
    /// log names them, attempts under way included; when one ends it must be written anew. The same where the
    /// log would be believed to name everyone.
    pub(super) fn mark_unlooked_for(&mut self, ticket: &Ticket) {
        let unlooked_for =
            !self.matches || self.delivery.terms.suspended || self.member.is_fallback();
        if unlooked_for || (self.group.is_some() && ticket.must_commit) {
            self.mark();
        }
    }

    fn failed(&mut self, content: &Content, retry_in: std::time::Duration) {
        let limits = self.member.recipient.limits;
        self.told.failures = self.told.failures.saturating_add(1);
        let too_often = limits.max_attempts.is_some_and(|most| self.told.failures >= most);
        let why = if too_often { Why::MaxAttempts } else { Why::MaxAge };
        let given_up = too_often || self.is_too_old();
        if given_up {
            self.give_up(why, content);
        }
        if content.says.status == Status::Resolved && given_up {
            return;
        }
        self.try_again_in(if given_up { limits.unhealthy_interval } else { retry_in });
    }

    fn try_again_in(&mut self, pause: std::time::Duration) {
        self.wait(self.now.mono.checked_add(pause));
        self.count_resolve();
    }

    fn refused(&mut self, ticket: Ticket, current: Option<&Content>) {
        let version = ticket.says.version;
        let most = self.delivery.terms.repeat_interval;
        let current = current.map(|content| (content, self.told.reject(most)));
        if !self.told.is_dead_lettered(version) {
            let attempts = ticket.attempts.saturating_add(1);
            let why = (Why::Rejected, true);
            self.end_after(attempts, why, ticket.notification, ticket.changed_at);
            self.told.dead_letter(version);
            self.mark();
        }
        let Some((content, pause)) = current else { return self.ground() };
        if content.says.status == Status::Resolved && self.is_too_old() {
            return self.give_up(Why::MaxAge, content);
        }
        if self.group.is_some() {
            // Offered again by the next flush.
            self.wait(None);
            return self.count_resolve();
        }
        self.try_again_in(pause);
    }

    /// The alert says something else by now, and this was not told. `made`: attempts with this ticket.
    pub(super) fn overtaken(&mut self, ticket: Ticket, made: u32) {
        if !self.told.is_dead_lettered(ticket.says.version) {
            let attempts = ticket.attempts.saturating_add(made);
            let why = (Why::Superseded, false);
            self.end_after(attempts, why, ticket.notification, ticket.changed_at);
        }
        self.ground();
    }

    /// Out of the air: what is owed now is ready.
    pub(super) fn ground(&mut self) {
        self.desk.lanes.idle(self.slot, self.told);
        self.close();
        self.tell_every();
        self.offer();
    }

    /// Something may have ended since the target was owed too many resolves.
    fn is_owed_too_much(&self) -> bool {
        let most = self.member.recipient.limits.queue.max_notifications as usize;
        self.desk.lanes.resolves_owed(self.slot.target) > most
    }

    fn newest_goes(&mut self) -> bool {
        self.member.recipient.limits.queue.when_full == crate::api::WhenFull::DeadLetterNewest
    }

    /// Gives a resolve up because too many are owed. Returns whether it was owed.
    fn drop_resolve(&mut self) -> bool {
        let resolve = self.content.filter(|content| {
            content.says.status == Status::Resolved
                && self.told.place != Place::InFlight
                && self.told.owes_change(content.says, self.matches)
        });
        if let Some(content) = resolve {
            self.give_up(Why::QueueFull, content);
        }
        resolve.is_some()
    }
}
