use proptest::prelude::*;
use tokio::time::Instant;

use super::*;

const POLICY: HealthPolicy = HealthPolicy {
    interval: Duration::from_mins(1),
    unhealthy_interval: Duration::from_secs(15),
    timeout: Duration::from_secs(10),
    unhealthy_threshold: 3,
    healthy_threshold: 1,
    degraded_latency: Duration::from_secs(5),
    skip_if_delivered_within: Duration::from_mins(1),
};

/// A machine and the second it is.
struct Bench {
    machine: Machine,
    policy: HealthPolicy,
    second: i64,
    start: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { machine: Machine::default(), policy: POLICY, second: 0, start: Instant::now() }
    }

    fn now(&mut self) -> Moment {
        self.second += 1;
        Moment {
            mono: self.start + Duration::from_secs(self.second.unsigned_abs()),
            wall: Timestamp::from_second(self.second).unwrap(),
        }
    }

    fn feed(&mut self, verdict: Result<Depth, SampleFailure>, millis: u64) -> Option<Transition> {
        let latency = Duration::from_millis(millis);
        let sample = Sample { verdict, latency, source: SampleSource::Probe };
        let now = self.now();
        self.machine.observe(&sample, &self.policy, now)
    }

    fn ok(&mut self, depth: Depth) -> Option<HealthState> {
        self.feed(Ok(depth), 20).map(|change| change.to)
    }

    fn slow(&mut self, depth: Depth) -> Option<HealthState> {
        self.feed(Ok(depth), 6_000).map(|change| change.to)
    }

    fn fail(&mut self, reason: Reason) -> Option<HealthState> {
        self.feed(Err(failure(reason)), 20).map(|change| change.to)
    }

    fn reason(&self) -> Reason {
        self.machine.view().unwrap().reason
    }
}

fn failure(reason: Reason) -> SampleFailure {
    let depth = match reason {
        Reason::AuthenticationFailed | Reason::Gone => Depth::Credential,
        Reason::ServerError => Depth::Answer,
        _ => Depth::Connect,
    };
    SampleFailure {
        reason,
        depth,
        local: matches!(reason, Reason::DNSFailed | Reason::LocalNetworkFault),
        http_status: None,
        message: format!("failed with {reason}"),
    }
}

#[test]
fn the_first_success_is_a_verdict() {
    let mut bench = Bench::new();
    assert_eq!(bench.ok(Depth::Connect), Some(HealthState::Healthy));
    assert_eq!(bench.reason(), Reason::Reachable);
    let mut bench = Bench::new();
    assert_eq!(bench.slow(Depth::Answer), Some(HealthState::Degraded));
    let mut bench = Bench::new();
    assert_eq!(bench.fail(Reason::Timeout), None);
    assert_eq!(bench.ok(Depth::Credential), Some(HealthState::Healthy));
    assert_eq!(bench.reason(), Reason::ProbeSucceeded);
}

#[test]
fn three_failures_in_a_row_are_a_verdict() {
    let mut bench = Bench::new();
    bench.ok(Depth::Credential);
    for _ in 0..5 {
        assert_eq!(bench.fail(Reason::Timeout), None);
        assert_eq!(bench.fail(Reason::ConnectFailed), None);
        assert_eq!(bench.ok(Depth::Connect), None);
    }
    bench.fail(Reason::Timeout);
    bench.fail(Reason::Timeout);
    assert_eq!(bench.fail(Reason::ConnectFailed), Some(HealthState::Unhealthy));
    let view = bench.machine.view().unwrap();
    assert_eq!((view.reason, view.consecutive_failures), (Reason::ConnectFailed, 3));
    assert_eq!(bench.ok(Depth::Connect), Some(HealthState::Healthy));
}

#[test]
fn a_handshake_does_not_clear_a_refused_credential() {
    let mut bench = Bench::new();
    bench.ok(Depth::Answer);
    for _ in 0..2 {
        bench.fail(Reason::AuthenticationFailed);
        assert_eq!(bench.ok(Depth::Connect), None);
        assert_eq!(bench.ok(Depth::Answer), None);
    }
    assert_eq!(bench.fail(Reason::AuthenticationFailed), Some(HealthState::Unhealthy));
    assert_eq!(bench.ok(Depth::Answer), None);
    assert_eq!(bench.machine.state(), HealthState::Unhealthy);
    assert_eq!(bench.ok(Depth::Credential), Some(HealthState::Healthy));
}

