//! A healthy fleet causes no writes.

use std::{fmt::Write as _, time::Duration};

use fanfare::registry::{Depth, Moment, Sample, SampleSource};
use jiff::Timestamp;
use tokio::time::Instant;

use super::rig::{PATIENT, Rig, limited};
use crate::support::{controlplane::ControlPlane, wait::wait_for};

const TARGETS: usize = 1_000;
const IDLE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_healthy_targets_cause_no_writes_but_the_leases_renewals() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("idle").await;
    let kubeconfig = limited(plane, &namespace).await;
    let user = format!("system:serviceaccount:{namespace}:operator");
    let mut manifest = String::new();
    for n in 0..TARGETS {
        let target = super::rig::webhook(&format!("hook-{n}"), &n.to_string());
        writeln!(manifest, "---\n{target}").unwrap();
    }
    plane.apply(&namespace, &manifest);
    let rig = Rig::with(&kubeconfig, &[&namespace], &namespace).await;
    rig.complete().await;
    let snapshot = rig.snapshot();
    assert_eq!(snapshot.targets.len(), TARGETS);
    let probe_all = || {
        for target in rig.snapshot().targets.values().filter_map(|entry| entry.target()) {
            let sample = Sample {
                verdict: Ok(Depth::Answer),
                latency: Duration::from_millis(5),
                source: SampleSource::Probe,
            };
            let now = Moment { mono: Instant::now(), wall: Timestamp::now() };
            if target.live.observe(&sample, &target.health, now).is_some() {
                rig.changes.mark(&target.key);
            }
        }
    };
    probe_all();
    let written = "fanfare_status_writes_total{kind=\"PublishTarget\",result=\"written\"}";
    wait_for("a status for each", Duration::from_mins(2), || async {
        rig.metric(written) >= 1_000.0
    })
    .await;
    wait_for("the events", Duration::from_mins(2), || async {
        rig.metric("fanfare_events_total{result=\"written\"}")
            + rig.metric("fanfare_events_total{result=\"error\"}")
            >= 1_000.0
    })
    .await;
    assert!(rig.metric(written) < 1_010.0, "about one write for each: {}", rig.metric(written));

    let position = plane.audit_position();
    let idle = Instant::now();
    while idle.elapsed() < IDLE {
        probe_all();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let requests = plane.audit_since(position);
    let writes: Vec<_> = requests
        .iter()
        .filter(|request| request.user == user)
        .filter(|request| !["get", "list", "watch"].contains(&request.verb.as_str()))
        .collect();
    assert!(!writes.is_empty(), "the Lease is renewed, and the log shows it");
    let others: Vec<_> = writes.iter().filter(|request| request.resource != "leases").collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(writes.len() <= 20, "{} renewals in {IDLE:?}", writes.len());
    rig.leads(PATIENT).await;
}
