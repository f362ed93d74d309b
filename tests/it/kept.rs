//! Nothing accepted is lost, seen from outside: the real program without Kubernetes, real receivers that fail and
//! return, kills and restarts.

mod circuit;
mod edits;
mod flow;
mod hold;
mod letters;
mod publish;
mod restart;
mod space;
mod squeeze;

use std::{fs, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    http::{Reply, get, post, send},
    operator::{Launch, Operator},
    sink::Sink,
    wait::{wait_for, wait_for_value},
};

/// Longest wait for something that takes a moment; patience with a busy machine, measures nothing.
const SOON: Duration = Duration::from_mins(1);

/// A directory of manifests, one of data, and the operator that lives on both.
struct House {
    manifests: tempfile::TempDir,
    data: tempfile::TempDir,
    operator: Operator,
}

/// One notification as a receiver got it.
#[derive(Clone, Debug)]
struct Told {
    id: String,
    /// `alertname status`.
    what: String,
    at: Instant,
}

// === impl House ===

impl House {
    async fn start(text: &str) -> Self {
        let (manifests, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(manifests.path().join("all.yaml"), text).unwrap();
        let operator = Launch::on_data(manifests.path(), Some(data.path())).start_ready().await;
        Self { manifests, data, operator }
    }

    /// Starts the next process; the one before has ended.
    async fn start_again(&mut self) {
        let launch = Launch::on_data(self.manifests.path(), Some(self.data.path()));
        self.operator = launch.start_ready().await;
    }

    fn write(&self, text: &str) {
        fs::write(self.manifests.path().join("all.yaml"), text).unwrap();
    }

    async fn post(&self, alerts: &Value) -> Reply {
        post(&self.operator.intake_url("/api/v2/alerts"), alerts).await
    }

    /// Posts alerts; panics unless they are taken.
    async fn fire(&self, alerts: &Value) {
        let reply = self.post(alerts).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    async fn target(&self, name: &str) -> Value {
        get(&self.operator.api_url(&format!("/api/v1/targets/default/{name}"))).await.json()
    }

    /// Waits until so much waits for a target: what is owed, what is queued.
    async fn waits(&self, name: &str, owed: u64, queued: u64) {
        wait_for(&format!("{name}: {owed} owed, {queued} queued"), SOON, || async {
            let waiting = self.target(name).await["waiting"].take();
            waiting["owed"] == owed && waiting["queued"] == queued
        })
        .await;
    }

    /// Waits until the condition of the target shows that reason, and gives it.
    async fn shows(&self, name: &str, kind: &str, reason: &str) -> Value {
        wait_for_value(&format!("{name}: {kind} {reason}"), SOON, || async {
            let shown = self.target(name).await;
            let conditions = shown["status"]["conditions"].as_array()?.clone();
            conditions.into_iter().find(|one| one["type"] == kind && one["reason"] == reason)
        })
        .await
    }

    /// The dead letters of a target, newest first.
    async fn letters(&self, name: &str) -> Vec<Value> {
        let path = format!("/api/v1/deadletters?target=default/{name}");
        items(&get(&self.operator.api_url(&path)).await)
    }

    /// Waits for so many dead letters; gives `reason alertname status` of each, sorted.
    async fn buried(&self, name: &str, count: usize) -> Vec<String> {
        wait_for(&format!("{count} dead letters of {name}"), SOON, || async {
            self.letters(name).await.len() >= count
        })
        .await;
        let mut all: Vec<_> = self.letters(name).await.iter().map(words).collect();
        all.sort_unstable();
        all
    }

    /// The history, newest first.
    async fn deliveries(&self, query: &str) -> Vec<Value> {
        items(&get(&self.operator.api_url(&format!("/api/v1/deliveries?{query}"))).await)
    }

    /// Publishes an alert to one target.
    async fn publish(
        &self,
        target: &str,
        alert: &str,
        options: &Value,
        key: Option<&str>,
    ) -> Reply {
        let url = self.operator.api_url("/api/v1/publish/parallel");
        let body = json!({"alert": {"labels": {"alertname": alert}},
                          "target_names": [format!("default/{target}")], "options": options});
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        send(http::Method::POST, &url, &headers, Bytes::from(body.to_string())).await
    }
}

fn items(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["items"].as_array().expect("a list has items").clone()
}

/// `reason alertname status` of a dead letter.
fn words(letter: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let notification = &letter["notification"];
    let name = text(&notification["alerts"][0]["labels"]["alertname"]);
    format!("{} {name} {}", text(&letter["reason"]), text(&notification["status"]))
}

/// What a receiver got, in order, whatever it answered; health checks left out.
fn told(sink: &Sink) -> Vec<Told> {
    let posts = sink.received().into_iter().filter(|one| one.method == "POST");
    posts
        .map(|one| {
            let data = one.json()["data"].take();
            let name =
                data["alerts"][0]["labels"]["alertname"].as_str().expect("a name").to_owned();
            let status = data["status"].as_str().expect("a status").to_owned();
            let id = one.header("webhook-id").expect("every notification has an id").to_owned();
            Told { id, what: format!("{name} {status}"), at: one.at }
        })
        .collect()
}

fn whats(sink: &Sink) -> Vec<String> {
    told(sink).into_iter().map(|one| one.what).collect()
}

/// Waits until a receiver got something like this.
async fn wait_told(sink: &Sink, what: &str) -> Told {
    wait_for_value(&format!("{what} at {}", sink.address()), SOON, || async {
        told(sink).into_iter().find(|one| one.what == what)
    })
    .await
}

/// Waits until a receiver got so much.
async fn wait_count(sink: &Sink, count: usize) -> Vec<Told> {
    wait_for(&format!("{count} notifications at {}", sink.address()), SOON, || async {
        told(sink).len() >= count
    })
    .await;
    told(sink)
}

/// A webhook target with quick retries, whose circuit stays closed; `more` is YAML of its spec.
fn webhook(name: &str, url: &str, more: &str) -> String {
    format!(
        "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata: {{name: {name}}}\nspec:\n  \
         type: Webhook\n  webhook: {{url: \"{url}\"}}\n{more}"
    )
}

/// Retries within moments and never opens its circuit.
const EAGER: &str = "  delivery: {timeout: 1m, backoffDelay: 100ms, backoffMax: 200ms}\n  \
                     circuitBreaker: {consecutiveFailures: 1000, minimumNumberOfCalls: 10000}\n  \
                     healthCheck: {type: None}\n";

/// A route of every alert to these targets.
fn route(name: &str, targets: &[&str], more: &str) -> String {
    let targets: Vec<_> = targets.iter().map(|name| format!("{{name: {name}}}")).collect();
    format!(
        "---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {{name: {name}}}\nspec:\n  \
         scope: Cluster\n  targets: [{}]\n{more}",
        targets.join(", ")
    )
}

const SEND: &str = "  whenUnhealthy: Send\n";

fn firing(name: &str) -> Value {
    json!({"labels": {"alertname": name, "severity": "critical"}, "annotations": {"summary": "S"},
           "startsAt": "2026-03-01T10:15:00.000Z"})
}

fn resolved(name: &str) -> Value {
    let mut alert = firing(name);
    alert["endsAt"] = json!("2026-03-01T10:20:00.000Z");
    alert
}
