//! Open circuits and rate limits: nothing is sent, nothing is lost.

use std::time::Duration;

use fanfare::{
    api::{CircuitState, RateLimit},
    publish::{ErrorType, Publisher, SkipReason, Strategy},
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    bed::{Script, alert, named, request},
    builder::target,
    routes::{Routes, route},
};

const SECOND: Duration = Duration::from_secs(1);

fn failing() -> Script {
    Script::Fail(ErrorType::ServerError, Some(500))
}

/// A target whose circuit is open, with nothing owed.
async fn open() -> Routes {
    let send = json!({"whenUnhealthy": "Send"});
    let routes = Routes::start([target("ns/a"), target("ns/b")], [route("r", &["b"], send)]).await;
    routes.bed.wire.script("ns/a", failing());
    for _ in 0..5 {
        routes.bed.engine.publish(request(named(["ns/a"]))).await.unwrap();
    }
    assert_eq!(routes.target("ns/a").live.circuit(), CircuitState::Open);
    routes.bed.wire.take_seen();
    routes
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_left_alone_but_for_its_trials() {
    let send = json!({"whenUnhealthy": "Send"});
    let routes = Routes::start([target("ns/a").max_in_flight(1)], [route("r", &["a"], send)]).await;
    routes.bed.wire.script("ns/a", failing());
    let names: Vec<String> = (0..50).map(|number| format!("Alert{number}")).collect();
    routes.post(names.iter().map(|name| alert(name)).collect()).await.unwrap();
    assert_eq!(routes.bed.wire.take_seen().len(), 5, "five failures in a row open it");
    tokio::time::sleep(SECOND * 20).await;
    assert!(routes.bed.wire.take_seen().is_empty());
    tokio::time::sleep(SECOND * 20).await;
    assert_eq!(routes.bed.wire.take_seen().len(), 1, "one trial");
    routes.bed.wire.script("ns/a", Script::Accept);
    tokio::time::sleep(SECOND * 120).await;
    assert_eq!(routes.bed.wire.take_seen().len(), 50, "a trial that works brings everything");
}

#[tokio::test(start_paused = true)]
async fn a_publish_skips_an_open_circuit() {
    let routes = open().await;
    let result = routes.bed.engine.publish(request(named(["ns/a", "ns/b"]))).await.unwrap();
    assert_eq!(result.results[0].skipped, Some(SkipReason::CircuitOpen));
    assert_eq!((result.results[0].attempts, result.success_count()), (0, 1));
    let mut to_all = request(named(["ns/a"]));
    to_all.options.strategy = Strategy::PublishToAll;
    let result = routes.bed.engine.publish(to_all.clone()).await.unwrap();
    assert_eq!(result.results[0].skipped, Some(SkipReason::CircuitOpen));
    assert!(routes.bed.wire.take_seen().iter().all(|seen| seen.to.to_string() == "ns/b"));
    to_all.options.enable_circuit_breaker = false;
    let result = routes.bed.engine.publish(to_all).await.unwrap();
    assert_eq!((result.results[0].skipped, result.results[0].attempts), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn a_publish_is_the_trial_when_one_is_due() {
    let routes = open().await;
    routes.bed.wire.script("ns/a", Script::Accept);
    tokio::time::sleep(SECOND * 40).await;
    let result = routes.bed.engine.publish(request(named(["ns/a"]))).await.unwrap();
    assert_eq!(result.success_count(), 1);
    assert_eq!(routes.target("ns/a").live.circuit(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_lane_keeps_to_the_rate_of_its_target() {
    let limited = target("ns/a").policy(|policy| {
        policy.rate = Some(RateLimit { requests: 1, per: SECOND, burst: 2 });
    });
    let routes =
        Routes::start([limited, target("ns/b")], [route("r", &["a", "b"], json!({}))]).await;
    let start = Instant::now();
    let names: Vec<String> = (0..6).map(|number| format!("Alert{number}")).collect();
    routes.post(names.iter().map(|name| alert(name)).collect()).await.unwrap();
    tokio::time::sleep(SECOND * 10).await;
    let seen = routes.bed.wire.take_seen();
    let at = |name: &str| {
        let of = seen.iter().filter(|seen| seen.to.to_string() == name);
        of.map(|seen| (seen.at - start).as_secs()).collect::<Vec<_>>()
    };
    assert_eq!(at("ns/a"), [0, 0, 1, 2, 3, 4], "a burst, then one a second");
    assert_eq!(at("ns/b"), [0; 6], "nobody else waits");
}

#[tokio::test(start_paused = true)]
async fn a_publish_over_the_rate_says_so() {
    let limited = target("ns/a").policy(|policy| {
        policy.rate = Some(RateLimit { requests: 1, per: SECOND * 60, burst: 1 });
    });
    let routes = Routes::start([limited], []).await;
    let publish = || routes.bed.engine.publish(request(named(["ns/a"])));
    assert_eq!(publish().await.unwrap().success_count(), 1);
    let result = publish().await.unwrap();
    let left = &result.results[0];
    assert_eq!((left.error_type, left.attempts), (Some(ErrorType::RateLimited), 0));
    assert!(!left.queued);
    assert_eq!(routes.bed.wire.take_seen().len(), 1);
}
