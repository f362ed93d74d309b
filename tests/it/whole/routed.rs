//! Alerts from the intake to the receivers: told once, resolved once, retried when they failed.

use std::time::Duration;

use serde_json::json;

use super::{Bed, SOON, firing, resolved, route, webhook};
use crate::support::{
    sink::{Answer, Received, Sink},
    wait::wait_for,
};

/// Posts only: health checks are not alerts.
fn posts(sink: &Sink) -> Vec<serde_json::Value> {
    sink.received().iter().filter(|one| one.method == "POST").map(Received::json).collect()
}

async fn wait_posts(sink: &Sink, count: usize) -> Vec<serde_json::Value> {
    wait_for(&format!("{count} alerts"), SOON, || async { posts(sink).len() >= count }).await;
    posts(sink)
}

fn status(post: &serde_json::Value) -> &str {
    post["data"]["status"].as_str().or(post["status"].as_str()).expect("a status")
}

#[tokio::test]
async fn each_target_is_told_once_and_resolved_once() {
    let (a, b) = (Sink::start().await, Sink::start().await);
    let manifests = webhook("a", &a.url("/")) + &webhook("b", &b.url("/")) + route();
    let bed = Bed::start(&manifests).await;
    assert_eq!(bed.post(&json!([firing("Once")])).await, 200);
    for sink in [&a, &b] {
        assert_eq!(status(&wait_posts(sink, 1).await[0]), "firing");
    }
    for _ in 0..3 {
        assert_eq!(bed.post(&json!([firing("Once")])).await, 200);
    }
    assert_eq!(bed.post(&json!([resolved("Once")])).await, 200);
    assert_eq!(bed.post(&json!([resolved("Once")])).await, 200);
    for sink in [&a, &b] {
        wait_posts(sink, 2).await;
    }
    // Another alert goes all the way after them: whatever was sent twice would be there by now.
    assert_eq!(bed.post(&json!([firing("After")])).await, 200);
    for sink in [&a, &b] {
        let posts = wait_posts(sink, 3).await;
        let told: Vec<_> = posts.iter().map(status).collect();
        assert_eq!(told, ["firing", "resolved", "firing"]);
    }
}

#[tokio::test]
async fn failed_target_is_tried_again_and_others_are_not_disturbed() {
    let (good, bad) = (Sink::start().await, Sink::start().await);
    let manifests = webhook("good", &good.url("/")) + &webhook("bad", &bad.url("/")) + route();
    let bed = Bed::start(&manifests).await;
    bad.answer(Answer::status(500));
    assert_eq!(bed.post(&json!([firing("Retry")])).await, 200);
    wait_posts(&good, 1).await;
    wait_posts(&bad, 1).await;
    bad.answer(Answer::status(200));
    assert_eq!(bed.post(&json!([firing("Retry")])).await, 200);
    wait_posts(&bad, 2).await;
    assert_eq!(bed.post(&json!([firing("Next")])).await, 200);
    wait_posts(&bad, 3).await;
    assert_eq!(wait_posts(&good, 2).await.len(), 2, "the good one was told once");
}

#[tokio::test]
async fn recovered_target_is_told_what_it_missed() {
    let (good, sick) = (Sink::start().await, Sink::start().await);
    sick.answer(Answer::status(503));
    let manifests = webhook("good", &good.url("/")) + &webhook("sick", &sick.url("/")) + route();
    let bed = Bed::start(&manifests).await;
    bed.condition("sick", "Healthy", "False").await;
    assert_eq!(bed.post(&json!([firing("Missed")])).await, 200);
    wait_posts(&sick, 1).await;
    sick.answer(Answer::status(200));
    bed.condition("sick", "Healthy", "True").await;
    let posts = wait_posts(&sick, 2).await;
    assert_eq!(status(posts.last().unwrap()), "firing");
}

#[tokio::test]
async fn hung_target_delays_nobody() {
    let (good, hung) = (Sink::start().await, Sink::start().await);
    // None of its attempts ends before the others are told.
    let hangs = webhook("hung", &hung.url("/")) + "  delivery: {timeout: 5m}\n";
    let bed = Bed::start(&(webhook("good", &good.url("/")) + &hangs + route())).await;
    hung.answer(Answer::status(200).after(Duration::from_mins(10)));
    let names: Vec<_> = (0..50).map(|n| firing(&format!("Alert{n}"))).collect();
    for one in &names {
        assert_eq!(bed.post(&json!([one])).await, 200);
    }
    wait_posts(&good, 50).await;
    wait_posts(&hung, 1).await;
}

#[tokio::test]
async fn alert_that_matches_no_route_is_200_and_counted() {
    let sink = Sink::start().await;
    let route = route().replace("scope: Cluster", "scope: Namespace");
    let bed = Bed::start(&(webhook("a", &sink.url("/")) + &route)).await;
    assert_eq!(bed.post(&json!([firing("Nowhere")])).await, 200);
    assert!(bed.metrics().await.contains("fanfare_alerts_unrouted_total 1"));
    let mut own = firing("Own");
    own["labels"]["namespace"] = json!("default");
    assert_eq!(bed.post(&json!([own])).await, 200);
    assert_eq!(wait_posts(&sink, 1).await.len(), 1, "only the alert of the route's own namespace");
}
