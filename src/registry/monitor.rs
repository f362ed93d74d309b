//! Where all evidence goes: probes and deliveries report here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use super::{
    Changes, Depth, Metrics, Moment, Sample, SampleFailure, SampleSource, Target, Transition,
    freeze::Freeze,
};
use crate::api::{HealthState, Reason};

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

    /// Pauses a target whose far end asked for it (429). Status shows it until it ends.
    pub fn pause(&self, target: &Target, wait: Duration, now: Moment) {
        let (until, begins) = target.live.pause(wait, now);
        if begins {
            info!(to = %target.key, "Target asked for a pause");
            self.changes.mark(&target.key);
        }
        self.changes.mark_at(&target.key, until);
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

    /// Targets that became Healthy or Degraded: what they are owed is worth a try.
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

/// Whether a failure may be our own network's fault: marked so, or nobody answered the connect.
fn may_be_ours(failure: &SampleFailure) -> bool {
    failure.local || (failure.reason == Reason::Timeout && failure.depth == Depth::Connect)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{TargetBuilder, ill, now, target, well};
    use super::*;
    use crate::api::TargetKey;

    const SECOND: Duration = Duration::from_secs(1);

    /// A monitor and the moment it is.
    struct Bed {
        monitor: Arc<Monitor>,
        now: Moment,
    }

    impl Bed {
        fn new() -> Self {
            let changes = Arc::new(Changes::default());
            Self { monitor: Monitor::new(changes, Metrics::default()), now: now() }
        }

        fn wait(&mut self, time: Duration) {
            self.now = Moment { mono: self.now.mono + time, wall: self.now.wall + time };
        }

        fn record(&self, target: &Target, sample: &Sample) {
            self.monitor.record(target, sample, self.now);
        }

        fn record_all(&self, targets: &[Target], sample: &Sample) {
            for target in targets {
                self.record(target, sample);
            }
        }
    }

    fn fleet(count: usize, build: impl Fn(TargetBuilder) -> TargetBuilder) -> Vec<Target> {
        (0..count).map(|index| build(target(&format!("a/{index}"))).build()).collect()
    }

    fn states(targets: &[Target]) -> Vec<HealthState> {
        targets.iter().map(|target| target.live.health()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn transitions_are_marked_and_nothing_else() {
        let bed = Bed::new();
        let target = target("a/x").build();
        bed.record(&target, &well(Depth::Answer));
        let changes = bed.monitor.changes();
        assert_eq!(changes.drain().await, [target.key.clone()].into());
        bed.record(&target, &well(Depth::Answer));
        bed.record(&target, &ill(Reason::ConnectFailed));
        let more = tokio::time::timeout(SECOND, changes.drain()).await;
        assert!(more.is_err(), "{more:?}");
    }

    #[test]
    fn an_outage_of_our_own_freezes_verdicts() {
        let mut bed = Bed::new();
        let targets = fleet(10, TargetBuilder::healthy);
        for _ in 0..10 {
            bed.wait(SECOND * 6);
            bed.record_all(&targets, &ill(Reason::DNSFailed));
        }
        assert!(bed.monitor.frozen());
        assert_eq!(states(&targets), [HealthState::Healthy; 10]);
        bed.wait(SECOND * 6);
        bed.record_all(&targets, &well(Depth::Answer));
        assert!(!bed.monitor.frozen());
        for _ in 0..3 {
            bed.wait(SECOND * 6);
            bed.record(&targets[0], &ill(Reason::DNSFailed));
        }
        assert_eq!(targets[0].live.health(), HealthState::Unhealthy);
    }

    #[test]
    fn a_start_without_a_network_passes_no_verdict_and_says_why() {
        let mut bed = Bed::new();
        let targets = fleet(10, |target| target);
        for _ in 0..5 {
            bed.wait(SECOND * 2);
            bed.record_all(&targets, &ill(Reason::Timeout));
        }
        assert_eq!(states(&targets), [HealthState::Unknown; 10]);
        let view = targets[9].live.health_view().unwrap();
        assert_eq!(view.reason, Reason::LocalNetworkFault);
    }

    #[test]
    fn failures_that_somebody_answered_are_theirs() {
        for reason in [Reason::ConnectFailed, Reason::ServerError, Reason::AuthenticationFailed] {
            let mut bed = Bed::new();
            let targets = fleet(10, TargetBuilder::healthy);
            for _ in 0..3 {
                bed.wait(SECOND * 6);
                bed.record_all(&targets, &ill(reason));
            }
            assert!(!bed.monitor.frozen());
            assert_eq!(states(&targets), [HealthState::Unhealthy; 10]);
        }
    }

    #[test]
    fn dead_targets_alone_do_not_freeze() {
        let mut bed = Bed::new();
        let targets = fleet(10, TargetBuilder::unhealthy);
        for _ in 0..10 {
            bed.wait(SECOND * 6);
            bed.record_all(&targets, &ill(Reason::Timeout));
        }
        assert!(!bed.monitor.frozen());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_shown_when_it_begins_and_when_it_ends() {
        let bed = Bed::new();
        let target = target("a/x").build();
        let start = tokio::time::Instant::now();
        let shown = |keys: std::collections::BTreeSet<TargetKey>| keys.contains(&target.key);
        bed.monitor.pause(&target, SECOND * 30, bed.now);
        assert!(shown(bed.monitor.changes().drain().await));
        bed.monitor.pause(&target, SECOND * 60, bed.now);
        assert!(shown(bed.monitor.changes().drain().await));
        assert_eq!(start.elapsed().as_secs(), 60);
    }
}
