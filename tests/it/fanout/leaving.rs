//! A route or a target goes while something for it is on its way, or before anybody has read what waits.

use std::time::Duration;

use fanfare::{publish::Publisher as _, store::DeadReason};
use serde_json::json;

use super::{
    bed::{Script, alert},
    builder::key,
    queue::{every, failing, one},
    routes::{Routes, resolved, route},
};

const SECOND: Duration = Duration::from_secs(1);

/// What the far end does in a second with what is on its way to it.
fn slow(takes: bool) -> Script {
    if takes { Script::AcceptAfter(SECOND) } else { Script::FailMaybeTold }
}

/// Status and reason of each dead letter.
fn letters(routes: &Routes) -> Vec<(&'static str, DeadReason)> {
    let letters = routes.bed.ledger.letters();
    letters.iter().map(|(_, it)| (it.notification.status.as_str(), it.reason)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_given_up_once_when_its_route_is_gone_at_a_start() {
    let routes = one(|target| target).await;
    routes.post(vec![alert("Told")]).await.unwrap();
    routes.bed.wire.script("ns/a", failing());
    routes.post(vec![alert("Waits")]).await.unwrap();
    let routes = routes.restart([every("ns/a")], []).await;
    tokio::time::sleep(SECOND * 5).await;
    let gone = ("firing", DeadReason::RouteDeleted);
    assert_eq!(letters(&routes), [gone, gone], "one for each");
    assert!(routes.bed.ledger.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_firing_on_its_way_when_its_route_goes_is_left_open_once() {
    for takes in [true, false] {
        let mut routes = one(|target| target).await;
        routes.bed.wire.script("ns/a", slow(takes));
        routes.post(vec![alert("DiskFull")]).await.unwrap();
        routes.apply(|registry| registry.remove_route(&"ns/r".parse().unwrap())).await;
        tokio::time::sleep(SECOND * 60).await;
        assert_eq!(letters(&routes), [("firing", DeadReason::RouteDeleted)], "{takes}");
        assert!(routes.bed.ledger.waiting().is_empty());
        assert_eq!(routes.asked().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_behind_a_firing_on_its_way_when_its_route_goes_says_what_is_left_open() {
    let mut routes = one(|target| target).await;
    routes.bed.wire.script("ns/a", slow(true));
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    routes.post(vec![resolved(&alert)]).await.unwrap();
    routes.apply(|registry| registry.remove_route(&"ns/r".parse().unwrap())).await;
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(letters(&routes), [("resolved", DeadReason::RouteDeleted)]);
}

#[tokio::test(start_paused = true)]
async fn a_firing_on_its_way_when_its_target_goes_is_left_open_once() {
    for takes in [true, false] {
        let mut routes = one(|target| target).await;
        routes.bed.wire.script("ns/a", slow(takes));
        routes.post(vec![alert("DiskFull")]).await.unwrap();
        routes.apply(|registry| registry.remove_target(&key("ns/a"))).await;
        tokio::time::sleep(SECOND * 60).await;
        assert_eq!(letters(&routes), [("firing", DeadReason::TargetDeleted)], "{takes}");
        assert!(routes.bed.ledger.waiting().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_arrives_although_its_target_went_leaves_nothing_open() {
    let mut routes = one(|target| target).await;
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    routes.bed.wire.script("ns/a", slow(true));
    routes.post(vec![resolved(&alert)]).await.unwrap();
    routes.apply(|registry| registry.remove_target(&key("ns/a"))).await;
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(routes.asked().len(), 2);
    assert_eq!(letters(&routes), []);
    assert!(routes.bed.ledger.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_publish_on_its_way_to_a_target_that_goes_leaves_nothing_open() {
    let mut routes = one(|target| target).await;
    routes.apply(|registry| registry.apply_route(Ok(route("r", &["a"], json!({}))))).await;
    routes.bed.wire.script("ns/a", failing());
    let mut request = super::bed::request(super::bed::named(["ns/a"]));
    request.options.retry = true;
    routes.bed.engine.publish(request).await.unwrap();
    routes.bed.wire.script("ns/a", slow(true));
    routes.asked();
    while routes.bed.wire.seen().is_empty() {
        tokio::time::sleep(SECOND / 10).await;
    }
    routes.apply(|registry| registry.remove_target(&key("ns/a"))).await;
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(letters(&routes), [], "it was told");
}
