//! What follows from failures: another try, slower ones, dead letters, history.

use std::time::Duration;

use fanfare::{
    publish::ErrorType,
    store::{DeadReason, Outcome},
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    bed::{Script, alert},
    builder::{TargetBuilder, target},
    routes::{Routes, route},
};

const SECOND: Duration = Duration::from_secs(1);

fn failing() -> Script {
    Script::Fail(ErrorType::ServerError, Some(500))
}

/// One target that follows `script`, with a circuit that never opens.
async fn one(script: Script, change: impl FnOnce(TargetBuilder) -> TargetBuilder) -> Routes {
    let target = target("ns/a").policy(|policy| policy.breaker.consecutive_failures = 1_000);
    let target = target.policy(|policy| policy.breaker.minimum_calls = 1_000);
    let send = json!({"whenUnhealthy": "Send"});
    let routes = Routes::start([change(target)], [route("r", &["a"], send)]).await;
    routes.bed.wire.script("ns/a", script);
    routes
}

#[tokio::test(start_paused = true)]
async fn a_failed_one_is_tried_again_with_growing_delays() {
    let routes = one(failing(), |target| target).await;
    let start = Instant::now();
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    tokio::time::sleep(SECOND * 8).await;
    let seen = routes.bed.wire.take_seen();
    let tenths: Vec<_> = seen.iter().map(|seen| (seen.at - start).as_millis() / 100).collect();
    assert_eq!(tenths, [0, 5, 15, 35, 75]);
    assert!(seen.iter().all(|it| it.notification.id == seen[0].notification.id), "the same id");
    let attempts = routes.bed.ledger.attempts();
    assert_eq!(attempts.iter().map(|it| it.attempt).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(attempts.iter().all(|it| it.outcome == Outcome::Failed));
    assert_eq!(attempts[0].status_code, Some(500));
    routes.bed.wire.script("ns/a", Script::Accept);
    tokio::time::sleep(SECOND * 10).await;
    assert_eq!(routes.bed.ledger.attempts().last().unwrap().outcome, Outcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn one_refused_alert_is_a_dead_letter_and_hinders_no_other() {
    let routes = one(Script::Reject, |target| target).await;
    routes.post(vec![alert("Bad")]).await.unwrap();
    assert_eq!(routes.asked().len(), 1);
    routes.bed.wire.script("ns/a", Script::Accept);
    routes.post(vec![alert("Good")]).await.unwrap();
    assert_eq!(routes.asked().len(), 1);
    assert_eq!(routes.bed.ledger.dead(), [("ns/a".into(), DeadReason::Rejected)]);
    let (_, letter) = &routes.bed.ledger.letters()[0];
    assert_eq!((letter.status_code, &*letter.message), (Some(400), "scripted client_error"));
    assert_eq!(letter.attempts, 1, "the refused one");
    let counted = "fanfare_dead_letters_total{reason=\"rejected\"}";
    assert_eq!(routes.bed.metric(counted), Some(1.0));
    routes.bed.wire.script("ns/a", Script::Reject);
    tokio::time::sleep(Duration::from_mins(6)).await;
    assert_eq!(routes.asked().len(), 1, "offered again after five minutes");
    assert_eq!(routes.bed.ledger.attempts().last().unwrap().attempt, 2);
}

#[tokio::test(start_paused = true)]
async fn enough_attempts_make_one_dead_letter_and_the_firing_stays_owed() {
    let routes = one(failing(), |it| it.policy(|policy| policy.retry.max_attempts = Some(3))).await;
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(routes.bed.ledger.dead(), [("ns/a".into(), DeadReason::MaxAttempts)]);
    assert!(routes.asked().len() > 3, "tried once per unhealthyInterval");
    let expired = "fanfare_notifications_total{type=\"Webhook\",outcome=\"expired\"}";
    assert_eq!(routes.bed.metric(expired), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_retried_slowly_but_at_once_when_it_changed() {
    let mut routes = one(Script::FailSlowly, |target| target).await;
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!(routes.asked().len(), 1);
    assert_eq!(routes.bed.refreshed.lock().unwrap().len(), 1, "the Secret is read again");
    tokio::time::sleep(SECOND * 29).await;
    assert!(routes.asked().is_empty(), "slowly");
    routes
        .apply(|registry| registry.apply_target(Ok(target("ns/a").credential("new").compiled())))
        .await;
    assert_eq!(routes.asked().len(), 1, "at once with the new one");
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_made_is_given_up_and_the_lane_goes_on() {
    let routes = one(Script::Panic, |target| target.max_in_flight(1)).await;
    routes.post(vec![alert("Bad")]).await.unwrap();
    tokio::time::sleep(SECOND * 5).await;
    assert_eq!(routes.asked().len(), 3);
    assert_eq!(routes.bed.ledger.dead(), [("ns/a".into(), DeadReason::Unusable)]);
    routes.bed.wire.script("ns/a", Script::Accept);
    routes.post(vec![alert("Good")]).await.unwrap();
    assert_eq!(routes.asked(), ["ns/a"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_deleted_target_leaves_open_is_a_dead_letter_and_an_event() {
    let mut routes = one(Script::Accept, |target| target).await;
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    routes.apply(|registry| registry.remove_target(&super::builder::key("ns/a"))).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(routes.bed.ledger.dead(), [("ns/a".into(), DeadReason::TargetDeleted)]);
    let notices = routes.bed.monitor.notices().drain().await;
    assert_eq!(notices[0].reason, fanfare::api::Reason::LeftOpen);
    assert!(notices[0].message.contains("DiskFull"), "{notices:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_to_a_blocked_address_is_never_given_up() {
    let blocked = Script::Fail(ErrorType::Blocked, None);
    let limits = |target: TargetBuilder| {
        target.policy(|policy| {
            policy.retry.max_attempts = Some(3);
            policy.retry.max_age = SECOND * 300;
        })
    };
    let routes = one(blocked, limits).await;
    let mut stays = alert("DiskFull");
    stays.ends_at += Duration::from_hours(24);
    routes.post(vec![stays]).await.unwrap();
    tokio::time::sleep(Duration::from_hours(2)).await;
    assert!(routes.asked().len() > 3);
    assert!(routes.bed.ledger.dead().is_empty());
    routes.bed.wire.script("ns/a", Script::Accept);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(routes.asked().len(), 1);
}
