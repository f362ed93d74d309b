//! The whole program without Kubernetes: real manifests, real receivers, real listeners.

pub(crate) mod canary;
mod data_dir;
mod disk;
mod fifty;
mod lifecycle;
mod manifests;
mod routed;
mod v2;

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    http::{get, post},
    operator::{Launch, Operator},
    wait::wait_for_value,
};

/// Longest wait for something that takes a moment; patience with a busy machine, measures nothing.
const SOON: Duration = Duration::from_mins(1);

/// A directory of manifests and the operator that reads it.
struct Bed {
    dir: tempfile::TempDir,
    operator: Operator,
}

impl Bed {
    /// Runs the operator on one file of manifests.
    async fn start(manifests: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "all.yaml", manifests);
        let operator = Launch::with_manifests(dir.path()).start_ready().await;
        Self { dir, operator }
    }

    fn write(&self, file: &str, manifests: &str) {
        write(self.dir.path(), file, manifests);
    }

    async fn post(&self, alerts: &Value) -> u16 {
        post(&self.operator.intake_url("/api/v2/alerts"), alerts).await.status.as_u16()
    }

    async fn target(&self, name: &str) -> Value {
        get(&self.operator.api_url(&format!("/api/v1/targets/default/{name}"))).await.json()
    }

    /// Waits until the condition of the target has that status, and gives it.
    async fn condition(&self, target: &str, kind: &str, status: &str) -> Value {
        let what = format!("{target}: {kind}={status}");
        wait_for_value(&what, SOON, || async {
            let shown = self.target(target).await;
            let conditions = shown["status"]["conditions"].as_array()?.clone();
            conditions.into_iter().find(|c| c["type"] == kind && c["status"] == status)
        })
        .await
    }

    async fn metrics(&self) -> String {
        get(&self.operator.admin_url("/metrics")).await.text()
    }
}

fn write(dir: &Path, file: &str, text: &str) {
    fs::write(dir.join(file), text).unwrap();
}

/// A webhook target with frequent checks, each as long as a busy machine needs.
fn webhook(name: &str, url: &str) -> String {
    format!(
        "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata:\n  name: {name}\n  labels: {{all: \"yes\"}}\n\
         spec:\n  type: Webhook\n  webhook: {{url: \"{url}\"}}\n  healthCheck: {{interval: 5s, unhealthyInterval: 1s, timeout: 1m, degradedLatency: 59s}}\n"
    )
}

/// A route to every target that [`webhook`] makes.
fn route() -> &'static str {
    "---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata:\n  name: all\nspec:\n  scope: Cluster\n  \
     targetSelector: {matchLabels: {all: \"yes\"}}\n"
}

fn firing(name: &str) -> Value {
    json!({"labels": {"alertname": name, "severity": "critical"}, "annotations": {"summary": "S"},
           "startsAt": "2026-03-01T10:15:00.000Z", "generatorURL": "http://prometheus/graph"})
}

fn resolved(name: &str) -> Value {
    let mut alert = firing(name);
    alert["endsAt"] = json!("2026-03-01T10:20:00.000Z");
    alert
}
