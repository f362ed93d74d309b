//! What the chart grants is what the operator uses, by the API server's own audit log.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    release::{Release, Right},
    rig::{Alone, Cluster, RELEASE, Rig, SECRETS, SOON, fire, firing, webhook},
};
use crate::support::{
    audit::Request,
    controlplane::ControlPlane,
    sink::{Authority, Sink},
    wait::{wait_for, wait_for_value},
};

/// The right that a request used, if it was granted.
fn right(request: &Request, granted: &BTreeSet<Right>) -> Result<Right, String> {
    let slash = if request.subresource.is_empty() { "" } else { "/" };
    let what = format!("{}/{}{slash}{}", request.group, request.resource, request.subresource);
    let of = |place: &str| (request.verb.clone(), what.clone(), place.to_owned());
    let fits = [of(""), of(&request.namespace)].into_iter().find(|right| granted.contains(right));
    fits.ok_or_else(|| format!("{request:?}"))
}

/// Uses every right of a release in one namespace: a Secret, a `ConfigMap`, both kinds, events.
fn use_all(cluster: &Cluster, namespace: &str, (sink, authority): (&Sink, &Authority), more: &str) {
    let sources = [
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "audit"},
               "stringData": {"token": "audit"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "audit"},
               "data": {"ca": authority.pem()}}),
    ];
    for source in sources {
        cluster.apply(namespace, &source.to_string());
    }
    let connection = "  connection:\n    tls: {caConfigMapRef: {name: audit, key: ca}}\n    \
                      auth: {type: Bearer, bearer: {tokenSecretRef: {name: audit, key: token}}}\n";
    let route = "---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {name: audit}\n\
                 spec: {matcherExpr: '{alertname=\"Audit\"}', targets: [{name: audit}]}\n";
    let target = webhook("audit", &sink.url("/"), &format!("{connection}{more}"));
    cluster.apply(namespace, &(target + route));
    cluster.shows(namespace, "ptgt/audit", ("Healthy", "True", "Reachable"));
    cluster.shows(namespace, "aroute/audit", ("Healthy", "True", "AllTargetsHealthy"));
    // The same event again within minutes: the first one is counted up, which is a patch.
    for (suspend, status, reason) in
        [(true, "False", "Suspended"), (false, "True", "NothingHeld"), (true, "False", "Suspended")]
    {
        cluster.patch(namespace, "ptgt/audit", &json!({"spec": {"suspend": suspend}}));
        cluster.shows(namespace, "ptgt/audit", ("Delivering", status, reason));
    }
}

async fn granted_is_used(plane: &ControlPlane, release: &Release) {
    let granted = release.granted(plane);
    assert!(granted.len() > 10, "{granted:?}");
    let unused = || {
        let requests = release.requests(plane);
        let used: BTreeSet<_> =
            requests.iter().filter_map(|one| right(one, &granted).ok()).collect();
        granted.difference(&used).cloned().collect::<Vec<_>>()
    };
    let patience = tokio::time::Instant::now() + SOON;
    wait_for("the audit log is written", 2 * SOON, || async {
        unused().is_empty() || tokio::time::Instant::now() > patience
    })
    .await;
    assert_eq!(unused(), Vec::<Right>::new(), "granted, but not used");
    let requests = release.requests(plane);
    let refused: Vec<_> = requests.iter().filter(|one| one.code == 403).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let others: Vec<_> = requests.iter().filter_map(|one| right(one, &granted).err()).collect();
    assert!(others.is_empty(), "used, but not granted by the chart: {others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_chart_grants_is_what_the_operator_uses() {
    let Some(rig) = Rig::shared() else { return };
    let cluster = &rig.cluster;
    let authority = Authority::new();
    let sink = Sink::start_tls(&authority).await;
    let selector =
        "  allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}\n";
    for namespace in [RELEASE, SECRETS] {
        use_all(cluster, namespace, (&sink, &authority), selector);
    }
    granted_is_used(&cluster.plane, &cluster.release).await;
    for namespace in [RELEASE, SECRETS] {
        cluster.kubectl(namespace, &["delete", "ptgt/audit", "aroute/audit"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn release_without_a_cluster_role_serves_its_namespace_and_asks_for_nothing_more() {
    let Some(alone) = Alone::turn() else { return };
    let cluster = alone.cluster;
    let (narrow, elsewhere) = (cluster.namespace("narrow"), cluster.namespace("elsewhere"));
    let values = ["rbac.mode=namespaced", "crds.enabled=false"];
    let release = Release::install(&cluster.plane, &narrow, &values).await;
    let kinds = release.objects(&cluster.plane);
    let wide = kinds.iter().filter(|one| one["kind"].as_str().unwrap().starts_with("Cluster"));
    assert_eq!(wide.count(), 0);

    let authority = Authority::new();
    let (sink, plain) = (Sink::start_tls(&authority).await, Sink::start().await);
    cluster.apply(&elsewhere, &webhook("foreign", &plain.url("/"), ""));
    let operator = release.launch().start_ready().await;
    use_all(cluster, &narrow, (&sink, &authority), "");
    cluster.patch(&narrow, "ptgt/audit", &json!({"spec": {"suspend": false}}));
    cluster.shows(&narrow, "ptgt/audit", ("Healthy", "True", "Reachable"));
    fire(&operator, &[firing("Audit", &narrow)]).await;
    let post = wait_for_value("the alert", SOON, || async {
        sink.received().into_iter().find(|one| one.method == "POST")
    })
    .await;
    assert_eq!(post.header("authorization"), Some("Bearer audit"));
    granted_is_used(&cluster.plane, &release).await;
    let foreign = cluster.condition(&elsewhere, "ptgt/foreign", "Ready");
    assert_eq!(foreign["reason"], "Pending", "another namespace is left alone");
    assert_eq!(plain.received().len(), 0);
    for namespace in [&narrow, &elsewhere] {
        cluster.kubectl(namespace, &["delete", "fanfare", "--all"]);
    }
    alone.end(operator).await;
}
