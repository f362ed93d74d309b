//! A target that needed every transition needs the latest state from now on: what it was queued goes first.

use std::time::Duration;

use fanfare::{alert::Status, api::Semantics, registry::Target};
use serde_json::json;

use super::{
    bed::{Script, alert},
    builder::target,
    queue::{failing, one, statuses},
    routes::{Routes, resolved, route},
};

const SECOND: Duration = Duration::from_secs(1);
const IN_ORDER: [Status; 2] = [Status::Firing, Status::Resolved];

/// A firing waits in the queue of a target that fails.
async fn queued() -> Routes {
    let routes = one(|target| target).await;
    routes.bed.wire.script("ns/a", failing());
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!(routes.bed.ledger.waiting().len(), 1);
    routes
}

async fn needs_the_latest(routes: &mut Routes) {
    // Another spec as far as the registry can see.
    let edited = Target { generation: 2, ..target("ns/a").compiled() };
    routes.apply(|it| it.apply_target(Ok(edited))).await;
    assert_eq!(routes.target("ns/a").policy.semantics, Semantics::Latest);
}

/// Its end is owed; then the target is well again, and hears of both in order.
async fn assert_in_order(routes: Routes) {
    routes.bed.wire.script("ns/a", failing());
    let end = resolved(&alert("DiskFull"));
    routes.post(vec![end]).await.unwrap();
    tokio::time::sleep(SECOND * 5).await;
    let tried = statuses(&routes, "DiskFull");
    assert!(tried.iter().all(|status| *status == Status::Firing), "overtaken: {tried:?}");
    routes.bed.wire.script("ns/a", Script::Accept);
    tokio::time::sleep(SECOND * 600).await;
    assert_eq!(statuses(&routes, "DiskFull"), IN_ORDER);
    assert!(routes.bed.ledger.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_goes_behind_what_is_queued_of_its_group() {
    let mut routes = queued().await;
    needs_the_latest(&mut routes).await;
    assert_in_order(routes).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_goes_behind_what_is_queued_of_its_group_after_a_restart_too() {
    let routes = queued().await;
    let send = json!({"whenUnhealthy": "Send"});
    let routes = routes.restart([target("ns/a")], [route("r", &["a"], send)]).await;
    assert_in_order(routes).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_at_a_start_goes_behind_what_nobody_has_read_yet() {
    let mut routes = queued().await;
    needs_the_latest(&mut routes).await;
    routes.post(vec![resolved(&alert("DiskFull"))]).await.unwrap();
    routes.bed.wire.script("ns/a", Script::Accept);
    let send = json!({"whenUnhealthy": "Send"});
    let routes = routes.restart([target("ns/a")], [route("r", &["a"], send)]).await;
    tokio::time::sleep(SECOND * 600).await;
    assert_eq!(statuses(&routes, "DiskFull"), IN_ORDER);
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_waits_until_the_end_of_what_was_queued_of_its_group_is_on_disk() {
    let mut routes = queued().await;
    needs_the_latest(&mut routes).await;
    routes.post(vec![resolved(&alert("DiskFull"))]).await.unwrap();
    routes.bed.wire.take_seen();
    routes.bed.ledger.hold();
    routes.bed.wire.script("ns/a", Script::Accept);
    tokio::time::sleep(SECOND * 600).await;
    assert_eq!(statuses(&routes, "DiskFull"), [Status::Firing], "not known to the disk");
    routes.bed.ledger.commit();
    tokio::time::sleep(SECOND * 5).await;
    assert_eq!(statuses(&routes, "DiskFull"), [Status::Resolved]);
}

#[tokio::test(start_paused = true)]
async fn other_groups_go_past() {
    let mut routes = queued().await;
    needs_the_latest(&mut routes).await;
    routes.bed.wire.script_alert("DiskFull", failing());
    routes.bed.wire.script("ns/a", Script::Accept);
    routes.asked();
    routes.post(vec![alert("Other")]).await.unwrap();
    assert_eq!(statuses(&routes, "Other"), [Status::Firing]);
}
