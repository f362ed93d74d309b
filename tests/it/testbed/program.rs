use std::time::Duration;

use crate::support::controlplane::ControlPlane;
use crate::support::http::get;
use crate::support::operator::Launch;
use crate::support::wait::wait_for;

#[tokio::test]
async fn program_starts_without_kubernetes_and_stops_when_told() {
    let manifests = tempfile::tempdir().expect("the machine has room for temporary files");
    let mut operator = Launch::with_manifests(manifests.path()).start_ready().await;
    assert!(get(&operator.admin_url("/metrics")).await.status.is_success());
    assert!(get(&operator.api_url("/-/healthy")).await.status.is_success());
    assert!(get(&operator.intake_url("/-/healthy")).await.status.is_success());
    let line = operator.wait_log("a bound listener", |line| line["message"] == "Listening").await;
    assert!(line["address"].is_string() && operator.log_text().contains("Listening"));
    assert!(operator.terminate().await.success(), "{}", operator.log_text());
}

#[tokio::test]
async fn program_runs_against_the_api_server() {
    let Some(plane) = ControlPlane::shared() else {
        return;
    };
    plane.install_crds();
    let namespace = plane.namespace("program").await;
    let admin = plane.kubeconfig_for_token(&plane.admin_token, &namespace);
    let operator = Launch::with_kubeconfig(&admin)
        .arg("--log-level=debug")
        .env("NO_COLOR", "1")
        .start_ready()
        .await;
    operator.signal("STOP");
    operator.signal("CONT");
    wait_for("it serves after a pause", Duration::from_secs(10), || async {
        get(&operator.admin_url("/livez")).await.status.is_success()
    })
    .await;
}
