//! Repeats with the same `Idempotency-Key`.

use std::time::Duration;

use fanfare::{
    api::HealthState,
    fanout::{Engine, Idempotent},
    publish::{MAX_KEY_LENGTH, PublishError, PublishRequest, Publisher},
};

use super::{
    bed::{Bed, Script, Wire, key, named, now, request, snapshot, target, with_key},
    builder::sample,
};

const SECOND: Duration = Duration::from_secs(1);

fn keyed(key: &str, body: u8) -> PublishRequest {
    with_key(request(named(["ns/a"])), key, body)
}

fn bed() -> (Bed, Idempotent<Engine<Wire>>) {
    let bed = Bed::new([target("ns/a")]);
    bed.wire.script("ns/a", Script::AcceptAfter(SECOND));
    let publisher = Idempotent::new(bed.engine.clone(), bed.ledger.store(), bed.metrics.clone());
    (bed, publisher)
}

#[tokio::test(start_paused = true)]
async fn a_repeat_gets_the_first_result_and_sends_nothing() {
    let (bed, publisher) = bed();
    let first = publisher.publish(keyed("k", 1)).await.unwrap();
    let second = publisher.publish(keyed("k", 1)).await.unwrap();
    assert_eq!(bed.wire.seen().len(), 1);
    assert_eq!(second.duration, first.duration);
    assert_eq!(second.success_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_waits_for_the_one_under_way() {
    let (bed, publisher) = bed();
    let (first, second) =
        tokio::join!(publisher.publish(keyed("k", 1)), publisher.publish(keyed("k", 1)));
    assert_eq!((first.unwrap().success_count(), second.unwrap().success_count()), (1, 1));
    assert_eq!(bed.wire.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_key_with_another_body_is_refused() {
    let (bed, publisher) = bed();
    publisher.publish(keyed("k", 1)).await.unwrap();
    assert_eq!(publisher.publish(keyed("k", 2)).await.unwrap_err(), PublishError::KeyReused);
    assert_eq!(bed.wire.seen().len(), 1);
    assert_eq!(bed.metric("fanfare_publish_total{result=\"invalid\"}"), Some(1.0));
    publisher.publish(keyed("other", 2)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_tried_nobody_may_be_repeated() {
    let bed = Bed::new([target("ns/a").unhealthy()]);
    let publisher = Idempotent::new(bed.engine.clone(), bed.ledger.store(), bed.metrics.clone());
    let first = publisher.publish(keyed("k", 1)).await.unwrap();
    assert_eq!(first.skipped_count(), 1);
    let target = bed.snapshots.borrow().target(&key("ns/a")).unwrap().clone();
    target.live.observe(&sample(&target, HealthState::Healthy), &target.health, now());
    assert_eq!(publisher.publish(keyed("k", 1)).await.unwrap().success_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_restart_forgets_no_key() {
    let (bed, publisher) = bed();
    let first = publisher.publish(keyed("k", 1)).await.unwrap();
    let (ledger, _) = bed.ledger.reopen();
    let again = Bed::over(ledger, Wire::default(), snapshot(1, vec![target("ns/a").build()]));
    let publisher =
        Idempotent::new(again.engine.clone(), again.ledger.store(), again.metrics.clone());
    let second = publisher.publish(keyed("k", 1)).await.unwrap();
    assert_eq!(format!("{second:?}"), format!("{first:?}"));
    assert!(again.wire.seen().is_empty(), "nothing is sent again");
    assert_eq!(publisher.publish(keyed("k", 2)).await.unwrap_err(), PublishError::KeyReused);
}

#[tokio::test(start_paused = true)]
async fn the_answer_waits_until_the_result_is_on_disk() {
    let (bed, publisher) = bed();
    bed.ledger.hold();
    let publish = publisher.publish(keyed("k", 1));
    tokio::pin!(publish);
    assert!(tokio::time::timeout(SECOND * 60, &mut publish).await.is_err(), "answered too early");
    bed.ledger.commit();
    assert_eq!(publish.await.unwrap().success_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_is_no_answer() {
    let (bed, publisher) = bed();
    bed.ledger.fail();
    assert_eq!(publisher.publish(keyed("k", 1)).await.unwrap_err(), PublishError::StoreFailed);
}

#[tokio::test(start_paused = true)]
async fn when_the_first_caller_leaves_the_next_runs_with_the_same_ids() {
    let (bed, publisher) = bed();
    let leaves = tokio::time::timeout(SECOND / 2, publisher.publish(keyed("k", 1)));
    let (first, second) = tokio::join!(leaves, publisher.publish(keyed("k", 1)));
    assert!(first.is_err());
    assert_eq!(second.unwrap().success_count(), 1);
    let seen = bed.wire.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].notification.id, seen[1].notification.id);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_leaves_the_key_free() {
    let (_bed, publisher) = bed();
    let wrong = with_key(request(named(["ns/gone"])), "k", 1);
    assert!(matches!(publisher.publish(wrong).await, Err(PublishError::NotFound(_))));
    publisher.publish(keyed("k", 2)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keys_are_bounded_in_length() {
    let (bed, publisher) = bed();
    for key in [String::new(), "k".repeat(MAX_KEY_LENGTH + 1)] {
        let answer = publisher.publish(keyed(&key, 1)).await;
        assert!(matches!(answer, Err(PublishError::Invalid(_))), "{answer:?}");
    }
    assert!(bed.wire.seen().is_empty());
}
