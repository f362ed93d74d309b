//! What an attempt means: for what is owed, for a record of a queue, for history, dead letters and
//! metrics.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::{
    desk::Shared,
    ended::Last,
    job::{Ended, Work},
    metrics::NotificationOutcome,
    queue::is_gone,
    records::{About, GivenUp},
    window::{Fate, Record},
};
use crate::{
    alert::{Notification, Status},
    api::TargetKey,
    clock::Moment,
    delivery::{Attempt, Class, Failure, Told, next_delay},
    dispatch::{Queued, Settled},
    publish::ErrorType,
    registry::Target,
    store::{DeadReason, Op, Outcome, Seq},
};

/// Times that a notification may turn out to be unusable before it is given up.
const UNUSABLE: u8 = 3;
/// Pause before an unusable one is tried again.
const UNUSABLE_PAUSE: Duration = Duration::from_secs(1);
/// Unusable ones that are remembered.
const MANY: usize = 10_000;

/// How a record comes to its end other than by delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Why it goes to the dead letters; `None`: it does not.
    pub(super) reason: Option<DeadReason>,
    /// What the history says.
    pub(super) outcome: Outcome,
}

/// Whether `maxAge` has passed since `from`.
pub(super) fn too_old(target: &Target, from: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(from);
    Duration::try_from(age).is_ok_and(|age| age >= target.policy.retry.max_age)
}

/// How long to wait before the next attempt.
fn delay(target: &Target, failures: u32, failure: &Failure) -> Duration {
    let policy = &target.policy.retry;
    next_delay(policy, failures, failure.class, failure.retry_after, &mut fastrand::Rng::new())
}

/// What an attempt means for what is owed.
fn judge(target: &Target, failures: u32, attempt: &Attempt) -> (Settled, NotificationOutcome) {
    match &attempt.result {
        Ok(()) => (Settled::Delivered, NotificationOutcome::Delivered),
        Err(Failure { class: Class::Rejected | Class::Gone, .. }) => {
            (Settled::Rejected, NotificationOutcome::Rejected)
        }
        Err(failure) if failure.error_type == ErrorType::Blocked => {
            let retry_in = delay(target, failures, failure);
            (Settled::Blocked { retry_in }, NotificationOutcome::Failed)
        }
        Err(failure) => {
            let maybe_told = failure.told == Told::Maybe;
            let retry_in = delay(target, failures, failure);
            (Settled::Failed { maybe_told, retry_in }, NotificationOutcome::Failed)
        }
    }
}

// === impl End ===

impl End {
    pub(super) const fn dead(reason: DeadReason) -> Self {
        let outcome = match reason {
            DeadReason::Rejected | DeadReason::Unusable => Outcome::Rejected,
            DeadReason::MaxAge | DeadReason::MaxAttempts => Outcome::Expired,
            _ => Outcome::Cancelled,
        };
        Self { reason: Some(reason), outcome }
    }
}

// === impl Shared ===

impl<T> Shared<T> {
    /// Settles an attempt that was made.
    pub(super) fn settle(
        &self,
        target: &Arc<Target>,
        notification: &Arc<Notification>,
        work: Work,
        attempt: &Attempt,
    ) -> Ended {
        let now = Moment::now();
        let failures = work.attempts();
        let (settled, outcome) = judge(target, failures, attempt);
        self.courier.metrics().notified(target.kind, outcome, 1);
        let about = About { target: &target.key, route: work.route(), notification };
        let history = about.attempted(failures + 1, attempt, now.wall);
        if let Settled::Blocked { .. } = settled {
            self.desk().resumed.insert(target.key.clone(), now.wall);
        }
        let tickets = match work {
            Work::Slot(tickets, _) => tickets,
            Work::Record(record) => {
                return self.settle_record(target, record, (settled, attempt), history);
            }
        };
        let mut desk = self.desk();
        if !desk.unusable.is_empty() {
            desk.unusable.remove(&notification.id);
        }
        desk.outcomes.push(history);
        if settled == Settled::Delivered {
            self.courier.metrics().marks.told(target.kind, notification);
            for ticket in &tickets {
                desk.unsaved.delivered(ticket.slot());
            }
        }
        let settlement = desk.settle_all(target, tickets, settled, now);
        let last = Last::of(attempt);
        self.note(&mut desk, settlement.ended, Some((&last, None)));
        drop(desk);
        if settlement.work {
            self.lanes.wake(&target.key);
        }
        self.touch();
        Ended::Slot
    }

