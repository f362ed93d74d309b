//! `options.retry`: what a publish could not send is queued on disk.

use std::time::Duration;

use fanfare::{
    alert::Status,
    api::RateLimit,
    publish::{ErrorType, PublishRequest, Publisher, SkipReason},
    store::{DeadReason, Full},
};
use serde_json::json;

use super::{
    bed::{Script, named, request},
    builder::target,
    routes::{Routes, route},
};

const SECOND: Duration = Duration::from_secs(1);

fn failing() -> Script {
    Script::Fail(ErrorType::ServerError, Some(500))
}

fn retried<const N: usize>(names: [&str; N]) -> PublishRequest {
    let mut request = request(named(names));
    request.options.retry = true;
    request
}

async fn start() -> Routes {
    let targets = [target("ns/a"), target("ns/b"), target("ns/sick").unhealthy()];
    Routes::start(targets, [route("r", &["b"], json!({}))]).await
}

#[tokio::test(start_paused = true)]
async fn a_retryable_failure_is_queued_and_delivered_with_the_same_id() {
    let routes = start().await;
    routes.bed.wire.script("ns/a", failing());
    let result = routes.bed.engine.publish(retried(["ns/a", "ns/b", "ns/sick"])).await.unwrap();
    let [failed, good, sick] = &result.results[..] else { panic!("{result:?}") };
    assert!(failed.queued && !failed.success());
    assert_eq!((failed.attempts, failed.error_type), (1, Some(ErrorType::ServerError)));
    assert!(good.success() && !good.queued);
    assert_eq!((sick.skipped, sick.queued), (Some(SkipReason::Unhealthy), false));
    let first = routes.bed.wire.take_seen();
    routes.bed.wire.script("ns/a", Script::Accept);
    tokio::time::sleep(SECOND).await;
    let later = routes.bed.wire.take_seen();
    assert_eq!(later.len(), 1);
    assert_eq!(later[0].notification.id, first[0].notification.id);
    assert!(routes.bed.ledger.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_answer_waits_for_the_disk_and_a_restart_goes_on() {
    let routes = start().await;
    routes.bed.wire.script("ns/a", failing());
    routes.bed.ledger.hold();
    let publish = routes.bed.engine.publish(retried(["ns/a"]));
    assert!(tokio::time::timeout(SECOND * 60, publish).await.is_err(), "answered too early");
    routes.bed.ledger.commit();
    routes.bed.wire.script("ns/a", Script::Accept);
    let routes = routes.restart([target("ns/a")], []).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(routes.asked(), ["ns/a"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_not_queued() {
    let routes = start().await;
    routes.bed.wire.script("ns/a", Script::Reject);
    let result = routes.bed.engine.publish(retried(["ns/a"])).await.unwrap();
    assert!(!result.results[0].queued);
    assert!(routes.bed.ledger.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_and_a_rate_limit_queue() {
    let limited = target("ns/slow").policy(|policy| {
        policy.rate = Some(RateLimit { requests: 1, per: SECOND, burst: 1 });
    });
    let routes = Routes::start([target("ns/a"), limited], []).await;
    routes.bed.wire.script("ns/a", failing());
    for _ in 0..5 {
        routes.bed.engine.publish(request(named(["ns/a"]))).await.unwrap();
    }
    routes.bed.engine.publish(request(named(["ns/slow"]))).await.unwrap();
    routes.bed.wire.take_seen();
    let result = routes.bed.engine.publish(retried(["ns/a", "ns/slow"])).await.unwrap();
    let kinds: Vec<_> = result.results.iter().map(|it| (it.error_type, it.attempts)).collect();
    let expected = [(Some(ErrorType::NotAttempted), 0), (Some(ErrorType::RateLimited), 0)];
    assert_eq!(kinds, expected);
    assert!(result.results.iter().all(|it| it.queued && it.skipped.is_none()));
    assert!(routes.bed.wire.take_seen().is_empty());
    routes.bed.wire.script("ns/a", Script::Accept);
    tokio::time::sleep(SECOND * 90).await;
    assert_eq!(routes.asked(), ["ns/a", "ns/slow"]);
}

#[tokio::test(start_paused = true)]
async fn a_later_publish_of_the_same_labels_goes_behind() {
    let routes = start().await;
    routes.bed.wire.script("ns/a", failing());
    let first = retried(["ns/a"]);
    routes.bed.engine.publish(first.clone()).await.unwrap();
    routes.bed.wire.script("ns/a", Script::Accept);
    routes.bed.wire.take_seen();
    let mut end = request(named(["ns/a"]));
    let mut alert = (*first.alert).clone();
    alert.ends_at = alert.starts_at;
    end.alert = alert.into();
    let result = routes.bed.engine.publish(end.clone()).await.unwrap();
    assert!(result.results[0].queued, "it would overtake: {result:?}");
    let mut other = request(named(["ns/a"]));
    other.alert = super::bed::alert("Other").into();
    assert_eq!(routes.bed.engine.publish(other).await.unwrap().success_count(), 1);
    tokio::time::sleep(SECOND).await;
    let order: Vec<_> =
        routes.bed.wire.take_seen().iter().map(|seen| seen.notification.status).collect();
    assert_eq!(order, [Status::Firing, Status::Firing, Status::Resolved]);
    assert_eq!(routes.bed.engine.publish(end).await.unwrap().success_count(), 1, "nothing waits");
}

#[tokio::test(start_paused = true)]
async fn a_queued_publish_ends_in_the_dead_letters_like_everything() {
    let short = target("ns/a").policy(|policy| policy.retry.max_attempts = Some(3));
    let routes = Routes::start([short], []).await;
    routes.bed.wire.script("ns/a", failing());
    routes.bed.engine.publish(retried(["ns/a"])).await.unwrap();
    tokio::time::sleep(SECOND * 10).await;
    assert_eq!(routes.bed.wire.take_seen().len(), 3, "the publish's own attempt counts");
    assert_eq!(routes.bed.ledger.dead(), [("ns/a".into(), DeadReason::MaxAttempts)]);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_queues_nothing_and_says_so() {
    let routes = start().await;
    routes.bed.wire.script("ns/a", failing());
    routes.bed.ledger.fill(Some(Full::Disk));
    let result = routes.bed.engine.publish(retried(["ns/a"])).await.unwrap();
    assert!(!result.results[0].queued);
    assert!(result.results[0].error.as_ref().unwrap().contains("not queued"), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_nothing_overtakes_what_was_queued_before() {
    let routes = start().await;
    routes.bed.wire.script("ns/a", failing());
    let mut last = retried(["ns/a"]);
    last.options.retry = false;
    routes.bed.engine.publish(retried(["ns/a"])).await.unwrap();
    let routes = routes.restart([target("ns/a")], []).await;
    let result = routes.bed.engine.publish(last.clone()).await.unwrap();
    assert!(result.results[0].queued, "behind: {result:?}");
    let mut other = last.clone();
    other.alert = super::bed::alert("Other").into();
    routes.bed.wire.script("ns/a", Script::Accept);
    let result = routes.bed.engine.publish(other).await.unwrap();
    assert_eq!(result.success_count(), 1, "nothing of these labels waits");
    tokio::time::sleep(SECOND * 5).await;
    let result = routes.bed.engine.publish(last).await.unwrap();
    assert_eq!(result.success_count(), 1, "nothing waits any more");
}
