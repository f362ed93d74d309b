//! The CRDs are removed and installed again while it runs.

use fanfare::api::TargetKey;

use super::rig::{PATIENT, Rig, webhook};
use crate::support::{controlplane::ControlPlane, wait::wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn removed_and_reinstalled_crds_need_no_restart() {
    let Some(plane) = ControlPlane::own() else { return };
    plane.install_crds();
    let namespace = plane.namespace("crd").await;
    plane.apply(&namespace, &webhook("hook", "one"));
    let rig = Rig::start(&plane, &namespace).await;
    let key = TargetKey::new(&namespace, "hook");
    rig.accepts(&key, 1, PATIENT).await;

    plane.kubectl_ok(&["delete", "-f", "crds"]);
    wait_for("failing watches", PATIENT, || async {
        let now = jiff::Timestamp::now().as_second();
        rig.states.trouble(now).is_some_and(|trouble| trouble.contains("fails"))
    })
    .await;
    assert!(rig.snapshot().complete, "readiness stays");

    plane.kubectl_ok(&["apply", "--server-side", "-f", "crds"]);
    plane.kubectl_ok(&["wait", "--for=condition=Established", "--timeout=30s", "-f", "crds"]);
    plane.apply(&namespace, &webhook("hook", "two"));
    rig.sees("the new target", PATIENT, |snapshot| {
        let target = snapshot.target(&key)?;
        (target.endpoints[0].uri().path() == "/two").then_some(())
    })
    .await;
    plane.apply(&namespace, &webhook("hook", "three"));
    rig.accepts(&key, 2, PATIENT).await;
}
