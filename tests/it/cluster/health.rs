//! Health goes into status, and comes back from it after a restart.

use std::time::Duration;

use fanfare::{
    api::{HealthState, Reason, TargetKey},
    registry::{Depth, Moment, Sample, SampleFailure, SampleSource},
};
use jiff::Timestamp;
use tokio::time::Instant;

use super::rig::{PATIENT, Rig, event, shows, webhook};
use crate::support::controlplane::ControlPlane;

/// What a health check would report.
pub(super) fn observe(rig: &Rig, key: &TargetKey, verdict: Result<Depth, SampleFailure>) {
    let target = rig.snapshot().target(key).unwrap().clone();
    let sample = Sample { verdict, latency: Duration::from_millis(5), source: SampleSource::Probe };
    let now = Moment { mono: Instant::now(), wall: Timestamp::now() };
    if target.live.observe(&sample, &target.health, now).is_some() {
        rig.changes.mark(key);
    }
}

/// A refused connection.
pub(super) fn refused() -> SampleFailure {
    SampleFailure {
        reason: Reason::ConnectFailed,
        depth: Depth::Connect,
        local: false,
        http_status: None,
        message: "receiver.example refused the connection".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transition_is_written_told_and_restored_after_a_restart() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("health").await;
    let rig = Rig::start(plane, &namespace).await;
    rig.leads(PATIENT).await;
    let client = plane.client().await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &webhook("hook", "one"));
    rig.accepts(&key, 1, PATIENT).await;
    for _ in 0..3 {
        observe(&rig, &key, Err(refused()));
    }
    let status = shows(&client, &key, ("Healthy", "ConnectFailed"), PATIENT).await;
    assert_eq!(status["health"]["state"], "Unhealthy");
    event(plane, &namespace, "Unhealthy").await;
    rig.stop().await;

    let again = Rig::start(plane, &namespace).await;
    again.accepts(&key, 1, PATIENT).await;
    let target = again.snapshot().target(&key).unwrap().clone();
    assert_eq!(target.live.health(), HealthState::Unhealthy, "as it was before the restart");
    again.leads(PATIENT).await;
    observe(&again, &key, Ok(Depth::Credential));
    shows(&client, &key, ("Ready", "Registered"), PATIENT).await;
    let recovered = event(plane, &namespace, "Recovered").await;
    assert!(recovered["note"].as_str().unwrap().starts_with("healthy again after "), "{recovered}");
}
