//! Who may write.

use std::{sync::mpsc, time::Duration};

use fanfare::api::{PublishTarget, TargetKey};
use jiff::Timestamp;
use kube::Api;
use tokio::time::Instant;

use super::{
    health::{observe, refused},
    rig::{PATIENT, Rig, config, shows, webhook},
};
use crate::support::{controlplane::ControlPlane, operator::Launch, wait::wait_for};

/// How long a holder that went without a word keeps the Lease.
const LEASE: Duration = Duration::from_secs(15);

/// A time in the Lease of a namespace.
fn moment(plane: &ControlPlane, namespace: &str, field: &str) -> Timestamp {
    let path = format!("jsonpath={{.spec.{field}}}");
    plane.kubectl_ok(&["-n", namespace, "get", "lease", "fanfare", "-o", &path]).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_takes_over_when_the_lease_has_expired_and_only_then_writes() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("lease").await;
    let first = Rig::start(plane, &namespace).await;
    first.leads(PATIENT).await;
    let second = Rig::start(plane, &namespace).await;
    second.complete().await;
    let client = plane.client().await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &webhook("hook", "one"));
    shows(&client, &key, ("Ready", "Registered"), PATIENT).await;
    assert!(second.leadership.until(Instant::now()).is_none());

    drop(first);
    let renewed = moment(plane, &namespace, "renewTime");
    second.leads(PATIENT).await;
    let kept = moment(plane, &namespace, "acquireTime").duration_since(renewed);
    assert!(kept.unsigned_abs() >= LEASE, "too early: {kept:?}");
    plane.apply(&namespace, &webhook("other", "one"));
    shows(&client, &TargetKey::new(&namespace, "other"), ("Ready", "Registered"), PATIENT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_lease_is_taken_over_before_it_expires() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("lease").await;
    let first = Rig::start(plane, &namespace).await;
    first.leads(PATIENT).await;
    let second = Rig::start(plane, &namespace).await;
    second.complete().await;
    first.stop().await;
    let took = second.leads(PATIENT).await;
    assert!(took < LEASE, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_lease_is_made_again() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("lease").await;
    let rig = Rig::start(plane, &namespace).await;
    rig.leads(PATIENT).await;
    plane.kubectl_ok(&["-n", &namespace, "delete", "lease", "fanfare"]);
    wait_for("a new Lease", PATIENT, || async {
        plane.kubectl(&["-n", &namespace, "get", "lease", "fanfare"]).status.success()
    })
    .await;
    rig.leads(PATIENT).await;
}

/// A frozen process: its runtime has one thread, and that thread is blocked.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_paused_writes_nothing_stale() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("stale").await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &webhook("hook", "one"));
    let client = plane.client().await;
    let api: Api<PublishTarget> = Api::namespaced(client.clone(), &namespace);

    let (freeze, frozen) = mpsc::channel::<mpsc::Receiver<()>>();
    let (settings, home) = (config(&plane.kubeconfig).await, namespace.clone());
    let (leads, leading) = tokio::sync::oneshot::channel();
    let (end, ended) = mpsc::channel::<()>();
    let ill = key.clone();
    let holder = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let rig = Rig::launch(&settings, &[&home], &home);
            rig.leads(PATIENT).await;
            leads.send(()).unwrap();
            while !matches!(ended.try_recv(), Err(mpsc::TryRecvError::Disconnected)) {
                if let Ok(until) = frozen.try_recv() {
                    // Something to write, and no time left to write it.
                    for _ in 0..3 {
                        observe(&rig, &ill, Err(refused()));
                    }
                    let _ = until.recv();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            rig.metric("fanfare_status_writes_total{kind=\"PublishTarget\",result=\"written\"}")
        })
    });
    leading.await.unwrap();
    shows(&client, &key, ("Ready", "Registered"), PATIENT).await;

    let (thaw, until) = mpsc::channel();
    freeze.send(until).unwrap();
    let second = Rig::start(plane, &namespace).await;
    second.leads(PATIENT).await;
    // The new holder says something that the old one does not know.
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
    let told = shows(&client, &key, ("Delivering", "Suspended"), PATIENT).await;
    let version = api.get("hook").await.unwrap().metadata.resource_version;
    drop(thaw);
    // Long enough for the old holder to do what it would do, and to learn that it lost the Lease.
    plane.apply(&namespace, &webhook("after", "one"));
    shows(&client, &TargetKey::new(&namespace, "after"), ("Ready", "Registered"), PATIENT).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let object = api.get("hook").await.unwrap();
    assert_eq!(object.metadata.resource_version, version, "somebody wrote");
    assert_eq!(serde_json::to_value(object.status).unwrap(), told);
    drop(end);
    let written = tokio::task::spawn_blocking(move || holder.join().unwrap()).await.unwrap();
    assert!(written <= 2.0, "the old holder wrote after it was thawed: {written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_program_is_succeeded_and_writes_nothing_stale_when_it_goes_on() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("sigstop").await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &webhook("hook", "one"));
    let client = plane.client().await;
    let api: Api<PublishTarget> = Api::namespaced(client.clone(), &namespace);
    let launch = || {
        Launch::with_kubeconfig(&plane.kubeconfig)
            .arg("--watch-namespace")
            .arg(&namespace)
            .arg("--lease-namespace")
            .arg(&namespace)
            .start_ready()
    };
    let first = launch().await;
    first.wait_log("the first leads", |line| line["message"] == "Leading").await;
    let second = launch().await;
    shows(&client, &key, ("Ready", "Registered"), PATIENT).await;

    first.signal("STOP");
    second.wait_log("the second leads", |line| line["message"] == "Leading").await;
    let suspend = r#"{"spec":{"suspend":true}}"#;
    plane.kubectl_ok(&["-n", &namespace, "patch", "ptgt", "hook", "--type=merge", "-p", suspend]);
    shows(&client, &key, ("Delivering", "Suspended"), PATIENT).await;
    let version = api.get("hook").await.unwrap().metadata.resource_version;
    first.signal("CONT");
    first.wait_log("the first knows", |line| line["message"] == "Leading no longer").await;
    plane.apply(&namespace, &webhook("after", "one"));
    shows(&client, &TargetKey::new(&namespace, "after"), ("Ready", "Registered"), PATIENT).await;
    let now = api.get("hook").await.unwrap().metadata.resource_version;
    assert_eq!(now, version, "somebody wrote");
}
