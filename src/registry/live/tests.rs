use super::*;
use crate::{
    api::{BreakerPolicy, CircuitState},
    registry::CircuitSample,
};

fn now() -> Moment {
    Moment { mono: Instant::now(), wall: Timestamp::UNIX_EPOCH }
}

#[test]
fn pauses_only_grow() {
    let now = now().mono;
    let live = Live::new(1, Moment { mono: now, wall: Timestamp::UNIX_EPOCH });
    assert_eq!(live.paused_until(now), None);
    let second = Duration::from_secs(1);
    assert_eq!(live.pause(second * 60, now), (now + second * 60, true));
    assert_eq!(live.pause(second, now), (now + second * 60, false));
    assert_eq!(live.paused_until(now + second * 60), None);
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_exact_and_a_refusal_says_when() {
    let live = Live::new(1, now());
    let limit = RateLimit { requests: 20, per: Duration::from_secs(1), burst: 5 };
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < Duration::from_secs(10) {
        match live.take_token(&limit, Instant::now()) {
            Ok(()) => sent += 1,
            Err(next) => tokio::time::sleep_until(next).await,
        }
    }
    assert_eq!(sent, 5 + 10 * 20 - 1);
    live.take_token(&limit, Instant::now()).unwrap();
    live.return_token(&limit);
    assert!(live.take_token(&limit, Instant::now()).is_ok());
}

#[test]
fn a_closed_circuit_is_asked_without_a_lock() {
    let (live, policy) = (Live::new(1, now()), BreakerPolicy::default());
    let _held = live.circuit.lock();
    assert!(matches!(live.admit(&policy, now()), Admission::Go));
    assert_eq!(live.circuit_opens_at(now().mono), None);
}

#[test]
fn a_trial_gives_its_place_back_and_only_its_own() {
    let at = now();
    let policy = BreakerPolicy { consecutive_failures: 1, ..BreakerPolicy::default() };
    let fail = |live: &Arc<Live>, trial: Option<&Trial>, now| {
        live.attempted((CircuitSample::Failure, trial), &policy, now, 0.5)
    };
    let trial = |live: &Arc<Live>, now| match live.admit(&policy, now) {
        Admission::Trial(trial) => trial,
        other => panic!("{other:?}"),
    };
    let (one, two) = (Live::new(1, at), Live::new(1, at));
    assert!(matches!(one.admit(&policy, at), Admission::Go));
    fail(&one, None, at);
    fail(&two, None, at);
    let until = one.circuit_opens_at(at.mono).unwrap();
    assert!(matches!(one.admit(&policy, at), Admission::Refused { until: when } if when == until));
    assert_eq!(one.circuit(), CircuitState::Open);

    let later = Moment { mono: until + policy.base_ejection, ..at };
    let place = trial(&one, later);
    assert_eq!(one.circuit(), CircuitState::HalfOpen);
    assert!(matches!(one.admit(&policy, later), Admission::Refused { .. }));
    drop(place);
    let place = trial(&one, later);
    let foreign = trial(&two, later);
    fail(&one, Some(&foreign), later);
    assert_eq!(one.circuit(), CircuitState::HalfOpen, "another target's trial");
    fail(&one, Some(&place), later);
    assert_eq!(one.circuit(), CircuitState::Open);
    drop(place);
    assert_eq!(one.circuit(), CircuitState::Open);
}

#[test]
fn the_limit_follows_edits_while_requests_are_out() {
    let live = Live::new(4, now());
    let permits: Vec<_> = (0..3).map(|_| live.limit().try_acquire().unwrap()).collect();
    let attempt = live.begin();
    live.resize(2);
    assert_eq!(live.limit().available_permits(), 0);
    drop(permits);
    drop(attempt);
    assert_eq!(live.limit().available_permits(), 2);
    live.resize(5);
    assert_eq!(live.limit().available_permits(), 5);
}

#[test]
fn deliveries_are_counted() {
    let now = now();
    let live = Live::new(1, now);
    live.delivered(Duration::from_millis(20), now);
    live.failed(Duration::from_millis(900), now);
    live.skipped();
    let attempt = live.begin();
    let stats = live.stats(now);
    assert_eq!((stats.succeeded, stats.failed, stats.skipped, stats.in_flight), (1, 1, 1, 1));
    assert!(stats.p50 < stats.p99);
    drop(attempt);
    assert_eq!(live.stats(now).in_flight, 0);
    let minute = Duration::from_mins(1);
    assert!(live.delivered_within(minute, now.mono));
    assert!(!live.delivered_within(minute, now.mono + minute));
}

#[test]
fn every_state_survives_the_atomic() {
    for state in HealthState::ALL {
        assert_eq!(decode(encode(state)), state);
    }
}
