//! Status writes: conflicts, foreign hands, events.

use fanfare::api::TargetKey;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;

use super::rig::{PATIENT, Rig, event, route, shows, webhook};
use crate::support::{controlplane::ControlPlane, wait::wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_status_changed_by_others_is_put_right() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("status").await;
    let rig = Rig::start(plane, &namespace).await;
    rig.leads(PATIENT).await;
    let client = plane.client().await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &webhook("hook", "one"));
    let told = shows(&client, &key, ("Ready", "Registered"), PATIENT).await;
    plane.kubectl_ok(&[
        "-n",
        &namespace,
        "patch",
        "ptgt",
        "hook",
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":{"endpoint":"evil.example","conditions":[]}}"#,
    ]);
    let again = shows(&client, &key, ("Ready", "Registered"), PATIENT).await;
    assert_eq!(again["endpoint"], told["endpoint"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_change_all_the_time_still_get_their_last_status() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("conflict").await;
    let rig = Rig::start(plane, &namespace).await;
    rig.leads(PATIENT).await;
    let client = plane.client().await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &webhook("hook", "one"));
    shows(&client, &key, ("Ready", "Registered"), PATIENT).await;

    let kind = GroupVersionKind::gvk("fanfare.dev", "v1alpha1", "PublishTarget");
    let resource = ApiResource::from_gvk_with_plural(&kind, "publishtargets");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
    let writer = |worker: i32| {
        let api = api.clone();
        async move {
            for round in 0..20 {
                let body = json!({
                    "metadata": {"labels": {format!("worker{worker}"): round.to_string()}},
                    "spec": {"suspend": (round + worker) % 2 == 0},
                });
                let params = PatchParams::default();
                api.patch("hook", &params, &Patch::Merge(&body)).await.unwrap();
            }
        }
    };
    futures::future::join_all((0..10).map(writer)).await;
    let body = json!({"spec": {"suspend": true}});
    let last = api.patch("hook", &PatchParams::default(), &Patch::Merge(&body)).await.unwrap();
    let generation = last.metadata.generation.unwrap();
    wait_for("the last generation's status", PATIENT, || async {
        let status = shows(&client, &key, ("Delivering", "Suspended"), PATIENT).await;
        status["observedGeneration"] == generation
    })
    .await;
    // No hot loop: about one write per change, conflicts included.
    let count = |result: &str| {
        rig.metric(&format!(
            "fanfare_status_writes_total{{kind=\"PublishTarget\",result=\"{result}\"}}"
        ))
    };
    assert!(count("written") + count("conflict") <= 420.0);
    assert!(count("error") == 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn transitions_are_told_as_events_and_nothing_else_is() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("events").await;
    let rig = Rig::start(plane, &namespace).await;
    rig.leads(PATIENT).await;
    let client = plane.client().await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &webhook("hook", "one"));
    let registered = event(plane, &namespace, "Registered").await;
    assert_eq!(registered["regarding"]["name"], "hook");
    assert_eq!(registered["type"], "Normal");
    plane.kubectl_ok(&[
        "-n",
        &namespace,
        "patch",
        "ptgt",
        "hook",
        "--type=merge",
        "-p",
        r#"{"spec":{"suspend":true}}"#,
    ]);
    event(plane, &namespace, "Suspended").await;
    plane.apply(&namespace, &route("lost", "nobody"));
    let lost = event(plane, &namespace, "TargetNotFound").await;
    assert_eq!(lost["type"], "Warning");
    // A restart repeats nothing.
    rig.stop().await;
    let again = Rig::start(plane, &namespace).await;
    again.leads(PATIENT).await;
    shows(&client, &key, ("Delivering", "Suspended"), PATIENT).await;
    wait_for("everything compared", PATIENT, || async {
        let unchanged = "fanfare_status_writes_total{kind=\"PublishTarget\",result=\"unchanged\"}";
        again.metric(unchanged) >= 1.0
    })
    .await;
    assert!(again.metric("fanfare_events_total{result=\"written\"}") == 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_status_does_not_wait_for_a_verdict_that_never_comes() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("first").await;
    let rig = Rig::start(plane, &namespace).await;
    rig.leads(PATIENT).await;
    let client = plane.client().await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &webhook("hook", "one"));
    let status = shows(&client, &key, ("Ready", "Registered"), PATIENT).await;
    assert_eq!(status["health"]["state"], "Unknown");
}
