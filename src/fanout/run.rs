//! One publish under way: slots, permits, the deadline, and what each target came to.
//!
//! # How nobody waits for a stuck target
//!
//! A target takes one of the publish's `max_concurrent` slots only while its attempt runs. Before
//! that it needs a permit of its own limit, which it shares with routed alerts. A target whose
//! permits are all in use waits for one *outside* the slots; the next target in line takes the slot.
//! When its permit comes and no slot is free, it gives the permit back rather than keep it idle
//! (routed alerts may need it), and is the first to try when a slot becomes free. It can't starve:
//! every attempt ends and the number of targets is fixed, so in the end slots are free.
//!
//! # Why one task
//!
//! All attempts of a publish are futures of the caller's task. Dropping the publish drops them,
//! nothing outlives the request, and nothing needs a channel back. What costs CPU time (TLS, HTTP
//! framing) runs in the client's connection tasks on all cores; what is left here is rendering.
//!
//! The price is CPU parallelism. Measured with `benches/engine.rs`, a thousand targets, two busy cores:
//! the engine takes 1.6 to 2.3 ms, everything included (0.3 ms when all are skipped); the bare sends
//! 0.35 ms in one task and 0.8 ms with a task each. When each send computes for 10 µs first: 19 ms in
//! the engine, 15 ms bare, 10 ms with a task each. A publish to a thousand targets waits far longer for
//! the network, so order, prompt cancellation and truthful results won. Should rendering ever
//! dominate, the place to change is `step`: spawn the attempt there and await it.

mod admit;

use std::{collections::VecDeque, ops::Range, sync::Arc};

use futures::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Duration, Instant, sleep_until},
};
use tracing::info;

use super::{
    courier::Courier,
    gate::Pass,
    metrics::PublishOutcome,
    notice::Notice,
    plan::{Plan, Planned},
    records::About,
    stats::Totals,
};
use crate::{
    alert::Notification,
    delivery::{Attempt, Class, Transport},
    publish::{ErrorType, Options, PublishResult, TargetResult},
    registry::{Snapshot, Target},
    store::Op,
};

/// One publish under way. If it is dropped before it ended, it counts as cancelled.
pub(crate) struct Run<'a, T: Transport> {
    courier: &'a Courier<T>,
    totals: &'a Totals,
    snapshot: &'a Snapshot,
    notice: &'a Notice,
    started: Instant,
    options: &'a Options,
    results: Vec<TargetResult>,
    sends: Vec<Planned>,
    progress: Vec<Progress>,
    open: Vec<Open>,
    history: Vec<Op>,
    ended: bool,
}

/// A publish that ended.
pub(crate) struct Finished {
    pub(crate) result: PublishResult,
    /// Targets that may get it later.
    pub(crate) open: Vec<Open>,
    /// The attempts, for the history.
    pub(crate) history: Vec<Op>,
}

/// A target that did not take the alert, but may later.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// Its place among the results.
    pub(crate) at: usize,
    pub(crate) target: Arc<Target>,
    /// Whether something of the same labels waits for it: then this one has to wait behind.
    pub(crate) behind: bool,
}

/// How far a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Not looked at yet.
    InLine,
    /// Waits for its own limit or for a slot, since then.
    Waiting(Instant),
    /// Its attempt runs; in line or waiting since then.
    Running(Instant),
    /// Its result is final.
    Done,
}

/// What can happen to a target of the publish.
enum Event {
    Permit(usize, OwnedSemaphorePermit),
    Answer(usize, Arc<Notification>, Attempt),
}

/// Waits for a permit, or makes the attempt with the pass it was given.
async fn step<T: Transport>(
    courier: &Courier<T>,
    notice: &Notice,
    (index, target): (usize, Arc<Target>),
    pass: Option<Pass>,
) -> Event {
    let Some(pass) = pass else {
        let permit = target.live.limit().clone().acquire_owned().await;
        return Event::Permit(index, permit.expect("a target's limit is never closed"));
    };
    let notification = notice.to(&target);
    let attempt = courier.deliver(&target, &notification, pass).await;
    Event::Answer(index, notification, attempt)
}

