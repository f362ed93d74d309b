//! What is promised to senders: a 2xx means on disk, and what is on disk is delivered.

use std::{sync::Arc, time::Duration};

use fanfare::{
    alert::Status::{Firing, Resolved},
    fanout::RouterError,
    publish::{Intake, Refused, Source},
    store::Full,
};
use serde_json::json;
use tokio::time::timeout;

use super::{
    bed::{Script, alert},
    builder::target,
    routes::{Routes, resolved, route},
};

const SECOND: Duration = Duration::from_secs(1);

async fn one() -> Routes {
    Routes::start([target("ns/a")], [route("r", &["a"], json!({}))]).await
}

#[tokio::test(start_paused = true)]
async fn nothing_is_answered_or_sent_before_it_is_on_disk() {
    let routes = one().await;
    routes.bed.ledger.hold();
    let accepting = routes.router.accept(vec![alert("DiskFull")], Source::V2);
    tokio::pin!(accepting);
    assert!(timeout(SECOND * 60, &mut accepting).await.is_err(), "answered too early");
    assert!(routes.asked().is_empty(), "sent too early");
    routes.bed.ledger.commit();
    accepting.await.unwrap();
    routes.quiet().await;
    assert_eq!(routes.asked(), ["ns/a"]);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_leaves_loses_nothing() {
    let routes = one().await;
    routes.bed.ledger.hold();
    let left = routes.router.accept(vec![alert("DiskFull")], Source::V2);
    assert!(timeout(SECOND, left).await.is_err());
    routes.bed.ledger.commit();
    routes.quiet().await;
    assert_eq!(routes.asked(), ["ns/a"]);
}

#[tokio::test(start_paused = true)]
async fn a_re_send_waits_for_the_first_one_to_be_on_disk() {
    let routes = one().await;
    let alert = alert("DiskFull");
    routes.bed.ledger.hold();
    for _ in 0..2 {
        let sending = routes.router.accept(vec![alert.clone()], Source::V2);
        assert!(timeout(SECOND, sending).await.is_err());
    }
    routes.bed.ledger.commit();
    routes.post(vec![alert]).await.unwrap();
    assert_eq!(routes.asked(), ["ns/a"]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_the_first_lists_is_kept_and_routed_afterwards() {
    let mut routes = one().await;
    let targets = [target("ns/a")];
    let over = (routes.bed.ledger.clone(), fanfare::store::Loaded::default());
    let early = Routes::unlisted(over, routes.bed.wire.clone(), targets).await;
    let accepted = early.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!((accepted.alerts, accepted.unrouted), (1, 0));
    assert_eq!(early.bed.ledger.alerts(), 1, "on disk");
    assert!(early.asked().is_empty());
    routes = early.listed([route("r", &["a"], json!({}))]).await;
    assert_eq!(routes.asked(), ["ns/a"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_new_alerts_only() {
    let routes = one().await;
    let known = alert("Known");
    routes.post(vec![known.clone()]).await.unwrap();
    for (full, refused) in [
        (Full::Disk, Refused::DiskFull),
        (Full::Records, Refused::StoreFull),
        (Full::Behind, Refused::Behind),
    ] {
        routes.bed.ledger.fill(Some(full));
        assert_eq!(routes.post(vec![alert("New"), known.clone()]).await.unwrap_err(), refused);
        assert_eq!(routes.bed.ledger.alerts(), 1);
        routes.post(vec![known.clone()]).await.unwrap();
    }
    routes.told();
    routes.post(vec![resolved(&known)]).await.unwrap();
    assert_eq!(routes.told(), [("ns/a".into(), Resolved, "Known".into())]);
    routes.bed.ledger.fill(None);
    routes.post(vec![alert("New")]).await.unwrap();
    assert_eq!(routes.told(), [("ns/a".into(), Firing, "New".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_ends_the_router() {
    let routes = one().await;
    routes.bed.ledger.fail();
    assert_eq!(routes.post(vec![alert("DiskFull")]).await.unwrap_err(), Refused::StoreFailed);
    assert!(routes.asked().is_empty());
    assert!(matches!(routes.ended().await, RouterError::Store(_)));
}

#[tokio::test(start_paused = true)]
async fn a_restart_tells_what_was_not_told_with_the_same_id_and_nothing_else() {
    let route = || route("r", &["a", "b"], json!({}));
    let targets = || ["ns/a", "ns/b"].map(target);
    let routes = Routes::start(targets(), [route()]).await;
    routes.bed.wire.script("ns/b", Script::FailMaybeTold);
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    tokio::time::sleep(SECOND / 10).await;
    let seen = routes.bed.wire.seen();
    let id = |name: &str| {
        let of = seen.iter().find(|seen| seen.to.to_string() == name);
        Arc::clone(&of.unwrap().notification.id)
    };
    let first = id("ns/b");
    routes.bed.wire.script("ns/b", Script::Accept);
    let routes = routes.restart(targets(), [route()]).await;
    routes.quiet().await;
    let again = routes.bed.wire.take_seen();
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(again[0].to.to_string(), "ns/b");
    assert_eq!(again[0].notification.id, first);
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_writes_what_came_of_everything() {
    let routes = one().await;
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    let (ledger, wire) = (routes.bed.ledger.clone(), routes.bed.wire.clone());
    routes.stop().await;
    wire.take_seen();
    let (ledger, loaded) = ledger.reopen();
    let parts = ([target("ns/a")], [route("r", &["a"], json!({}))]);
    let routes = Routes::over((ledger, loaded), wire, parts.0, parts.1, |_| ()).await;
    assert!(routes.asked().is_empty(), "it was told before");
}

#[tokio::test(start_paused = true)]
async fn what_was_left_out_is_put_right_on_disk_before_it_is_sent() {
    let skip = || route("r", &["a", "b"], json!({"whenUnhealthy": "Skip"}));
    let routes = Routes::start([target("ns/a"), target("ns/b").unhealthy()], [skip()]).await;
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!(routes.asked(), ["ns/a"]);
    let (ledger, wire) = (routes.bed.ledger.clone(), routes.bed.wire.clone());
    routes.stop().await;
    let (ledger, mut loaded) = ledger.reopen();
    let told = loaded.alerts.iter_mut().filter_map(|restored| restored.told.as_mut());
    let entries = told.flat_map(|told| &mut told.routes).flat_map(|route| &mut route.entries);
    let mut skipped = 0;
    for entry in entries.filter(|entry| entry.skipped.is_some()) {
        // Long ago: it repeats now.
        entry.at -= Duration::from_hours(5);
        skipped += 1;
    }
    assert_eq!(skipped, 1);
    ledger.hold();
    let targets = ["ns/a", "ns/b"].map(target);
    let routes = Routes::over((ledger, loaded), wire, targets, [skip()], |_| ()).await;
    tokio::time::sleep(SECOND * 5).await;
    assert!(routes.asked().is_empty(), "the disk says that it surely heard nothing");
    routes.bed.ledger.commit();
    routes.quiet().await;
    assert_eq!(routes.asked(), ["ns/b"]);
}
