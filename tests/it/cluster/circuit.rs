//! An open circuit and notices, as people see them: status, events, after a restart.

use std::{sync::Arc, time::Duration};

use fanfare::{
    api::{CircuitState, Reason, TargetKey},
    registry::{
        Admission, CircuitSample, Depth, Metrics, Moment, Monitor, Sample, SampleFailure,
        SampleSource, Target,
    },
};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::rig::{PATIENT, Rig, event, route, shows, webhook};
use crate::support::{
    controlplane::ControlPlane,
    wait::{wait_for, wait_for_value},
};

fn now() -> Moment {
    Moment { mono: Instant::now(), wall: Timestamp::now() }
}

/// A monitor that reports to the rig's controller.
fn monitor(rig: &Rig) -> Arc<Monitor> {
    Monitor::new(Arc::clone(&rig.changes), Metrics::default())
}

/// A delivery that ends with a 500.
fn fail(monitor: &Monitor, target: &Target) {
    let failure = SampleFailure {
        reason: Reason::ServerError,
        depth: Depth::Answer,
        local: false,
        http_status: Some(500),
        message: "receiver.example answered 500".to_owned(),
    };
    let verdict = Err(failure);
    let latency = Duration::from_millis(5);
    let sample = Sample { verdict, latency, source: SampleSource::Delivery };
    monitor.record(target, &sample, now());
    monitor.attempted(target, None, CircuitSample::Failure, now());
}

/// How many events were published with this reason.
fn count(plane: &ControlPlane, namespace: &str, reason: &str) -> usize {
    let list = plane.kubectl_ok(&["-n", namespace, "get", "events.events.k8s.io", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    list["items"].as_array().unwrap().iter().filter(|event| event["reason"] == reason).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_circuit_is_written_told_kept_over_a_restart_and_closed_by_a_trial() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("circuit").await;
    let rig = Rig::start(plane, &namespace).await;
    rig.leads(PATIENT).await;
    let client = plane.client().await;
    let key = TargetKey::new(&namespace, "hook");
    plane.apply(&namespace, &webhook("hook", "one"));
    rig.accepts(&key, 1, PATIENT).await;
    let fresh = shows(&client, &key, ("Delivering", "NothingHeld"), PATIENT).await;
    assert_eq!(fresh["circuit"], json!({"state": "Closed"}));

    let target = Arc::clone(rig.snapshot().target(&key).unwrap());
    for _ in 0..5 {
        fail(&monitor(&rig), &target);
    }
    let open = shows(&client, &key, ("Delivering", "CircuitOpen"), PATIENT).await;
    assert_eq!(open["circuit"]["state"], "Open");
    let told = event(plane, &namespace, "CircuitOpen").await;
    assert_eq!(told["type"], "Warning");
    let note = told["note"].as_str().unwrap();
    assert!(note.contains("receiver.example answered 500") && note.contains("30s"), "{note}");
    rig.stop().await;

    let again = Rig::start(plane, &namespace).await;
    again.leads(PATIENT).await;
    again.accepts(&key, 1, PATIENT).await;
    let target = Arc::clone(again.snapshot().target(&key).unwrap());
    assert_eq!(target.live.circuit(), CircuitState::Open, "as it was before the restart");
    wait_for("everything compared", PATIENT, || async {
        let unchanged = "fanfare_status_writes_total{kind=\"PublishTarget\",result=\"unchanged\"}";
        again.metric(unchanged) >= 1.0
    })
    .await;
    let same = shows(&client, &key, ("Delivering", "CircuitOpen"), PATIENT).await;
    assert_eq!((&same["circuit"], &same["conditions"]), (&open["circuit"], &open["conditions"]));

    let Admission::Trial(trial) = target.live.admit(&target.policy.breaker, now()) else {
        panic!("no trial at once")
    };
    monitor(&again).attempted(&target, Some(trial), CircuitSample::Success, now());
    let closed = shows(&client, &key, ("Delivering", "NothingHeld"), PATIENT).await;
    assert_eq!(closed["circuit"]["state"], "Closed");
    let told = event(plane, &namespace, "CircuitClosed").await;
    assert!(told["note"].as_str().unwrap().starts_with("deliveries are sent again after "));
    assert_eq!(count(plane, &namespace, "CircuitOpen"), 1, "once per outage");
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_become_events_also_about_what_is_gone() {
    let Some(plane) = ControlPlane::shared() else { return };
    plane.install_crds();
    let namespace = plane.namespace("notices").await;
    let rig = Rig::start(plane, &namespace).await;
    let key = TargetKey::new(&namespace, "hook");
    let monitor = monitor(&rig);
    let notices = monitor.notices();
    // Before there is a leader they wait.
    for index in 1..=3 {
        notices.note(key.clone(), Reason::DeadLettered, format!("number {index} was given up"));
    }
    plane.apply(&namespace, &(webhook("hook", "one") + "---\n" + &route("all", "hook")));
    rig.leads(PATIENT).await;
    let told = event(plane, &namespace, "DeadLettered").await;
    assert_eq!(told["regarding"]["name"], "hook");
    assert_eq!(told["note"], "number 3 was given up (the newest of 3 in the last minutes)");

    rig.accepts(&key, 1, PATIENT).await;
    plane.kubectl_ok(&["-n", &namespace, "delete", "ptgt", "hook"]);
    rig.forgets(&key, PATIENT).await;
    notices.note(key.clone(), Reason::LeftOpen, "2 alerts are still open there");
    let told = wait_for_value("an event about what is gone", PATIENT, || async {
        let told = event(plane, &namespace, "LeftOpen").await;
        (told["note"] == "2 alerts are still open there").then_some(told)
    })
    .await;
    assert_eq!(told["regarding"]["kind"], "PublishTarget");
}
