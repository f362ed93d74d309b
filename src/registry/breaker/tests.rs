use super::*;
use crate::api::Reason;

const SECOND: Duration = Duration::from_secs(1);
const OPEN: CircuitState = CircuitState::Open;
const HALF: CircuitState = CircuitState::HalfOpen;
const CLOSED: CircuitState = CircuitState::Closed;

use CircuitSample::{Failure, Neutral, Ours, Success};

/// A breaker, its policy and the moment it is.
struct Bench {
    breaker: Breaker,
    policy: BreakerPolicy,
    now: Moment,
    random: fastrand::Rng,
}

impl Bench {
    fn new() -> Self {
        let now = Moment { mono: Instant::now(), wall: Timestamp::from_second(1_000).unwrap() };
        Self {
            breaker: Breaker::default(),
            policy: BreakerPolicy::default(),
            now,
            random: fastrand::Rng::with_seed(7),
        }
    }

    fn with(change: impl FnOnce(&mut BreakerPolicy)) -> Self {
        let mut bench = Self::new();
        change(&mut bench.policy);
        bench
    }

    fn wait(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall += time;
    }

    fn feed(&mut self, sample: CircuitSample, trial: Option<u64>) -> Vec<CircuitState> {
        let Self { breaker, policy, now, random } = self;
        breaker.observe((sample, trial), policy, *now, random.f64())
    }

    /// Feeds an attempt that was no trial as often as that.
    fn see(&mut self, sample: CircuitSample, times: usize) -> CircuitState {
        for _ in 0..times {
            self.feed(sample, None);
        }
        self.breaker.state()
    }

    fn admit(&mut self) -> Entry {
        self.breaker.admit(&self.policy, self.now.mono)
    }

    /// Waits until a trial may be made; answers how long that was.
    fn wait_for_trial(&mut self) -> Duration {
        let wait = self.breaker.next_trial(self.now.mono).unwrap() - self.now.mono;
        self.wait(wait);
        wait
    }

    /// Makes the next trial, with this outcome.
    fn try_once(&mut self, sample: CircuitSample) -> Vec<CircuitState> {
        self.wait_for_trial();
        let Entry::Trial(trial) = self.admit() else { panic!("no trial") };
        self.feed(sample, Some(trial))
    }

    fn fail_at(&mut self, depth: Depth) {
        let failure = SampleFailure {
            reason: Reason::ServerError,
            depth,
            local: false,
            http_status: Some(500),
            message: "it failed".to_owned(),
        };
        self.breaker.note(&failure, Fault::Theirs);
    }

    fn probe(&mut self, depth: Depth) -> CircuitState {
        self.breaker.probed(depth, self.now.mono, self.now);
        self.breaker.state()
    }
}

#[test]
fn failures_in_a_row_open_and_a_success_between_them_does_not() {
    let mut bench = Bench::with(|policy| policy.minimum_calls = 1_000);
    for _ in 0..20 {
        assert_eq!(bench.see(Failure, 4), CLOSED);
        assert_eq!(bench.see(Success, 1), CLOSED);
    }
    assert_eq!(bench.see(Failure, 4), CLOSED);
    assert_eq!(bench.feed(Failure, None), [OPEN]);
    assert!(bench.breaker.view().message.starts_with("5 failures in a row"));
}

#[test]
fn every_second_request_failing_opens() {
    let mut bench = Bench::new();
    let mut calls = 0;
    while bench.breaker.state() == CLOSED {
        let sample = if calls % 2 == 0 { Failure } else { Success };
        bench.see(sample, 1);
        bench.wait(SECOND);
        calls += 1;
        assert!(calls < 20, "it flaps on");
    }
    assert_eq!(calls, 11);
    assert_eq!(bench.breaker.view().message, "6 of 11 deliveries within 1m failed");
}

#[test]
fn a_share_says_nothing_below_the_minimum_or_outside_the_window() {
    let mut bench = Bench::with(|policy| policy.consecutive_failures = 100);
    assert_eq!(bench.see(Failure, 9), CLOSED);
    assert_eq!(bench.see(Failure, 1), OPEN);

    let mut bench = Bench::with(|policy| policy.consecutive_failures = 100);
    for _ in 0..50 {
        bench.see(Failure, 1);
        bench.wait(SECOND * 7);
    }
    assert_eq!(bench.breaker.state(), CLOSED, "fewer than 10 in any minute");

    let mut bench = Bench::with(|policy| policy.consecutive_failures = 100);
    bench.see(Success, 30);
    assert_eq!(bench.see(Failure, 29), CLOSED, "less than half");
    assert_eq!(bench.see(Failure, 1), OPEN);
}

#[test]
fn own_faults_are_no_part_of_the_share_and_have_a_count_of_their_own() {
    let mut bench = Bench::with(|policy| policy.consecutive_failures = 1);
    assert_eq!(bench.see(Ours, 2), CLOSED);
    bench.see(Success, 1);
    assert_eq!(bench.see(Ours, 2), CLOSED);
    assert_eq!(bench.see(Ours, 1), OPEN);

    let mut bench = Bench::with(|policy| policy.consecutive_failures = 100);
    for _ in 0..30 {
        bench.see(Ours, 2);
        bench.see(Success, 1);
    }
    assert_eq!(bench.breaker.state(), CLOSED);
    assert_eq!(bench.breaker.window.counts(), (0, 30));
}