// === impl Run ===

impl<'a, T: Transport> Run<'a, T> {
    pub(crate) fn new(
        courier: &'a Courier<T>,
        totals: &'a Totals,
        snapshot: &'a Snapshot,
        (plan, notice, options): (Plan, &'a Notice, &'a Options),
    ) -> Self {
        totals.begin();
        courier.metrics().in_flight.inc();
        let Plan { results, sends } = plan;
        Self {
            courier,
            totals,
            snapshot,
            notice,
            options,
            started: Instant::now(),
            progress: vec![Progress::InLine; sends.len()],
            results,
            sends,
            open: Vec::new(),
            history: Vec::new(),
            ended: false,
        }
    }

    /// Sends until every target has answered or the time is up.
    pub(crate) async fn finish(mut self) -> Finished {
        let (courier, notice, options) = (self.courier, self.notice, self.options);
        let deadline = self.started + options.timeout;
        let time_up = sleep_until(deadline);
        tokio::pin!(time_up);
        let mut jobs = FuturesUnordered::new();
        let mut line: Range<usize> = 0..self.sends.len();
        let mut first: VecDeque<usize> = VecDeque::new();
        let mut running = 0;
        let timed_out = loop {
            while running < options.max_concurrent {
                let Some(index) = first.pop_front().or_else(|| line.next()) else { break };
                if self.holds_off(index) {
                    continue;
                }
                let target = self.sends[index].target.clone();
                let pass = match target.live.limit().clone().try_acquire_owned() {
                    Ok(permit) => match self.admit(index, permit) {
                        Some(pass) => Some(pass),
                        None => continue,
                    },
                    Err(_) => None,
                };
                running += usize::from(pass.is_some());
                self.look_at(index, pass.is_some());
                jobs.push(step(courier, notice, (index, target), pass));
            }
            let event = tokio::select! {
                biased;
                event = jobs.next() => event,
                () = &mut time_up => break true,
            };
            match event {
                None => break false,
                Some(Event::Answer(index, notification, attempt)) => {
                    running -= 1;
                    self.answer(index, &notification, attempt);
                }
                Some(Event::Permit(index, _)) if self.holds_off(index) => {}
                Some(Event::Permit(index, permit)) if running < options.max_concurrent => {
                    if let Some(pass) = self.admit(index, permit) {
                        running += 1;
                        self.look_at(index, true);
                        let target = self.sends[index].target.clone();
                        jobs.push(step(courier, notice, (index, target), Some(pass)));
                    }
                }
                Some(Event::Permit(index, permit)) => {
                    drop(permit);
                    first.push_back(index);
                }
            }
        };
        drop(jobs);
        if timed_out {
            self.cut_short(&format!("the publish's timeout of {:?} passed", options.timeout));
        }
        let result = self.end(timed_out, None);
        Finished {
            result,
            open: std::mem::take(&mut self.open),
            history: std::mem::take(&mut self.history),
        }
    }

    fn look_at(&mut self, index: usize, runs: bool) {
        let since = match self.progress[index] {
            Progress::Waiting(since) | Progress::Running(since) => since,
            Progress::InLine | Progress::Done => Instant::now(),
        };
        self.progress[index] =
            if runs { Progress::Running(since) } else { Progress::Waiting(since) };
    }

    fn answer(&mut self, index: usize, notification: &Arc<Notification>, attempt: Attempt) {
        let duration = self.spent(index);
        self.progress[index] = Progress::Done;
        let Planned { at, target, .. } = &self.sends[index];
        let about = About { target: &target.key, route: None, notification };
        self.history.push(about.attempted(1, &attempt, Timestamp::now()));
        let result = &mut self.results[*at];
        result.attempts = 1;
        result.duration = duration;
        result.status_code = attempt.status_code;
        match attempt.result {
            Ok(()) => result.error_type = None,
            Err(failure) => {
                result.error_type = Some(failure.error_type);
                result.error = Some(failure.message);
                if !matches!(failure.class, Class::Rejected | Class::Gone) {
                    self.open.push(Open { at: *at, target: target.clone(), behind: false });
                }
            }
        }
    }

