//! Who writes status when an operator goes.

use std::time::Duration;

use fanfare::api::PublishTarget;
use futures::StreamExt as _;
use kube::{
    Api,
    api::{ListParams, WatchParams},
    core::WatchEvent,
};
use serde_json::Value;

use super::rig::{Alone, Cluster, RELEASE, webhook};
use crate::support::{
    operator::Operator,
    sink::{Answer, Sink},
};

fn holder(cluster: &Cluster) -> String {
    let path = "jsonpath={.spec.holderIdentity}";
    let get = ["get", "lease", "fanfare", "--ignore-not-found", "-o", path];
    cluster.kubectl(RELEASE, &get)
}

/// Waits until this operator leads; answers its name.
async fn leads(cluster: &Cluster, operator: &Operator) -> String {
    operator.wait_log("the Lease is ours", |line| line["message"] == "Leading").await;
    holder(cluster)
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_releases_the_lease_and_exits_with_0() {
    let Some(alone) = Alone::turn() else { return };
    let mut operator = alone.cluster.launch().start_ready().await;
    let name = leads(alone.cluster, &operator).await;
    assert!(name.starts_with("fanfare-0"), "{name}");
    let status = operator.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", operator.log_text());
    assert_eq!(holder(alone.cluster), "", "released, so that the next one need not wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_operator_takes_over_and_keeps_health() {
    let Some(alone) = Alone::turn() else { return };
    let cluster = alone.cluster;
    let namespace = cluster.namespace("lease");
    let (well, sick) = (Sink::start().await, Sink::start().await);
    sick.answer(Answer::status(503));
    let targets = webhook("well", &well.url("/"), "") + &webhook("sick", &sick.url("/"), "");
    cluster.apply(&namespace, &targets);
    let first = cluster.launch().start_ready().await;
    cluster.shows(&namespace, "ptgt/well", ("Healthy", "True", "Reachable"));
    cluster.shows(&namespace, "ptgt/sick", ("Healthy", "False", "ServerError"));
    let before = leads(cluster, &first).await;

    // Everything that status says from now on.
    let api: Api<PublishTarget> = Api::namespaced(cluster.plane.client().await, &namespace);
    let version =
        api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let mut watch = api.watch(&WatchParams::default(), &version).await.unwrap().boxed();
    first.signal("KILL");
    let second = cluster.launch().start_ready().await;
    let after = leads(cluster, &second).await;
    let spec = cluster.object(RELEASE, "lease/fanfare")["spec"].take();
    assert_eq!(spec["leaseDurationSeconds"], 15, "how long a dead holder keeps it: {spec}");
    assert_ne!(before, after, "each process is a candidate of its own");

    // The new holder writes: the other target recovers.
    sick.answer(Answer::status(200));
    cluster.shows(&namespace, "ptgt/sick", ("Healthy", "True", "Reachable"));
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(1), watch.next()).await {
        let WatchEvent::Modified(target) = event.unwrap() else { continue };
        let status: Value = serde_json::to_value(target.status).unwrap();
        let name = target.metadata.name.unwrap();
        assert_ne!(status["health"]["state"], "Unknown", "{name} flapped: {status}");
        assert!(name == "sick", "{name} was written although nothing changed: {status}");
    }
    cluster.kubectl(&namespace, &["delete", "fanfare", "--all"]);
    alone.end(second).await;
}

/// As when SIGTERM cuts off a renewal that arrives all the same.
#[tokio::test(flavor = "multi_thread")]
async fn lease_that_changed_since_it_was_seen_is_released_too() {
    let Some(alone) = Alone::turn() else { return };
    let mut operator = alone.cluster.launch().start_ready().await;
    leads(alone.cluster, &operator).await;
    let note = format!("seen={}", operator.pid());
    alone.cluster.kubectl(RELEASE, &["annotate", "--overwrite", "lease", "fanfare", &note]);
    let status = operator.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", operator.log_text());
    assert_eq!(holder(alone.cluster), "", "{}", operator.log_text());
}