#[test]
fn what_no_check_can_clear_is_tried_again_after_a_while() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.fail(Reason::AuthenticationFailed);
    }
    for _ in 0..100 {
        assert_eq!(bench.ok(Depth::Answer), None);
    }
    bench.second += 900;
    assert_eq!(bench.ok(Depth::Answer), Some(HealthState::Unknown));
    assert_eq!(bench.reason(), Reason::AuthenticationFailed);
    assert_eq!(bench.ok(Depth::Answer), None);
    assert_eq!(bench.fail(Reason::AuthenticationFailed), Some(HealthState::Unhealthy));
    bench.second += 900;
    assert_eq!(bench.ok(Depth::Answer), Some(HealthState::Unknown));
    assert_eq!(bench.ok(Depth::Credential), Some(HealthState::Healthy));
}

#[test]
fn what_still_stands_is_shown_when_the_rest_clears() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.fail(Reason::AuthenticationFailed);
    }
    for _ in 0..3 {
        bench.fail(Reason::Timeout);
    }
    assert_eq!(bench.reason(), Reason::Timeout);
    assert_eq!(bench.ok(Depth::Connect), Some(HealthState::Unhealthy));
    assert_eq!(bench.reason(), Reason::AuthenticationFailed);
    assert_eq!(bench.ok(Depth::Connect), None);
}

#[test]
fn another_reason_is_shown_when_it_has_settled() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.fail(Reason::Timeout);
    }
    let since = bench.machine.view().unwrap().since;
    for _ in 0..10 {
        assert_eq!(bench.fail(Reason::ServerError), None);
        assert_eq!(bench.fail(Reason::Timeout), None);
    }
    bench.fail(Reason::ServerError);
    bench.fail(Reason::ServerError);
    assert_eq!(bench.fail(Reason::ServerError), Some(HealthState::Unhealthy));
    let view = bench.machine.view().unwrap();
    assert_eq!((view.reason, view.since), (Reason::ServerError, since));
}

#[test]
fn one_slow_answer_is_no_news_and_two_are() {
    let mut bench = Bench::new();
    bench.ok(Depth::Answer);
    for _ in 0..5 {
        assert_eq!(bench.slow(Depth::Answer), None);
        assert_eq!(bench.ok(Depth::Answer), None);
    }
    bench.slow(Depth::Answer);
    assert_eq!(bench.slow(Depth::Answer), Some(HealthState::Degraded));
    assert_eq!(bench.reason(), Reason::Slow);
    assert_eq!(bench.ok(Depth::Connect), None, "a fast handshake says nothing about answers");
    assert_eq!(bench.feed(Ok(Depth::Answer), 4_500), None, "too near the limit");
    assert_eq!(bench.ok(Depth::Answer), Some(HealthState::Healthy));
}

#[test]
fn a_degraded_target_that_fails_is_unhealthy() {
    let mut bench = Bench::new();
    bench.slow(Depth::Answer);
    bench.fail(Reason::Timeout);
    bench.fail(Reason::Timeout);
    assert_eq!(bench.fail(Reason::Timeout), Some(HealthState::Unhealthy));
    assert_eq!(bench.slow(Depth::Answer), Some(HealthState::Degraded));
}

#[test]
fn local_faults_count_apart_and_never_fast() {
    let mut bench = Bench::new();
    bench.policy.unhealthy_threshold = 1;
    assert_eq!(bench.fail(Reason::DNSFailed), None);
    assert_eq!(bench.fail(Reason::DNSFailed), None);
    assert_eq!(bench.fail(Reason::DNSFailed), Some(HealthState::Unhealthy));
    let mut bench = Bench::new();
    bench.fail(Reason::DNSFailed);
    bench.fail(Reason::DNSFailed);
    bench.fail(Reason::Timeout);
    assert_eq!(bench.fail(Reason::Timeout), None);
    for _ in 0..100 {
        assert_eq!(bench.fail(Reason::LocalNetworkFault), None);
    }
}

#[test]
fn a_429_is_not_ill_health() {
    let mut bench = Bench::new();
    assert_eq!(bench.fail(Reason::RateLimited), Some(HealthState::Healthy));
    for _ in 0..100 {
        assert_eq!(bench.fail(Reason::RateLimited), None);
    }
    for _ in 0..3 {
        bench.fail(Reason::ServerError);
    }
    assert_eq!(bench.fail(Reason::RateLimited), None);
    assert_eq!(bench.machine.state(), HealthState::Unhealthy);
}

#[test]
fn frozen_verdicts_stay_and_the_undecided_say_why() {
    let mut bench = Bench::new();
    let now = bench.now();
    let change = bench.machine.hold(now).unwrap();
    assert_eq!((change.to, change.reason), (HealthState::Unknown, Reason::LocalNetworkFault));
    assert_eq!(bench.machine.hold(now), None);
    bench.ok(Depth::Answer);
    for _ in 0..10 {
        assert_eq!(bench.machine.hold(now), None);
    }
    assert_eq!(bench.machine.state(), HealthState::Healthy);
    assert_eq!(bench.machine.pace(&POLICY), POLICY.unhealthy_interval);
}

