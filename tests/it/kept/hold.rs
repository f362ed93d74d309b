//! `whenUnhealthy: Hold`, the default: a target that is down is tried with real work, and told everything when it returns.

use std::time::Duration;

use serde_json::json;

use super::{House, SOON, firing, resolved, route, told, wait_count, wait_told, webhook, whats};
use crate::support::{
    sink::{Answer, Sink},
    wait::wait_for,
};

const HOLDS: &str = "  delivery: {timeout: 1m, backoffDelay: 100ms, backoffMax: 200ms}\n  \
                     circuitBreaker: {consecutiveFailures: 1000, minimumNumberOfCalls: 10000}\n  \
                     healthCheck: {interval: 5s, unhealthyInterval: 2s, timeout: 1m, degradedLatency: 59s, skipIfDeliveredWithin: 0s}\n";

#[tokio::test]
async fn unhealthy_target_is_tried_once_per_interval_and_told_everything_in_order_when_it_returns()
{
    let (sick, well) = (Sink::start().await, Sink::start().await);
    let in_turn = format!("{HOLDS}  flow: {{maxInFlight: 1}}\n");
    let manifests = webhook("sick", &sick.url("/"), &in_turn)
        + &webhook("well", &well.url("/"), HOLDS)
        + &route("all", &["sick", "well"], "");
    let house = House::start(&manifests).await;
    house.fire(&json!([firing("Known")])).await;
    wait_told(&sick, "Known firing").await;
    house.shows("well", "Ready", "Registered").await;
    sick.answer(Answer::status(503));
    house.shows("sick", "Healthy", "ServerError").await;
    sick.clear();
    let names: Vec<_> = (0..20).map(|number| firing(&format!("Held{number}"))).collect();
    house.fire(&json!(names)).await;
    house.fire(&json!([resolved("Known")])).await;
    wait_count(&well, 22).await;
    house.waits("sick", 21, 0).await;
    let trials = wait_count(&sick, 4).await;
    // The first may come at once; from then on the interval stands between them, not the backoff.
    for pair in trials.windows(2).skip(1) {
        let between = pair[1].at - pair[0].at;
        assert!(between > Duration::from_secs(1), "{between:?} between {trials:?}");
    }
    let tried = whats(&sick);
    sick.clear();
    sick.answer(Answer::status(200));
    wait_for("everything held is told", SOON, || async { told(&sick).len() >= 21 }).await;
    house.waits("sick", 0, 0).await;
    let all = told(&sick);
    assert_eq!(all.len(), 21, "each once: {all:?}");
    assert_eq!(whats(&sick).iter().filter(|what| *what == "Known resolved").count(), 1);
    // What was a trial has failed and has its own turn; the others come as they came in.
    let untried = (0..20).map(|number| format!("Held{number} firing"));
    let untried: Vec<_> = untried.filter(|what| !tried.contains(what)).collect();
    assert!(untried.len() > 5, "too many trials to see an order: {tried:?}");
    let mut in_order = whats(&sick);
    in_order.retain(|what| untried.contains(what));
    assert_eq!(in_order, untried);
    house.shows("sick", "Ready", "Registered").await;
}

#[tokio::test]
async fn route_without_a_healthy_target_sends_to_all() {
    let sinks = [Sink::start().await, Sink::start().await];
    for sink in &sinks {
        sink.answer(Answer::status(503));
    }
    // An interval of an hour: what is sent sooner is not a trial.
    let slow = HOLDS.replace("unhealthyInterval: 2s", "unhealthyInterval: 1h");
    let manifests = webhook("a", &sinks[0].url("/"), &slow)
        + &webhook("b", &sinks[1].url("/"), &slow)
        + &route("all", &["a", "b"], "");
    let house = House::start(&manifests).await;
    for name in ["a", "b"] {
        house.shows(name, "Healthy", "ServerError").await;
    }
    house.fire(&json!([firing("One"), firing("Two")])).await;
    for sink in &sinks {
        wait_for("tried and tried again", SOON, || async {
            ["One firing", "Two firing"]
                .iter()
                .all(|what| told(sink).iter().filter(|one| one.what == *what).count() >= 2)
        })
        .await;
        sink.answer(Answer::status(200));
    }
    for name in ["a", "b"] {
        house.waits(name, 0, 0).await;
    }
}
