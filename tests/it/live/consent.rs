//! A route of one namespace and a target of another: only with the target's consent.

use serde_json::json;

use super::rig::{Rig, firing, told, wait_told, webhook};
use crate::support::sink::Sink;

fn route_to(name: &str, namespace: &str, target: &str) -> String {
    format!(
        "---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {{name: {name}}}\n\
         spec: {{targets: [{{name: {target}, namespace: {namespace}}}]}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_target_is_not_permitted_whether_it_exists_or_not() {
    let Some(rig) = Rig::shared() else { return };
    let cluster = &rig.cluster;
    let (asking, owning) = (cluster.namespace("asking"), cluster.namespace("owning"));
    let sink = Sink::start().await;
    cluster.apply(&owning, &webhook("real", &sink.url("/"), ""));
    cluster.shows(&owning, "ptgt/real", ("Healthy", "True", "Reachable"));
    let routes = route_to("to-real", &owning, "real") + &route_to("to-ghost", &owning, "ghost");
    cluster.apply(&asking, &routes);
    let status = |name: &str| {
        let route = format!("aroute/{name}");
        cluster.shows(&asking, &route, ("ResolvedRefs", "False", "TargetNotPermitted"));
        cluster.shows(&asking, &route, ("Ready", "False", "TargetNotPermitted"));
        let mut status = cluster.object(&asking, &route)["status"].take();
        for condition in status["conditions"].as_array_mut().unwrap() {
            condition.as_object_mut().unwrap().remove("lastTransitionTime");
        }
        status.to_string()
    };
    assert_eq!(status("to-real"), status("to-ghost").replace("ghost", "real"));
    let events = |name: &str| {
        let mut events = cluster.events(&asking, name);
        events.sort_unstable();
        events
    };
    cluster.event(&asking, "to-real", "TargetNotPermitted").await;
    let ghost = cluster.event(&asking, "to-ghost", "TargetNotPermitted").await;
    assert!(ghost.contains("allowedRoutes"), "{ghost}");
    assert_eq!(events("to-real").len(), events("to-ghost").len());
    rig.fire(&[firing("Uninvited", &asking)]).await;
    assert_eq!(told(&sink), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_by_namespace_labels_works_until_it_is_withdrawn() {
    let Some(rig) = Rig::shared() else { return };
    let cluster = &rig.cluster;
    let (asking, owning) = (cluster.namespace("asking"), cluster.namespace("owning"));
    let (sink, own) = (Sink::start().await, Sink::start().await);
    let selector = "  allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {pages: \"yes\"}}}}\n";
    cluster.apply(&owning, &webhook("shared", &sink.url("/"), selector));
    let fence = route_to("own", &asking, "own");
    let here = webhook("own", &own.url("/"), "") + &fence;
    cluster.apply(&asking, &(route_to("to-shared", &owning, "shared") + &here));
    cluster.shows(&asking, "aroute/to-shared", ("ResolvedRefs", "False", "TargetNotPermitted"));
    cluster.shows(&asking, "aroute/own", ("Ready", "True", "Accepted"));

    let label = |value: &str| {
        cluster.plane.kubectl_ok(&["label", "--overwrite", "namespace", &asking, value]);
    };
    label("pages=yes");
    cluster.shows(&asking, "aroute/to-shared", ("ResolvedRefs", "True", "Resolved"));
    cluster.shows(&asking, "aroute/to-shared", ("Ready", "True", "Accepted"));
    rig.fire(&[firing("Invited", &asking)]).await;
    wait_told(&sink, "Invited", "firing").await;

    let refused = async |alert: &str| {
        let not_permitted = ("ResolvedRefs", "False", "TargetNotPermitted");
        cluster.shows(&asking, "aroute/to-shared", not_permitted);
        rig.fire(&[firing(alert, &asking)]).await;
        wait_told(&own, alert, "firing").await;
        let names: Vec<_> = told(&sink).into_iter().map(|(name, _)| name).collect();
        assert!(!names.iter().any(|name| name == alert), "{names:?}");
    };
    label("pages=no");
    refused("NoLabel").await;
    label("pages=yes");
    cluster.shows(&asking, "aroute/to-shared", ("ResolvedRefs", "True", "Resolved"));
    rig.fire(&[firing("Again", &asking)]).await;
    wait_told(&sink, "Again", "firing").await;
    let same =
        json!({"spec": {"allowedRoutes": {"namespaces": {"from": "Same", "selector": null}}}});
    cluster.patch(&owning, "ptgt/shared", &same);
    refused("NoConsent").await;
}
