//! A stock amtool, run as a process against the whole program.

mod alerts;
mod config;
mod silences;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    amtool::Amtool,
    http::{get, post},
    operator::{Launch, Operator},
    wait::wait_for_value,
};

/// Longest wait for something that takes a moment.
const SOON: Duration = Duration::from_secs(20);

/// The program on manifests, and an amtool that is pointed at its API.
struct Bed {
    operator: Operator,
    amtool: Amtool,
    _manifests: tempfile::TempDir,
}

impl Bed {
    /// `None` where amtool is not built.
    async fn start(manifests: &str) -> Option<Self> {
        let _ = Amtool::at("")?;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("all.yaml"), manifests).unwrap();
        let operator = Launch::with_manifests(dir.path()).start_ready().await;
        let amtool = Amtool::at(&operator.api_url(""))?;
        Some(Self { operator, amtool, _manifests: dir })
    }

    async fn get(&self, path: &str) -> Value {
        let reply = get(&self.operator.api_url(path)).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    async fn fire(&self, labels: Value) {
        let url = self.operator.intake_url("/api/v2/alerts");
        let alerts = json!([{ "labels": labels, "annotations": {"summary": "Why"} }]);
        assert_eq!(post(&url, &alerts).await.status, 200);
    }

    /// Waits until `GET path` gives a list of that length.
    async fn list(&self, path: &str, length: usize) -> Vec<Value> {
        wait_for_value(&format!("{length} entries of {path}"), SOON, || async {
            let list = self.get(path).await.as_array()?.clone();
            (list.len() == length).then_some(list)
        })
        .await
    }
}

/// A target that logs.
fn target(key: &str) -> String {
    object("PublishTarget", key, &json!({"type": "Log"}))
}

fn route(key: &str, spec: &Value) -> String {
    object("AlertRoute", key, spec)
}

fn object(kind: &str, key: &str, spec: &Value) -> String {
    let (namespace, name) = key.split_once('/').unwrap();
    let metadata = json!({"namespace": namespace, "name": name});
    let object = json!({"apiVersion": "fanfare.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
    format!("---\n{object}\n")
}
