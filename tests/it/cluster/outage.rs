//! The API server is killed, paused, or forgets its history.

use fanfare::api::TargetKey;

use super::rig::{PATIENT, Rig, secret, secret_webhook, webhook};
use crate::support::{controlplane::ControlPlane, wait::wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_api_server_changes_nothing_and_its_return_is_noticed() {
    let Some(plane) = ControlPlane::own() else { return };
    plane.install_crds();
    let namespace = plane.namespace("killed").await;
    plane.apply(&namespace, &webhook("gone", "gone"));
    plane.apply(&namespace, &secret("hook", "http://receiver.example/one"));
    plane.apply(&namespace, &secret_webhook("hook"));
    let rig = Rig::start(&plane, &namespace).await;
    let key = TargetKey::new(&namespace, "hook");
    rig.accepts(&key, 1, PATIENT).await;
    rig.lists_all(PATIENT).await;
    let generation = rig.snapshot().generation;

    plane.kill();
    rig.handles.refresh.refresh(&key);
    wait_for("failing watches", PATIENT, || async {
        let now = jiff::Timestamp::now().as_second();
        rig.states.trouble(now).is_some_and(|trouble| trouble.contains("fails"))
    })
    .await;
    wait_for("a failed read", PATIENT, || async {
        rig.metric("fanfare_secret_reads_total{result=\"error\"}") >= 1.0
    })
    .await;
    assert_eq!(rig.snapshot().generation, generation, "the last registry serves on");
    assert!(rig.snapshot().target(&key).is_some() && rig.snapshot().complete);

    plane.restart();
    plane.kubectl_ok(&["-n", &namespace, "delete", "ptgt", "gone"]);
    rig.forgets(&TargetKey::new(&namespace, "gone"), PATIENT).await;
    plane.apply(&namespace, &webhook("new", "new"));
    rig.accepts(&TargetKey::new(&namespace, "new"), 1, PATIENT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_api_server_is_noticed() {
    let Some(plane) = ControlPlane::own() else { return };
    plane.install_crds();
    let namespace = plane.namespace("paused").await;
    plane.apply(&namespace, &webhook("hook", "one"));
    let rig = Rig::start(&plane, &namespace).await;
    let key = TargetKey::new(&namespace, "hook");
    rig.accepts(&key, 1, PATIENT).await;
    rig.lists_all(PATIENT).await;

    plane.pause();
    wait_for("a silent watch is noticed", PATIENT, || async {
        rig.states.trouble(jiff::Timestamp::now().as_second()).is_some()
    })
    .await;
    assert!(rig.snapshot().target(&key).is_some() && rig.snapshot().complete);
    plane.resume();
    plane.wait_ready().await;
    plane.apply(&namespace, &webhook("hook", "two"));
    rig.accepts(&key, 2, PATIENT).await;
    wait_for("a state without trouble", PATIENT, || async {
        rig.states.trouble(jiff::Timestamp::now().as_second()).is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_a_compacted_version_lists_again() {
    let Some(plane) = ControlPlane::own() else { return };
    plane.install_crds();
    let namespace = plane.namespace("compacted").await;
    plane.apply(&namespace, &webhook("gone", "one"));
    let rig = Rig::start(&plane, &namespace).await;
    let gone = TargetKey::new(&namespace, "gone");
    rig.accepts(&gone, 1, PATIENT).await;

    // While nobody can hear it: an object goes, and so does the history that tells of it.
    plane.kill();
    plane.restart();
    plane.kubectl_ok(&["-n", &namespace, "delete", "ptgt", "gone"]);
    plane.apply(&namespace, &webhook("new", "one"));
    plane.compact();
    plane.kill();
    plane.restart();
    rig.accepts(&TargetKey::new(&namespace, "new"), 1, PATIENT).await;
    rig.forgets(&gone, PATIENT).await;
}
