//! What waits on disk: every transition, in order, through the same gates.

use std::time::Duration;

use fanfare::{
    alert::{Alert, Status},
    api::Semantics,
    publish::ErrorType,
    registry::RejectedTarget,
    store::{DeadReason, Outcome},
};
use jiff::Timestamp;
use serde_json::json;

use super::{
    bed::{Script, alert},
    builder::{TargetBuilder, key, rejected, target},
    routes::{Routes, resolved, route},
};

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn every(name: &str) -> TargetBuilder {
    target(name).policy(|policy| policy.semantics = Semantics::Every)
}

pub(super) fn failing() -> Script {
    Script::Fail(ErrorType::ServerError, Some(500))
}

pub(super) async fn one(change: impl FnOnce(TargetBuilder) -> TargetBuilder) -> Routes {
    let send = json!({"whenUnhealthy": "Send"});
    Routes::start([change(every("ns/a"))], [route("r", &["a"], send)]).await
}

/// An alert that began two seconds ago, its end a second later, and its next incident, which begins now.
fn incidents(name: &str) -> [Alert; 3] {
    let now = Timestamp::now();
    let first = Alert { starts_at: now - SECOND * 2, ..alert(name) };
    let over = Alert { ends_at: now - SECOND, timeout: false, ..first.clone() };
    let second = Alert { starts_at: now, ..first.clone() };
    [first, over, second]
}

pub(super) fn statuses(routes: &Routes, name: &str) -> Vec<Status> {
    let seen = routes.bed.wire.take_seen();
    let of = seen.iter().filter(|it| it.notification.members[0].alert.label("alertname") == name);
    of.map(|it| it.notification.status).collect()
}