#[test]
fn neutral_outcomes_touch_nothing() {
    let mut bench = Bench::new();
    bench.see(Failure, 4);
    assert_eq!(bench.see(Neutral, 100), CLOSED);
    assert_eq!(bench.breaker.window.counts(), (4, 4));
    assert_eq!(bench.see(Failure, 1), OPEN);
    assert_eq!(bench.try_once(Neutral), [HALF]);
    assert_eq!(bench.breaker.state(), HALF, "429 keeps it shut");
    assert_eq!(bench.admit(), Entry::Trial(2), "and the place is free");
}

#[test]
fn failed_trials_wait_longer_and_longer_and_time_closed_is_forgiven() {
    let mut bench = Bench::new();
    bench.see(Failure, 5);
    for nominal in [30, 60, 120, 240, 300, 300] {
        let wait = bench.breaker.next_trial(bench.now.mono).unwrap() - bench.now.mono;
        let ratio = wait.as_secs_f64() / f64::from(nominal);
        assert!((0.8..=1.2).contains(&ratio), "{wait:?} instead of {nominal} s");
        assert_eq!(bench.try_once(Failure), [HALF, OPEN]);
    }
    assert_eq!(bench.breaker.openings, 7);
    assert_eq!(bench.try_once(Success), [HALF, CLOSED]);
    bench.wait(SECOND * 299);
    assert_eq!(bench.see(Failure, 5), OPEN);
    assert_eq!(bench.breaker.openings, 8);
    bench.try_once(Success);
    bench.wait(SECOND * 300 * 2);
    bench.see(Failure, 5);
    assert_eq!(bench.breaker.openings, 7, "two steps are forgiven and one is added");
    bench.try_once(Success);
    bench.wait(SECOND * 3600);
    bench.see(Failure, 5);
    assert_eq!(bench.breaker.openings, 1);
}

#[test]
fn one_trial_at_a_time() {
    let mut bench = Bench::new();
    bench.see(Failure, 5);
    let until = bench.breaker.next_trial(bench.now.mono).unwrap();
    assert_eq!(bench.admit(), Entry::Refused(until));
    bench.wait_for_trial();
    assert_eq!(bench.admit(), Entry::Trial(1));
    assert_eq!(bench.admit(), Entry::Refused(bench.now.mono + TRIAL_POLL));
    bench.breaker.release(9);
    assert_eq!(bench.admit(), Entry::Refused(bench.now.mono + TRIAL_POLL));
    bench.breaker.release(1);
    assert_eq!(bench.admit(), Entry::Trial(2));
    assert_eq!(bench.feed(Success, Some(1)), [HALF], "stale: the state is told, nothing else");
    assert_eq!(bench.breaker.state(), HALF);
    assert_eq!(bench.feed(Success, None), []);
    assert_eq!(bench.feed(Success, Some(2)), [CLOSED]);
    assert_eq!(bench.admit(), Entry::Go);
}

#[test]
fn what_began_before_it_opened_does_not_count() {
    let mut bench = Bench::new();
    bench.see(Failure, 5);
    assert_eq!(bench.see(Success, 8), OPEN);
    assert_eq!(bench.see(Failure, 8), OPEN);
    assert_eq!(bench.breaker.openings, 1);
}

#[test]
fn it_closes_after_as_many_successes_as_asked_for() {
    let mut bench = Bench::with(|policy| policy.success_threshold = 3);
    bench.see(Failure, 5);
    assert_eq!(bench.try_once(Success), [HALF]);
    assert_eq!(bench.try_once(Success), []);
    assert_eq!(bench.try_once(Failure), [OPEN]);
    bench.try_once(Success);
    bench.try_once(Success);
    assert_eq!(bench.try_once(Success), [CLOSED]);
    assert_eq!(bench.see(Failure, 4), CLOSED, "it counts from zero");
}

#[test]
fn own_faults_in_a_trial_do_not_lengthen_the_ejection() {
    let mut bench = Bench::new();
    bench.see(Failure, 5);
    for _ in 0..5 {
        assert_eq!(bench.try_once(Ours), [HALF, OPEN]);
        assert_eq!(bench.breaker.openings, 1);
    }
}

#[test]
fn a_check_of_sufficient_depth_ends_the_wait() {
    for (failed, probed, expected) in [
        (Depth::Connect, Depth::Connect, HALF),
        (Depth::Answer, Depth::Connect, OPEN),
        (Depth::Answer, Depth::Answer, HALF),
        (Depth::Credential, Depth::Answer, OPEN),
        (Depth::Credential, Depth::Credential, CLOSED),
        (Depth::Connect, Depth::Credential, CLOSED),
    ] {
        let mut bench = Bench::new();
        bench.fail_at(failed);
        bench.see(Failure, 5);
        bench.wait(SECOND);
        assert_eq!(bench.probe(probed), expected, "{failed:?}, then {probed:?}");
        if expected == HALF {
            assert!(matches!(bench.admit(), Entry::Trial(_)));
        }
    }
}

