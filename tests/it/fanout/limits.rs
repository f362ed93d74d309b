//! Slots, permits, the overall timeout, callers that leave. All on a paused clock.

use std::time::Duration;

use fanfare::publish::{ErrorType, Publisher, Selection, TargetFilter};
use tokio::time::Instant;

use super::bed::{Bed, Script, key, named, now, request, target};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn never_more_than_max_concurrent_run_and_all_slots_are_used() {
    let name = |number: usize| format!("ns/t{number:03}");
    let bed = Bed::new((0..120).map(|number| target(&name(number))));
    for number in 0..120 {
        bed.wire.script(&name(number), Script::AcceptAfter(SECOND));
    }
    let mut request = request(Selection::All(TargetFilter::default()));
    request.options.max_concurrent = 30;
    let result = bed.engine.publish(request).await.unwrap();
    assert_eq!(result.success_count(), 120);
    assert_eq!(bed.wire.peak(), 30);
    assert_eq!(result.duration.as_secs(), 4, "120 targets of a second each through 30 slots");
}

#[tokio::test(start_paused = true)]
async fn a_stuck_target_delays_no_other() {
    let bed = Bed::new([target("ns/a-stuck").max_in_flight(1), target("ns/b"), target("ns/c")]);
    let stuck = bed.snapshots.borrow().target(&key("ns/a-stuck")).unwrap().clone();
    let held = stuck.live.limit().clone().try_acquire_owned().unwrap();
    let mut request = request(named(["ns/a-stuck", "ns/b", "ns/c"]));
    request.options.max_concurrent = 1;
    request.options.timeout = SECOND;
    let started = Instant::now();
    let result = bed.engine.publish(request).await.unwrap();
    drop(held);
    for seen in bed.wire.seen() {
        assert_eq!(seen.at, started, "{} waited for the stuck target", seen.to);
    }
    assert!(result.results[1].success() && result.results[2].success());
    assert!(result.timed_out);
    let waiting = &result.results[0];
    assert_eq!(waiting.error_type, Some(ErrorType::NotAttempted));
    assert_eq!((waiting.attempts, waiting.duration.as_secs()), (0, 1));
    assert!(waiting.error.as_ref().unwrap().contains("flow.maxInFlight"));
}

