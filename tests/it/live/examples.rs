//! The YAML under `examples/` does what it says, and every message's command mends what it names.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::rig::{Alone, Cluster, RELEASE, SECRETS, TIMEOUT};
use crate::support::program::stdout_of;

/// Every file of `examples/` that describes a target type, by its name without `.yaml`.
fn files() -> BTreeMap<String, PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    yaml.map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path)).collect()
}

fn documents(path: &Path) -> Vec<Value> {
    serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Runs a command line as a user with kubectl in the PATH would.
pub(super) fn run(cluster: &Cluster, line: &str) {
    let kubectl = PathBuf::from(cluster.plane.tool("kubectl").get_program());
    let path = format!(
        "{}:{}",
        kubectl.parent().unwrap().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut bash = Command::new("bash");
    bash.args(["-euc", line]).env("PATH", path).env("KUBECONFIG", &cluster.plane.kubeconfig);
    stdout_of(&bash.output().expect("bash exists"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_applies_without_a_warning_becomes_ready_and_does_not_drift() {
    let Some(alone) = Alone::turn() else { return };
    let cluster = alone.cluster;
    let operator = cluster.launch().start_ready().await;
    let server: &[&str] = &["apply", "--server-side", "--validate=strict"];
    let client: &[&str] = &["apply", "--validate=strict"];
    for (namespace, how) in [(RELEASE, server), (SECRETS, client)] {
        for (name, path) in files() {
            // Its route has scope: Cluster, which is allowed in the namespace of the release only.
            if name == "hello" && namespace != RELEASE {
                continue;
            }
            let path = path.display().to_string();
            let output = cluster.try_kubectl(namespace, &[how, &["-f", &path]].concat());
            stdout_of(&output);
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{path}");
        }
        for kind in ["ptgt", "aroute"] {
            let ready = ["wait", "--for=condition=Ready", TIMEOUT, kind, "--all"];
            cluster.kubectl(namespace, &ready);
        }
        // What GitOps tools ask: defaults and status must not look like somebody's edits.
        let differs: &[&str] = if how == server { &["diff", "--server-side"] } else { &["diff"] };
        for (name, path) in files().into_iter().filter(|(name, _)| name != "hello") {
            let path = path.display().to_string();
            let output = cluster.try_kubectl(namespace, &[differs, &["-f", &path]].concat());
            assert_eq!(stdout_of(&output), "", "{name} drifts");
        }
        cluster.kubectl(namespace, &["delete", "fanfare", "--all"]);
        cluster.kubectl(namespace, &["delete", "secrets", "--all"]);
    }
    alone.end(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_secret_is_mended_by_the_command_in_the_message() {
    let Some(alone) = Alone::turn() else { return };
    let cluster = alone.cluster;
    let operator = cluster.launch().start_ready().await;
    for (file, path) in files() {
        let (secrets, others): (Vec<_>, Vec<_>) =
            documents(&path).into_iter().partition(|one| one["kind"] == "Secret");
        if secrets.is_empty() {
            continue;
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": others});
        cluster.apply(SECRETS, &list.to_string());
        let target = format!("ptgt/{}", others[0]["metadata"]["name"].as_str().unwrap());
        cluster.shows(SECRETS, &target, ("Ready", "False", "SecretNotFound"));
        let keys = secrets[0]["stringData"].as_object().unwrap();
        let mut reason = "SecretNotFound";
        for left in (0..keys.len()).rev() {
            let message = cluster.condition(SECRETS, &target, "Ready")["message"].take();
            let command = message.as_str().unwrap().split_once(" it: ").expect("a command").1;
            let key = keys.keys().find(|key| {
                command.contains(&format!("={key}=VALUE"))
                    || command.contains(&format!("\"{key}\""))
            });
            let key = key.unwrap_or_else(|| panic!("{file}: no key in {message}"));
            run(cluster, &command.replace("VALUE", keys[key].as_str().unwrap()));
            assert!(["SecretNotFound", "SecretKeyMissing"].contains(&reason));
            reason = if left > 0 { "SecretKeyMissing" } else { "Registered" };
            let status = if left > 0 { "False" } else { "True" };
            cluster.shows(SECRETS, &target, ("Ready", status, reason));
        }
    }
    cluster.kubectl(SECRETS, &["delete", "fanfare", "--all"]);
    cluster.kubectl(SECRETS, &["delete", "secrets", "--all"]);
    alone.end(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forbidden_secret_is_mended_by_the_command_in_the_message() {
    let Some(alone) = Alone::turn() else { return };
    let cluster = alone.cluster;
    let operator = cluster.launch().start_ready().await;
    let namespace = cluster.namespace("forbidden");
    let slack = files().remove("slack").unwrap().display().to_string();
    cluster.kubectl(&namespace, &["apply", "-f", &slack]);
    let ready = cluster.shows(&namespace, "ptgt/slack", ("Ready", "False", "SecretForbidden"));
    let message = ready["message"].as_str().unwrap();
    let command = message.split_once("grant it: ").expect("a command").1;
    run(cluster, command);
    cluster.shows(&namespace, "ptgt/slack", ("Ready", "True", "Registered"));
    cluster.kubectl(&namespace, &["delete", "fanfare", "--all"]);
    alone.end(operator).await;
}
