//! Objects come, change, go and come back.

use fanfare::api::{RouteKey, TargetKey};

use super::rig::{PATIENT, Rig, route, webhook};
use crate::support::controlplane::ControlPlane;

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_seen_created_changed_deleted_and_recreated() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("life").await;
    let rig = Rig::start(plane, &namespace).await;
    rig.complete().await;
    let key = TargetKey::new(&namespace, "hook");

    plane.apply(&namespace, &webhook("hook", "one"));
    rig.accepts(&key, 1, PATIENT).await;
    let first = rig.snapshot().target(&key).unwrap().clone();

    plane.apply(&namespace, &webhook("hook", "two"));
    rig.accepts(&key, 2, PATIENT).await;
    let changed = rig.snapshot().target(&key).unwrap().clone();
    assert_eq!(changed.endpoints[0].uri().path(), "/two");
    assert_eq!(changed.uid, first.uid);

    plane.kubectl_ok(&["-n", &namespace, "delete", "ptgt", "hook", "--wait=false"]);
    rig.forgets(&key, PATIENT).await;

    plane.apply(&namespace, &webhook("hook", "three"));
    rig.accepts(&key, 1, PATIENT).await;
    let again = rig.snapshot().target(&key).unwrap().clone();
    assert_ne!(again.uid, first.uid, "a recreated object is another one");
    assert!(!std::sync::Arc::ptr_eq(&again.live, &changed.live), "and starts fresh");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_reaches_a_target_that_is_created_after_it() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("life").await;
    let rig = Rig::start(plane, &namespace).await;
    rig.complete().await;
    let key = RouteKey::new(&namespace, "all");
    plane.apply(&namespace, &route("all", "hook"));
    rig.sees("the route without its target", PATIENT, |snapshot| {
        snapshot.route(&key).filter(|route| route.unresolved.len() == 1).map(|_| ())
    })
    .await;
    plane.apply(&namespace, &webhook("hook", "one"));
    rig.sees("the route with its target", PATIENT, |snapshot| {
        snapshot.route(&key).filter(|route| route.targets.len() == 1).map(|_| ())
    })
    .await;
    plane.kubectl_ok(&["-n", &namespace, "delete", "aroute", "all", "--wait=false"]);
    rig.sees("no route", PATIENT, |snapshot| snapshot.routes.is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_while_it_was_down_is_gone_after_a_start() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("down").await;
    plane.apply(&namespace, &webhook("kept", "kept"));
    plane.apply(&namespace, &webhook("gone", "gone"));
    let rig = Rig::start(plane, &namespace).await;
    rig.complete().await;
    assert_eq!(rig.snapshot().targets.len(), 2);
    rig.stop().await;
    plane.kubectl_ok(&["-n", &namespace, "delete", "ptgt", "gone"]);
    let rig = Rig::start(plane, &namespace).await;
    rig.complete().await;
    let snapshot = rig.snapshot();
    assert!(snapshot.target(&TargetKey::new(&namespace, "kept")).is_some());
    assert_eq!(snapshot.targets.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_complete_only_when_every_secret_had_its_answer() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("complete").await;
    plane.apply(&namespace, &super::rig::secret_webhook("late"));
    let rig = Rig::start(plane, &namespace).await;
    let key = TargetKey::new(&namespace, "late");
    rig.sees("a complete snapshot", PATIENT, |snapshot| {
        assert!(!snapshot.complete || snapshot.targets.contains_key(&key), "complete without it");
        snapshot.complete.then_some(())
    })
    .await;
}
