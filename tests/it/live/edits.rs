//! What is owed follows the objects in the cluster: recreated, deleted, no longer permitted; and people are told what
//! stays open.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::rig::{Rig, SOON, firing, resolved, route, told, wait_told, webhook};
use crate::support::{
    http::get,
    sink::{Answer, Sink},
    wait::wait_for,
};

/// Retries within moments, whatever the health.
const EAGER: &str = "  delivery: {backoffDelay: 100ms, backoffMax: 200ms}\n  \
                     circuitBreaker: {consecutiveFailures: 1000, minimumNumberOfCalls: 10000}\n";

/// `reason alertname status` of each dead letter, sorted.
async fn buried(rig: &Rig, target: &str, count: usize) -> Vec<String> {
    let url = rig.operator.api_url(&format!("/api/v1/deadletters?target={target}"));
    let list = async || get(&url).await.json()["items"].as_array().unwrap().clone();
    wait_for(&format!("{count} dead letters of {target}"), SOON, || async {
        list().await.len() >= count
    })
    .await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let words = |letter: &Value| {
        let notification = &letter["notification"];
        let name = text(&notification["alerts"][0]["labels"]["alertname"]);
        format!("{} {name} {}", text(&letter["reason"]), text(&notification["status"]))
    };
    let mut all: Vec<_> = list().await.iter().map(words).collect();
    // Not told, unless an attempt was under way: then it may be open there.
    all.retain(|words| !words.ends_with("Owed firing"));
    all.sort_unstable();
    all
}

/// Tells `Told` and `Over`, then fails with `Owed` and the end of `Over`. The receiver is the one of `target`.
async fn owe(rig: &Rig, namespace: &str, (owner, target): (&str, &str), sink: &Sink) {
    rig.fire(&[firing("Told", namespace), firing("Over", namespace)]).await;
    rig.delivered(owner, target, 2).await;
    // Its health is known before it fails: what fails is then sent or held, as the route says.
    sink.answer(Answer::status(503));
    rig.fire(&[firing("Owed", namespace), resolved("Over", namespace)]).await;
    wait_told(sink, "Owed", "firing").await;
    wait_told(sink, "Over", "resolved").await;
}

/// Waits until a second failing target was tried so often that the first one would have been too.
async fn meanwhile(clock: &Sink) {
    let so_far = told(clock).len();
    wait_for("another target is tried again", SOON, || async { told(clock).len() >= so_far + 15 })
        .await;
}

fn sending(route: &str) -> String {
    route.replace("spec: {", "spec: {whenUnhealthy: Send, ")
}

