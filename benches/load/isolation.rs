//! Whether broken targets delay their healthy neighbours: the real program with 100 targets, half of them
//! broken in every way that a receiver can be, against the same program with 100 healthy ones.
//!
//! Both runs of a pair follow one another, and several pairs are made, so that a noisy machine hits both.
//! What is compared is the time from the start of a POST to the arrival at a healthy receiver. A run counts
//! only if every healthy receiver got every alert exactly once.
//!
//! `FANFARE_PAIRS`, `FANFARE_SECONDS` and `FANFARE_RATE` change the size.

use std::{collections::HashMap, fs, time::Duration};

use serde_json::json;
use tokio::time::{Instant, interval};

use super::{
    delivery::median,
    is_quick,
    it::support::{
        http::{get, post},
        operator::{Launch, Operator},
        sink::{Answer, DeadPort, Fault, Sink},
        wait::wait_for,
    },
    machine::cpu_seconds,
    report::{Goal, Report},
};

const HALF: usize = 50;

/// One program and its receivers.
struct Side {
    operator: Operator,
    well: Vec<Sink>,
    /// The other half, well or broken.
    others: Vec<Sink>,
    _dead: Vec<DeadPort>,
    _files: (tempfile::TempDir, tempfile::TempDir),
    sent: u64,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The ways in which a receiver is broken, in turns.
fn broken(at: usize) -> Answer {
    match at % 8 {
        0 => Answer::status(500),
        1 => Answer::fault(Fault::Hang),
        2 => Answer::fault(Fault::Reset),
        3 => Answer::status(503).header("retry-after", "1"),
        4 => Answer::fault(Fault::Raw(b"not HTTP at all\r\n\r\n".to_vec())),
        5 => Answer::status(500).with(Fault::HangInBody),
        6 => Answer::status(429),
        _ => Answer::status(401),
    }
}

fn target(name: &str, url: &str) -> String {
    format!(
        "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata: {{name: {name}, labels: {{all: \"yes\"}}}}\n\
         spec:\n  type: Webhook\n  webhook: {{url: \"{url}\"}}\n  delivery: {{timeout: 2s}}\n"
    )
}

// === impl Side ===

impl Side {
    async fn start(other_half_is_broken: bool) -> Self {
        let mut well = Vec::new();
        let (mut sinks, mut dead) = (Vec::new(), Vec::new());
        let mut manifests = String::from(
            "apiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {name: all}\nspec:\n  scope: Cluster\n  \
             whenUnhealthy: Send\n  targetSelector: {matchLabels: {all: \"yes\"}}\n",
        );
        for at in 0..HALF {
            let sink = Sink::start().await;
            manifests += &target(&format!("well-{at}"), &sink.url("/"));
            well.push(sink);
            let name = format!("other-{at}");
            if other_half_is_broken && at % 9 == 8 {
                let port = DeadPort::reserve();
                manifests += &target(&name, &port.url("/"));
                dead.push(port);
                continue;
            }
            let sink = Sink::start().await;
            if other_half_is_broken {
                sink.answer(broken(at));
            }
            manifests += &target(&name, &sink.url("/"));
            sinks.push(sink);
        }
        let files = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(files.0.path().join("all.yaml"), manifests).unwrap();
        let operator = Launch::on_data(files.0.path(), Some(files.1.path())).start_ready().await;
        Self { operator, well, others: sinks, _dead: dead, _files: files, sent: 0 }
    }

    /// Posts alerts at an even pace and gives the time that each took to each healthy receiver.
    async fn run(&mut self, seconds: u64, rate: u64) -> Vec<Duration> {
        let mut pace = interval(Duration::from_secs(1) / u32::try_from(rate).unwrap());
        let url = self.operator.intake_url("/api/v2/alerts");
        let mut started = HashMap::new();
        let mut posts = Vec::new();
        for _ in 0..seconds * rate {
            pace.tick().await;
            self.sent += 1;
            let name = format!("A{}", self.sent);
            started.insert(name.clone(), Instant::now());
            let (url, alert) = (url.clone(), json!([{"labels": {"alertname": name}}]));
            posts.push(tokio::spawn(async move { post(&url, &alert).await.status }));
        }
        for answer in posts {
            assert!(answer.await.unwrap().is_success());
        }
        let wanted = started.len();
        let mut times = Vec::new();
        for sink in &self.well {
            let what = "a healthy receiver got everything";
            wait_for(what, Duration::from_secs(20), || async { posts_of(sink) >= wanted }).await;
            let received = sink.received();
            let received: Vec<_> = received.iter().filter(|one| one.method == "POST").collect();
            assert_eq!(received.len(), wanted, "each exactly once");
            for one in received {
                let body = one.json();
                let name = body["data"]["alerts"][0]["labels"]["alertname"].as_str().unwrap();
                times.push(one.at.duration_since(started[name]));
            }
            sink.clear();
        }
        self.others.iter().for_each(Sink::clear);
        times.sort();
        times
    }

