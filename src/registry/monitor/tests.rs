use super::super::{
    Admission,
    fixture::{TargetBuilder, ill, now, target, well},
};
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

/// What an attempt says that failed for `reason`.
fn failed(reason: Reason) -> Sample {
    Sample { source: SampleSource::Delivery, ..ill(reason) }
}

impl Bed {
    /// A delivery that fails for `reason` and counts as `sample`.
    fn attempt(&self, target: &Target, reason: Reason, sample: CircuitSample) {
        self.record(target, &failed(reason));
        self.monitor.attempted(target, None, sample, self.now);
    }

    fn trial(&self, target: &Target) -> Trial {
        match target.live.admit(&target.policy.breaker, self.now) {
            Admission::Trial(trial) => trial,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_circuit_is_shown_when_it_opens_and_recovers_when_it_closes() {
    let mut bed = Bed::new();
    let target = target("a/x").build();
    let shown = || tokio::time::timeout(SECOND, bed.monitor.changes().drain());
    for _ in 0..4 {
        bed.monitor.attempted(&target, None, CircuitSample::Failure, bed.now);
    }
    assert!(shown().await.is_err());
    bed.monitor.attempted(&target, None, CircuitSample::Failure, bed.now);
    assert_eq!(shown().await.unwrap(), [target.key.clone()].into());
    bed.wait(SECOND * 60);
    let trial = bed.trial(&target);
    bed.monitor.attempted(&target, Some(trial), CircuitSample::Success, bed.now);
    let shown = tokio::time::timeout(SECOND, bed.monitor.changes().drain());
    assert_eq!(shown.await.unwrap(), [target.key.clone()].into());
    assert_eq!(bed.monitor.recovered().drain().await, [target.key.clone()].into());
}

#[tokio::test(start_paused = true)]
async fn a_check_that_ends_the_wait_wakes_those_who_wait() {
    let mut bed = Bed::new();
    let target = target("a/x").healthy().ejected().build();
    bed.wait(SECOND);
    bed.record(&target, &well(Depth::Answer));
    assert_eq!(target.live.circuit(), CircuitState::HalfOpen);
    assert_eq!(bed.monitor.recovered().drain().await, [target.key.clone()].into());
}

#[test]
fn own_faults_open_by_themselves_but_not_while_verdicts_are_frozen() {
    let mut bed = Bed::new();
    let lonely = target("a/lonely").build();
    for _ in 0..5 {
        bed.attempt(&lonely, Reason::DNSFailed, CircuitSample::Ours);
    }
    assert_eq!(lonely.live.circuit(), CircuitState::Open);

    let targets = fleet(10, TargetBuilder::healthy);
    bed.wait(SECOND * 31);
    for round in 0..10 {
        bed.wait(SECOND * 6);
        for target in &targets {
            let reason = if round % 2 == 0 { Reason::DNSFailed } else { Reason::Timeout };
            let sample = if round % 2 == 0 { CircuitSample::Ours } else { CircuitSample::Failure };
            bed.attempt(target, reason, sample);
        }
    }
    assert!(bed.monitor.frozen());
    for target in &targets {
        assert_eq!(target.live.circuit(), CircuitState::Closed);
    }
    bed.wait(SECOND * 60);
    let trial = bed.trial(&lonely);
    bed.record(&lonely, &failed(Reason::Timeout));
    bed.monitor.attempted(&lonely, Some(trial), CircuitSample::Failure, bed.now);
    assert_eq!(lonely.live.circuit(), CircuitState::Open, "the trial is made again, later");
}

#[test]
fn a_shortage_of_our_own_opens_nothing_ever() {
    let bed = Bed::new();
    let target = target("a/x").build();
    for _ in 0..100 {
        bed.attempt(&target, Reason::LocalNetworkFault, CircuitSample::Ours);
    }
    assert_eq!(target.live.circuit(), CircuitState::Closed);
}

#[test]
fn pauses_are_as_long_as_the_target_allows() {
    let bed = Bed::new();
    let hour = SECOND * 3_600;
    for (most, expected) in [(60, Some(60)), (0, None), (86_400, Some(3_600))] {
        let target = target("a/x").with(|target| {
            target.policy.retry.retry_after_max = SECOND * most;
        });
        let target = target.build();
        bed.monitor.pause(&target, hour, bed.now);
        let until = target.live.paused_until(bed.now.mono);
        let pause = until.map(|until| (until - bed.now.mono).as_secs_f64().round());
        assert_eq!(pause, expected.map(f64::from));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_does_not_put_off_what_the_circuit_has_to_show() {
    let mut bed = Bed::new();
    let target = target("a/x").ejected().build();
    bed.monitor.pause(&target, SECOND * 600, bed.now);
    bed.monitor.changes().drain().await;
    bed.wait(SECOND);
    bed.record(&target, &well(Depth::Answer));
    let start = tokio::time::Instant::now();
    bed.monitor.changes().drain().await;
    bed.monitor.changes().drain().await;
    assert!(start.elapsed() < SECOND * 10, "{:?}", start.elapsed());
}
