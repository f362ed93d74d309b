//! The circuit breaker: one target's delivery outcomes in, "send" or "wait" out. Pure; told the time,
//! given its randomness.
//!
//! # Breaker and health
//!
//! Health is a verdict for people and for routes: what a target proved to be, by the depth of the
//! evidence of probes and deliveries alike. The breaker answers another question: is it worth sending
//! right now? It hears of deliveries only, keeps a hopeless target from eating attempts, and decides
//! when the next one is made. A target can be Healthy with an open circuit (its check answers, its
//! deliveries fail) and Unhealthy with a closed one (nothing was sent).
//!
//! # Why
//!
//! - **Opening.** By failures in a row, or by their share within a window with enough attempts in it:
//!   where every second request fails there are never many in a row. A share is looked at when
//!   something fails, never when something succeeds.
//! - **Our own faults** are counted apart: never in the share, and they open by a count in a row of
//!   their own, of at least three. While verdicts are frozen, and when they are surely ours, they
//!   count nothing at all; a trial that ends so is made again after the same wait.
//! - **Neutral** outcomes (the refusal of one notification, 429, an attempt that was cut off) touch
//!   nothing. In half-open they neither close nor open: the place goes to the next delivery. After a
//!   429 it is the target's pause that holds it back.
//! - **Stale outcomes.** What began before the circuit opened says nothing about later: while it is
//!   not closed only the outcome of its own trial counts. A publish that ignores the breaker is no
//!   trial.
//! - **Ejection** doubles with every opening in a row up to its cap, spread by a fifth either way (at
//!   the cap only downwards) over a continuous range. After it was closed for as long as the last
//!   ejection, one step is forgiven, and so on.
//! - **Probes** may end the wait early when they reach at least the depth of what opened it: a check
//!   that proves the credential closes, a shallower one makes a trial possible at once. A check that
//!   succeeds while deliveries go on failing is not believed again before a delivery gets through:
//!   else the ejection would never be longer than the time between two checks.
//! - **Edits** of the policy take effect at the next opening; a lowered cap at once.

mod cause;
mod ejection;
mod shown;
mod window;

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

pub(super) use cause::Fault;
pub(super) use shown::{Shown, View};

use super::{Depth, Moment, SampleFailure};
use crate::api::{BreakerPolicy, CircuitState};
use cause::{Cause, Failed};
use ejection::{ejection, unforgiven};
use window::Window;

/// What one delivery attempt says about its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitSample {
    /// The target accepted it.
    Success,
    /// The target failed.
    Failure,
    /// Our own side may be at fault: name resolution, no route, no socket to spare.
    Ours,
    /// Says nothing about the target: this notification was refused, a pause was asked for (429), the
    /// attempt was cut off.
    Neutral,
}

/// Own faults in a row that open, at least.
const LOCAL_THRESHOLD: u32 = 3;
/// While a trial is under way: when to ask again.
const TRIAL_POLL: Duration = Duration::from_secs(1);
/// More openings in a row than this make no difference.
const MAX_OPENINGS: u32 = 32;

/// The breaker of one target.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    phase: Phase,
    /// When it became closed, open or half-open; trials that fail do not move it.
    since: Option<Timestamp>,
    failures: u32,
    ours: u32,
    window: Window,
    /// Openings in a row, and when the last of them ended.
    openings: u32,
    closed_at: Option<Instant>,
    /// The last delivery that failed.
    last: Option<Failed>,
    cause: Cause,
    probes: Probes,
    /// Serial number of the last trial.
    trials: u64,
    /// It became half-open, and nobody was told.
    passed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Closed,
    Open {
        at: Instant,
        until: Instant,
    },
    HalfOpen {
        trial: Option<u64>,
        wins: u32,
    },
}

/// What successful probes are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Probes {
    #[default]
    Believed,
    /// One ended the wait; the next delivery shows whether rightly.
    Tested,
    /// They succeed while deliveries fail.
    Refuted,
}

/// Whether a delivery may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Go,
    /// As the trial of this number.
    Trial(u64),
    /// Ask again then.
    Refused(Instant),
}

// === impl Breaker ===

