//! The health machine: one target's evidence in, verdicts out. Pure; told the time.
//!
//! # Why
//!
//! - **Depth.** Failures stand until a success of their own depth or more clears them, so a TLS
//!   handshake does not clear a 401. Unhealthy ends only when nothing stands.
//! - **First verdict.** One success makes an Unknown target Healthy (or Degraded) at once; a failure
//!   never decides alone.
//! - **Slow.** From Healthy two slow answers in a row make a target Degraded: one lost packet is a
//!   retransmission of a second or more, and no news. Back takes `healthyThreshold` answers below
//!   80 % of the limit, no shallower than an answer if it was an answer that was slow.
//! - **Reason.** Inside Unhealthy another reason is shown once it came as often in a row as makes a
//!   verdict: a target that fails in two ways by turns causes no writes.
//! - **Trial.** What only a delivery can clear must not keep deliveries away for ever: after
//!   [`TRIAL_AFTER`] in which only shallower checks succeeded, Unhealthy becomes Unknown (which may be
//!   sent to) with the same reason. The next delivery decides: one more failure is Unhealthy again.
//! - **Local faults** (name resolution, no route) have a count of their own, of at least three;
//!   those that are surely ours (`LocalNetworkFault`) decide nothing.
//! - **429** says that somebody is there, and nothing else.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Depth, HealthPolicy, HealthView, Moment, Sample, SampleFailure, SampleSource, Transition,
};
use crate::api::{HealthState, Reason};

/// Pace of the checks before the first verdict, and how many go at that pace.
const FIRST_PACE: Duration = Duration::from_secs(2);
const FIRST_TRIES: u32 = 10;
/// Local failures in a row that are the target's own fault after all (its name does not exist).
const LOCAL_THRESHOLD: u32 = 3;
/// How long a failure holds that no check can reach.
const TRIAL_AFTER: Duration = Duration::from_mins(15);
/// Slow answers in a row that make a Healthy target Degraded.
const SLOW_THRESHOLD: u32 = 2;

/// Health of one target: the verdict, and the evidence that may change it.
#[derive(Debug, Default)]
pub(super) struct Machine {
    view: Option<HealthView>,
    /// Failures that stand, by depth.
    standing: [Standing; 3],
    /// Failures in a row for which our own side may be at fault.
    local: Standing,
    /// The reason of the last failures in a row, and how many.
    streak: Option<(Reason, u32)>,
    /// Successes in a row with nothing standing.
    wins: u32,
    /// Slow answers in a row (Healthy), fast ones in a row (Degraded).
    pulse: u32,
    /// How deep the answers go that made it Degraded.
    slow_depth: Option<Depth>,
    last_error: Option<(Timestamp, Reason, Option<u16>)>,
    last_failed: bool,
    tries: u32,
}

#[derive(Debug, Default)]
struct Standing {
    count: u32,
    latest: Option<Box<(Instant, SampleFailure)>>,
}

// === impl Machine ===

impl Machine {
    /// What is shown: as of the last transition; `None` before there is anything to show.
    pub(super) fn view(&self) -> Option<&HealthView> {
        self.view.as_ref()
    }

    /// The verdict now.
    pub(super) fn state(&self) -> HealthState {
        self.view.as_ref().map_or(HealthState::Unknown, |view| view.state)
    }

    /// Whether the last sample was a failure.
    pub(super) fn last_failed(&self) -> bool {
        self.last_failed
    }

    /// Takes over what was shown before a restart, unless there is newer evidence. Any success ends
    /// a restored Unhealthy: the credential may have been mended while nobody looked.
    pub(super) fn restore(&mut self, view: HealthView) {
        if self.view.is_some() || view.state == HealthState::Unknown {
            return;
        }
        self.last_error = view.last_error;
        if view.state == HealthState::Unhealthy {
            self.standing[Depth::Connect as usize].count = view.consecutive_failures.max(1);
        }
        self.view = Some(view);
    }

