//! An open circuit, as kubectl shows it.

use serde_json::json;

use super::rig::{Rig, firing, webhook};
use crate::support::{
    http::get,
    sink::{Answer, Sink},
    wait::wait_for,
};

const OPENS: &str = "  delivery: {backoffDelay: 100ms, backoffMax: 100ms}\n  \
                     circuitBreaker: {consecutiveFailures: 3, baseEjectionTime: 20s, maxEjectionTime: 20s}\n";

#[tokio::test(flavor = "multi_thread")]
async fn open_circuit_is_shown_told_and_closed_without_a_loss() {
    let Some(rig) = Rig::shared() else { return };
    let cluster = &rig.cluster;
    let namespace = cluster.namespace("circuit");
    let sink = Sink::start().await;
    sink.answer(Answer::status(500));
    let target = webhook("hook", &sink.url("/"), OPENS);
    let target: Vec<_> = target.lines().filter(|line| !line.contains("healthCheck")).collect();
    let route = "\n---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {name: all}\n\
                 spec: {whenUnhealthy: Send, targets: [{name: hook}]}\n";
    let none = "\n  healthCheck: {type: None}";
    cluster.apply(&namespace, &(target.join("\n") + none + route));
    cluster.shows(&namespace, "aroute/all", ("ResolvedRefs", "True", "Resolved"));
    let names: Vec<_> = (0..10).map(|number| format!("Alert{number}")).collect();
    rig.fire(&names.iter().map(|name| firing(name, &namespace)).collect::<Vec<_>>()).await;
    let shown = cluster.shows(&namespace, "ptgt/hook", ("Delivering", "False", "CircuitOpen"));
    let message = shown["message"].as_str().unwrap();
    assert!(message.contains("500"), "why: {message}");
    let wide = cluster.kubectl(&namespace, &["get", "publishtargets", "-o", "wide"]);
    let (head, row) = wide.split_once('\n').unwrap();
    let at = head.find("CIRCUIT").unwrap_or_else(|| panic!("a column CIRCUIT: {wide}"));
    assert!(row[at..].starts_with("Open "), "{wide}");
    let event = cluster.event(&namespace, "hook", "CircuitOpen").await;
    assert!(event.contains("500"), "{event}");
    let list = cluster.object(&namespace, "ptgt/hook");
    assert_eq!(list["status"]["circuit"]["state"], "Open");

    sink.answer(Answer::status(200));
    rig.delivered(&namespace, "hook", 10).await;
    let url = rig.operator.api_url(&format!("/api/v1/deliveries?target={namespace}/hook"));
    let page = get(&url).await.json();
    let ids = page["items"].as_array().unwrap().iter();
    let ids = ids.filter(|item| item["outcome"] == "delivered");
    let mut ids: Vec<_> = ids.map(|item| item["notification_id"].to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 10, "each once: {page}");
    cluster.shows(&namespace, "ptgt/hook", ("Delivering", "True", "NothingHeld"));
    wait_for("closed", super::rig::SOON, || async {
        cluster.object(&namespace, "ptgt/hook")["status"]["circuit"] == json!({"state": "Closed"})
            || cluster.object(&namespace, "ptgt/hook")["status"]["circuit"]["state"] == "Closed"
    })
    .await;
}
