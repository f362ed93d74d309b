//! How long a start takes that finds much on disk, after `kill -9`: the real program, real receivers.
//!
//! 1. Alerts that fire, owed to ten targets that were dead: time until ready, time from then to the first
//!    delivery at each, memory at its highest, deliveries a second from then on.
//! 2. Records that wait for one target that needs every transition: time until ready, memory.
//!
//! `FANFARE_ALERTS` and `FANFARE_RECORDS` change the size (a million records of 1 KiB are asked for; they
//! take 2 to 3 GB of disk).
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it prints figures and stops if it can't"
)]

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

#[path = "../tests/it"]
mod it {
    #[expect(dead_code, reason = "the tests use more of it")]
    pub(crate) mod support;
}

use it::support::{
    http::post,
    operator::{Launch, Operator},
    sink::{DeadPort, Sink},
    wait::wait_for,
};

const BATCH: u64 = 500;
const LONG: Duration = Duration::from_mins(10);
/// How long deliveries are watched.
const DRAIN: Duration = Duration::from_secs(10);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn target(name: &str, url: &str, more: &str) -> String {
    format!(
        "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata: {{name: {name}}}\nspec:\n  \
         type: Webhook\n  webhook: {{url: \"{url}\"}}\n{more}"
    )
}

fn route(targets: &[String]) -> String {
    let targets: Vec<_> = targets.iter().map(|name| format!("{{name: {name}}}")).collect();
    format!(
        "---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {{name: all}}\nspec:\n  \
         scope: Cluster\n  targets: [{}]\n",
        targets.join(", ")
    )
}

/// Peak resident memory so far, in MiB.
fn peak(operator: &Operator) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", operator.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

async fn post_all(operator: &Operator, alerts: &[Value]) {
    let url = operator.intake_url("/api/v2/alerts");
    let answer = post(&url, &Value::from(alerts.to_vec())).await;
    assert!(answer.status.is_success(), "{}", answer.text());
}

fn start(manifests: &Path, data: &Path, limit: u64) -> Launch {
    Launch::on_data(manifests, Some(data))
        .arg("--resolve-timeout")
        .arg("2h")
        .arg("--max-alerts")
        .arg(&limit.to_string())
}

async fn active(table: &mut String) {
    let count = setting("FANFARE_ALERTS", 100_000);
    let (manifests, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ports: Vec<DeadPort> = (0..10).map(|_| DeadPort::reserve()).collect();
    let names: Vec<String> = (0..10).map(|at| format!("t{at}")).collect();
    let mut text = route(&names);
    for (name, port) in names.iter().zip(&ports) {
        text += &target(name, &port.url("/"), "");
    }
    fs::write(manifests.path().join("all.yaml"), text).unwrap();
    let mut operator = start(manifests.path(), data.path(), count).start_ready().await;
    let began = Instant::now();
    for batch in 0..count / BATCH {
        let alerts: Vec<Value> = (0..BATCH)
            .map(|at| {
                json!({"labels": {"alertname": format!("A{}", batch * BATCH + at), "severity": "warning",
                                  "instance": format!("host-{at}.example.com:9100"), "job": "node"},
                       "annotations": {"summary": "The disk of this host is nearly full"}})
            })
            .collect();
        post_all(&operator, &alerts).await;
    }
    let accepted = began.elapsed();
    operator.kill();
    let sinks: Vec<Sink> = ports.into_iter().map(DeadPort::come_alive).collect();
    let began = Instant::now();
    let operator = start(manifests.path(), data.path(), count).start_ready().await;
    let ready = began.elapsed();
    wait_for("a delivery at every target", LONG, || async {
        sinks.iter().all(|sink| sink.received().iter().any(|one| one.method == "POST"))
    })
    .await;
    let first = began.elapsed().saturating_sub(ready);
    let early = peak(&operator);
    let told = || sinks.iter().map(|sink| sink.received().len()).sum::<usize>();
    let before = told();
    tokio::time::sleep(DRAIN).await;
    let rate = (told() - before) as u64 / DRAIN.as_secs();
    writeln!(
        table,
        "{count} alerts owed to 10 targets: accepted in {accepted:.2?}; after kill -9 ready in {ready:.2?} \
         (wanted 2 s), a delivery at every target {first:.2?} later (wanted 1 s), {early} MiB until then \
         (wanted 250); then {rate} a second are told, {} MiB after {DRAIN:?} of that",
        peak(&operator)
    )
    .unwrap();
}

async fn queued(table: &mut String) {
    let count = setting("FANFARE_RECORDS", 1_000_000);
    let (manifests, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let port = DeadPort::reserve();
    let more = "  delivery: {semantics: Every}\n  flow: {queue: {maxNotifications: 1000000}}\n";
    let text = route(&["audit".to_owned()]) + &target("audit", &port.url("/"), more);
    fs::write(manifests.path().join("all.yaml"), text).unwrap();
    let mut operator = start(manifests.path(), data.path(), 10_000).start_ready().await;
    let padding = "x".repeat(800);
    let began = Instant::now();
    // The same alerts go up and down: each time is a transition of its own.
    for turn in 0..count / BATCH {
        let (round, over) = (turn / 2, turn % 2 == 1);
        let second = 1_700_000_000 + i64::try_from(round).unwrap() * 10;
        let time = |plus: i64| jiff::Timestamp::from_second(second + plus).unwrap().to_string();
        let alerts: Vec<Value> = (0..BATCH)
            .map(|at| {
                let mut alert = json!({"labels": {"alertname": format!("A{at}")},
                    "annotations": {"padding": padding}, "startsAt": time(0)});
                if over {
                    alert["endsAt"] = json!(time(5));
                }
                alert
            })
            .collect();
        post_all(&operator, &alerts).await;
    }
    let accepted = began.elapsed();
    operator.kill();
    let bytes = fs::metadata(data.path().join("fanfare.redb")).unwrap().len();
    let began = Instant::now();
    let operator = start(manifests.path(), data.path(), 10_000).start_ready().await;
    writeln!(
        table,
        "{count} records of 1 KiB that wait for one target: accepted in {accepted:.1?}, {} MiB of disk; after \
         kill -9 ready in {:.2?} (wanted 5 s) with {} MiB",
        bytes >> 20,
        began.elapsed(),
        peak(&operator)
    )
    .unwrap();
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut table = String::new();
    runtime.block_on(active(&mut table));
    print!("{table}");
    runtime.block_on(queued(&mut table));
    print!("{table}");
    fs::create_dir_all("target/bench").unwrap();
    fs::write("target/bench/restart.txt", table).unwrap();
}
