//! Alerts on their way from the senders that people run to a receiver.

use super::rig::{Rig, firing, resolved, route, told, wait_told, webhook};
use crate::support::{program::stdout_of, sink::Sink};

#[tokio::test(flavor = "multi_thread")]
async fn alert_of_a_stock_amtool_reaches_the_receiver_once() {
    let Some(rig) = Rig::shared() else { return };
    let (namespace, sink) = receiver(rig, "amtool").await;
    let url = format!("--alertmanager.url={}", rig.operator.intake_url(""));
    let scope = format!("namespace={namespace}");
    let add = |name: &str| {
        let args = [&url, "alert", "add", name, &scope, "severity=critical"];
        let notes = ["--annotation=summary=disk full", "--generator-url=http://prometheus/graph"];
        let output = rig.cluster.plane.tool("amtool").args(args).args(notes).output();
        stdout_of(&output.expect("amtool was built"));
    };
    add("alertname=Typed");
    wait_told(&sink, "Typed", "firing").await;
    add("alertname=Typed");
    add("alertname=Fence");
    wait_told(&sink, "Fence", "firing").await;
    assert_eq!(names(&sink), ["Typed firing", "Fence firing"]);
    let posted = sink.received().into_iter().find(|one| one.method == "POST").unwrap().json();
    assert_eq!(posted["data"]["alerts"][0]["annotations"]["summary"], "disk full");
    assert_eq!(posted["data"]["alerts"][0]["labels"]["severity"], "critical");
}

#[tokio::test(flavor = "multi_thread")]
async fn alert_that_prometheus_sends_again_is_told_once_and_resolved_once() {
    let Some(rig) = Rig::shared() else { return };
    let (namespace, sink) = receiver(rig, "prometheus").await;
    for _ in 0..3 {
        rig.fire(&[firing("Sent", &namespace)]).await;
    }
    wait_told(&sink, "Sent", "firing").await;
    // Prometheus sends a resolved alert again for 15 minutes.
    for _ in 0..3 {
        rig.fire(&[resolved("Sent", &namespace)]).await;
    }
    wait_told(&sink, "Sent", "resolved").await;
    rig.fire(&[firing("Fence", &namespace)]).await;
    wait_told(&sink, "Fence", "firing").await;
    assert_eq!(names(&sink), ["Sent firing", "Sent resolved", "Fence firing"]);
}

/// A namespace whose alerts all go to one healthy receiver.
async fn receiver(rig: &Rig, prefix: &str) -> (String, Sink) {
    let namespace = rig.cluster.namespace(prefix);
    let sink = Sink::start().await;
    rig.cluster.apply(&namespace, &(webhook("hook", &sink.url("/"), "") + &route("all")));
    rig.cluster.shows(&namespace, "aroute/all", ("Healthy", "True", "AllTargetsHealthy"));
    (namespace, sink)
}

fn names(sink: &Sink) -> Vec<String> {
    told(sink).into_iter().map(|(name, status)| format!("{name} {status}")).collect()
}