    fn settle_record(
        &self,
        target: &Target,
        mut record: Record,
        (settled, attempt): (Settled, &Attempt),
        history: Op,
    ) -> Ended {
        let now = Moment::now();
        let mut ops = vec![history];
        let last = Last::of(attempt);
        let gone = {
            let snapshot = self.desk().snapshot.clone();
            is_gone(&snapshot, target, &record)
        };
        let retry_in = match settled {
            Settled::Delivered => {
                let seq = self.told_from_queue(target, &record, gone, ops);
                return Ended::Record(record.id, Fate::Ended, seq);
            }
            Settled::Failed { retry_in, .. } | Settled::Blocked { retry_in } => {
                if let Some(end) = gone {
                    record.queued.attempts += 1;
                    let seq = self.end_record(target, &record, end, (ops, None));
                    return Ended::Record(record.id, Fate::Ended, seq);
                }
                retry_in
            }
            Settled::Rejected | Settled::Cancelled => {
                record.queued.attempts += 1;
                let end = End::dead(DeadReason::Rejected);
                let seq = self.end_record(target, &record, end, (ops, Some(&last)));
                return Ended::Record(record.id, Fate::Ended, seq);
            }
        };
        let attempts = record.queued.attempts + 1;
        let most = target.policy.retry.max_attempts;
        let from = self.counts_from(&target.key, record.queued.accepted_at);
        let given_up = if matches!(settled, Settled::Blocked { .. }) {
            None
        } else if most.is_some_and(|most| attempts >= most) {
            Some(DeadReason::MaxAttempts)
        } else {
            too_old(target, from, now.wall).then_some(DeadReason::MaxAge)
        };
        if let Some(reason) = given_up {
            record.queued.attempts = attempts;
            let seq = self.end_record(target, &record, End::dead(reason), (ops, Some(&last)));
            return Ended::Record(record.id, Fate::Ended, seq);
        }
        ops.push(Op::Attempted {
            target: record.queued.target.clone(),
            uid: record.queued.uid.clone(),
            id: record.id,
            attempts,
        });
        let seq = self.backlog().submit(ops, true);
        let at = now.mono + retry_in;
        Ended::Record(record.id, Fate::Later { attempts, at }, seq)
    }

    /// The notification could not even be made: a bug, or content that no renderer takes. Tried again
    /// a few times, then given up; what comes after it goes on.
    pub(super) fn settle_unusable(
        &self,
        target: &Arc<Target>,
        notification: &Arc<Notification>,
        work: Work,
    ) -> Ended {
        let now = Moment::now();
        let times = self.count_unusable(&notification.id);
        warn!(to = %target.key, notification = %notification.id, times, "A notification can't be made");
        let given_up = times >= UNUSABLE;
        let last = Last { message: "it could not be rendered".into(), status_code: None };
        match work {
            Work::Slot(tickets, _) => {
                let settled = if given_up || tickets.len() > 1 {
                    Settled::Rejected
                } else {
                    Settled::Failed { maybe_told: true, retry_in: UNUSABLE_PAUSE }
                };
                let mut desk = self.desk();
                let settlement = desk.settle_all(target, tickets, settled, now);
                let reason = given_up.then_some(DeadReason::Unusable);
                self.note(&mut desk, settlement.ended, Some((&last, reason)));
                drop(desk);
                if settlement.work {
                    self.lanes.wake(&target.key);
                }
                self.touch();
                Ended::Slot
            }
            Work::Record(record) if given_up => {
                let end = End::dead(DeadReason::Unusable);
                let seq = self.end_record(target, &record, end, (Vec::new(), Some(&last)));
                Ended::Record(record.id, Fate::Ended, seq)
            }
            Work::Record(record) => {
                let at = now.mono + UNUSABLE_PAUSE;
                let attempts = record.queued.attempts;
                Ended::Record(record.id, Fate::Later { attempts, at }, Seq::default())
            }
        }
    }

