//! Routed alerts: from intake to every target that is owed something.
//!
//! [`dispatch`](crate::dispatch) knows what is owed; the router asks it after every change (alerts,
//! configuration, time, a target's recovery), has the facts written, and lets lanes, one per target,
//! work off what is durable. `desk.rs` is what they share, `accept.rs` takes alerts in, `release.rs`
//! follows the disk, `lane.rs` sends, `settle.rs` records.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    courier::Courier,
    desk::{Desk, Shared},
    lane::Lane,
};
use crate::{
    api::TargetKey, clock::Moment, delivery::Transport, dispatch::State, registry::Follower,
    store::Failed,
};

/// How often metrics are brought up to date.
const TICK: Duration = Duration::from_secs(1);
/// How long outcomes wait for each other before they are handed to the store.
const GATHER: Duration = Duration::from_millis(5);
/// Shortest pause between two looks at the timers.
const SOONEST: Duration = Duration::from_millis(1);

/// Delivers routed alerts. Clones share everything.
#[derive(Debug)]
pub struct Router<T>(pub(super) Arc<Shared<T>>);

/// What a shutdown left undone. It is on disk and goes on with the next start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Notifications that were ready and had no turn any more.
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
    /// Nothing is durable any more.
    #[error(transparent)]
    Store(#[from] Failed),
}

// === impl Router ===

impl<T> Clone for Router<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Transport> Router<T> {
    /// A router that sends through `courier` and goes on with `state`: what the store had. Nothing is
    /// sent before [`Router::run`].
    #[must_use]
    pub fn new(courier: Arc<Courier<T>>, state: State) -> Self {
        Self(Arc::new(Shared::new(courier, state)))
    }

    /// Works until `stop` is cancelled: then takes nothing in any more, finishes what is under way and
    /// sends what is ready for at most `grace`, and says what is left. Dropping the future cancels every
    /// attempt.
    ///
    /// # Errors
    /// [`RouterError`] if a part of it ended unexpectedly, or the disk failed.
    pub async fn run(
        &self,
        stop: CancellationToken,
        grace: Duration,
    ) -> Result<Unfinished, RouterError> {
        let Self(shared) = self;
        let store = shared.backlog().store().clone();
        let (mut failed, follow) = (store.failed(), shared.follow());
        tokio::pin!(follow);
        let mut tasks = JoinSet::new();
        let mut snapshots = Follower::new(shared.courier.snapshots());
        let monitor = shared.courier.monitor().clone();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gathered = None;
        shared.configure();
        loop {
            let due = shared.next_due();
            tokio::select! {
                () = stop.cancelled() => break,
                error = &mut failed => return Err(error.into()),
                error = &mut follow => return Err(error.into()),
                () = shared.lanes.opened.notified() => shared.start_lanes(&mut tasks),
                Some(ended) = tasks.join_next() => ended.map_err(RouterError::Lane)?,
                changed = snapshots.next() => {
                    changed.map_err(|_| RouterError::Registry)?;
                    let began = Instant::now();
                    shared.configure();
                    snapshots.took_since(began);
                }
                keys = monitor.recovered().drain() => shared.recover(&keys),
                () = shared.dirty.notified(), if gathered.is_none() => {
                    gathered = Some(Instant::now() + GATHER);
                }
                () = sleep_until(gathered.unwrap_or(due)), if gathered.is_some() => {
                    gathered = None;
                    shared.submit(&mut shared.desk(), true);
                }
                () = sleep_until(due) => shared.let_time_pass(),
                _ = tick.tick() => shared.show(),
            }
        }
        let end = shared.finish(tasks, Instant::now() + grace);
        tokio::select! {
            error = &mut failed => Err(error.into()),
            error = &mut follow => Err(error.into()),
            unfinished = end => unfinished,
        }
    }
}

// === impl Shared ===

impl<T: Transport> Shared<T> {
    /// When time brings something. Far away if nothing is known of.
    fn next_due(&self) -> Instant {
        let now = Moment::now();
        let due = self.desk().state.next_due(now);
        now.mono + due.unwrap_or(Duration::from_hours(1)).max(SOONEST)
    }

    fn let_time_pass(&self) {
        let mut desk = self.desk();
        let (owed, work) = desk.state.tick(Moment::now());
        self.submit(&mut desk, true);
        self.release(&mut desk, owed);
        drop(desk);
        for key in work {
            self.lanes.wake(&key);
        }
    }

    /// Brings the metrics up to date.
    fn show(&self) {
        let mut desk = self.desk();
        self.count_held(&mut desk);
        self.follow_circuits(&mut desk);
        let mut owed = desk.state.owed();
        let snapshot = desk.snapshot.clone();
        drop(desk);
        let mut queues = self.backlog().store().queues();
        // Time in which a target is suspended is nobody's delay.
        let suspended = |key: &TargetKey| snapshot.target(key).is_some_and(|it| it.suspended());
        owed.iter_mut()
            .filter(|(key, _)| suspended(key))
            .for_each(|(_, counts)| counts.oldest = None);
        queues
            .iter_mut()
            .filter(|(key, ..)| suspended(key))
            .for_each(|(_, _, size)| size.oldest = None);
        self.courier.metrics().show_waiting(&owed, &queues, Timestamp::now());
    }

    /// Brings the figures of what is held up to date.
    pub(super) fn count_held(&self, desk: &mut Desk) {
        let metrics = self.courier.metrics();
        let counts = desk.state.counts();
        metrics.hold(counts.firing, counts.resolved);
        metrics.expired.inc_by(counts.expired.saturating_sub(desk.counted.expired));
        metrics.dropped.inc_by(counts.dropped.saturating_sub(desk.counted.dropped));
        metrics.muting.show(&desk.state);
        desk.counted = counts;
    }

    fn start_lanes(self: &Arc<Self>, tasks: &mut JoinSet<()>) {
        for (key, news) in self.lanes.take_opened() {
            tasks.spawn(Lane::new(self.clone(), key, news).run());
        }
    }

    /// Sends what is ready until `deadline`, then writes what is to be written.
    async fn finish(
        self: &Arc<Self>,
        mut tasks: JoinSet<()>,
        deadline: Instant,
    ) -> Result<Unfinished, RouterError> {
        // Whoever saw the router open holds the lock until what it owes is there.
        {
            let _desk = self.desk();
            self.stopping.cancel();
        }
        let time_up = sleep_until(deadline);
        tokio::pin!(time_up);
        loop {
            self.start_lanes(&mut tasks);
            tokio::select! {
                ended = tasks.join_next() => match ended {
                    Some(ended) => ended.map_err(RouterError::Lane)?,
                    None if self.lanes.has_opened() => {}
                    None => match self.next_pending() {
                        Some(seq) => {
                            self.backlog().store().durable(seq).await?;
                            tokio::task::yield_now().await;
                        }
                        None => break,
                    },
                },
                () = self.lanes.opened.notified() => {}
                () = &mut time_up => break,
            }
        }
        let cut_off = tasks.len();
        tasks.shutdown().await;
        let (seq, waiting) = {
            let mut desk = self.desk();
            let waiting = desk.state.owed().iter().map(|(_, owed)| owed.ready).sum();
            (self.submit(&mut desk, false), waiting)
        };
        self.backlog().store().durable(seq).await?;
        Ok(Unfinished { waiting, cut_off })
    }
}