#[tokio::test(start_paused = true)]
async fn a_target_gets_its_turn_when_its_own_limit_frees() {
    let bed = Bed::new([target("ns/a").max_in_flight(1), target("ns/b")]);
    bed.wire.script("ns/b", Script::AcceptAfter(SECOND * 3));
    let busy = bed.snapshots.borrow().target(&key("ns/a")).unwrap().clone();
    let held = busy.live.limit().clone().try_acquire_owned().unwrap();
    tokio::spawn(async move {
        tokio::time::sleep(SECOND).await;
        drop(held);
    });
    let mut request = request(named(["ns/a", "ns/b"]));
    request.options.max_concurrent = 1;
    let started = Instant::now();
    let result = bed.engine.publish(request).await.unwrap();
    assert_eq!(bed.wire.order(), ["ns/b", "ns/a"]);
    assert_eq!(bed.wire.seen()[1].at - started, SECOND * 3, "when b left the only slot");
    assert_eq!(result.results[0].duration, SECOND * 3, "waiting is part of the time spent");
    assert_eq!(result.success_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_given_back_while_no_slot_is_free() {
    let bed = Bed::new([target("ns/a").max_in_flight(1), target("ns/b")]);
    bed.wire.script("ns/b", Script::AcceptAfter(SECOND * 8));
    let busy = bed.snapshots.borrow().target(&key("ns/a")).unwrap().clone();
    let limit = busy.live.limit().clone();
    let held = limit.clone().try_acquire_owned().unwrap();
    let mut request = request(named(["ns/a", "ns/b"]));
    request.options.max_concurrent = 1;
    let publish = bed.engine.publish(request);
    let others = async {
        tokio::time::sleep(SECOND).await;
        drop(held);
        tokio::time::sleep(SECOND).await;
        // What routed delivery to `a` would do meanwhile.
        drop(limit.try_acquire().expect("an idle permit is kept from others"));
    };
    let (result, ()) = tokio::join!(publish, others);
    assert_eq!(result.unwrap().success_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn two_publishes_share_the_limit_of_a_target() {
    let bed = Bed::new([target("ns/a").max_in_flight(2)]);
    bed.wire.script("ns/a", Script::AcceptAfter(SECOND));
    let started = Instant::now();
    let publishes = (0..6).map(|_| bed.engine.publish(request(named(["ns/a"]))));
    for result in futures::future::join_all(publishes).await {
        assert_eq!(result.unwrap().success_count(), 1);
    }
    assert_eq!(bed.wire.peak(), 2);
    assert_eq!(started.elapsed(), SECOND * 3);
}

#[tokio::test(start_paused = true)]
async fn the_overall_timeout_cancels_and_reports_what_still_ran() {
    let bed = Bed::new(["ns/fast", "ns/slow", "ns/late"].map(target));
    bed.wire.script("ns/slow", Script::AcceptAfter(SECOND * 5));
    let mut request = request(named(["ns/fast", "ns/slow", "ns/late"]));
    request.options.max_concurrent = 1;
    request.options.timeout = SECOND * 2;
    let result = bed.engine.publish(request).await.unwrap();
    assert!(result.timed_out);
    assert_eq!(result.duration, SECOND * 2);
    assert_eq!(bed.wire.running(), 0, "the attempt was cancelled");
    let [fast, slow, late] = &result.results[..] else { panic!("{result:?}") };
    assert!(fast.success());
    assert_eq!(slow.error_type, Some(ErrorType::Cancelled));
    assert_eq!((slow.attempts, slow.duration), (1, SECOND * 2));
    assert!(slow.error.as_ref().unwrap().contains("may have the alert"));
    assert_eq!(late.error_type, Some(ErrorType::NotAttempted));
    assert_eq!((late.attempts, late.duration), (0, Duration::ZERO));
    assert_eq!(bed.metric("fanfare_publish_total{result=\"partial_success\"}"), Some(1.0));
    let live = bed.snapshots.borrow().target(&key("ns/slow")).unwrap().live.clone();
    assert_eq!(live.limit().available_permits(), 8, "its permit is back");
}

#[tokio::test(start_paused = true)]
async fn an_answer_at_the_very_moment_of_the_timeout_counts() {
    let bed = Bed::new([target("ns/a")]);
    bed.wire.script("ns/a", Script::AcceptAfter(SECOND));
    let mut request = request(named(["ns/a"]));
    request.options.timeout = SECOND;
    let result = bed.engine.publish(request).await.unwrap();
    assert_eq!((result.success_count(), result.timed_out), (1, false));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_cancels_and_is_counted() {
    let bed = Bed::new(["ns/done", "ns/slow"].map(target));
    bed.wire.script("ns/slow", Script::Hang);
    let publish = bed.engine.publish(request(named(["ns/done", "ns/slow"])));
    assert!(tokio::time::timeout(SECOND, publish).await.is_err());
    assert_eq!(bed.wire.running(), 0);
    for (series, value) in [
        ("fanfare_publish_total{result=\"cancelled\"}", 1.0),
        ("fanfare_publish_total{result=\"success\"}", 0.0),
        ("fanfare_publish_failure_total", 0.0),
        ("fanfare_publish_in_flight", 0.0),
    ] {
        assert_eq!(bed.metric(series), Some(value), "{series}");
    }
    let stats = bed.engine.stats();
    assert_eq!((stats.publishes, stats.in_flight, stats.succeeded), (1, 0, 1));
    let live = bed.snapshots.borrow().target(&key("ns/slow")).unwrap().live.clone();
    assert_eq!(live.limit().available_permits(), 8);
    assert_eq!(live.stats(super::bed::now()).in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_asked_for_a_pause_is_left_alone_and_the_result_says_so() {
    let bed = Bed::new(["ns/a", "ns/b"].map(target));
    let paused = bed.snapshots.borrow().target(&key("ns/a")).unwrap().clone();
    bed.monitor.pause(&paused, SECOND * 30, now());
    let publish = || bed.engine.publish(request(named(["ns/a", "ns/b"])));
    let result = publish().await.unwrap();
    assert_eq!(bed.wire.take_seen().len(), 1, "only the other one was sent to");
    let left = &result.results[0];
    assert_eq!((left.error_type, left.attempts), (Some(ErrorType::RateLimited), 0));
    assert!(left.error.as_ref().unwrap().contains("another 30 s"), "{left:?}");
    assert!(result.results[1].success());
    tokio::time::sleep(SECOND * 31).await;
    assert!(publish().await.unwrap().results[0].success(), "the pause is over");
}