#[test]
fn a_check_that_began_before_it_opened_ends_nothing() {
    let mut bench = Bench::new();
    let began = bench.now.mono;
    bench.wait(SECOND);
    bench.see(Failure, 5);
    assert_eq!(bench.breaker.probed(Depth::Credential, began, bench.now), []);
}

#[test]
fn checks_that_deliveries_refute_are_not_believed_until_one_gets_through() {
    let mut bench = Bench::new();
    bench.see(Failure, 5);
    bench.wait(SECOND);
    assert_eq!(bench.probe(Depth::Answer), HALF);
    assert_eq!(bench.try_once(Failure), [OPEN]);
    bench.wait(SECOND);
    assert_eq!(bench.probe(Depth::Credential), OPEN);
    bench.try_once(Success);
    bench.see(Success, 1);
    bench.see(Failure, 5);
    assert_eq!(bench.probe(Depth::Answer), HALF, "a delivery got through meanwhile");

    let mut bench = Bench::new();
    bench.see(Failure, 5);
    assert_eq!(bench.probe(Depth::Credential), CLOSED);
    assert_eq!(bench.see(Failure, 5), OPEN);
    assert_eq!(bench.breaker.openings, 2, "the ejection goes on growing");
    assert_eq!(bench.probe(Depth::Credential), OPEN);
}

#[test]
fn a_lowered_cap_counts_at_once() {
    let mut bench = Bench::new();
    bench.see(Failure, 5);
    bench.policy.max_ejection = SECOND;
    bench.wait(SECOND);
    assert!(matches!(bench.admit(), Entry::Trial(_)));
}

#[test]
fn an_outage_is_one_view_from_its_begin_to_its_end() {
    let mut bench = Bench::new();
    bench.fail_at(Depth::Answer);
    bench.see(Failure, 5);
    let view = bench.breaker.view();
    assert_eq!(view.since, Some(bench.now.wall));
    assert_eq!(view.reason, Some(Reason::ServerError));
    assert_eq!(view.message, "5 failures in a row, the last one: it failed");
    for _ in 0..5 {
        bench.try_once(Failure);
        assert_eq!(bench.breaker.view(), view);
    }
    bench.try_once(Success);
    let closed = View { state: CLOSED, since: Some(bench.now.wall), ..View::default() };
    assert_eq!(bench.breaker.view(), closed);
}

#[test]
fn what_was_open_before_a_restart_may_be_tried_at_once() {
    let mut bench = Bench::new();
    let since = Some(Timestamp::UNIX_EPOCH);
    let view = View { state: OPEN, since, reason: None, message: "before".to_owned() };
    bench.breaker.restore(&view, bench.now.mono);
    assert_eq!(bench.breaker.view(), view);
    assert_eq!(bench.try_once(Failure), [HALF, OPEN]);
    assert_eq!(bench.breaker.view(), view);
    bench.wait(SECOND);
    assert_eq!(bench.probe(Depth::Credential), CLOSED);

    let mut bench = Bench::new();
    bench.see(Failure, 1);
    bench.breaker.restore(&view, bench.now.mono);
    assert_eq!(bench.breaker.state(), CLOSED, "newer evidence counts");
}

/// However it is used: never more than one trial out, a refusal names a later moment, and once the
/// far end is well it closes.
#[test]
fn random_histories_keep_the_rules() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bench = Bench::with(|policy| policy.success_threshold = random.u32(1..4));
        let mut out: Option<u64> = None;
        for _ in 0..400 {
            bench.wait(Duration::from_millis(random.u64(0..20_000)));
            let sample = [Success, Failure, Failure, Ours, Neutral][random.usize(0..5)];
            match random.u8(0..6) {
                0 => {
                    let depth = [Depth::Connect, Depth::Answer, Depth::Credential];
                    bench.probe(depth[random.usize(0..3)]);
                }
                1 => {
                    bench.fail_at(Depth::Answer);
                    bench.feed(sample, None);
                }
                2 if out.is_some() => {
                    bench.feed(sample, out.take());
                }
                3 if out.is_some() => bench.breaker.release(out.take().unwrap()),
                _ => match bench.admit() {
                    Entry::Trial(trial) => {
                        let busy = matches!(bench.breaker.phase, Phase::HalfOpen { .. });
                        assert!(busy && out.is_none_or(|old| old != trial));
                        out = Some(trial);
                    }
                    Entry::Refused(until) => {
                        assert!(until > bench.now.mono);
                        assert!(until <= bench.now.mono + bench.policy.max_ejection);
                    }
                    Entry::Go => assert_eq!(bench.breaker.state(), CLOSED),
                },
            }
        }
        if let Some(trial) = out {
            bench.breaker.release(trial);
        }
        let mut tries = 0;
        while bench.breaker.state() != CLOSED {
            bench.try_once(Success);
            tries += 1;
            assert!(tries <= 3, "seed {seed}");
        }
    }
}