    /// Says for every target that has no answer how far it came.
    fn cut_short(&mut self, why: &str) {
        for index in 0..self.sends.len() {
            let duration = self.spent(index);
            let Planned { at, target, .. } = &self.sends[index];
            let result = &mut self.results[*at];
            let (error_type, error) = match self.progress[index] {
                Progress::Done => continue,
                Progress::Running(_) => {
                    result.attempts = 1;
                    let error =
                        format!("{why} while the attempt ran; the target may have the alert");
                    (ErrorType::Cancelled, error)
                }
                Progress::Waiting(_) => (
                    ErrorType::NotAttempted,
                    format!(
                        "{why} while it waited for its turn: at most {} requests to it at a time \
                         (flow.maxInFlight)",
                        target.max_in_flight
                    ),
                ),
                Progress::InLine => (
                    ErrorType::NotAttempted,
                    format!(
                        "{why} before its turn; raise options.timeout or options.max_concurrent"
                    ),
                ),
            };
            result.duration = duration;
            result.error_type = Some(error_type);
            result.error = Some(error);
            self.progress[index] = Progress::Done;
            self.open.push(Open { at: *at, target: target.clone(), behind: false });
            if error_type == ErrorType::Cancelled {
                self.courier.metrics().series.read().failure(&target.key);
                let notification = &self.notice.to(target);
                let about = About { target: &target.key, route: None, notification };
                self.history.push(about.cut_off(1, duration, Timestamp::now()));
            }
        }
    }

    fn spent(&self, index: usize) -> Duration {
        match self.progress[index] {
            Progress::Waiting(since) | Progress::Running(since) => since.elapsed(),
            Progress::InLine | Progress::Done => Duration::ZERO,
        }
    }

    /// Counts the publish, once.
    fn end(&mut self, timed_out: bool, outcome: Option<PublishOutcome>) -> PublishResult {
        self.ended = true;
        let result = PublishResult {
            results: std::mem::take(&mut self.results),
            timed_out,
            duration: self.started.elapsed(),
        };
        let metrics = self.courier.metrics();
        metrics.in_flight.dec();
        self.totals.end(&result, Instant::now());
        metrics.published(outcome.unwrap_or_else(|| judge(&result)), Some(result.duration));
        let series = metrics.series.read();
        for entry in &result.results {
            if entry.skipped.is_some() {
                series.skipped(&entry.key);
                if let Some(target) = self.snapshot.target(&entry.key) {
                    target.live.skipped();
                }
            } else if let Some(kind) = entry.kind.filter(|_| entry.attempts > 0) {
                metrics.tried(kind);
            }
        }
        result
    }
}

impl<T: Transport> Drop for Run<'_, T> {
    fn drop(&mut self) {
        if !self.ended {
            self.cut_short("the caller left");
            self.courier.backlog().submit(std::mem::take(&mut self.history), true);
            let result = self.end(false, Some(PublishOutcome::Cancelled));
            info!(
                targets = result.results.len(),
                succeeded = result.success_count(),
                "Publish cancelled"
            );
        }
    }
}

/// The publish as a whole, in the order of the API's status codes.
fn judge(result: &PublishResult) -> PublishOutcome {
    match (result.success_count(), result.failure_count()) {
        (0, _) if result.timed_out => PublishOutcome::Timeout,
        (0, 0) => PublishOutcome::Skipped,
        (0, _) => PublishOutcome::Failure,
        (_, 0) => PublishOutcome::Success,
        _ => PublishOutcome::PartialSuccess,
    }
}