#[tokio::test(start_paused = true)]
async fn every_transition_is_told_in_order_also_after_an_outage() {
    let routes = one(|target| target).await;
    routes.bed.wire.script("ns/a", failing());
    for transition in incidents("DiskFull") {
        routes.post(vec![transition]).await.unwrap();
    }
    assert_eq!(routes.bed.ledger.waiting().len(), 3);
    let tried = statuses(&routes, "DiskFull");
    assert!(tried.iter().all(|status| *status == Status::Firing), "none overtakes: {tried:?}");
    routes.bed.wire.script("ns/a", Script::Accept);
    tokio::time::sleep(SECOND * 60).await;
    let order = [Status::Firing, Status::Resolved, Status::Firing];
    assert_eq!(statuses(&routes, "DiskFull"), order);
    assert!(routes.bed.ledger.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_waits_until_the_end_of_the_one_before_it_in_its_group_is_on_disk() {
    let routes = one(|target| target.max_in_flight(1)).await;
    routes.bed.wire.script("ns/a", Script::AcceptAfter(SECOND));
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    routes.post(vec![resolved(&alert)]).await.unwrap();
    routes.post(vec![super::bed::alert("Other")]).await.unwrap();
    routes.bed.ledger.hold();
    tokio::time::sleep(SECOND * 60).await;
    let told = |routes: &Routes| -> Vec<_> {
        let seen = routes.bed.wire.take_seen();
        let what = |name: &str, status: Status| format!("{name} {}", status.as_str());
        let of = seen.iter().map(|it| &it.notification);
        of.map(|it| what(it.members[0].alert.label("alertname"), it.status)).collect()
    };
    let held = told(&routes);
    assert_eq!(held, ["DiskFull firing", "Other firing"], "another group goes past");
    routes.bed.ledger.commit();
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(told(&routes), ["DiskFull resolved"]);
}

#[tokio::test(start_paused = true)]
async fn one_alert_that_fails_does_not_hold_up_the_others() {
    let routes = one(|target| target.max_in_flight(1)).await;
    routes.bed.wire.script("ns/a", failing());
    routes.post(vec![alert("Bad")]).await.unwrap();
    routes.bed.wire.script("ns/a", Script::Accept);
    routes.post(["One", "Two"].map(alert).to_vec()).await.unwrap();
    let told: Vec<String> = routes.told().into_iter().map(|(.., name)| name).collect();
    assert_eq!(told, ["Bad", "One", "Two"], "the failed attempt, then those behind it");
}

#[tokio::test(start_paused = true)]
async fn bodies_stay_on_disk() {
    let routes = one(|target| target.max_in_flight(1)).await;
    routes.bed.wire.script("ns/a", failing());
    for batch in 0..10 {
        let name = |number| alert(&format!("Alert{batch}-{number}"));
        routes.post((0..100).map(name).collect()).await.unwrap();
    }
    assert_eq!(routes.bed.ledger.waiting().len(), 1_000);
    tokio::time::sleep(SECOND * 20).await;
    let reads = routes.bed.ledger.reads();
    assert!(reads < 1_000, "{reads} records were read for a dead target");
    routes.bed.wire.script("ns/a", Script::Accept);
    tokio::time::sleep(SECOND * 300).await;
    assert!(routes.bed.ledger.waiting().is_empty());
    let delivered =
        routes.bed.ledger.attempts().iter().filter(|it| it.outcome == Outcome::Delivered).count();
    assert_eq!(delivered, 1_000, "each once");
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_it_stopped() {
    let routes = one(|target| target.max_in_flight(1)).await;
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    assert_eq!(statuses(&routes, "DiskFull"), [Status::Firing]);
    routes.bed.wire.script("ns/a", failing());
    routes.post(vec![resolved(&alert)]).await.unwrap();
    routes.bed.wire.script("ns/a", Script::Accept);
    let routes = routes.restart([every("ns/a")], [route("r", &["a"], json!({}))]).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(statuses(&routes, "DiskFull"), [Status::Resolved]);
}

#[tokio::test(start_paused = true)]
async fn too_old_and_too_often_go_to_the_dead_letters() {
    let limit = |target: TargetBuilder| {
        target.policy(|policy| {
            policy.retry.max_attempts = Some(2);
            policy.breaker.consecutive_failures = 100;
        })
    };
    let routes = one(limit).await;
    routes.bed.wire.script("ns/a", failing());
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    tokio::time::sleep(SECOND * 5).await;
    assert_eq!(routes.bed.ledger.dead(), [("ns/a".into(), DeadReason::MaxAttempts)]);
    assert!(routes.bed.ledger.waiting().is_empty());
    let (_, letter) = &routes.bed.ledger.letters()[0];
    assert_eq!((letter.attempts, letter.status_code), (2, Some(500)));
    let young = one(|it| it.policy(|policy| policy.retry.max_age = Duration::ZERO)).await;
    young.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!(young.bed.ledger.dead(), [("ns/a".into(), DeadReason::MaxAge)]);
    assert!(young.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_suspended_target_waits_and_a_deleted_one_is_given_up() {
    let mut routes = one(|target| target).await;
    routes.bed.wire.script("ns/a", failing());
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    routes.apply(|it| it.apply_target(Ok(every("ns/a").suspended().compiled()))).await;
    routes.bed.wire.script("ns/a", Script::Accept);
    routes.asked();
    tokio::time::sleep(SECOND * 600).await;
    assert!(routes.asked().is_empty());
    routes.apply(|it| it.apply_target(Ok(every("ns/a").compiled()))).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(routes.asked(), ["ns/a"]);
    routes.bed.wire.script("ns/a", failing());
    routes.post(vec![alert("Other")]).await.unwrap();
    routes.apply(|registry| registry.remove_target(&key("ns/a"))).await;
    tokio::time::sleep(SECOND).await;
    assert!(routes.bed.ledger.waiting().is_empty());
    let dead = routes.bed.ledger.dead();
    assert_eq!(dead.first(), Some(&("ns/a".into(), DeadReason::TargetDeleted)), "{dead:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_deleted_or_muted_route_queued_is_not_sent() {
    let muted = json!({"suspend": true});
    for (edit, dead) in [(None, Some(DeadReason::RouteDeleted)), (Some(muted), None)] {
        let mut routes = one(|target| target).await;
        routes.bed.wire.script("ns/a", failing());
        routes.post(vec![alert("DiskFull")]).await.unwrap();
        routes.bed.wire.script("ns/a", Script::Accept);
        routes.asked();
        routes
            .apply(|registry| match edit {
                None => registry.remove_route(&"ns/r".parse().unwrap()),
                Some(edit) => registry.apply_route(Ok(route("r", &["a"], edit))),
            })
            .await;
        tokio::time::sleep(SECOND * 5).await;
        assert!(routes.asked().is_empty());
        assert!(routes.bed.ledger.waiting().is_empty());
        let reasons: Vec<_> = routes.bed.ledger.dead().into_iter().map(|(_, it)| it).collect();
        assert_eq!(reasons.first().copied(), dead, "{reasons:?}");
        assert!(reasons.iter().all(|reason| Some(*reason) == dead), "{reasons:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_group_that_fails_does_not_fill_the_window() {
    let mut routes = one(|target| target.max_in_flight(1)).await;
    routes.apply(|it| it.apply_target(Ok(every("ns/a").suspended().compiled()))).await;
    let bad = alert("Bad");
    let began = Timestamp::now() - SECOND * 300;
    for at in 0..100 {
        let firing = Alert { starts_at: began + SECOND * 2 * at, ..bad.clone() };
        let over = Alert { ends_at: firing.starts_at + SECOND, timeout: false, ..firing.clone() };
        routes.post(vec![firing]).await.unwrap();
        routes.post(vec![over]).await.unwrap();
    }
    routes.post(["One", "Two"].map(alert).to_vec()).await.unwrap();
    assert_eq!(routes.bed.ledger.waiting().len(), 202);
    routes.bed.wire.script_alert("Bad", failing());
    routes.apply(|it| it.apply_target(Ok(every("ns/a").compiled()))).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(statuses(&routes, "Bad").first(), Some(&Status::Firing));
    assert_eq!(routes.bed.ledger.waiting().len(), 200, "One and Two went past the others");
    routes.bed.wire.script_alert("Bad", Script::Accept);
    tokio::time::sleep(SECOND * 600).await;
    let told = statuses(&routes, "Bad");
    let order = [Status::Firing, Status::Resolved].into_iter().cycle().take(200);
    assert_eq!(told, order.collect::<Vec<_>>(), "each once, in order");
    assert!(routes.bed.ledger.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_given_up_once_when_its_route_goes() {
    let mut routes = one(|target| target).await;
    routes.post(vec![alert("Told")]).await.unwrap();
    routes.bed.wire.script("ns/a", failing());
    routes.post(vec![alert("Waits")]).await.unwrap();
    routes.apply(|registry| registry.remove_route(&"ns/r".parse().unwrap())).await;
    tokio::time::sleep(SECOND * 5).await;
    let letters = routes.bed.ledger.letters();
    let mut names: Vec<_> = letters
        .iter()
        .map(|(_, letter)| (letter.notification.alert_name().to_owned(), letter.reason))
        .collect();
    names.sort();
    let gone = DeadReason::RouteDeleted;
    assert_eq!(names, [("Told".to_owned(), gone), ("Waits".to_owned(), gone)]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_given_up_once_when_its_target_goes() {
    let mut routes = one(|target| target).await;
    routes.bed.wire.script("ns/a", failing());
    routes.post(vec![alert("Waits")]).await.unwrap();
    routes.apply(|registry| registry.remove_target(&key("ns/a"))).await;
    tokio::time::sleep(SECOND * 5).await;
    assert_eq!(routes.bed.ledger.dead(), [("ns/a".into(), DeadReason::TargetDeleted)]);
}

#[tokio::test(start_paused = true)]
async fn every_transition_is_kept_for_a_target_that_was_never_usable() {
    let target = every("ns/a").compiled();
    let policies = Some((target.policy.clone(), target.health.clone()));
    let broken = RejectedTarget { policies, ..rejected("ns/a") };
    let mut routes = Routes::start([], [route("r", &["a"], json!({}))]).await;
    routes.apply(|registry| registry.apply_target(Err(broken.into()))).await;
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    routes.post(vec![resolved(&alert)]).await.unwrap();
    assert_eq!(routes.bed.ledger.waiting().len(), 2);
    routes.apply(|registry| registry.apply_target(Ok(target))).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(statuses(&routes, "DiskFull"), [Status::Firing, Status::Resolved]);
}

#[tokio::test(start_paused = true)]
async fn what_gave_way_on_disk_is_not_sent() {
    let routes = one(|target| target.max_in_flight(1)).await;
    routes.bed.wire.script("ns/a", Script::AcceptAfter(SECOND));
    routes.post(["One", "Two", "Three"].map(alert).to_vec()).await.unwrap();
    routes.bed.ledger.gives_way("Two");
    tokio::time::sleep(SECOND * 10).await;
    let told: Vec<String> = routes.told().into_iter().map(|(.., name)| name).collect();
    assert_eq!(told, ["One", "Three"]);
    assert!(routes.bed.ledger.waiting().is_empty());
}
