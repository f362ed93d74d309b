//! A real Prometheus with a rule that fires for a while and one that flaps. Opt-in: `make prove-prometheus` builds
//! it and takes three minutes.

use std::{
    io::Write as _,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    operator::{Launch, Operator},
    program::command,
    sink::Sink,
    wait::wait_for,
};

/// How long the steady rule fires: two repeats and some.
const FIRES: i64 = 140;
/// Half a period of the other rule.
const FLAP: i64 = 20;
const REPEAT: Duration = Duration::from_mins(1);

/// One notification about a rule.
#[derive(Debug)]
struct Told {
    at: Instant,
    status: String,
    reason: String,
}

/// A running Prometheus; dropping it ends it.
struct Prometheus(Child);

#[tokio::test]
async fn rules_of_a_real_prometheus_are_told_repeated_and_resolved_once() {
    let Some(program) = std::env::var_os("FANFARE_PROMETHEUS_BIN").filter(|it| !it.is_empty())
    else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIP: prometheus: needs a built Prometheus (run make prove-prometheus)"
        );
        return;
    };
    let (sink, dir) = (Sink::start().await, tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join("all.yaml"), manifests(&sink.url("/hook"))).unwrap();
    let operator = Launch::with_manifests(dir.path()).start_ready().await;
    let ends = Timestamp::now().as_second() + FIRES;
    let _prometheus = Prometheus::start(Path::new(&program), &operator, ends);
    let over = |told: &[Told]| told.last().is_some_and(|last| last.status == "resolved");
    let patience = Duration::from_secs(FIRES.unsigned_abs() + 60);
    wait_for("the steady rule is resolved", patience, || async { over(&told(&sink, "Steady")) })
        .await;
    // It says again what is resolved every five seconds: nobody is told again.
    tokio::time::sleep(Duration::from_secs(12)).await;

    let steady = told(&sink, "Steady");
    let reasons: Vec<&str> = steady.iter().map(|told| told.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "first notification",
            "repeat interval elapsed",
            "repeat interval elapsed",
            "all alerts resolved"
        ],
        "{steady:?}"
    );
    for pair in steady[..3].windows(2) {
        let passed = pair[1].at.duration_since(pair[0].at);
        // Prometheus itself says that it fires every five seconds.
        assert!(passed + Duration::from_secs(1) >= REPEAT, "{passed:?}");
        assert!(passed < REPEAT + Duration::from_secs(10), "{passed:?}");
    }
    let flapping = told(&sink, "Flapping");
    let fired = flapping.iter().filter(|told| told.status == "firing").count();
    assert!(fired >= 3, "{flapping:?}");
    for pair in flapping.windows(2) {
        assert_ne!(pair[0].status, pair[1].status, "{flapping:?}");
        let passed = pair[1].at.duration_since(pair[0].at);
        // The first and the last may be cut short.
        assert!(passed < Duration::from_secs(FLAP.unsigned_abs() + 10), "{flapping:?}");
    }
    eprintln!("steady: {reasons:?}; flapping: {fired} times");
}

/// What the target was told about a rule.
fn told(sink: &Sink, name: &str) -> Vec<Told> {
    let one = |(at, body): (Instant, Value)| {
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Told { at, status: text("status"), reason: text("notification_reason") }
    };
    let received = sink.received().into_iter();
    let bodies = received.filter(|one| one.method == "POST").map(|one| (one.at, one.json()));
    bodies.filter(|(_, body)| body["commonLabels"]["alertname"] == name).map(one).collect()
}

fn manifests(url: &str) -> String {
    let object = |kind: &str, spec: Value| {
        let metadata = json!({"namespace": "prod", "name": "all"});
        let object = json!({"apiVersion": "fanfare.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        format!("---\n{object}\n")
    };
    object(
        "PublishTarget",
        json!({"type": "Webhook", "webhook": {"url": url}, "payload": {"format": "PrometheusV4"}}),
    ) + &object(
        "AlertRoute",
        json!({"scope": "Cluster", "repeatInterval": "1m", "targets": [{"name": "all"}]}),
    )
}

// === impl Prometheus ===

impl Prometheus {
    fn start(program: &Path, operator: &Operator, ends: i64) -> Self {
        let dir = operator.data_dir().join("prometheus");
        std::fs::create_dir(&dir).unwrap();
        let intake = operator.intake_url("");
        let rule = |name: &str, expr: String| json!({"alert": name, "expr": expr});
        let rules = json!({"groups": [{"name": "all", "rules": [
            rule("Steady", format!("vector(time()) < {ends}")),
            rule("Flapping", format!("(vector(time()) % {}) < {FLAP}", 2 * FLAP)),
        ]}]});
        let config = json!({
            "global": {"evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [intake.trim_start_matches("http://")]}]}]},
        });
        for (name, content) in [("rules.yml", rules), ("prometheus.yml", config)] {
            std::fs::write(dir.join(name), content.to_string()).unwrap();
        }
        let path = |name: &str| dir.join(name).display().to_string();
        let child = command(program)
            .arg(format!("--config.file={}", path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .args(["--web.listen-address=127.0.0.1:0", "--log.level=warn"])
            .arg("--rules.alert.resend-delay=5s")
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Self(child)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
