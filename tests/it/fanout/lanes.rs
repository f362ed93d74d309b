//! Lanes: nobody waits for another, nothing piles up, and how it all ends.

use std::time::Duration;

use fanfare::{
    alert::Status::Firing,
    publish::{ErrorType, Publisher, Refused},
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    bed::{Script, alert, named, request},
    builder::{key, target},
    routes::{Routes, resolved, route},
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_stuck_target_delays_no_other() {
    let routes = Routes::start(
        [target("ns/stuck").max_in_flight(1), target("ns/b")],
        [route("r", &["stuck", "b"], json!({}))],
    )
    .await;
    routes.bed.wire.script("ns/stuck", Script::Hang);
    let started = Instant::now();
    let names: Vec<String> = (0..40).map(|number| format!("Alert{number}")).collect();
    routes.post(names.iter().map(|name| alert(name)).collect()).await.unwrap();
    let seen = routes.bed.wire.take_seen();
    let of_b: Vec<_> = seen.iter().filter(|seen| seen.to == key("ns/b")).collect();
    assert_eq!(of_b.len(), 40);
    assert!(of_b.iter().all(|seen| seen.at == started), "b waited for the stuck target");
    assert_eq!(seen.len() - of_b.len(), 1, "one attempt at a time at the stuck one");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_stuck_target_does_not_pile_up() {
    let routes =
        Routes::start([target("ns/a").max_in_flight(1)], [route("r", &["a"], json!({}))]).await;
    let target = routes.target("ns/a");
    let held = target.live.limit().clone().try_acquire_owned().unwrap();
    let alerts = || vec![alert("One"), alert("Two"), alert("Three")];
    for _ in 0..50 {
        routes.post(alerts()).await.unwrap();
    }
    assert!(routes.asked().is_empty());
    drop(held);
    routes.quiet().await;
    assert_eq!(routes.asked().len(), 3, "each alert once");
}

#[tokio::test(start_paused = true)]
async fn a_re_sent_alert_waits_once() {
    let routes =
        Routes::start([target("ns/a").max_in_flight(1)], [route("r", &["a"], json!({}))]).await;
    let _held = routes.target("ns/a").live.limit().clone().try_acquire_owned().unwrap();
    for _ in 0..50 {
        routes.post(vec![alert("One"), alert("Two"), alert("Three")]).await.unwrap();
    }
    assert_eq!(routes.stop().await.waiting, 3);
}

#[tokio::test(start_paused = true)]
async fn a_problem_that_came_and_went_while_the_target_was_stuck_is_not_told() {
    let routes =
        Routes::start([target("ns/a").max_in_flight(1)], [route("r", &["a"], json!({}))]).await;
    let held = routes.target("ns/a").live.limit().clone().try_acquire_owned().unwrap();
    let (gone, stays) = (alert("Gone"), alert("Stays"));
    routes.post(vec![gone.clone(), stays]).await.unwrap();
    routes.post(vec![resolved(&gone)]).await.unwrap();
    drop(held);
    routes.quiet().await;
    assert_eq!(routes.told(), [("ns/a".into(), Firing, "Stays".into())]);
}

#[tokio::test(start_paused = true)]
async fn routed_alerts_and_publishes_share_the_limit_of_a_target() {
    let routes =
        Routes::start([target("ns/a").max_in_flight(2)], [route("r", &["a"], json!({}))]).await;
    routes.bed.wire.script("ns/a", Script::AcceptAfter(SECOND));
    let alerts = (0..4).map(|number| alert(&format!("Alert{number}"))).collect();
    let started = Instant::now();
    let publishes = (0..4).map(|_| routes.bed.engine.publish(request(named(["ns/a"]))));
    let (accepted, results) =
        tokio::join!(routes.post(alerts), futures::future::join_all(publishes));
    accepted.unwrap();
    assert!(results.iter().all(|result| result.as_ref().unwrap().success_count() == 1));
    let done = async {
        while routes.bed.wire.running() > 0 || routes.bed.wire.seen().len() < 8 {
            tokio::time::sleep(SECOND / 10).await;
        }
    };
    tokio::time::timeout(SECOND * 60, done).await.expect("eight requests end in time");
    assert_eq!(routes.bed.wire.peak(), 2);
    assert_eq!(started.elapsed().as_secs(), 4, "eight requests of a second, two at a time");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_asked_for_a_pause_is_left_alone_until_it_ends() {
    let routes = Routes::start([target("ns/a")], [route("r", &["a"], json!({}))]).await;
    let started = Instant::now();
    routes.bed.wire.script("ns/a", Script::RateLimit(SECOND * 30));
    routes.post(vec![alert("One")]).await.unwrap();
    routes.bed.wire.script("ns/a", Script::Accept);
    assert_eq!(routes.bed.wire.take_seen().len(), 1);
    routes.post(vec![alert("One"), alert("Two")]).await.unwrap();
    tokio::time::sleep(SECOND * 29).await;
    assert!(routes.bed.wire.seen().is_empty());
    tokio::time::sleep(SECOND * 2).await;
    let seen = routes.bed.wire.take_seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|seen| seen.at - started >= SECOND * 30));
}

#[tokio::test(start_paused = true)]
async fn a_second_429_without_a_time_pauses_for_a_minute() {
    let routes = Routes::start([target("ns/a")], [route("r", &["a"], json!({}))]).await;
    routes.bed.wire.script("ns/a", Script::Fail(ErrorType::RateLimited, Some(429)));
    for name in ["One", "Two"] {
        routes.post(vec![alert(name)]).await.unwrap();
        assert_eq!(routes.bed.wire.take_seen().len(), 1, "{name}");
    }
    routes.bed.wire.script("ns/a", Script::Accept);
    routes.post(vec![alert("Three")]).await.unwrap();
    tokio::time::sleep(SECOND * 59).await;
    assert!(routes.bed.wire.seen().is_empty());
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(routes.bed.wire.take_seen().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_large_batch_is_taken_whole_and_in_order() {
    let routes =
        Routes::start([target("ns/a").max_in_flight(1)], [route("r", &["a"], json!({}))]).await;
    let names: Vec<String> = (0..900).map(|number| format!("Alert{number:03}")).collect();
    let accepted = routes.post(names.iter().map(|name| alert(name)).collect()).await.unwrap();
    assert_eq!(accepted.alerts, 900);
    let order: Vec<String> = routes
        .bed
        .wire
        .take_seen()
        .iter()
        .map(|seen| seen.notification.members[0].alert.label("alertname").to_owned())
        .collect();
    assert_eq!(order, names);
}

#[tokio::test(start_paused = true)]
async fn shutdown_takes_nothing_in_and_sends_what_waits() {
    let routes =
        Routes::start([target("ns/a").max_in_flight(1)], [route("r", &["a"], json!({}))]).await;
    routes.bed.wire.script("ns/a", Script::AcceptAfter(SECOND));
    routes.post((0..5).map(|number| alert(&format!("Alert{number}"))).collect()).await.unwrap();
    routes.begin_stop();
    routes.quiet().await;
    assert_eq!(routes.post(vec![alert("Late")]).await.unwrap_err(), Refused::ShuttingDown);
    let wire = routes.bed.wire.clone();
    let unfinished = routes.stop().await;
    assert_eq!((unfinished.waiting, unfinished.cut_off), (0, 0));
    assert_eq!(wire.take_seen().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_with_the_grace_period_and_says_what_is_left() {
    let routes =
        Routes::start([target("ns/a").max_in_flight(1)], [route("r", &["a"], json!({}))]).await;
    routes.bed.wire.script("ns/a", Script::AcceptAfter(SECOND * 10));
    routes.post((0..5).map(|number| alert(&format!("Alert{number}"))).collect()).await.unwrap();
    let wire = routes.bed.wire.clone();
    let started = Instant::now();
    let unfinished = routes.stop().await;
    assert_eq!(started.elapsed(), SECOND * 25);
    assert_eq!((unfinished.waiting, unfinished.cut_off), (2, 1), "of five, two were sent");
    assert_eq!(wire.running(), 0);
}
