//! A fallback as the router tells it: by time, by circuit.

use std::time::Duration;

use fanfare::{
    alert::Status::{Firing, Resolved},
    api::{CircuitState, DeliveryPolicy},
    publish::ErrorType,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    bed::{Script, Seen, alert},
    builder::{TargetBuilder, target},
    routes::{Routes, resolved, route},
};

const SECOND: Duration = Duration::from_secs(1);

fn failing() -> Script {
    Script::Fail(ErrorType::ServerError, Some(500))
}

fn fallback(mode: &str) -> Value {
    json!({
        "whenUnhealthy": "Send",
        "fallback": {"targets": [{"name": "z"}], "after": "1s", "mode": mode},
    })
}

/// Targets whose circuits never open.
fn patient() -> [TargetBuilder; 2] {
    let never = |policy: &mut DeliveryPolicy| {
        (policy.breaker.consecutive_failures, policy.breaker.minimum_calls) = (1_000, 1_000);
    };
    ["ns/a", "ns/z"].map(|name| target(name).policy(never))
}

/// What the fallback is told, as soon as it is. Its time is that of the wall clock, which does not stand still.
async fn told(routes: &Routes) -> Vec<Seen> {
    let deadline = Timestamp::now() + SECOND * 20;
    loop {
        let mut seen = routes.bed.wire.seen();
        seen.retain(|seen| seen.to.to_string() == "ns/z");
        if !seen.is_empty() {
            return seen;
        }
        assert!(Timestamp::now() < deadline, "the fallback is told nothing");
        routes.quiet().await;
    }
}

async fn start(mode: &str, targets: [TargetBuilder; 2]) -> Routes {
    Routes::start(targets, [route("r", &["a"], fallback(mode))]).await
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_told_after_its_time_and_hears_the_end() {
    let routes = start("Instead", patient()).await;
    routes.bed.wire.script("ns/a", failing());
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    assert!(routes.asked().iter().all(|name| name == "ns/a"), "its turn has not come");
    let told = told(&routes).await;
    assert_eq!(told.len(), 1);
    assert!(told[0].notification.fallback);
    routes.bed.wire.take_seen();
    assert_eq!(routes.bed.metric("fanfare_fallbacks_total{type=\"Webhook\"}"), Some(1.0));
    routes.bed.wire.script("ns/a", Script::Accept);
    tokio::time::sleep(SECOND * 600).await;
    assert!(routes.asked().is_empty(), "it stands in for the other");
    let superseded = "fanfare_notifications_total{type=\"Webhook\",outcome=\"superseded\"}";
    assert_eq!(routes.bed.metric(superseded), Some(1.0));
    routes.post(vec![resolved(&alert)]).await.unwrap();
    assert_eq!(routes.told(), [("ns/z".into(), Resolved, "DiskFull".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_opens_brings_the_fallback_in_at_once() {
    let routes = start("Also", ["ns/a", "ns/z"].map(target)).await;
    routes.bed.wire.script("ns/a", failing());
    let names: Vec<String> = (0..6).map(|number| format!("Alert{number}")).collect();
    routes.post(names.iter().map(|name| alert(name)).collect()).await.unwrap();
    routes.quiet().await;
    assert_eq!(routes.target("ns/a").live.circuit(), CircuitState::Open);
    let asked = routes.asked();
    assert_eq!(asked.iter().filter(|name| *name == "ns/z").count(), 6);
    routes.post(vec![alert("Later")]).await.unwrap();
    assert_eq!(routes.told(), [("ns/z".into(), Firing, "Later".into())]);
}

#[tokio::test(start_paused = true)]
async fn its_time_goes_on_while_the_process_is_away() {
    let routes = start("Instead", patient()).await;
    routes.bed.wire.script("ns/a", failing());
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    let routes = routes.restart(patient(), [route("r", &["a"], fallback("Instead"))]).await;
    assert_eq!(told(&routes).await.len(), 1);
}
