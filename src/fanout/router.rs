//! Routed alerts: from intake to every target that is owed something.
//!
//! [`dispatch`](crate::dispatch) knows what is owed; the router asks it after every change (alerts,
//! configuration, time, a target's recovery) and puts what it answers into lanes, one per target.
//! `lane.rs` works them off.
//!
//! # Why a mutex and not a task that owns the state
//!
//! Taking an alert in costs microseconds and needs an answer at once; so does taking and settling
//! one notification. A short lock does that without a channel's queue, copy and wake-up per alert,
//! and pushes back on whoever posts too much. Large batches give the lock back in between.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{
    courier::Courier, lane::Lane, lanes::Lanes, metrics::NotificationOutcome, policy::recipients,
};
use crate::{
    alert::{Alert, Member},
    api::{TargetKey, TargetType},
    delivery::Transport,
    dispatch::{Counts, Settings, Slot, State},
    publish::{Accepted, BoxFuture, Intake, Refused, Source},
    registry::{Snapshot, TargetEntry},
};

/// Alerts taken in under one lock.
const CHUNK: usize = 256;
/// How often the state is asked whether time has brought anything.
const TICK: Duration = Duration::from_secs(1);

/// Delivers routed alerts. Clones share everything.
#[derive(Debug)]
pub struct Router<T>(pub(super) Arc<Shared<T>>);

/// What router and lanes share.
#[derive(Debug)]
pub(super) struct Shared<T> {
    pub(super) courier: Arc<Courier<T>>,
    pub(super) lanes: Lanes,
    /// No new alerts any more; what waits is still sent.
    pub(super) stopping: CancellationToken,
    desk: Mutex<Desk>,
}

/// Everything that changes together. Slots are put into lanes under the same lock under which they
/// became owed, so that nothing is owed unseen.
#[derive(Debug)]
struct Desk {
    state: State,
    /// The picture that `state` was last configured with.
    snapshot: Arc<Snapshot>,
    /// What the metrics say already.
    counted: Counts,
}

/// What a shutdown left undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Notifications that waited for their turn.
    pub waiting: usize,
    /// Targets whose attempts were cut off.
    pub cut_off: usize,
}

/// The router can't go on.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// A lane's task panicked: a bug.
    #[error("a lane of the router ended unexpectedly")]
    Lane(#[source] tokio::task::JoinError),
    /// The registry is gone.
    #[error("the registry ended before the router")]
    Registry,
}

// === impl Router ===

impl<T> Clone for Router<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Transport> Router<T> {
    /// A router that sends through `courier`. Nothing is sent before [`Router::run`].
    #[must_use]
    pub fn new(courier: Arc<Courier<T>>, settings: Settings) -> Self {
        let desk = Desk {
            state: State::new(settings, Timestamp::now()),
            snapshot: Arc::default(),
            counted: Counts::default(),
        };
        Self(Arc::new(Shared {
            courier,
            lanes: Lanes::default(),
            stopping: CancellationToken::new(),
            desk: Mutex::new(desk),
        }))
    }

    /// Works until `stop` is cancelled: then takes nothing in any more, sends what waits for at most
    /// `grace`, and says what is left. Dropping the future cancels every attempt.
    ///
    /// # Errors
    /// [`RouterError`] if a part of it ended unexpectedly.
    pub async fn run(
        &self,
        stop: CancellationToken,
        grace: Duration,
    ) -> Result<Unfinished, RouterError> {
        let Self(shared) = self;
        let mut tasks = JoinSet::new();
        let mut snapshots = shared.courier.snapshots();
        let monitor = shared.courier.monitor().clone();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        shared.configure();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = shared.lanes.opened.notified() => shared.start_lanes(&mut tasks),
                Some(ended) = tasks.join_next() => ended.map_err(RouterError::Lane)?,
                changed = snapshots.changed() => {
                    changed.map_err(|_| RouterError::Registry)?;
                    shared.configure();
                }
                keys = monitor.recovered().drain() => shared.recover(&keys),
                _ = tick.tick() => shared.tick(),
            }
        }
        shared.finish(tasks, Instant::now() + grace).await
    }
}

impl<T: Transport> Intake for Router<T> {
    fn accept(
        &self,
        alerts: Vec<Alert>,
        source: Source,
    ) -> BoxFuture<'_, Result<Accepted, Refused>> {
        Box::pin(async move { self.0.accept(alerts, source).await })
    }
}

// === impl Shared ===

impl<T> Shared<T> {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The picture that the state works with.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.desk().snapshot.clone()
    }

    /// What `target` was told and must be reminded of.
    pub(super) fn reminders(&self, target: &TargetKey, now: Timestamp) -> Vec<Member> {
        self.desk().state.reminders(target, now)
    }

    /// Does something with the state and puts the slots that it answers into their lanes.
    pub(super) fn with_state<R>(
        &self,
        change: impl FnOnce(&mut State, Timestamp) -> (R, Vec<Slot>),
    ) -> R {
        let mut desk = self.desk();
        let (answer, owed) = change(&mut desk.state, Timestamp::now());
        self.lanes.push(owed);
        answer
    }
}