    /// Time until the next check.
    pub(super) fn pace(&self, policy: &HealthPolicy) -> Duration {
        match self.state() {
            HealthState::Unknown if self.tries < FIRST_TRIES => {
                FIRST_PACE.min(policy.unhealthy_interval)
            }
            HealthState::Healthy if !self.last_failed && self.pulse == 0 => policy.interval,
            _ => policy.unhealthy_interval,
        }
    }

    /// Feeds one sample; the answer is what changed.
    pub(super) fn observe(
        &mut self,
        sample: &Sample,
        policy: &HealthPolicy,
        now: Moment,
    ) -> Option<Transition> {
        self.tries = self.tries.saturating_add(1);
        match &sample.verdict {
            Ok(depth) => self.succeed(*depth, sample, policy, now),
            Err(failure) if failure.reason == Reason::RateLimited => {
                let there = Sample {
                    verdict: Ok(Depth::Connect),
                    latency: Duration::ZERO,
                    source: SampleSource::Probe,
                };
                self.succeed(Depth::Connect, &there, policy, now)
            }
            Err(failure) => self.fail(failure, policy, now),
        }
    }

    /// Notes a failure that is not to count, because verdicts are frozen. A target without a verdict
    /// shows why it has none.
    pub(super) fn hold(&mut self, now: Moment) -> Option<Transition> {
        self.tries = self.tries.saturating_add(1);
        self.last_failed = true;
        if self.view.is_some() {
            return None;
        }
        Some(self.show(HealthView {
            state: HealthState::Unknown,
            reason: Reason::LocalNetworkFault,
            message: "most targets can't be reached at once, so no verdict is passed".into(),
            since: now.wall,
            consecutive_failures: 0,
            latency: None,
            last_error: self.last_error,
        }))
    }

    fn fail(
        &mut self,
        failure: &SampleFailure,
        policy: &HealthPolicy,
        now: Moment,
    ) -> Option<Transition> {
        self.last_failed = true;
        self.wins = 0;
        self.pulse = 0;
        self.last_error = Some((now.wall, failure.reason, failure.http_status));
        if failure.reason == Reason::LocalNetworkFault {
            return None;
        }
        let slot = if failure.local {
            &mut self.local
        } else {
            &mut self.standing[failure.depth as usize]
        };
        slot.count = slot.count.saturating_add(1);
        slot.latest = Some(Box::new((now.mono, failure.clone())));
        let run = match self.streak {
            Some((reason, run)) if reason == failure.reason => run.saturating_add(1),
            _ => 1,
        };
        self.streak = Some((failure.reason, run));

        let ill = self.standing_count() >= policy.unhealthy_threshold
            || self.local.count >= policy.unhealthy_threshold.max(LOCAL_THRESHOLD);
        match &self.view {
            Some(view) if view.state == HealthState::Unhealthy => {
                let settled = run >= policy.unhealthy_threshold.max(2);
                (view.reason != failure.reason && settled)
                    .then(|| self.show_failure(failure.reason, failure.message.clone(), now))
            }
            _ => ill.then(|| self.show_failure(failure.reason, failure.message.clone(), now)),
        }
    }

    fn succeed(
        &mut self,
        depth: Depth,
        sample: &Sample,
        policy: &HealthPolicy,
        now: Moment,
    ) -> Option<Transition> {
        self.last_failed = false;
        self.streak = None;
        self.local = Standing::default();
        for slot in &mut self.standing[..=depth as usize] {
            *slot = Standing::default();
        }
        let clear = self.standing_count() == 0;
        self.wins = if clear { self.wins.saturating_add(1) } else { 0 };
        let slow = sample.latency >= policy.degraded_latency;
        match self.state() {
            HealthState::Unknown if self.standing_count() >= policy.unhealthy_threshold => None,
            HealthState::Unknown => Some(self.show_success(depth, sample, policy, now)),
            HealthState::Unhealthy if clear => (self.wins >= policy.healthy_threshold)
                .then(|| self.show_success(depth, sample, policy, now)),
            HealthState::Unhealthy => self.show_what_stands(now),
            HealthState::Healthy => {
                self.pulse = if slow { self.pulse.saturating_add(1) } else { 0 };
                (self.pulse >= SLOW_THRESHOLD)
                    .then(|| self.show_success(depth, sample, policy, now))
            }
            HealthState::Degraded => {
                let fast = sample.latency < policy.degraded_latency.mul_f32(0.8)
                    && Some(depth) >= self.slow_depth;
                self.pulse = if fast { self.pulse.saturating_add(1) } else { 0 };
                (self.pulse >= policy.healthy_threshold.max(1))
                    .then(|| self.show_success(depth, sample, policy, now))
            }
        }
    }

