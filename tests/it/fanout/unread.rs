//! A publish to targets whose Secrets have not been read yet, as after a restart.

use std::time::Duration;

use fanfare::{
    api::{HealthState, Reason},
    publish::{ErrorType, PublishRequest, PublishResult, Publisher, TargetResult},
    registry::RejectedTarget,
    store::DeadReason,
};

use super::{
    bed::{Script, key, named, request},
    builder::{rejected, target},
    routes::Routes,
};

const SECOND: Duration = Duration::from_secs(1);

/// The target `ns/a`, well before the restart, while its Secret is unread.
async fn unread() -> Routes {
    let mut routes = Routes::start([], []).await;
    hide(&mut routes).await;
    routes
}

async fn hide(routes: &mut Routes) {
    let target = target("ns/a").compiled();
    let pending = RejectedTarget {
        kind: Some(target.kind),
        reason: Reason::Pending,
        policies: Some((target.policy.clone(), target.health.clone())),
        health: HealthState::Healthy,
        ..rejected("ns/a")
    };
    routes.apply(|registry| registry.apply_target(Err(pending.into()))).await;
}

async fn read(routes: &mut Routes) {
    routes.apply(|registry| registry.apply_target(Ok(target("ns/a").compiled()))).await;
    tokio::time::sleep(SECOND).await;
}

async fn publish(routes: &Routes, retry: bool) -> PublishResult {
    let mut wanted: PublishRequest = request(named(["ns/a"]));
    wanted.options.retry = retry;
    routes.bed.engine.publish(wanted).await.unwrap()
}

fn only(result: &PublishResult) -> &TargetResult {
    let [only] = &result.results[..] else { panic!("{result:?}") };
    only
}

#[tokio::test(start_paused = true)]
async fn queued_for_retry_it_is_delivered_once_the_secret_is_read() {
    let mut routes = unread().await;
    let result = publish(&routes, true).await;
    let TargetResult { queued, skipped, error_type, attempts, .. } = only(&result);
    assert_eq!((*queued, *skipped, *attempts), (true, None, 0));
    assert_eq!(*error_type, Some(ErrorType::NotAttempted));
    let told = only(&result).error.as_ref().unwrap();
    assert!(told.contains("Secret missing; it is queued"), "{told}");
    assert_eq!(*routes.bed.refreshed.lock().unwrap(), [key("ns/a")], "its Secret is read first");
    tokio::time::sleep(SECOND * 60).await;
    assert!(routes.asked().is_empty());
    read(&mut routes).await;
    assert_eq!(routes.asked(), ["ns/a"]);
    assert!(routes.bed.ledger.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_outlives_another_restart() {
    let routes = unread().await;
    assert!(only(&publish(&routes, true).await).queued);
    let routes = routes.restart([target("ns/a")], []).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(routes.asked(), ["ns/a"]);
}

#[tokio::test(start_paused = true)]
async fn without_retry_the_answer_says_what_is_missing_and_nothing_is_kept() {
    let mut routes = unread().await;
    let result = publish(&routes, false).await;
    let TargetResult { queued, skipped, error_type, error, .. } = only(&result);
    assert_eq!((*queued, *skipped), (false, None));
    assert_eq!(*error_type, Some(ErrorType::NotAttempted));
    let told = error.as_ref().unwrap();
    assert!(told.contains("Secret missing") && told.contains("options.retry"), "{told}");
    assert_eq!((result.failure_count(), result.skipped_count()), (1, 0));
    assert!(routes.bed.ledger.waiting().is_empty());
    read(&mut routes).await;
    assert!(routes.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_what_waits_for_the_secret() {
    let mut routes = unread().await;
    publish(&routes, true).await;
    assert!(only(&publish(&routes, false).await).queued, "it would overtake");
    read(&mut routes).await;
    assert_eq!(routes.asked(), ["ns/a", "ns/a"]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_goes_before_its_secret_is_read_takes_nothing_along_unsaid() {
    let mut routes = unread().await;
    assert!(only(&publish(&routes, true).await).queued);
    routes.apply(|registry| registry.remove_target(&key("ns/a"))).await;
    tokio::time::sleep(SECOND).await;
    assert!(routes.bed.ledger.waiting().is_empty());
    assert_eq!(routes.bed.ledger.dead(), [("ns/a".into(), DeadReason::TargetDeleted)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_queued_for_a_target_that_went_while_others_were_told() {
    let mut routes = Routes::start([target("ns/b")], []).await;
    hide(&mut routes).await;
    routes.bed.wire.script("ns/b", Script::AcceptAfter(SECOND * 2));
    let mut wanted = request(named(["ns/a", "ns/b"]));
    wanted.options.retry = true;
    let engine = routes.bed.engine.clone();
    let (result, ()) = tokio::join!(engine.publish(wanted), async {
        tokio::time::sleep(SECOND).await;
        routes.apply(|registry| registry.remove_target(&key("ns/a"))).await;
    });
    let result = result.unwrap();
    let gone = result.results.iter().find(|one| one.key == key("ns/a")).unwrap();
    let told = gone.error.as_ref().unwrap();
    assert!(!gone.queued && told.contains("deleted or made anew meanwhile"), "{told}");
    assert!(routes.bed.ledger.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_missing_does_not_take_what_waits_for_it() {
    let mut routes = unread().await;
    assert!(only(&publish(&routes, true).await).queued);
    let missing = rejected("ns/a");
    routes.apply(|registry| registry.apply_target(Err(missing.into()))).await;
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(routes.bed.ledger.waiting().len(), 1);
    read(&mut routes).await;
    assert_eq!(routes.asked(), ["ns/a"]);
}
