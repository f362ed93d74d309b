use super::*;

fn now() -> Moment {
    Moment { mono: Instant::now(), wall: Timestamp::UNIX_EPOCH }
}

#[test]
fn pauses_only_grow_and_are_clamped() {
    let now = now();
    let live = Live::new(1, now);
    assert_eq!(live.paused_until(now.mono), None);
    let second = Duration::from_secs(1);
    assert_eq!(live.pause(second * 60, now), (now.mono + second * 60, true));
    assert_eq!(live.pause(second, now), (now.mono + second * 60, false));
    let (until, _) = live.pause(Duration::MAX, now);
    assert_eq!(until, now.mono + MAX_PAUSE);
    assert_eq!(live.paused_until(until), None);
    assert!(live.paused(now.wall));
    assert!(!live.paused(now.wall + MAX_PAUSE));
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
