//! Secrets: missing, wrong, rotated, deleted, forbidden.

use std::time::Duration;

use fanfare::api::{Reason, TargetKey};

use super::rig::{PATIENT, Rig, secret, secret_webhook};
use crate::support::controlplane::ControlPlane;

/// Much sooner than the next reading that nobody asked for, which comes within a minute.
const AT_ONCE: Duration = Duration::from_secs(20);

fn path(rig: &Rig, key: &TargetKey) -> String {
    rig.snapshot().target(key).unwrap().endpoints[0].uri().path().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_named_with_its_fix_and_found_when_it_comes() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("secret").await;
    let rig = Rig::start(plane, &namespace).await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &secret_webhook("hook"));
    let message = rig.rejects(&key, Reason::SecretNotFound, PATIENT).await;
    assert!(message.contains(&format!("kubectl -n {namespace} create secret")), "{message}");

    plane.apply(
        &namespace,
        "apiVersion: v1\nkind: Secret\nmetadata: {name: hook}\nstringData: {other: x}\n",
    );
    let message = rig.rejects(&key, Reason::SecretKeyMissing, PATIENT).await;
    assert!(message.contains("kubectl") && message.contains("url"), "{message}");

    plane.apply(&namespace, &secret("hook", "http://receiver.example/one"));
    rig.accepts(&key, 1, PATIENT).await;
    assert_eq!(path(&rig, &key), "/one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_is_used_at_once_when_asked_for() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("rotation").await;
    let rig = Rig::start(plane, &namespace).await;
    rig.leads(PATIENT).await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &secret("hook", "http://receiver.example/one"));
    plane.apply(&namespace, &secret_webhook("hook"));
    rig.accepts(&key, 1, PATIENT).await;

    plane.apply(&namespace, &secret("hook", "http://receiver.example/canary-two"));
    // What the fan-out does after a 401; requests are at least two seconds apart.
    rig.handles.refresh.refresh(&key);
    rig.sees("the new Secret", AT_ONCE, |snapshot| {
        let target = snapshot.target(&key)?;
        (target.endpoints[0].uri().path() == "/canary-two").then_some(())
    })
    .await;

    plane.apply(&namespace, &secret("hook", "http://receiver.example/canary-three"));
    let annotate = ["annotate", "ptgt", "hook", "fanfare.dev/reconcile=1"];
    plane.kubectl_ok(&[&["-n", namespace.as_str()][..], &annotate].concat());
    rig.sees("the annotation's effect", AT_ONCE, |snapshot| {
        let target = snapshot.target(&key)?;
        (target.endpoints[0].uri().path() == "/canary-three").then_some(())
    })
    .await;

    super::rig::event(plane, &namespace, "SecretRotated").await;
    let everything =
        plane.kubectl_ok(&["-n", &namespace, "get", "ptgt,events.events.k8s.io", "-o", "yaml"]);
    assert!(everything.contains("SecretRotated") && !everything.contains("canary"), "{everything}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_is_used_without_being_asked_for() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("rotation").await;
    let rig = Rig::start(plane, &namespace).await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &secret("hook", "http://receiver.example/one"));
    plane.apply(&namespace, &secret_webhook("hook"));
    rig.accepts(&key, 1, PATIENT).await;
    plane.apply(&namespace, &secret("hook", "http://receiver.example/two"));
    rig.sees("the new Secret", PATIENT, |snapshot| {
        let target = snapshot.target(&key)?;
        (target.endpoints[0].uri().path() == "/two").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_stops_its_target_and_health_survives_its_return() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("secret").await;
    let rig = Rig::start(plane, &namespace).await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &secret("hook", "http://receiver.example/one"));
    plane.apply(&namespace, &secret_webhook("hook"));
    rig.accepts(&key, 1, PATIENT).await;
    let live = rig.snapshot().target(&key).unwrap().live.clone();
    plane.kubectl_ok(&["-n", &namespace, "delete", "secret", "hook"]);
    rig.handles.refresh.refresh(&key);
    rig.rejects(&key, Reason::SecretNotFound, PATIENT).await;
    plane.apply(&namespace, &secret("hook", "http://receiver.example/one"));
    rig.accepts(&key, 1, PATIENT).await;
    assert!(std::sync::Arc::ptr_eq(&live, &rig.snapshot().target(&key).unwrap().live));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_secret_is_named_with_its_fix_and_read_once_allowed() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("forbidden").await;
    let kubeconfig = super::rig::limited(plane, &namespace).await;
    let rig = Rig::with(&kubeconfig, &[&namespace], &namespace).await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &secret("hook", "http://receiver.example/one"));
    plane.apply(&namespace, &secret_webhook("hook"));
    let message = rig.rejects(&key, Reason::SecretForbidden, PATIENT).await;
    assert!(message.contains(&format!("kubectl -n {namespace} create")), "{message}");
    assert!(message.ends_with(&format!("--serviceaccount={namespace}:operator")), "{message}");
    super::rig::allow_secrets(plane, &namespace);
    rig.accepts(&key, 1, PATIENT).await;
    assert!(rig.metric("fanfare_secret_reads_total{result=\"forbidden\"}") >= 1.0);
    assert!(rig.metric("fanfare_secret_reads_total{result=\"ok\"}") >= 1.0);
}