    fn show_success(
        &mut self,
        depth: Depth,
        sample: &Sample,
        policy: &HealthPolicy,
        now: Moment,
    ) -> Transition {
        let slow = sample.latency >= policy.degraded_latency;
        let millis = sample.latency.as_millis();
        let (reason, did) = match (sample.source, depth) {
            (SampleSource::Delivery, _) => (Reason::DeliverySucceeded, "accepted a delivery"),
            (SampleSource::Probe, Depth::Credential) => (Reason::ProbeSucceeded, "answered"),
            (SampleSource::Probe, Depth::Answer) => (Reason::Reachable, "answered"),
            (SampleSource::Probe, Depth::Connect) => (Reason::Reachable, "accepted a connection"),
        };
        let (state, reason, message) = if slow {
            let limit = policy.degraded_latency.as_millis();
            let message = format!("{did} in {millis} ms; {limit} ms or more count as slow");
            (HealthState::Degraded, Reason::Slow, message)
        } else {
            (HealthState::Healthy, reason, format!("{did} in {millis} ms"))
        };
        self.pulse = 0;
        self.slow_depth = slow.then_some(depth.min(Depth::Answer));
        self.show(HealthView {
            state,
            reason,
            message,
            since: now.wall,
            consecutive_failures: 0,
            latency: Some(sample.latency),
            last_error: self.last_error,
        })
    }

    fn show_failure(&mut self, reason: Reason, message: String, now: Moment) -> Transition {
        let since = match &self.view {
            Some(view) if view.state == HealthState::Unhealthy => view.since,
            _ => now.wall,
        };
        self.show(HealthView {
            state: HealthState::Unhealthy,
            reason,
            message,
            since,
            consecutive_failures: self.standing_count().saturating_add(self.local.count),
            latency: None,
            last_error: self.last_error,
        })
    }

    /// Something shallower succeeded and a deeper failure still stands: show the newest that does.
    fn show_what_stands(&mut self, now: Moment) -> Option<Transition> {
        let stand = || self.standing.iter().filter_map(|slot| slot.latest.as_deref());
        let (failed_at, newest) = stand().max_by_key(|(at, _)| *at)?;
        let (reason, message) = (newest.reason, newest.message.clone());
        if now.mono.saturating_duration_since(*failed_at) >= TRIAL_AFTER {
            return Some(self.show(HealthView {
                state: HealthState::Unknown,
                reason,
                message: format!("{message}; not tried since, the next delivery decides"),
                since: now.wall,
                consecutive_failures: 0,
                latency: None,
                last_error: self.last_error,
            }));
        }
        let shown = self.view.as_ref().map(|view| view.reason);
        let still_true = stand().any(|(_, failure)| Some(failure.reason) == shown);
        (!still_true).then(|| self.show_failure(reason, message, now))
    }

    fn show(&mut self, view: HealthView) -> Transition {
        let transition = Transition { from: self.state(), to: view.state, reason: view.reason };
        self.view = Some(view);
        transition
    }

    fn standing_count(&self) -> u32 {
        self.standing.iter().fold(0, |sum, slot| sum.saturating_add(slot.count))
    }
}

#[cfg(test)]
mod tests;