impl Breaker {
    pub(super) fn state(&self) -> CircuitState {
        match self.phase {
            Phase::Closed => CircuitState::Closed,
            Phase::Open { .. } => CircuitState::Open,
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// The state, since when, and why.
    pub(super) fn view(&self) -> View {
        let (state, since) = (self.state(), self.since);
        if state == CircuitState::Closed {
            return View { state, since, ..View::default() };
        }
        View { state, since, reason: self.cause.reason, message: self.cause.text.clone() }
    }

    /// When the next trial may be made; `None` while closed.
    pub(super) fn next_trial(&self, now: Instant) -> Option<Instant> {
        match self.phase {
            Phase::Closed => None,
            Phase::Open { until, .. } => Some(until.max(now)),
            Phase::HalfOpen { trial: None, .. } => Some(now),
            Phase::HalfOpen { trial: Some(_), .. } => Some(now + TRIAL_POLL),
        }
    }

    /// Takes over what was shown before a restart, unless something happened since. What was open may
    /// make a trial at once, and any check may end it: who knows what was mended meanwhile.
    pub(super) fn restore(&mut self, view: &View, now: Instant) {
        let (failing, used) = (self.failures + self.ours > 0, self.window.counts().1 > 0);
        if self.since.is_some() || failing || used {
            return;
        }
        self.since = view.since;
        self.phase = match view.state {
            CircuitState::Closed => return,
            CircuitState::Open => Phase::Open { at: now, until: now },
            CircuitState::HalfOpen => Phase::HalfOpen { trial: None, wins: 0 },
        };
        self.openings = 1;
        self.cause = Cause::restored(view);
    }

    /// Whether a delivery may be made now.
    pub(super) fn admit(&mut self, policy: &BreakerPolicy, now: Instant) -> Entry {
        let wins = match self.phase {
            Phase::Closed => return Entry::Go,
            Phase::Open { at, until } => {
                let until = until.min(at + policy.max_ejection);
                if now < until {
                    self.phase = Phase::Open { at, until };
                    return Entry::Refused(until);
                }
                self.passed = true;
                0
            }
            Phase::HalfOpen { trial: Some(_), .. } => return Entry::Refused(now + TRIAL_POLL),
            Phase::HalfOpen { trial: None, wins } => wins,
        };
        self.trials += 1;
        self.phase = Phase::HalfOpen { trial: Some(self.trials), wins };
        Entry::Trial(self.trials)
    }

    /// The place of a trial that ended without an outcome is free again.
    pub(super) fn release(&mut self, trial: u64) {
        if let Phase::HalfOpen { trial: place, .. } = &mut self.phase {
            place.take_if(|taken| *taken == trial);
        }
    }

    /// Notes why a delivery failed; its outcome follows.
    pub(super) fn note(&mut self, failure: &SampleFailure, fault: Fault) {
        self.last = Some(Failed::new(failure, fault));
    }

    /// Whose fault the last failure was, as far as it was noted.
    pub(super) fn last_fault(&self) -> Option<Fault> {
        self.last.as_ref().map(|last| last.fault)
    }

    /// Feeds the outcome of an attempt, of `trial` if it was one; `random` is in 0..1. Answers the
    /// states that it went through.
    pub(super) fn observe(
        &mut self,
        (sample, trial): (CircuitSample, Option<u64>),
        policy: &BreakerPolicy,
        now: Moment,
        random: f64,
    ) -> Vec<CircuitState> {
        let mut turns = self.take_passed();
        match self.phase {
            Phase::Closed => {
                if let Some(why) = self.count(sample, policy, now.mono) {
                    if self.probes == Probes::Tested {
                        self.probes = Probes::Refuted;
                    }
                    self.openings = match self.closed_at {
                        Some(at) => unforgiven(
                            policy,
                            self.openings,
                            now.mono.saturating_duration_since(at),
                        ),
                        None => 0,
                    };
                    self.since = Some(now.wall);
                    self.cause = Cause::new(why, self.last.as_ref(), now.wall);
                    self.open(policy, now, random);
                    turns.push(CircuitState::Open);
                }
            }
            Phase::HalfOpen { trial: Some(place), wins } if trial == Some(place) => match sample {
                CircuitSample::Success if wins + 1 >= policy.success_threshold => {
                    self.probes = Probes::Believed;
                    self.close(now);
                    turns.push(CircuitState::Closed);
                }
                CircuitSample::Success => {
                    self.probes = Probes::Believed;
                    self.phase = Phase::HalfOpen { trial: None, wins: wins + 1 };
                }
                CircuitSample::Failure => {
                    if self.probes == Probes::Tested {
                        self.probes = Probes::Refuted;
                    }
                    self.since = self.cause.opened;
                    self.open(policy, now, random);
                    turns.push(CircuitState::Open);
                }
                CircuitSample::Ours => {
                    self.since = self.cause.opened;
                    self.openings = self.openings.saturating_sub(1);
                    self.open(policy, now, random);
                    turns.push(CircuitState::Open);
                }
                CircuitSample::Neutral => self.phase = Phase::HalfOpen { trial: None, wins },
            },
            Phase::Open { .. } | Phase::HalfOpen { .. } => {}
        }
        turns
    }

    /// Feeds a check that began at `began` and succeeded. Answers the states that it went through.
    pub(super) fn probed(
        &mut self,
        depth: Depth,
        began: Instant,
        now: Moment,
    ) -> Vec<CircuitState> {
        let deep = Some(depth) >= self.cause.depth && self.probes != Probes::Refuted;
        let proves = depth == Depth::Credential;
        let mut turns = self.take_passed();
        match self.phase {
            Phase::Open { at, .. } if deep && began >= at => {
                self.probes = Probes::Tested;
                if proves {
                    self.close(now);
                } else {
                    self.since = Some(now.wall);
                    self.phase = Phase::HalfOpen { trial: None, wins: 0 };
                }
                turns.push(self.state());
            }
            Phase::HalfOpen { trial: None, .. } if deep && proves => {
                self.probes = Probes::Tested;
                self.close(now);
                turns.push(self.state());
            }
            _ => {}
        }
        turns
    }

    /// Counts an outcome while closed; why it has to open, if it has.
    fn count(
        &mut self,
        sample: CircuitSample,
        policy: &BreakerPolicy,
        now: Instant,
    ) -> Option<String> {
        match sample {
            CircuitSample::Neutral => None,
            CircuitSample::Success => {
                (self.failures, self.ours) = (0, 0);
                self.probes = Probes::Believed;
                self.window.note(false, policy.window, now);
                None
            }
            CircuitSample::Ours => {
                self.ours = self.ours.saturating_add(1);
                let count = self.ours;
                (count >= policy.consecutive_failures.max(LOCAL_THRESHOLD)).then(|| {
                    format!("{count} failures in a row for which our own side may be at fault")
                })
            }
            CircuitSample::Failure => {
                self.failures = self.failures.saturating_add(1);
                self.window.note(true, policy.window, now);
                if self.failures >= policy.consecutive_failures.max(1) {
                    return Some(format!("{} failures in a row", self.failures));
                }
                let (failed, all) = self.window.counts();
                let enough = all >= u64::from(policy.minimum_calls.max(1));
                let many = failed * 100 >= all * u64::from(policy.failure_rate_threshold.max(1));
                (enough && many).then(|| {
                    let window = crate::api::Duration(policy.window);
                    format!("{failed} of {all} deliveries within {window} failed")
                })
            }
        }
    }

    fn open(&mut self, policy: &BreakerPolicy, now: Moment, random: f64) {
        self.openings = (self.openings + 1).min(MAX_OPENINGS);
        self.cause.depth = self.last.as_ref().map(|last| last.depth);
        let until = now.mono + ejection(policy, self.openings, random);
        self.phase = Phase::Open { at: now.mono, until };
        (self.failures, self.ours) = (0, 0);
        self.window.clear();
    }

    fn close(&mut self, now: Moment) {
        self.phase = Phase::Closed;
        self.last = None;
        self.since = Some(now.wall);
        self.closed_at = Some(now.mono);
    }

    /// The half-open state that [`Breaker::admit`] began, once.
    fn take_passed(&mut self) -> Vec<CircuitState> {
        let passed = std::mem::take(&mut self.passed);
        if passed { vec![CircuitState::HalfOpen] } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests;
