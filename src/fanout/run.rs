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
//! nothing outlives the request, and nothing needs a channel back. Rendering, HTTP/1 and its TLS are
//! part of the attempt; HTTP/2 has a task for each connection.
//!
//! The price is CPU parallelism. Measured with `benches/engine.rs` on two busy cores: a target costs the engine
//! about 1 µs of CPU time, everything included, and 0.15 µs if it is left out. The bare sends to a thousand targets
//! take 0.35 ms in one task and 0.8 ms with a task each; when each send computes for 10 µs first, 15 ms in one
//! task and 10 ms with a task each. A publish to a thousand targets waits far longer for the network, so
//! order, prompt cancellation and truthful results won. Should rendering ever dominate, the place to change is
//! `step`: spawn the attempt there and await it.
//!
//! # What happens without waiting happens at one moment
//!
//! A look at the clock costs a tenth of all that a target costs. So the clock is looked at once after each wait:
//! everything that is started, answered and written down until the next one has that time. How long an attempt
//! took is the transport's word and always its own.

mod admit;
mod end;

use std::{collections::VecDeque, future::poll_fn, ops::Range, sync::Arc, task::Poll};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::SemaphorePermit,
    time::{Duration, Instant, sleep_until},
};

use super::{
    courier::Courier,
    gate::Pass,
    notice::Notice,
    plan::{Plan, Planned},
    records::About,
    stats::Totals,
};
use crate::{
    alert::Notification,
    clock::Moment,
    delivery::{Attempt, Class, Transport},
    publish::{Options, PublishResult, TargetResult},
    registry::{RejectedTarget, Target, TargetEntry, Trial},
    store::AttemptRecord,
};

/// One publish under way. If it is dropped before it ended, it counts as cancelled.
pub(crate) struct Run<'a, T: Transport> {
    courier: &'a Courier<T>,
    totals: &'a Totals,
    notice: &'a Notice,
    started: Moment,
    options: &'a Options,
    results: Vec<TargetResult>,
    sends: &'a [Planned<'a>],
    skips: &'a [&'a TargetEntry],
    unread: &'a [(usize, &'a Arc<RejectedTarget>)],
    progress: Vec<Progress>,
    open: Vec<Open>,
    history: Vec<AttemptRecord>,
    ended: bool,
}

/// A publish that ended.
pub(crate) struct Finished {
    pub(crate) result: PublishResult,
    /// Targets that may get it later.
    pub(crate) open: Vec<Open>,
    /// The attempts, for the history.
    pub(crate) history: Vec<AttemptRecord>,
}

/// A target that did not take the alert, but may later.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// Its place among the results.
    pub(crate) at: usize,
    pub(crate) to: Addressee,
    /// Whether something of the same labels waits for it: then this one has to wait behind.
    pub(crate) behind: bool,
}

/// Who may get a publish later.
#[derive(Clone, Debug)]
pub(crate) enum Addressee {
    Usable(Arc<Target>),
    /// Once its Secret has been read.
    Unread(Arc<RejectedTarget>),
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
enum Event<'a> {
    Permit(usize, SemaphorePermit<'a>),
    Answer(usize, Answer),
}

/// An attempt that ended.
struct Answer {
    notification: Arc<Notification>,
    attempt: Attempt,
    trial: Option<Trial>,
}

/// Waits for a permit, or makes the attempt with the pass it was given.
async fn step<'a, T: Transport>(
    courier: &Courier<T>,
    notice: &Notice,
    (index, target): (usize, &'a Arc<Target>),
    pass: Option<Pass<SemaphorePermit<'a>>>,
) -> Event<'a> {
    let Some(Pass { permit, trial }) = pass else {
        let permit = target.live.limit().acquire().await;
        return Event::Permit(index, permit.expect("a target's limit is never closed"));
    };
    let notification = notice.to(target);
    let attempt = courier.send(target, &notification, permit).await;
    Event::Answer(index, Answer { notification, attempt, trial })
}

// === impl Open ===

impl Open {
    fn new(at: usize, target: &Arc<Target>) -> Self {
        Self { at, to: Addressee::Usable(target.clone()), behind: false }
    }
}

// === impl Run ===

impl<'a, T: Transport> Run<'a, T> {
    /// Begins at `started`, with `results` as the plan made them.
    pub(crate) fn new(
        (courier, totals): (&'a Courier<T>, &'a Totals),
        (results, plan): (Vec<TargetResult>, &'a Plan<'a>),
        (notice, options): (&'a Notice, &'a Options),
        started: Moment,
    ) -> Self {
        totals.begin();
        courier.metrics().in_flight.inc();
        Self {
            courier,
            totals,
            notice,
            options,
            started,
            progress: vec![Progress::InLine; plan.sends.len()],
            results,
            history: Vec::with_capacity(plan.sends.len()),
            sends: &plan.sends,
            skips: &plan.skips,
            unread: &plan.unread,
            open: Vec::new(),
            ended: false,
        }
    }

