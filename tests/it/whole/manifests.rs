//! A directory instead of a cluster: followed for changes, the rest runs on when one object is bad.

use serde_json::json;

use super::{Bed, SOON, firing, route, webhook};
use crate::support::{
    http::get,
    sink::Sink,
    wait::{wait_for, wait_for_value},
};

#[tokio::test]
async fn edits_are_followed() {
    let (old, new) = (Sink::start().await, Sink::start().await);
    let bed = Bed::start(&(webhook("a", &old.url("/")) + route())).await;
    bed.condition("a", "Healthy", "True").await;
    bed.write("all.yaml", &(webhook("a", &new.url("/")) + &webhook("b", &new.url("/b")) + route()));
    let host = new.address().to_string();
    wait_for("both changes are seen", SOON, || async {
        bed.target("a").await["status"]["endpoint"] == host.as_str()
            && bed.target("b").await["status"]["endpoint"] == host.as_str()
    })
    .await;
    bed.write("all.yaml", route());
    let gone = bed.operator.api_url("/api/v1/targets/default/a");
    wait_for("the target is gone", SOON, || async { get(&gone).await.status == 404 }).await;
}

#[tokio::test]
async fn bad_object_is_reported_and_the_rest_runs() {
    let sink = Sink::start().await;
    let bad = webhook("bad", "ftp://nowhere/");
    let bed = Bed::start(&(webhook("good", &sink.url("/")) + &bad + route())).await;
    let condition = bed.condition("bad", "Ready", "False").await;
    assert_eq!(condition["reason"], "InvalidSpec");
    let message = condition["message"].as_str().unwrap();
    assert!(message.contains("spec.webhook.url"), "{message}");
    bed.operator
        .wait_log("the refusal", |line| {
            line["message"] == "Manifest refused" && line.to_string().contains("default/bad")
        })
        .await;
    assert_eq!(bed.post(&json!([firing("Runs")])).await, 200);
    wait_for("the good one gets it", SOON, || async {
        sink.received().iter().any(|one| one.method == "POST")
    })
    .await;
}

#[tokio::test]
async fn secret_that_arrives_and_changes_is_used() {
    let sink = Sink::start().await;
    let target = webhook("a", &sink.url("/"))
        + "  connection: {auth: {type: Bearer, bearer: {tokenSecretRef: {name: token, key: value}}}}\n"
        + route();
    let bed = Bed::start(&target).await;
    let condition = bed.condition("a", "Ready", "False").await;
    assert_eq!(condition["reason"], "SecretNotFound");
    let secret = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: token}}\nstringData: {{value: {value}}}\n"
        )
    };
    for value in ["first-token", "second-token"] {
        bed.write("secret.yaml", &secret(value));
        bed.condition("a", "Ready", "True").await;
        let wanted = format!("Bearer {value}");
        wait_for_value(&wanted, SOON, || async {
            bed.post(&json!([firing(value)])).await;
            sink.received().iter().find(|one| one.header("authorization") == Some(&wanted)).cloned()
        })
        .await;
    }
}

#[tokio::test]
async fn labels_of_namespaces_admit_routes() {
    let sink = Sink::start().await;
    let target = webhook("a", &sink.url("/"))
        + "  allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: web}}}}\n";
    let route = "---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {name: r, namespace: web}\n\
                 spec: {scope: Cluster, targets: [{name: a, namespace: default}]}\n";
    let bed = Bed::start(&(target + route)).await;
    let url = bed.operator.api_url("/api/v1/routes/web/r");
    let resolved = |status: &'static str| {
        let url = url.clone();
        wait_for_value(status, SOON, move || {
            let url = url.clone();
            async move {
                let shown = get(&url).await.json();
                let conditions = shown["status"]["conditions"].as_array()?.clone();
                conditions
                    .into_iter()
                    .find(|c| c["type"] == "ResolvedRefs" && c["status"] == status)
            }
        })
    };
    assert_eq!(resolved("False").await["reason"], "TargetNotPermitted");
    bed.write(
        "ns.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: web, labels: {team: web}}\n",
    );
    resolved("True").await;
}

#[tokio::test]
async fn routes_are_shown_as_they_take_effect_and_an_unknown_time_zone_concerns_one() {
    let good = "---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {name: good}\n\
                spec: {targets: [{name: a}], grouping: {by: [team]}, fallback: {targets: [{name: gone}]}, \
                muteTimeIntervals: [{months: ['1:12'], location: Asia/Tokyo}]}\n";
    let bad = good.replace("name: good", "name: bad").replace("Asia/Tokyo", "Asia/Atlantis");
    let bed = Bed::start(&(webhook("a", "http://127.0.0.1:9/") + good + &bad)).await;
    let condition = |name: &'static str, kind: &'static str| {
        let url = bed.operator.api_url(&format!("/api/v1/routes/default/{name}"));
        wait_for_value(name, SOON, move || {
            let url = url.clone();
            async move {
                let shown = get(&url).await.json();
                let conditions = shown["status"]["conditions"].as_array()?.clone();
                Some((conditions.into_iter().find(|c| c["type"] == kind)?, shown))
            }
        })
    };
    let (accepted, _) = condition("bad", "Accepted").await;
    assert_eq!(
        (&accepted["status"], &accepted["reason"]),
        (&json!("False"), &json!("InvalidTimeInterval"))
    );
    let message = accepted["message"].as_str().unwrap();
    assert!(
        message.starts_with("spec.muteTimeIntervals[0].location: there is no time zone"),
        "{message}"
    );

    let (refs, shown) = condition("good", "ResolvedRefs").await;
    assert_eq!((&refs["status"], &refs["reason"]), (&json!("False"), &json!("TargetNotFound")));
    assert_eq!(shown["status"]["targets"]["total"], 1, "{shown}");
    let effective = &shown["effective"];
    assert_eq!(effective["grouping"], json!({"by": ["team"], "wait": "30s", "interval": "5m"}));
    assert_eq!(effective["fallback"]["after"], "2m");
    assert_eq!(effective["fallback"]["mode"], "Instead");
    assert_eq!(shown["hours"]["active"], false, "muted in every month");
}
