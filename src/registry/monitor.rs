//! Where all evidence goes: probes and deliveries report here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{debug, info, warn};

use super::{
    Changes, CircuitSample, Depth, Later, Metrics, Moment, Notices, Sample, SampleFailure,
    SampleSource, Target, Transition, Trial, breaker::Fault, freeze::Freeze, live::CircuitTurn,
};
use crate::api::{CircuitState, HealthState, Reason};

/// Feeds samples to the health machines, watches for faults of our own network, and notes what the
/// controller has to show. One for the whole process.
#[derive(Debug, Default)]
pub struct Monitor {
    changes: Arc<Changes>,
    suspects: Changes,
    recovered: Changes,
    freeze: Mutex<Freeze>,
    metrics: Metrics,
}

// === impl Monitor ===

impl Monitor {
    /// A monitor that marks what status shows in `changes`.
    #[must_use]
    pub fn new(changes: Arc<Changes>, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            changes,
            suspects: Changes::default(),
            recovered: Changes::default(),
            freeze: Mutex::default(),
            metrics,
        })
    }

    /// Takes one piece of evidence about `target`. Everything that follows from it is done here; the
    /// answer is for whoever wants to know.
    pub fn record(&self, target: &Target, sample: &Sample, now: Moment) -> Option<Transition> {
        let live = &target.live;
        let ours = sample.verdict.as_ref().err().is_some_and(may_be_ours);
        let known_dead = ours && live.health() == HealthState::Unhealthy;
        let frozen = if !known_dead && live.is_news(ours, now.mono) {
            self.hear(target, ours, sample.latency, now)
        } else {
            ours && self.frozen()
        };
        match (&sample.verdict, sample.source) {
            (Err(failure), SampleSource::Delivery) => live.note_failure(failure, fault(failure)),
            (Ok(depth), SampleSource::Probe) => {
                let began = now.mono.checked_sub(sample.latency).unwrap_or(now.mono);
                if let Some(turn) = live.probed(*depth, began, now) {
                    self.turned(target, &turn, now);
                }
            }
            _ => {}
        }
        let first_failure = sample.source == SampleSource::Delivery
            && sample.verdict.is_err()
            && !live.last_failed();
        let transition =
            if frozen && ours { live.hold(now) } else { live.observe(sample, &target.health, now) };
        if first_failure {
            self.suspects.mark(&target.key);
        }
        if let Some(transition) = &transition {
            self.report(target, transition);
        }
        transition
    }

    /// Tells the target's breaker how an attempt ended; `trial` is what [`super::Live::admit`] gave for
    /// it. The attempt's sample goes to [`Monitor::record`] first: it says why.
    pub fn attempted(
        &self,
        target: &Target,
        trial: Option<Trial>,
        sample: CircuitSample,
        now: Moment,
    ) {
        let sample = self.weigh(target, trial.is_some(), sample);
        let policy = &target.policy.breaker;
        let random = fastrand::f64();
        if let Some(turn) = target.live.attempted((sample, trial.as_ref()), policy, now, random) {
            self.turned(target, &turn, now);
        }
        drop(trial);
    }

    /// Pauses a target whose far end asked for it (429), at most for as long as its `retryAfterMax`.
    /// Status shows it until it ends.
    pub fn pause(&self, target: &Target, wait: Duration, now: Moment) {
        let wait = wait.min(target.policy.retry.retry_after_max);
        if wait.is_zero() {
            return;
        }
        let (until, begins) = target.live.pause(wait, now.mono);
        if begins {
            info!(to = %target.key, "Target asked for a pause");
            self.changes.mark(&target.key);
        }
        self.changes.mark_at(&target.key, Later::Pause, until);
    }

    /// What people should hear of once.
    #[must_use]
    pub fn notices(&self) -> &Notices {
        self.changes.notices()
    }

    /// Verdicts are frozen: most targets turned unreachable at once.
    #[must_use]
    pub fn frozen(&self) -> bool {
        self.freeze.lock().unwrap_or_else(PoisonError::into_inner).frozen()
    }

    /// Targets that have something new to show.
    #[must_use]
    pub fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    /// Targets that became Healthy or Degraded, or whose circuit turned: what they are owed may be worth a try,
    /// or their fallback's turn may have come.
    #[must_use]
    pub fn recovered(&self) -> &Changes {
        &self.recovered
    }

    /// Targets that just failed a delivery after a success: worth a check soon.
    #[must_use]
    pub fn suspects(&self) -> &Changes {
        &self.suspects
    }

    fn hear(&self, target: &Target, ours: bool, latency: Duration, now: Moment) -> bool {
        let mut freeze = self.freeze.lock().unwrap_or_else(PoisonError::into_inner);
        let before = freeze.frozen();
        let after = freeze.note(&target.key, ours, latency, now.mono);
        if before != after {
            self.metrics.frozen(after);
        }
        drop(freeze);
        match (before, after) {
            (false, true) => warn!(
                "Most targets turned unreachable at once: health verdicts are frozen. Check this \
                 pod's network, DNS and NetworkPolicy"
            ),
            (true, false) => info!("Targets answer again: health verdicts are no longer frozen"),
            _ => {}
        }
        after
    }

    /// What an outcome counts as. A failure that may be ours counts nothing while verdicts are frozen,
    /// and never when it surely is; a trial that ends so has to be made again.
    fn weigh(&self, target: &Target, trial: bool, sample: CircuitSample) -> CircuitSample {
        if matches!(sample, CircuitSample::Success | CircuitSample::Neutral) {
            return sample;
        }
        let fault = target.live.last_fault();
        let maybe = sample == CircuitSample::Ours || fault == Some(Fault::MaybeOurs);
        if fault != Some(Fault::SurelyOurs) && !(maybe && self.frozen()) {
            sample
        } else if trial {
            CircuitSample::Ours
        } else {
            CircuitSample::Neutral
        }
    }

    fn turned(&self, target: &Target, turn: &CircuitTurn, now: Moment) {
        for state in &turn.through {
            self.metrics.turn(target.kind, *state);
        }
        match turn.show {
            Some(when) if when <= now.mono => self.changes.mark(&target.key),
            Some(when) => self.changes.mark_at(&target.key, Later::Circuit, when),
            None => {}
        }
        let state = target.live.circuit();
        match (turn.from, state) {
            (CircuitState::Closed, CircuitState::Open) => {
                warn!(to = %target.key, why = turn.why, "Circuit open: nothing is sent for a while");
                self.recovered.mark(&target.key);
            }
            (_, CircuitState::Closed) => {
                info!(to = %target.key, "Circuit closed");
                self.recovered.mark(&target.key);
            }
            // Not by the trial of one who waited for it: the others can't know.
            (CircuitState::Open, CircuitState::HalfOpen) => {
                debug!(to = %target.key, "Circuit half-open");
                self.recovered.mark(&target.key);
            }
            _ => debug!(to = %target.key, state = state.as_str(), "Circuit tried"),
        }
    }

    fn report(&self, target: &Target, transition: &Transition) {
        self.changes.mark(&target.key);
        if matches!(transition.to, HealthState::Healthy | HealthState::Degraded) {
            self.recovered.mark(&target.key);
        }
        self.metrics.transition(target.kind, transition);
        let (from, to) = (transition.from.as_str(), transition.to.as_str());
        let reason = transition.reason.as_str();
        if transition.to == HealthState::Unhealthy {
            warn!(to = %target.key, from, state = to, reason, "Target is unhealthy");
        } else {
            info!(to = %target.key, from, state = to, reason, "Target health changed");
        }
    }
}

fn fault(failure: &SampleFailure) -> Fault {
    match failure.reason {
        Reason::LocalNetworkFault => Fault::SurelyOurs,
        _ if may_be_ours(failure) => Fault::MaybeOurs,
        _ => Fault::Theirs,
    }
}

/// Whether a failure may be our own network's fault: marked so, or nobody answered the connect.
fn may_be_ours(failure: &SampleFailure) -> bool {
    failure.local || (failure.reason == Reason::Timeout && failure.depth == Depth::Connect)
}

#[cfg(test)]
mod tests;
