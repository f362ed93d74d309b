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

use std::{collections::VecDeque, ops::Range, sync::Arc};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Duration, Instant, sleep_until},
};
use tracing::info;

use super::{
    courier::{Courier, now},
    metrics::PublishOutcome,
    notice::Notice,
    plan::{Plan, Planned},
    stats::Totals,
};
use crate::{
    delivery::{Attempt, Transport},
    publish::{ErrorType, Options, PublishResult, TargetResult},
    registry::{Snapshot, Target},
};

/// One publish under way. If it is dropped before it ended, it counts as cancelled.
pub(crate) struct Run<'a, T: Transport> {
    courier: &'a Courier<T>,
    totals: &'a Totals,
    snapshot: &'a Snapshot,
    notice: &'a Notice,
    started: Instant,
    results: Vec<TargetResult>,
    sends: Vec<Planned>,
    progress: Vec<Progress>,
    ended: bool,
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
    Answer(usize, Attempt),
}

/// Waits for a permit, or makes the attempt with the one it was given.
async fn step<T: Transport>(
    courier: &Courier<T>,
    notice: &Notice,
    (index, target): (usize, Arc<Target>),
    permit: Option<OwnedSemaphorePermit>,
) -> Event {
    let Some(permit) = permit else {
        let permit = target.live.limit().clone().acquire_owned().await;
        return Event::Permit(index, permit.expect("a target's limit is never closed"));
    };
    let attempt = courier.deliver(&target, &notice.to(&target), permit).await;
    Event::Answer(index, attempt)
}

// === impl Run ===

impl<'a, T: Transport> Run<'a, T> {
    pub(crate) fn new(
        courier: &'a Courier<T>,
        totals: &'a Totals,
        snapshot: &'a Snapshot,
        (plan, notice): (Plan, &'a Notice),
    ) -> Self {
        totals.begin();
        courier.metrics().in_flight.inc();
        let Plan { results, sends } = plan;
        Self {
            courier,
            totals,
            snapshot,
            notice,
            started: Instant::now(),
            progress: vec![Progress::InLine; sends.len()],
            results,
            sends,
            ended: false,
        }
    }

    /// Sends until every target has answered or the time is up.
    pub(crate) async fn finish(mut self, options: &Options) -> PublishResult {
        let (courier, notice) = (self.courier, self.notice);
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
                let permit = target.live.limit().clone().try_acquire_owned().ok();
                running += usize::from(permit.is_some());
                self.look_at(index, permit.is_some());
                jobs.push(step(courier, notice, (index, target), permit));
            }
            let event = tokio::select! {
                biased;
                event = jobs.next() => event,
                () = &mut time_up => break true,
            };
            match event {
                None => break false,
                Some(Event::Answer(index, attempt)) => {
                    running -= 1;
                    self.answer(index, attempt);
                }
                Some(Event::Permit(index, _)) if self.holds_off(index) => {}
                Some(Event::Permit(index, permit)) if running < options.max_concurrent => {
                    running += 1;
                    self.look_at(index, true);
                    let target = self.sends[index].target.clone();
                    jobs.push(step(courier, notice, (index, target), Some(permit)));
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
        self.end(timed_out, None)
    }

    /// Whether the far end asked for a pause (429) that still lasts: then nothing is sent, and the
    /// result says so.
    fn holds_off(&mut self, index: usize) -> bool {
        let Planned { at, target, .. } = &self.sends[index];
        let now = Instant::now();
        let Some(until) = target.live.paused_until(now) else { return false };
        let duration = self.spent(index);
        let result = &mut self.results[*at];
        result.duration = duration;
        result.error_type = Some(ErrorType::RateLimited);
        result.error = Some(format!(
            "the target asked for a pause (429) that lasts another {} s; send again after it",
            (until - now).as_secs() + 1
        ));
        self.progress[index] = Progress::Done;
        true
    }

    fn look_at(&mut self, index: usize, runs: bool) {
        let since = match self.progress[index] {
            Progress::Waiting(since) | Progress::Running(since) => since,
            Progress::InLine | Progress::Done => Instant::now(),
        };
        self.progress[index] =
            if runs { Progress::Running(since) } else { Progress::Waiting(since) };
    }

    fn answer(&mut self, index: usize, attempt: Attempt) {
        let duration = self.spent(index);
        self.progress[index] = Progress::Done;
        let result = &mut self.results[self.sends[index].at];
        result.attempts = 1;
        result.duration = duration;
        result.status_code = attempt.status_code;
        match attempt.result {
            Ok(()) => result.error_type = None,
            Err(failure) => {
                result.error_type = Some(failure.error_type);
                result.error = Some(failure.message);
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
            if error_type == ErrorType::Cancelled {
                self.courier.metrics().series.read().failure(&target.key);
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
        self.totals.end(&result, now().mono);
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
