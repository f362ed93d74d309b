//! Rights are taken and given back while it runs.

use fanfare::api::TargetKey;

use super::rig::{PATIENT, Rig, limited, webhook};
use crate::support::{controlplane::ControlPlane, wait::wait_for};

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_rights_keep_the_last_registry_and_returned_ones_need_no_restart() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("rbac").await;
    let kubeconfig = limited(plane, &namespace).await;
    plane.apply(&namespace, &webhook("hook", "one"));
    let rig = Rig::with(&kubeconfig, &[&namespace], &namespace).await;
    let key = TargetKey::new(&namespace, "hook");
    rig.accepts(&key, 1, PATIENT).await;
    wait_for("a state without trouble", PATIENT, || async { rig.states.trouble(now()).is_none() })
        .await;

    plane.kubectl_ok(&["-n", &namespace, "delete", "rolebinding", "operator"]);
    // A running watch is not cut when rights go: it is refused when it is renewed, after 55 s.
    wait_for("refused watches", PATIENT, || async {
        rig.states.trouble(now()).is_some_and(|trouble| trouble.contains("forbidden"))
    })
    .await;
    wait_for("counted errors of the targets' watch", PATIENT, || async {
        rig.metric("fanfare_watch_errors_total{kind=\"PublishTarget\"}") >= 1.0
    })
    .await;
    assert!(rig.snapshot().target(&key).is_some(), "the last registry serves on");
    assert!(rig.snapshot().complete, "readiness stays");

    plane.apply(&namespace, &webhook("hook", "two"));
    limited(plane, &namespace).await;
    rig.accepts(&key, 2, PATIENT).await;
    wait_for("a state without trouble", PATIENT, || async { rig.states.trouble(now()).is_none() })
        .await;
    plane.apply(&namespace, &webhook("hook", "three"));
    rig.accepts(&key, 3, PATIENT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_namespaces_are_told_on_the_targets_that_select_by_label_only() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("selector").await;
    let kubeconfig = limited(plane, &namespace).await;
    plane.apply(&namespace, &webhook("plain", "one"));
    let selecting = webhook("selecting", "two").replace(
        "spec: {",
        "spec: {allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}, ",
    );
    plane.apply(&namespace, &selecting);
    let rig = Rig::with(&kubeconfig, &[&namespace], &namespace).await;
    rig.complete().await;
    let client = plane.client().await;
    let forbidden = ("Ready", "NamespaceSelectorForbidden");
    let key = TargetKey::new(&namespace, "selecting");
    super::rig::shows(&client, &key, forbidden, PATIENT).await;
    let plain = TargetKey::new(&namespace, "plain");
    super::rig::shows(&client, &plain, ("Ready", "Registered"), PATIENT).await;
}
