//! The same load on Fanfare and on Alertmanager, in turns: same posters, same receivers, same machine, new processes
//! for each round.
//!
//! Alertmanager is given what favours it: one receiver with M webhooks, so that a group is kept and flushed once for
//! all of them and its integrations run side by side (a route for each would cost it a group each); no wait before
//! the first flush; an interval so long that no group is flushed again and no deadline is near; no cluster; a log of
//! errors only; a notification log in memory, as it always is. Fanfare keeps its defaults and syncs each post to the
//! disk before it answers. Of Fanfare each notification must come once; what a peer loses or repeats is counted.
//!
//! With `BENCH_AGAINST` the peer is that binary of Fanfare, such as one before a change. `BENCH_CASE` names one case:
//! `M=10,`.

use std::{fmt::Write as _, fs, net::TcpListener, path::Path};

use super::{
    delivery::{Round, burst, manifests, median},
    is_quick,
    it::support::program::command,
    program::{Program, directory, get},
    report::{Goal, Report},
    sink::{Sinks, Wire},
};

const ROUNDS: usize = 3;
const MIB: f64 = (1 << 20) as f64;

/// A program's rounds.
type Rounds = Vec<Round>;

/// Whom Fanfare is compared with.
enum Peer {
    Alertmanager(String),
    Fanfare(String),
}

pub(crate) fn run() {
    let Some(peer) = Peer::of_environment() else {
        println!(
            "SKIP peers: target/controlplane/alertmanager is missing. `make bench-peers` builds it (needs Go)."
        );
        return;
    };
    let rounds = if is_quick() { 1 } else { ROUNDS };
    let mut report = Report::new("peers");
    report.set("peer", peer.version());
    report.set("Alertmanager's settings", "one receiver with M webhooks, group_by ['...'], group_wait 0s, group_interval 5m, no cluster, log level error");
    report.set("Fanfare's settings", "its defaults, on disk; PrometheusV4, the peer's own body");
    report.set("load", format!("4 posters, batches of 50, flat out, new alerts; {rounds} rounds in turns, new processes; medians"));
    let only = std::env::var("BENCH_CASE").unwrap_or_default();
    for (receivers, alerts) in [(1, 10_000), (10, 5_000), (50, 1_000)] {
        if !format!("M={receivers},").contains(&only) {
            continue;
        }
        let alerts = if is_quick() { alerts / 20 } else { alerts };
        compare(&mut report, &peer, (receivers, alerts), rounds);
    }
    report.finish();
}

// === impl Peer ===

impl Peer {
    fn of_environment() -> Option<Self> {
        if let Ok(binary) = std::env::var("BENCH_AGAINST") {
            return Some(Self::Fanfare(binary));
        }
        let built = std::env::var("FANFARE_CONTROLPLANE_BIN").ok();
        let built = built.unwrap_or_else(|| "target/controlplane".to_owned());
        let binary = format!("{built}/alertmanager");
        Path::new(&binary).exists().then_some(Self::Alertmanager(binary))
    }

    fn start(&self, sinks: &Sinks) -> Program {
        match self {
            Self::Alertmanager(binary) => alertmanager(binary, sinks),
            Self::Fanfare(binary) => Program::start_binary(binary, &manifests(sinks), &[]),
        }
    }

    fn version(&self) -> String {
        let (Self::Alertmanager(binary) | Self::Fanfare(binary)) = self;
        let output = std::process::Command::new(binary).arg("--version").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        text.unwrap_or_default().lines().next().unwrap_or(binary).to_owned()
    }
}

fn compare(report: &mut Report, peer: &Peer, (receivers, alerts): (usize, usize), rounds: usize) {
    let case = format!("M={receivers}, {alerts} alerts");
    let mut sinks = Sinks::start(receivers, Wire::Http1);
    let (mut ours, mut theirs) = (Rounds::new(), Rounds::new());
    for _ in 0..rounds {
        let mut program = Program::start(&manifests(&sinks), &[]);
        let round = burst("Fanfare", &mut program, &mut sinks, alerts);
        round.got.assert_exactly_once("Fanfare", (receivers * alerts) as u64);
        ours.push(round);
        drop(program);
        let mut program = peer.start(&sinks);
        theirs.push(burst("the peer", &mut program, &mut sinks, alerts));
    }
    let wanted = receivers == 10 && matches!(peer, Peer::Alertmanager(_));
    pair(report, (&case, "notifications", "per second"), (&ours, &theirs), |round| round.rate);
    let ratio = ratio(&ours, &theirs, |round| round.rate);
    report.add((&case, "times the peer", ""), ratio, wanted.then_some(Goal::AtLeast(6.0)), "");
    pair(report, (&case, "post to receiver p99", "ms"), (&ours, &theirs), |round| round.times.p99);
    let share = self::ratio(&ours, &theirs, |round| round.times.p99);
    report.add(
        (&case, "share of the peer's p99", ""),
        share,
        wanted.then_some(Goal::AtMost(0.2)),
        "",
    );
    pair(report, (&case, "post to receiver p50", "ms"), (&ours, &theirs), |round| round.times.p50);
    pair(report, (&case, "CPU per notification", "us"), (&ours, &theirs), |round| {
        round.cpu / round.got.pairs as f64 * 1e6
    });
    pair(report, (&case, "peak memory", "MiB"), (&ours, &theirs), |round| round.peak as f64 / MIB);
    let sent = (receivers * alerts) as f64;
    pair(report, (&case, "never came", ""), (&ours, &theirs), |round| {
        sent - round.got.pairs as f64
    });
    pair(report, (&case, "duplicates", ""), (&ours, &theirs), |round| round.got.duplicates as f64);
}

/// A row for each of the two.
fn pair(
    report: &mut Report,
    (case, figure, unit): (&str, &str, &str),
    (ours, theirs): (&Rounds, &Rounds),
    of: impl Fn(&Round) -> f64,
) {
    for (name, rounds) in [("Fanfare", ours), ("the peer", theirs)] {
        let values: Vec<f64> = rounds.iter().map(&of).collect();
        let each = values.iter().map(|value| format!("{value:.1}")).collect::<Vec<_>>().join(", ");
        let figure = format!("{name}: {figure}");
        report.add((case, &figure, unit), median(&values), None, format!("rounds {each}"));
    }
}

/// Median over the rounds of ours / theirs, each of one pair.
fn ratio(ours: &Rounds, theirs: &Rounds, of: impl Fn(&Round) -> f64) -> f64 {
    median(&ours.iter().zip(theirs).map(|(a, b)| of(a) / of(b)).collect::<Vec<_>>())
}

fn alertmanager(binary: &str, sinks: &Sinks) -> Program {
    let files = directory();
    let mut text = String::from(
        "route:\n  receiver: all\n  group_by: ['...']\n  group_wait: 0s\n  group_interval: 5m\n  repeat_interval: 4h\n\
         receivers:\n- name: all\n  webhook_configs:\n",
    );
    for url in &sinks.urls {
        writeln!(text, "  - {{url: \"{url}\"}}").expect("text grows");
    }
    let config = files.path().join("alertmanager.yml");
    fs::write(&config, text).expect("the disk has room");
    let mut command = command(Path::new(binary));
    // It does not tell which port it got.
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|port| port.local_addr())
        .expect("loopback exists");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", files.path().join("data").display()))
        .arg(format!("--web.listen-address={port}"))
        .args(["--cluster.listen-address=", "--log.level=error"]);
    let mut program = Program::spawn(command, files);
    program.intake = port.to_string();
    program.wait("Alertmanager is ready", || get(&port.to_string(), "/-/ready").is_some());
    program
}