#[test]
fn a_restored_verdict_holds_until_evidence_comes() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.fail(Reason::AuthenticationFailed);
    }
    let view = bench.machine.view().unwrap().clone();
    let mut bench = Bench::new();
    bench.machine.restore(view.clone());
    assert_eq!(bench.machine.view(), Some(&view));
    assert_eq!(bench.fail(Reason::AuthenticationFailed), None);
    let mut bench = Bench::new();
    bench.machine.restore(view.clone());
    assert_eq!(bench.ok(Depth::Connect), Some(HealthState::Healthy));
    bench.machine.restore(view);
    assert_eq!(bench.machine.state(), HealthState::Healthy, "newer evidence wins");
}

#[test]
fn checks_are_frequent_until_the_first_verdict_and_after_a_failure() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        assert_eq!(bench.machine.pace(&POLICY), FIRST_PACE);
        bench.fail(Reason::Timeout);
    }
    bench.fail(Reason::Timeout);
    assert_eq!(bench.machine.pace(&POLICY), POLICY.unhealthy_interval);
    bench.ok(Depth::Answer);
    assert_eq!(bench.machine.pace(&POLICY), POLICY.interval);
    bench.fail(Reason::Timeout);
    assert_eq!(bench.machine.pace(&POLICY), POLICY.unhealthy_interval);
    bench.ok(Depth::Answer);
    bench.slow(Depth::Answer);
    assert_eq!(bench.machine.pace(&POLICY), POLICY.unhealthy_interval);
    let mut never = Bench::new();
    for _ in 0..FIRST_TRIES {
        never.fail(Reason::LocalNetworkFault);
    }
    assert_eq!(never.machine.pace(&POLICY), POLICY.unhealthy_interval);
}

#[derive(Clone, Debug)]
struct Fed {
    verdict: Result<Depth, Reason>,
    millis: u64,
}

fn fed() -> impl Strategy<Value = Fed> {
    let verdict = prop_oneof![
        Just(Ok(Depth::Connect)),
        Just(Ok(Depth::Answer)),
        Just(Ok(Depth::Credential)),
        Just(Err(Reason::Timeout)),
        Just(Err(Reason::ServerError)),
        Just(Err(Reason::AuthenticationFailed)),
        Just(Err(Reason::DNSFailed)),
        Just(Err(Reason::RateLimited)),
        Just(Err(Reason::LocalNetworkFault)),
    ];
    (verdict, prop_oneof![Just(20), Just(4_500), Just(6_000)])
        .prop_map(|(verdict, millis)| Fed { verdict, millis })
}

proptest! {
    #[test]
    fn every_change_is_reported_and_nothing_else_moves(
        samples in proptest::collection::vec(fed(), 1..80),
        unhealthy_threshold in 1_u32..5,
        healthy_threshold in 1_u32..4,
    ) {
        let mut bench = Bench::new();
        bench.policy.unhealthy_threshold = unhealthy_threshold;
        bench.policy.healthy_threshold = healthy_threshold;
        let mut failures = 0;
        for one in samples {
            let before = bench.machine.view().cloned();
            let state = bench.machine.state();
            match one.verdict {
                Err(Reason::RateLimited | Reason::LocalNetworkFault) => {}
                Err(_) => failures += 1,
                Ok(Depth::Credential) => failures = 0,
                Ok(_) => {}
            }
            let verdict = one.verdict.map_err(failure);
            let change = bench.feed(verdict, one.millis);
            let after = bench.machine.view().cloned();
            prop_assert_eq!(change.is_some(), before != after);
            let Some(change) = change else { continue };
            prop_assert_eq!(change.from, state);
            prop_assert_eq!(change.to, bench.machine.state());
            if change.to == HealthState::Unhealthy && state != HealthState::Unhealthy {
                prop_assert!(failures >= unhealthy_threshold, "too early");
            }
        }
        for _ in 0..healthy_threshold {
            bench.ok(Depth::Credential);
        }
        prop_assert_eq!(bench.machine.state(), HealthState::Healthy, "always finds back");
        for _ in 0..unhealthy_threshold {
            bench.fail(Reason::Timeout);
        }
        prop_assert_eq!(bench.machine.state(), HealthState::Unhealthy, "always falls");
    }

    #[test]
    fn a_refused_credential_outlives_everything_shallower(
        samples in proptest::collection::vec(fed(), 0..60),
    ) {
        let mut bench = Bench::new();
        for _ in 0..3 {
            bench.fail(Reason::AuthenticationFailed);
        }
        for one in samples {
            if one.verdict != Ok(Depth::Credential) {
                bench.feed(one.verdict.map_err(failure), one.millis);
            }
            prop_assert_eq!(bench.machine.state(), HealthState::Unhealthy);
        }
    }
}