    /// Circuits that are open now.
    async fn open_circuits(&self) -> usize {
        let text = get(&self.operator.admin_url("/metrics")).await.text();
        let open = |line: &&str| line.contains("state=\"open\"") && line.ends_with(" 1");
        text.lines().filter(|line| line.starts_with("fanfare_circuit_state")).filter(open).count()
    }
}

fn posts_of(sink: &Sink) -> usize {
    sink.received().iter().filter(|one| one.method == "POST").count()
}

/// In milliseconds; `sorted` is not empty.
fn quantile(sorted: &[Duration], hundredths: usize) -> f64 {
    sorted[(sorted.len() * hundredths).div_ceil(100) - 1].as_secs_f64() * 1e3
}

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("the machine has room").block_on(measure());
}

async fn measure() {
    let (pairs, seconds) = if is_quick() { (1, 2) } else { (5, 5) };
    let (pairs, seconds) = (setting("FANFARE_PAIRS", pairs), setting("FANFARE_SECONDS", seconds));
    let rate = setting("FANFARE_RATE", 20);
    let mut report = Report::new("isolation");
    report.set(
        "pairs",
        format!("{pairs} of {seconds} s each, clean and half broken in turns, {rate} alerts/s"),
    );
    report.set("targets", "100 Webhook, timeout 2s; 50 of them well in both, the others hung, refused, failing in the second");
    let mut clean = Side::start(false).await;
    let mut mixed = Side::start(true).await;
    // Caches on one side, circuit breakers on the other.
    clean.run(seconds, rate).await;
    mixed.run(seconds, rate).await;
    wait_for("breakers are open", Duration::from_mins(1), || async {
        mixed.open_circuits().await >= HALF / 2
    })
    .await;
    let mut rounds = Vec::new();
    for _ in 0..pairs {
        let (a, b) = (clean.run(seconds, rate).await, mixed.run(seconds, rate).await);
        rounds.push([50, 99].map(|at| (quantile(&a, at), quantile(&b, at))));
    }
    rounds.sort_by(|a, b| (a[1].1 / a[1].0).total_cmp(&(b[1].1 / b[1].0)));
    let [(p50_clean, p50_mixed), (p99_clean, p99_mixed)] = rounds[rounds.len() / 2];
    let case = "50 of 100 targets broken";
    let circuits = mixed.open_circuits().await;
    report.add(
        (case, "healthy targets' p50", "ms"),
        p50_mixed,
        None,
        format!("none broken: {p50_clean:.2} ms"),
    );
    let goal = (p99_clean * 1.2).max(p99_clean + 2.0);
    let note = format!(
        "none broken: {p99_clean:.2} ms (the median pair); the goal is the larger of x 1.2 and + 2 ms; {circuits} circuits open"
    );
    report.add((case, "healthy targets' p99", "ms"), p99_mixed, Some(Goal::AtMost(goal)), note);
    let ratios: Vec<f64> = rounds.iter().map(|[_, (a, b)]| b / a).collect();
    report.add(
        (case, "p99, broken / clean", ""),
        median(&ratios),
        None,
        format!("pairs {ratios:.2?}"),
    );
    let idle = Duration::from_secs(if is_quick() { 2 } else { 10 });
    for (name, side) in [("none broken, no alerts", &clean), ("half broken, no alerts", &mixed)] {
        let before = cpu_seconds(side.operator.pid());
        tokio::time::sleep(idle).await;
        let share = (cpu_seconds(side.operator.pid()) - before) / idle.as_secs_f64() * 100.0;
        report.add(
            (name, "CPU", "% of a core"),
            share,
            None,
            format!("{} alerts owed to the broken", side.sent),
        );
    }
    report.finish();
}