    /// Sends until every target has answered or the time is up.
    pub(crate) async fn finish(mut self) -> Finished {
        let (courier, notice, options, sends) =
            (self.courier, self.notice, self.options, self.sends);
        let time_up = sleep_until(self.started.mono + options.timeout);
        tokio::pin!(time_up);
        self.leave_unread();
        let mut jobs = FuturesUnordered::new();
        let mut line: Range<usize> = 0..sends.len();
        let mut first: VecDeque<usize> = VecDeque::new();
        let mut running = 0;
        // Of what happens without waiting.
        let mut moment = Some(self.started);
        let timed_out = loop {
            let mut clear = None;
            while running < options.max_concurrent {
                let Some(index) = first.pop_front().or_else(|| line.next()) else { break };
                let now = *moment.get_or_insert_with(Moment::now);
                let clear = *clear.get_or_insert_with(|| courier.backlog().is_empty());
                if self.holds_off(index, clear, now.mono) {
                    continue;
                }
                let target = sends[index].target;
                let pass = match target.live.limit().try_acquire() {
                    Ok(permit) => match self.admit(index, permit, now) {
                        Some(pass) => Some(pass),
                        None => continue,
                    },
                    Err(_) => None,
                };
                running += usize::from(pass.is_some());
                self.look_at(index, pass.is_some(), now.mono);
                jobs.push(step(courier, notice, (index, target), pass));
            }
            let event = poll_fn(|context| match jobs.poll_next_unpin(context) {
                Poll::Ready(event) => Poll::Ready(Ok(event)),
                Poll::Pending => {
                    moment = None;
                    time_up.as_mut().poll(context).map(Err)
                }
            });
            let event = match event.await {
                Ok(Some(event)) => event,
                Ok(None) => break false,
                Err(()) => break true,
            };
            let now = *moment.get_or_insert_with(Moment::now);
            match event {
                Event::Answer(index, answer) => {
                    running -= 1;
                    self.answer(index, answer, now);
                }
                Event::Permit(index, _) if self.holds_off(index, false, now.mono) => {}
                Event::Permit(index, permit) if running < options.max_concurrent => {
                    if let Some(pass) = self.admit(index, permit, now) {
                        running += 1;
                        self.look_at(index, true, now.mono);
                        let target = sends[index].target;
                        jobs.push(step(courier, notice, (index, target), Some(pass)));
                    }
                }
                Event::Permit(index, permit) => {
                    drop(permit);
                    first.push_back(index);
                }
            }
        };
        drop(jobs);
        let now = Moment::now();
        if timed_out {
            self.cut_short(&format!("the publish's timeout of {:?} passed", options.timeout), now);
        }
        let result = self.end((timed_out, None), now.mono);
        Finished {
            result,
            open: std::mem::take(&mut self.open),
            history: std::mem::take(&mut self.history),
        }
    }

    fn look_at(&mut self, index: usize, runs: bool, now: Instant) {
        let since = match self.progress[index] {
            Progress::Waiting(since) | Progress::Running(since) => since,
            Progress::InLine | Progress::Done => now,
        };
        self.progress[index] =
            if runs { Progress::Running(since) } else { Progress::Waiting(since) };
    }

    fn answer(&mut self, index: usize, answer: Answer, now: Moment) {
        let Answer { notification, attempt, trial } = answer;
        let duration = self.spent(index, now.mono);
        self.progress[index] = Progress::Done;
        let Planned { at, target, .. } = self.sends[index];
        self.courier.conclude(target, &notification, (&attempt, trial), now);
        let about = About { target: &target.key, route: None, notification: &notification };
        self.history.push(about.attempt(self.notice.subject(), 1, &attempt, now.wall));
        let result = &mut self.results[at];
        result.attempts = 1;
        result.duration = duration;
        result.status_code = attempt.status_code;
        match attempt.result {
            Ok(()) => result.error_type = None,
            Err(failure) => {
                result.error_type = Some(failure.error_type);
                result.error = Some(failure.message);
                if !matches!(failure.class, Class::Rejected | Class::Gone) {
                    self.open.push(Open::new(at, target));
                }
            }
        }
    }

    fn spent(&self, index: usize, now: Instant) -> Duration {
        match self.progress[index] {
            Progress::Waiting(since) | Progress::Running(since) => {
                now.saturating_duration_since(since)
            }
            Progress::InLine | Progress::Done => Duration::ZERO,
        }
    }
}
