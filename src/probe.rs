//! Asks each target whether it is there, at the pace that its health asks for.
//!
//! One task with one timetable for all targets, however many; at most
//! [`Settings::max_concurrent`] questions are open at once. What an answer means is the
//! [`Monitor`]'s business, how a target is asked is the [`Prober`]'s. Read [`Probe::run`] first.
//!
//! # Why
//!
//! - A suspended target is not asked: "nothing is sent" includes questions. It is asked at once when
//!   it is resumed.
//! - New targets are asked within 10 ms of one another each, so that a start with thousands of them
//!   is no burst.
//! - A recent delivery is a better answer than any question, so the question is left out.

mod metrics;
mod schedule;

use std::{future::Future, sync::Arc, time::Duration};

use fastrand::Rng;
use futures::{StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

pub use metrics::Metrics;
use schedule::{Flight, Schedule};

use crate::{
    api::{HealthState, Reason},
    registry::{
        Depth, Follower, Moment, Monitor, Sample, SampleFailure, SampleSource, Snapshot, Target,
    },
};

/// How long a question may overrun its time limit before it is given up for it.
const GRACE: Duration = Duration::from_secs(1);

/// Asks one target whether it is there.
pub trait Prober: Send + Sync + 'static {
    /// Asks under the time limit of the target's health check. Never posts an alert.
    fn probe(&self, target: &Arc<Target>) -> impl Future<Output = Sample> + Send;
}

/// Settings of the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Questions that may be open at the same time (`--max-concurrent-probes`).
    pub max_concurrent: usize,
}

/// Everything that asking takes.
#[derive(Debug)]
pub struct Probe<P> {
    /// Settings.
    pub settings: Settings,
    /// Who is to be asked.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// How to ask.
    pub prober: Arc<P>,
    /// Who judges the answers.
    pub monitor: Arc<Monitor>,
    /// Metrics of this room.
    pub metrics: Metrics,
}

struct Answer {
    flight: Flight,
    sample: Sample,
    took: Duration,
}

// === impl Probe ===

impl<P: Prober> Probe<P> {
    /// Asks all targets, for ever; ends when `shutdown` is cancelled or the registry is gone.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut schedule = Schedule::new(Rng::new());
        let mut open = FuturesUnordered::new();
        let max = self.settings.max_concurrent.max(1);
        let mut snapshots = Follower::new(self.snapshots.clone());
        loop {
            let now = Instant::now();
            while open.len() < max
                && let Some(flight) = schedule.take_due(now)
            {
                if is_known_well(&flight.target, now) {
                    schedule.land(&flight, now);
                } else {
                    open.push(ask(Arc::clone(&self.prober), flight));
                }
            }
            let next = schedule.next_due().filter(|_| open.len() < max);
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = snapshots.next() => {
                    let Ok(snapshot) = changed else { return };
                    let began = Instant::now();
                    schedule.follow(&snapshot, began);
                    snapshots.took_since(began);
                }
                Some(answer) = open.next() => self.take(&mut schedule, answer),
                suspects = self.monitor.suspects().drain() => {
                    for key in suspects {
                        schedule.hasten(&key, Instant::now());
                    }
                }
                () = sleep_until(next.unwrap_or(now)), if next.is_some() => {}
            }
        }
    }

    fn take(&self, schedule: &mut Schedule, answer: Answer) {
        let Answer { flight, sample, took } = answer;
        let Some(target) = schedule.current(&flight) else { return };
        let now = Moment { mono: Instant::now(), wall: Timestamp::now() };
        self.monitor.record(&target, &sample, now);
        self.metrics.probed(target.kind, &sample, took);
        schedule.land(&flight, now.mono);
    }
}

async fn ask<P: Prober>(prober: Arc<P>, flight: Flight) -> Answer {
    let started = Instant::now();
    let target = &flight.target;
    let limit = target.health.timeout;
    let sample = match timeout(limit + GRACE, prober.probe(target)).await {
        Ok(sample) => sample,
        Err(_) => overran(target),
    };
    Answer { flight, sample, took: started.elapsed() }
}

/// A delivery just showed what a question could show.
fn is_known_well(target: &Target, now: Instant) -> bool {
    matches!(target.live.health(), HealthState::Healthy | HealthState::Degraded)
        && target.live.delivered_within(target.health.skip_if_delivered_within, now)
        && !target.live.last_failed()
}

fn overran(target: &Target) -> Sample {
    let limit = target.health.timeout;
    let host = target.host().unwrap_or("the target");
    let failure = SampleFailure {
        reason: Reason::Timeout,
        depth: Depth::Answer,
        local: false,
        http_status: None,
        message: format!("{host}: no answer within {} ms", limit.as_millis()),
    };
    Sample { verdict: Err(failure), latency: limit, source: SampleSource::Probe }
}

#[cfg(test)]
mod tests;
