//! The circuit breaker from outside: opens, leaves alone, tries, closes, loses nothing.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;

use super::{House, SEND, firing, route, told, wait_count, webhook};
use crate::support::{
    http::get,
    sink::{Answer, Sink},
    wait::wait_for,
};

const OPENS: &str = "  delivery: {timeout: 1m, backoffDelay: 100ms, backoffMax: 100ms, jitter: None}\n  \
                     circuitBreaker: {consecutiveFailures: 3, baseEjectionTime: 2s, maxEjectionTime: 2s}\n  \
                     healthCheck: {type: None}\n";

async fn open() -> (House, Sink) {
    let sink = Sink::start().await;
    sink.answer(Answer::status(500));

    let manifests =
        webhook("hook", &sink.url("/"), &(OPENS.to_owned() + "  flow: {maxInFlight: 1}\n"))
            + &route("all", &["hook"], SEND);
    let house = House::start(&manifests).await;
    let alerts: Vec<_> = (0..10).map(|number| firing(&format!("Alert{number}"))).collect();
    house.fire(&json!(alerts)).await;
    house.shows("hook", "Delivering", "CircuitOpen").await;
    (house, sink)
}

#[tokio::test]
async fn open_circuit_is_left_alone_but_for_one_trial_at_a_time_and_loses_nothing() {
    let (house, sink) = open().await;
    let metrics = get(&house.operator.admin_url("/metrics")).await.text();
    let series = "fanfare_circuit_state{target=\"default/hook\",state=\"open\"} 1";
    assert!(metrics.contains(series), "{metrics}");
    let trials = wait_count(&sink, 6).await;
    let late: Vec<_> = trials.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(
        late[2..].iter().all(|gap| *gap > Duration::from_secs(1)),
        "trials after three in a row: {late:?}"
    );
    sink.clear();
    sink.answer(Answer::status(200));
    house.waits("hook", 0, 0).await;
    let all = told(&sink);
    let different: BTreeSet<_> = all.iter().map(|one| &one.what).collect();
    assert_eq!((all.len(), different.len()), (10, 10), "each once: {all:?}");
    house.shows("hook", "Delivering", "NothingHeld").await;
    assert_eq!(house.target("hook").await["status"]["circuit"]["state"], "Closed");
}

#[tokio::test]
async fn publish_skips_an_open_circuit_unless_told_otherwise() {
    let (house, sink) = open().await;
    let skipped =
        house.publish("hook", "Skipped", &json!({"strategy": "PublishToAll"}), None).await;
    assert_eq!(skipped.status, 503, "{}", skipped.text());
    assert_eq!(skipped.json()["results"][0]["skip_reason"], "circuit_open");
    let anyway = json!({"strategy": "PublishToAll", "enable_circuit_breaker": false});
    let sent = house.publish("hook", "Sent", &anyway, None).await;
    assert_eq!(sent.json()["results"][0]["status_code"], 500, "{}", sent.text());
    let queued = house
        .publish("hook", "Queued", &json!({"strategy": "PublishToAll", "retry": true}), None)
        .await;
    assert_eq!(queued.status, 202, "{}", queued.text());
    sink.answer(Answer::status(200));
    wait_for("what was queued comes", super::SOON, || async {
        told(&sink).iter().any(|one| one.what == "Queued firing")
    })
    .await;
    assert!(told(&sink).iter().any(|one| one.what == "Sent firing"));
    assert!(told(&sink).iter().all(|one| one.what != "Skipped firing"));
}
