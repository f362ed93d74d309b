//! One target's lane at work: takes what waits, decides, sends, settles.
//!
//! A lane is a task that lives while something waits or runs for its target. It makes as many
//! attempts at a time as the target's own limit has permits, which it shares with publishes. What is
//! sent is taken from the state only when a permit is there: a target that was slow or away gets the
//! latest, not what was news when it queued.

use std::sync::Arc;

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    task::consume_budget,
    time::{Instant, sleep_until},
};

use super::{
    metrics::NotificationOutcome,
    policy::{Verdict, decide},
    router::Shared,
};
use crate::{
    alert::Notification,
    api::TargetKey,
    delivery::{Attempt, Class, Failure, Told, Transport},
    dispatch::{Settled, Slot, Ticket},
    registry::{Live, ResolvedRoute, Target},
};

/// One target's lane.
pub(super) struct Lane<T> {
    shared: Arc<Shared<T>>,
    key: TargetKey,
    news: Arc<Notify>,
    permit: Option<Held>,
    /// Set while a permit is waited for; kept over other events, or the place in line would be lost.
    asking: Option<BoxFuture<'static, Held>>,
}

/// A permit and whose limit it is of.
type Held = (Arc<Live>, OwnedSemaphorePermit);

/// What a lane can do next.
enum Step<T> {
    /// Make this attempt.
    Start(Job<T>),
    /// A slot was dealt with; look for the next one.
    Dealt,
    /// Every permit of the target is in use.
    Busy(Arc<Live>),
    /// The far end asked for a pause until then.
    Paused(Instant),
    /// Nothing waits.
    Idle,
}

/// One attempt and what belongs to it. Dropped before its end, it counts as cancelled.
struct Job<T> {
    shared: Arc<Shared<T>>,
    target: Arc<Target>,
    notification: Arc<Notification>,
    permit: OwnedSemaphorePermit,
    ticket: Ticket,
}

/// Counts an attempt that is dropped before its end.
struct CutOff<'a, T: Transport>(Option<(&'a Shared<T>, &'a Target)>);

// === impl Lane ===

impl<T: Transport> Lane<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, key: TargetKey, news: Arc<Notify>) -> Self {
        Self { shared, key, news, permit: None, asking: None }
    }

    pub(super) async fn run(mut self) {
        let mut jobs = FuturesUnordered::new();
        let stopping = self.shared.stopping.clone();
        loop {
            let paused = loop {
                match self.step() {
                    Step::Start(job) => jobs.push(job.run()),
                    Step::Dealt => {}
                    Step::Busy(live) => {
                        self.asking = Some(Box::pin(async move {
                            let permit = live.limit().clone().acquire_owned().await;
                            (live, permit.expect("a target's limit is never closed"))
                        }));
                        break None;
                    }
                    Step::Paused(until) => break Some(until),
                    Step::Idle => break None,
                }
                consume_budget().await;
            };
            if self.asking.is_none() {
                // Not needed now: others may.
                self.permit = None;
                let given_up = paused.is_some() && stopping.is_cancelled();
                if jobs.is_empty() && (given_up || self.shared.lanes.close(&self.key)) {
                    return;
                }
            }
            tokio::select! {
                Some(()) = jobs.next() => {}
                permit = async { self.asking.as_mut().expect("guarded").await },
                    if self.asking.is_some() => {
                    self.asking = None;
                    self.permit = Some(permit);
                }
                () = self.news.notified() => {}
                () = sleep_until(paused.unwrap_or_else(Instant::now)), if paused.is_some() => {}
                () = stopping.cancelled(), if paused.is_some() => {}
            }
        }
    }

    /// Looks at the next slot. The target is looked up after the slot was taken out of the lane: a
    /// change of configuration that needs the slot puts it in again after it has made itself visible.
    fn step(&mut self) -> Step<T> {
        if self.asking.is_some() {
            return Step::Idle;
        }
        let Some(slot) = self.shared.lanes.pop(&self.key) else { return Step::Idle };
        let snapshot = self.shared.snapshot();
        let (Some(target), Some(route)) = (snapshot.target(&self.key), snapshot.route(&slot.route))
        else {
            return Step::Dealt;
        };
        if let Some(until) = target.live.paused_until(Instant::now()) {
            self.shared.lanes.put_back(slot);
            return Step::Paused(until);
        }
        let held = self.permit.take().filter(|(live, _)| Arc::ptr_eq(live, &target.live));
        let limit = target.live.limit();
        let permit =
            held.map(|(_, permit)| permit).or_else(|| limit.clone().try_acquire_owned().ok());
        let Some(permit) = permit else {
            self.shared.lanes.put_back(slot);
            return Step::Busy(target.live.clone());
        };
        self.take(&slot, (target, route), permit)
    }

    fn take(
        &mut self,
        slot: &Slot,
        (target, route): (&Arc<Target>, &ResolvedRoute),
        permit: OwnedSemaphorePermit,
    ) -> Step<T> {
        let taken = self.shared.with_state(|state, now| (state.take(slot, now), Vec::new()));
        let Some((notification, ticket)) = taken else {
            self.permit = Some((target.live.clone(), permit));
            return Step::Dealt;
        };
        let settled = match decide(route, target, notification.status) {
            Verdict::Send => {
                let (shared, target) = (self.shared.clone(), target.clone());
                return Step::Start(Job { shared, target, notification, permit, ticket });
            }
            Verdict::Skip => Settled::Skipped,
            Verdict::Hold => Settled::Cancelled,
        };
        if settled == Settled::Skipped {
            let metrics = self.shared.courier.metrics();
            target.live.skipped();
            metrics.series.read().skipped(&target.key);
            metrics.notified(target.kind, NotificationOutcome::Skipped, 1);
        }
        self.permit = Some((target.live.clone(), permit));
        self.shared.settle(ticket, settled);
        Step::Dealt
    }
}

// === impl Shared ===

impl<T: Transport> Shared<T> {
    fn settle(&self, ticket: Ticket, settled: Settled) {
        self.with_state(|state, now| {
            let again = state.settle(ticket, settled, now);
            ((), again.into_iter().collect())
        });
    }
}

// === impl Job ===

impl<T: Transport> Job<T> {
    async fn run(self) {
        let Self { shared, target, notification, permit, ticket } = self;
        let mut cut_off = CutOff(Some((&shared, &target)));
        let attempt = shared.courier.deliver(&target, &notification, permit).await;
        cut_off.0 = None;
        let (settled, outcome) = judge(&attempt);
        shared.courier.metrics().notified(target.kind, outcome, 1);
        shared.settle(ticket, settled);
    }
}

impl<T: Transport> Drop for CutOff<'_, T> {
    fn drop(&mut self) {
        if let Some((shared, target)) = self.0 {
            shared.courier.metrics().notified(target.kind, NotificationOutcome::Cancelled, 1);
        }
    }
}

/// What an attempt means for what is owed.
fn judge(attempt: &Attempt) -> (Settled, NotificationOutcome) {
    match &attempt.result {
        Ok(()) => (Settled::Delivered, NotificationOutcome::Delivered),
        Err(Failure { class: Class::Rejected | Class::Gone, .. }) => {
            (Settled::Rejected, NotificationOutcome::Rejected)
        }
        Err(Failure { told, .. }) => {
            (Settled::Failed { maybe_told: *told == Told::Maybe }, NotificationOutcome::Failed)
        }
    }
}
