//! How long `GET /api/v2/alerts` takes, and what comes with it: the real program over loopback.
//!
//! `FANFARE_ALERTS` changes how many alerts fire (10,000).
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it prints figures and stops if it can't"
)]

use std::{fmt::Write as _, fs};

use serde_json::{Value, json};
use tokio::time::Instant;

#[path = "../tests/it"]
mod it {
    #[expect(dead_code, reason = "the tests use more of it")]
    pub(crate) mod support;
}

use it::support::{
    http::{get, post},
    operator::Launch,
};

const BATCH: usize = 500;
const ROUNDS: usize = 15;

fn manifests() -> String {
    let target = |name: &str| {
        format!(
            "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata: {{name: {name}}}\nspec: {{type: Webhook, suspend: true, webhook: {{url: \"http://127.0.0.1:9/\"}}}}\n"
        )
    };
    let route = |name: &str, grouping: &str| {
        format!(
            "---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {{name: {name}}}\nspec: {{scope: Cluster, {grouping}targets: [{{name: a}}, {{name: b}}, {{name: c}}]}}\n"
        )
    };
    ["a", "b", "c"].map(target).concat()
        + &route("each", "")
        + &route("jobs", "grouping: {by: [job]}, ")
}

fn alert(at: usize) -> Value {
    json!({
        "labels": {"alertname": format!("DiskNearlyFull{}", at % 50), "severity": "warning", "job": format!("job-{}", at % 100),
                   "instance": format!("host-{at}.example.com:9100"), "namespace": "prod", "team": "storage"},
        "annotations": {"summary": "The disk of this host is nearly full", "runbook": "https://runbooks.example.com/disk"},
        "generatorURL": "http://prometheus.example.com/graph?g0.expr=disk_free_bytes%2Fdisk_size_bytes+%3C+0.1&g0.tab=1",
    })
}

async fn measure() -> String {
    let count = std::env::var("FANFARE_ALERTS").ok().and_then(|text| text.parse().ok());
    let count: usize = count.unwrap_or(10_000);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("all.yaml"), manifests()).unwrap();
    let operator = Launch::with_manifests(dir.path()).start_ready().await;
    for batch in 0..count.div_ceil(BATCH) {
        let alerts: Vec<Value> =
            (batch * BATCH..count.min((batch + 1) * BATCH)).map(alert).collect();
        let answer = post(&operator.intake_url("/api/v2/alerts"), &Value::from(alerts)).await;
        assert!(answer.status.is_success(), "{}", answer.text());
    }
    let mut table = String::new();
    for (path, wanted) in [
        ("/api/v2/alerts", " (wanted 100 ms for 10,000)"),
        ("/api/v2/alerts?filter=job%3Djob-7", ""),
        ("/api/v2/alerts/groups?receiver=default/a", ""),
        ("/api/v2/alerts/groups", ""),
    ] {
        let (mut times, mut size) = (Vec::new(), 0);
        for _ in 0..ROUNDS {
            let began = Instant::now();
            size = get(&operator.api_url(path)).await.body.len();
            times.push(began.elapsed());
        }
        times.sort();
        let (best, middle) = (times[0], times[ROUNDS / 2]);
        writeln!(
            table,
            "{count} alerts, GET {path}: {middle:.1?}, at best {best:.1?}, {size} bytes{wanted}"
        )
        .unwrap();
    }
    table
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let table = runtime.block_on(measure());
    print!("{table}");
    fs::create_dir_all("target/bench").unwrap();
    fs::write("target/bench/listing.txt", table).unwrap();
}