impl<T: Transport> Shared<T> {
    async fn accept(&self, alerts: Vec<Alert>, source: Source) -> Result<Accepted, Refused> {
        let mut total = Accepted::default();
        let mut rest = alerts.into_iter();
        loop {
            let chunk: Vec<Alert> = rest.by_ref().take(CHUNK).collect();
            let part = self.accept_chunk(chunk, source)?;
            total.alerts += part.alerts;
            total.unrouted += part.unrouted;
            total.refused += part.refused;
            if rest.len() == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        if total.alerts == 0 && total.refused > 0 {
            return Err(Refused::TooManyAlerts);
        }
        Ok(total)
    }

    fn accept_chunk(&self, alerts: Vec<Alert>, source: Source) -> Result<Accepted, Refused> {
        let mut desk = self.desk();
        if self.stopping.is_cancelled() {
            return Err(Refused::ShuttingDown);
        }
        if !desk.snapshot.complete {
            return Err(Refused::NotReady);
        }
        let (accepted, owed) = desk.state.accept(alerts, source, Timestamp::now());
        self.lanes.push(owed);
        self.count(&mut desk);
        drop(desk);
        self.courier.metrics().unrouted.inc_by(accepted.unrouted as u64);
        Ok(accepted)
    }

    /// Takes over the registry's present picture.
    fn configure(&self) {
        let snapshot = self.courier.snapshot();
        let plan = Arc::new(recipients(&snapshot));
        let mut desk = self.desk();
        let owed = desk.state.reconfigure(plan, Timestamp::now());
        debug!(generation = snapshot.generation, owed = owed.len(), "Routes taken over");
        // Before the slots can be seen: a lane looks its target up after it took the slot.
        desk.snapshot = snapshot;
        self.lanes.push(owed);
        self.count(&mut desk);
    }

    fn recover(&self, keys: &BTreeSet<TargetKey>) {
        let owed = self.with_state(|state, now| {
            let owed = state.owed_of(keys, now);
            (owed.len(), owed)
        });
        if owed > 0 {
            info!(targets = keys.len(), owed, "Targets are back: trying what they are owed");
        }
    }

    fn tick(&self) {
        let now = Timestamp::now();
        let mut desk = self.desk();
        if desk.state.next_deadline().is_some_and(|deadline| deadline <= now) {
            let owed = desk.state.tick(now);
            self.lanes.push(owed);
        }
        self.count(&mut desk);
    }

    /// Brings the metrics up to what the state says.
    fn count(&self, desk: &mut Desk) {
        let metrics = self.courier.metrics();
        let counts = desk.state.counts();
        metrics.hold(counts.firing, counts.resolved);
        metrics.expired.inc_by(counts.expired.saturating_sub(desk.counted.expired));
        metrics.dropped.inc_by(counts.dropped.saturating_sub(desk.counted.dropped));
        desk.counted = counts;
        for (target, times) in desk.state.take_superseded() {
            if let Some(kind) = kind(&desk.snapshot, &target) {
                metrics.notified(kind, NotificationOutcome::Superseded, times);
            }
        }
    }

    fn start_lanes(self: &Arc<Self>, tasks: &mut JoinSet<()>) {
        for (key, news) in self.lanes.take_opened() {
            tasks.spawn(Lane::new(self.clone(), key, news).run());
        }
    }

    /// Sends what waits until `deadline`.
    async fn finish(
        self: &Arc<Self>,
        mut tasks: JoinSet<()>,
        deadline: Instant,
    ) -> Result<Unfinished, RouterError> {
        self.stopping.cancel();
        // Whoever saw the router open holds the lock until its slots are in their lanes.
        drop(self.desk());
        let time_up = sleep_until(deadline);
        tokio::pin!(time_up);
        loop {
            self.start_lanes(&mut tasks);
            tokio::select! {
                ended = tasks.join_next() => match ended {
                    Some(ended) => ended.map_err(RouterError::Lane)?,
                    None if self.lanes.has_opened() => {}
                    None => break,
                },
                () = self.lanes.opened.notified() => {}
                () = &mut time_up => break,
            }
        }
        let cut_off = tasks.len();
        tasks.shutdown().await;
        Ok(Unfinished { waiting: self.lanes.waiting(), cut_off })
    }
}

fn kind(snapshot: &Snapshot, key: &TargetKey) -> Option<TargetType> {
    match snapshot.targets.get(key)? {
        TargetEntry::Accepted(target) => Some(target.kind),
        TargetEntry::Rejected(target) => target.kind,
    }
}