fn ids(sink: &Sink) -> BTreeSet<String> {
    let posts = sink.received().into_iter().filter(|one| one.method == "POST");
    posts.filter_map(|one| one.header("webhook-id").map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn recreated_target_is_told_what_fires_as_new_and_nothing_of_the_old_one() {
    let Some(rig) = Rig::shared() else { return };
    let cluster = &rig.cluster;
    let namespace = cluster.namespace("recreated");
    let (old, new, clock) = (Sink::start().await, Sink::start().await, Sink::start().await);
    clock.answer(Answer::status(503));
    let hook = |sink: &Sink| webhook("hook", &sink.url("/"), EAGER);
    let rest = webhook("clock", &clock.url("/"), EAGER) + &sending(&route("all"));
    cluster.apply(&namespace, &(hook(&old) + &rest));
    cluster.shows(&namespace, "ptgt/hook", ("Healthy", "True", "Reachable"));
    owe(rig, &namespace, (&namespace, "hook"), &old).await;
    cluster.kubectl(&namespace, &["delete", "ptgt", "hook"]);
    cluster.apply(&namespace, &hook(&new));
    wait_told(&new, "Told", "firing").await;
    wait_told(&new, "Owed", "firing").await;
    let target = format!("{namespace}/hook");
    let wanted = ["Over resolved", "Told firing"];
    let wanted = wanted.map(|what| format!("target_deleted {what}"));
    assert_eq!(buried(rig, &target, 2).await, wanted);
    old.answer(Answer::status(200));
    let so_far = told(&old).len();
    meanwhile(&clock).await;
    rig.fire(&[resolved("Told", &namespace)]).await;
    wait_told(&new, "Told", "resolved").await;
    assert_eq!(told(&old).len(), so_far, "nothing more at the old one");
    assert_eq!(told(&new).len(), 3, "nothing of the old one at the new one: {:?}", told(&new));
    assert!(ids(&old).is_disjoint(&ids(&new)), "new notifications, not the old ones");
    let note = cluster.event(&namespace, "all", "LeftOpen").await;
    assert!(note.contains("Over") && note.contains("Told"), "{note}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_target_leaves_an_event_that_lists_what_stays_open_there() {
    let Some(rig) = Rig::shared() else { return };
    let cluster = &rig.cluster;
    let namespace = cluster.namespace("deleted");
    let sink = Sink::start().await;
    cluster.apply(&namespace, &(webhook("hook", &sink.url("/"), EAGER) + &route("all")));
    cluster.shows(&namespace, "ptgt/hook", ("Healthy", "True", "Reachable"));
    rig.fire(&[firing("OpenA", &namespace), firing("OpenB", &namespace)]).await;
    rig.fire(&[firing("Closed", &namespace)]).await;
    rig.delivered(&namespace, "hook", 3).await;
    rig.fire(&[resolved("Closed", &namespace)]).await;
    rig.delivered(&namespace, "hook", 4).await;
    cluster.kubectl(&namespace, &["delete", "ptgt", "hook"]);
    let wanted = ["target_deleted OpenA firing", "target_deleted OpenB firing"];
    assert_eq!(buried(rig, &format!("{namespace}/hook"), 2).await, wanted);
    let note = cluster.event(&namespace, "all", "LeftOpen").await;
    assert!(note.contains("OpenA") && note.contains("OpenB"), "both are listed: {note}");
    assert!(!note.contains("Closed"), "{note}");
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawn_consent_ends_what_is_owed() {
    let Some(rig) = Rig::shared() else { return };
    let cluster = &rig.cluster;
    let (asking, owning) = (cluster.namespace("revoked"), cluster.namespace("owner"));
    let (sink, clock) = (Sink::start().await, Sink::start().await);
    clock.answer(Answer::status(503));
    let open = format!("{EAGER}  allowedRoutes: {{namespaces: {{from: All}}}}\n");
    cluster.apply(&owning, &webhook("shared", &sink.url("/"), &open));
    let own = webhook("clock", &clock.url("/"), EAGER) + &sending(&route("own"));
    let across = format!(
        "---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {{name: across}}\n\
         spec: {{whenUnhealthy: Send, targets: [{{name: shared, namespace: {owning}}}]}}\n"
    );
    cluster.apply(&asking, &(own + &across));
    cluster.shows(&asking, "aroute/across", ("ResolvedRefs", "True", "Resolved"));
    cluster.shows(&owning, "ptgt/shared", ("Healthy", "True", "Reachable"));
    owe(rig, &asking, (&owning, "shared"), &sink).await;
    cluster.patch(
        &owning,
        "ptgt/shared",
        &json!({"spec": {"allowedRoutes": {"namespaces": {"from": "Same"}}}}),
    );
    let found = buried(rig, &format!("{owning}/shared"), 2).await;
    let wanted = ["Over resolved", "Told firing"];
    assert_eq!(found, wanted.map(|what| format!("not_permitted {what}")));
    sink.answer(Answer::status(200));
    let so_far = told(&sink).len();
    meanwhile(&clock).await;
    rig.fire(&[resolved("Told", &asking), firing("New", &asking)]).await;
    meanwhile(&clock).await;
    assert_eq!(told(&sink).len(), so_far, "{:?}", told(&sink));
    let note = cluster.event(&asking, "across", "LeftOpen").await;
    assert!(note.contains("Over") && note.contains("Told"), "{note}");
}
