//! The README's quick start, word for word.

use std::process::Command;

use serde_json::json;

use super::{
    release::Release,
    rig::{RELEASE, SOON, fire},
};
use crate::support::{
    controlplane::ControlPlane,
    http::get,
    program::stdout_of,
    wait::{wait_for, wait_for_value},
};

/// The blocks of the README that are tagged `sh quickstart`, as one script.
fn script() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh quickstart\n").skip(1);
    let script: String =
        blocks.map(|block| block.split("```").next().expect("the block ends")).collect();
    let commands = script.lines().filter(|line| !line.trim().is_empty()).count();
    assert!((1..=5).contains(&commands), "{commands} commands: the README promises at most five");
    script
}

/// The control plane runs no pods: where a cluster's `StatefulSet` would start the operator, the test
/// does, as soon as the chart is installed, while the script goes on.
#[tokio::test(flavor = "multi_thread")]
async fn quick_start_of_the_readme_works_as_written() {
    let Some(plane) = ControlPlane::own() else { return };
    let helm = plane.tool("helm");
    let bin = std::path::PathBuf::from(helm.get_program()).parent().unwrap().display().to_string();
    let mut bash = Command::new("bash");
    for (name, value) in helm.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        bash.env(name, value);
    }
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
    bash.args(["-euxo", "pipefail", "-c", &script()]).env("PATH", path);
    bash.current_dir(env!("CARGO_MANIFEST_DIR"));
    let user = tokio::task::spawn_blocking(move || bash.output().expect("bash exists"));

    wait_for("the chart is installed", SOON, || async {
        let installed = plane.kubectl(&["-n", RELEASE, "get", "statefulset", "fanfare"]);
        installed.status.success() || user.is_finished()
    })
    .await;
    let operator = Release::installed(&plane, RELEASE, 0).await.launch().start_ready().await;
    let shown = stdout_of(&user.await.unwrap());
    assert!(shown.contains("publishtarget.fanfare.dev/hello condition met"), "{shown}");
    for name in ["publishtarget.fanfare.dev/hello ", "alertroute.fanfare.dev/everything "] {
        assert!(
            shown.lines().any(|line| line.starts_with(name) && line.contains("True")),
            "{shown}"
        );
    }

    fire(&operator, &[json!({"labels": {"alertname": "Hello", "namespace": "elsewhere"}})]).await;
    let line = operator
        .wait_log("the alert in the log", |line| {
            line["to"] == "fanfare/hello" && line["status"] == "firing"
        })
        .await;
    assert!(line["message"].as_str().unwrap().contains("Hello"), "{line}");
    let inbox = operator.api_url("/api/v1/inbox");
    let item = wait_for_value("the alert in the inbox", SOON, || async {
        get(&inbox).await.json()["items"].get(0).cloned()
    })
    .await;
    assert_eq!(item["target"], "fanfare/hello");
    assert_eq!(item["alerts"][0]["labels"]["alertname"], "Hello");
}
