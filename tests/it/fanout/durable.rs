//! What is promised to senders: a 2xx means on disk, and what is on disk is delivered.

use std::{sync::Arc, time::Duration};

use fanfare::{
    alert::{
        Alert, Labels, Status,
        Status::{Firing, Resolved},
    },
    api::Semantics,
    fanout::RouterError,
    publish::{Accepted, Intake, Refused, Source},
    store::{Full, Loaded},
};
use serde_json::json;
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    bed::{Script, Wire, alert},
    builder::{TargetBuilder, target},
    ledger::Ledger,
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
    let over = (routes.bed.ledger.clone(), Loaded::default());
    let early = Routes::unlisted(over, routes.bed.wire.clone(), targets).await;
    let accepted = early.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!((accepted.alerts, accepted.unrouted), (1, 0));
    assert_eq!(early.bed.ledger.alerts(), 1, "on disk");
    assert!(early.asked().is_empty());
    routes = early.listed([route("r", &["a"], json!({}))]).await;
    assert_eq!(routes.asked(), ["ns/a"]);
}

/// Every transition is wanted, and known only with the first lists.
fn every() -> TargetBuilder {
    target("ns/a").policy(|policy| policy.semantics = Semantics::Every)
}

/// A router before the first lists.
async fn early() -> Routes {
    Routes::unlisted((Ledger::new(), Loaded::default()), Wire::default(), [every()]).await
}

fn accepting(routes: &Routes, alert: Alert) -> JoinHandle<Result<Accepted, Refused>> {
    let intake = routes.router.clone();
    tokio::spawn(async move { intake.accept(vec![alert], Source::V2).await })
}

/// Status of each notification since the last call, in order.
fn statuses(routes: &Routes) -> Vec<Status> {
    routes.bed.wire.take_seen().iter().map(|seen| seen.notification.status).collect()
}

#[tokio::test(start_paused = true)]
async fn senders_wait_for_the_first_lists_and_every_transition_is_kept() {
    let early = early().await;
    let alert = alert("DiskFull");
    let senders = [accepting(&early, alert.clone()), accepting(&early, resolved(&alert))];
    tokio::time::sleep(SECOND * 9 / 2).await;
    assert!(senders.iter().all(|sender| !sender.is_finished()), "answered without a plan");
    assert_eq!(early.bed.ledger.alerts(), 0, "stored without a plan");
    let routes = early.listed([route("r", &["a"], json!({}))]).await;
    for sender in senders {
        assert_eq!(sender.await.unwrap().unwrap().alerts, 1);
    }
    routes.quiet().await;
    assert_eq!(statuses(&routes), [Firing, Resolved]);
}

#[tokio::test(start_paused = true)]
async fn senders_wait_five_seconds_at_most_and_then_the_latest_state_is_kept() {
    let early = early().await;
    let (gone, stays) = (alert("Gone"), alert("Stays"));
    for sent in [gone.clone(), stays, resolved(&gone)] {
        let asked = Instant::now();
        early.router.accept(vec![sent], Source::V2).await.unwrap();
        assert_eq!(asked.elapsed(), SECOND * 5);
    }
    let routes = early.listed([route("r", &["a"], json!({}))]).await;
    assert_eq!(routes.told(), [("ns/a".into(), Firing, "Stays".into())]);
}

#[tokio::test(start_paused = true)]
async fn the_next_notification_waits_until_the_delivery_of_the_last_one_is_on_disk() {
    let routes = one().await;
    routes.bed.wire.script("ns/a", Script::AcceptAfter(SECOND));
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    routes.post(vec![resolved(&alert)]).await.unwrap();
    routes.bed.ledger.hold();
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(statuses(&routes), [Firing], "told, but the disk does not know");
    routes.bed.ledger.commit();
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(statuses(&routes), [Resolved]);
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

/// Adding up texts that are on disk already is work for nothing, and would refuse re-sends as if they were
/// new.
#[tokio::test(start_paused = true)]
async fn room_is_asked_for_without_adding_up_texts() {
    let routes = one().await;
    let mut large = alert("Large");
    large.annotations = Labels::from_iter([("description", "x".repeat(16_000))]);
    for _ in 0..3 {
        routes.post(vec![large.clone()]).await.unwrap();
    }
    assert!(routes.bed.ledger.most_asked() < 1_000, "{}", routes.bed.ledger.most_asked());
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