    fn count_unusable(&self, id: &Arc<str>) -> u8 {
        let mut desk = self.desk();
        if desk.unusable.len() >= MANY {
            desk.unusable.clear();
        }
        let times = desk.unusable.entry(id.clone()).or_default();
        *times += 1;
        let counted = *times;
        if counted >= UNUSABLE {
            desk.unusable.remove(id);
        }
        counted
    }

    /// Taken but not sent: the disk failed, and the process ends.
    pub(super) fn give_back(&self, work: Work) -> Ended {
        match work {
            Work::Slot(tickets, _) => {
                let (mut desk, now) = (self.desk(), Moment::now());
                tickets.into_iter().rev().for_each(|ticket| desk.state.put_back(ticket, now));
                Ended::Slot
            }
            Work::Record(record) => {
                let at = Instant::now();
                let attempts = record.queued.attempts;
                Ended::Record(record.id, Fate::Later { attempts, at }, Seq::default())
            }
        }
    }

    /// A record comes to its end without being delivered.
    pub(super) fn end_record(
        &self,
        target: &Target,
        record: &Record,
        End { reason, outcome }: End,
        (mut ops, last): (Vec<Op>, Option<&Last>),
    ) -> Seq {
        let at = Timestamp::now();
        let notification = &record.queued.notification;
        let about = About { target: &target.key, route: record.route(), notification };
        let metrics = self.courier.metrics();
        match outcome {
            // Told by the attempt that was refused.
            Outcome::Rejected => {}
            _ => ops.push(about.ended(outcome, at)),
        }
        match outcome {
            Outcome::Expired => metrics.notified(target.kind, NotificationOutcome::Expired, 1),
            Outcome::Skipped => metrics.notified(target.kind, NotificationOutcome::Skipped, 1),
            Outcome::Cancelled => metrics.notified(target.kind, NotificationOutcome::Cancelled, 1),
            _ => {}
        }
        if let Some(reason) = reason {
            let given_up = GivenUp {
                uid: &record.queued.uid,
                reason,
                message: last.map_or_else(|| super::ended::words(reason), |last| &last.message),
                status_code: last.and_then(|last| last.status_code),
                attempts: record.queued.attempts,
                accepted_at: record.queued.accepted_at,
            };
            self.bury(&about, given_up, at, &mut ops);
        }
        self.dequeue(record, ops)
    }

    /// A record was taken by its target. If nothing more is sent to it, what that leaves open has not been said.
    fn told_from_queue(
        &self,
        target: &Target,
        record: &Record,
        gone: Option<End>,
        mut ops: Vec<Op>,
    ) -> Seq {
        let Queued { notification, uid, accepted_at, attempts, .. } = &record.queued;
        let reason = gone.and_then(|end| end.reason);
        let reason =
            reason.filter(|_| notification.status == Status::Firing && record.transition());
        if let Some(reason) = reason
            && !self.backlog().holds_another(&target.key, uid, record.group)
        {
            let about = About { target: &target.key, route: record.route(), notification };
            let given_up = GivenUp {
                uid,
                reason,
                message: super::ended::words(reason),
                status_code: None,
                attempts: *attempts,
                accepted_at: *accepted_at,
            };
            self.bury(&about, given_up, Timestamp::now(), &mut ops);
        }
        self.dequeue(record, ops)
    }

    fn dequeue(&self, record: &Record, mut ops: Vec<Op>) -> Seq {
        ops.push(Op::Dequeue {
            target: record.queued.target.clone(),
            uid: record.queued.uid.clone(),
            id: record.id,
        });
        let backlog = self.backlog();
        let seq = backlog.submit(ops, true);
        let owner = (&record.queued.target, &*record.queued.uid);
        backlog.ended(owner, record.group, seq);
        seq
    }

    /// When the age of something accepted then began to count: not while its target was suspended or
    /// its address was out of bounds.
    pub(super) fn counts_from(&self, target: &TargetKey, accepted_at: Timestamp) -> Timestamp {
        self.desk().resumed.get(target).map_or(accepted_at, |resumed| accepted_at.max(*resumed))
    }
}
