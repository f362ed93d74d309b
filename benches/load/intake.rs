//! Alerts in, each on disk before its post is answered; no route takes them. Beside each case, in turns with it, the
//! bare loop of `commits`. `BENCH_CASE` names one case: `64 x 50`.

use std::time::Duration;

use tokio::runtime::Runtime;

use super::{
    commits::{Commits, Committed, stored},
    delivery::median,
    is_quick,
    post::{Load, Posted, Poster},
    program::{Program, directory},
    report::{Goal, Report},
};

/// Rounds of the program and the bare loop in turns; the median counts.
const ROUNDS: usize = 3;
/// Seconds of a round.
const SECONDS: f64 = 1.2;
/// Alerts of a round at most.
const MOST: usize = 400_000;
/// Alerts that are sent again and again.
const HELD: usize = 20_000;

/// Clients with one post under way each, and how many alerts are in a post.
struct Case {
    clients: usize,
    batch: usize,
    /// Share of the bare loop, and alerts per second, that are wanted.
    goals: Option<(f64, f64)>,
}

/// One round of the program.
struct Round {
    posted: Posted,
    /// CPU seconds of the program.
    cpu: f64,
    commits: f64,
    /// Seconds of a sync.
    sync: f64,
    /// Bytes of an alert's record.
    record: f64,
    /// Bytes of the file.
    file: f64,
}

pub(crate) fn run() {
    let mut report = Report::new("intake");
    let rounds = if is_quick() { 1 } else { ROUNDS };
    report.set("rounds", format!("{rounds} of {:.1} s, program and bare loop in turns, a new program and file each; medians", seconds()));
    report.set(
        "program",
        format!("--max-alerts {}, no route, everything else as it comes", 2 * MOST),
    );
    report.set("bare loop", "one thread that commits records of the same size to redb, one an alert, with quick repair and a cache of 64 MiB, for as many waiting tasks as there are clients");
    let only = std::env::var("BENCH_CASE").unwrap_or_default();
    let runtime = Runtime::new().expect("the machine has room");
    for case in cases().iter().filter(|case| case.name().contains(&only)) {
        new_alerts(&mut report, &runtime, case, rounds);
    }
    if "sent again".contains(&only) {
        sent_again(&mut report, rounds);
    }
    report.finish();
}

fn seconds() -> f64 {
    if is_quick() { 0.3 } else { SECONDS }
}

fn cases() -> Vec<Case> {
    let case = |(clients, batch)| Case {
        clients,
        batch,
        goals: match (clients, batch) {
            (64, 1) => Some((0.5, 17_000.0)),
            (64, 50) => Some((0.6, 35_000.0)),
            _ => None,
        },
    };
    let clients = if is_quick() { vec![1, 64] } else { vec![1, 16, 64, 256] };
    [1, 50].iter().flat_map(|batch| clients.iter().map(|it| case((*it, *batch)))).collect()
}

fn new_alerts(report: &mut Report, runtime: &Runtime, case: &Case, rounds: usize) {
    let name = &case.name();
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let round = case.round();
        bare.push(case.bare(runtime, round.record as usize, false, true));
        ours.push(round);
    }
    let at = |of: &dyn Fn(&Round) -> f64| median(&ours.iter().map(of).collect::<Vec<_>>());
    let rate = at(&Round::rate);
    let alone = median(&bare.iter().map(Committed::rate).collect::<Vec<_>>());
    let shares: Vec<_> =
        ours.iter().zip(&bare).map(|(ours, bare)| ours.rate() / bare.rate()).collect();
    let note = format!(
        "the bare loop {alone:.0}/s; {:.0} alerts a commit, the bare loop {:.0}; sync {:.2} ms, two a commit",
        at(&|round| round.posted.alerts as f64 / round.commits),
        median(&bare.iter().map(|it| it.records as f64 / it.commits as f64).collect::<Vec<_>>()),
        at(&|round| round.sync * 1e3),
    );
    let goal = case.goals.map(|goals| Goal::AtLeast(goals.1));
    report.add((name, "alerts", "per second"), rate, goal, note);
    let goal = case.goals.map(|goals| Goal::AtLeast(goals.0));
    report.add(
        (name, "share of the bare loop", ""),
        median(&shares),
        goal,
        "median of the rounds' shares",
    );
    let note = format!(
        "p99 {:.2} ms; the bare loop {:.2} and {:.2} ms",
        at(&|round| round.posted.answered.p99),
        median(&bare.iter().map(|it| it.waits.p50).collect::<Vec<_>>()),
        median(&bare.iter().map(|it| it.waits.p99).collect::<Vec<_>>()),
    );
    let goal = (case.clients == 1 && case.batch == 1).then_some(Goal::AtMost(0.8));
    report.add(
        (name, "post answered p50", "ms"),
        at(&|round| round.posted.answered.p50),
        goal,
        note,
    );
    let note = format!(
        "the poster {:.1} us",
        at(&|round| round.posted.cpu / round.posted.alerts as f64 * 1e6)
    );
    report.add(
        (name, "CPU per alert", "us"),
        at(&|round| round.cpu / round.posted.alerts as f64 * 1e6),
        None,
        note,
    );
    if case.goals.is_some() {
        case.price(report, runtime, at(&|round| round.record), alone);
        let note = format!("records of {:.0} bytes", at(&|round| round.record));
        let bytes = at(&|round| round.file / round.posted.alerts as f64);
        report.add((name, "disk per alert", "bytes"), bytes, None, note);
    }
}

/// Unchanged alerts: nothing is written.
fn sent_again(report: &mut Report, rounds: usize) {
    let name = "64 x 50, sent again";
    let mut found = Vec::new();
    for _ in 0..rounds {
        let program = start();
        let mut posts = Poster::start();
        let load = Load { clients: 64, ..Load::flat_out(program.alerts_url(), HELD) };
        posts.run(&load).assert_accepted("what is held", HELD as u64);
        let (commits, cpu) = (program.metric("fanfare_store_commits_total"), program.cpu());
        let again =
            Load { distinct: Some(HELD), alerts: 10 * MOST, seconds: Some(seconds()), ..load };
        let posted = posts.run(&again);
        let cpu = (program.cpu() - cpu) / posted.alerts as f64;
        assert_eq!(posted.refused, 0, "{name}: refused posts");
        assert_eq!(held(&program), HELD as u64, "{name}: each is held once");
        let commits = program.metric("fanfare_store_commits_total") - commits;
        assert!(commits < 1.0, "{name}: {commits} commits");
        found.push((
            posted.alerts as f64 / posted.seconds(),
            cpu * 1e6,
            posted.cpu / posted.alerts as f64 * 1e6,
        ));
    }
    let at =
        |of: &dyn Fn(&(f64, f64, f64)) -> f64| median(&found.iter().map(of).collect::<Vec<_>>());
    let note = format!("{HELD} alerts in turns, no commit");
    report.add(
        (name, "alerts", "per second"),
        at(&|it| it.0),
        Some(Goal::AtLeast(200_000.0)),
        note,
    );
    report.add(
        (name, "CPU per alert", "us"),
        at(&|it| it.1),
        None,
        format!("the poster {:.1} us", at(&|it| it.2)),
    );
}

fn start() -> Program {
    let most = (2 * MOST).to_string();
    Program::start("# No route, no target.\n", &["--max-alerts", &most])
}

fn held(program: &Program) -> u64 {
    program.metric("fanfare_alerts") as u64
}

// === impl Case ===

impl Case {
    fn name(&self) -> String {
        format!("{} x {}", self.clients, self.batch)
    }

    /// New alerts, flat out, to a new program, which is killed; all that was answered must be on disk.
    fn round(&self) -> Round {
        let name = self.name();
        let mut program = start();
        let mut posts = Poster::start();
        let Self { clients, batch, .. } = *self;
        let load = Load {
            clients,
            batch,
            seconds: Some(seconds()),
            ..Load::flat_out(program.alerts_url(), MOST)
        };
        let cpu = program.cpu();
        let posted = posts.run(&load);
        let cpu = program.cpu() - cpu;
        assert_eq!(posted.refused, 0, "{name}: refused posts");
        assert_eq!(held(&program), posted.alerts, "{name}: held, and answered");
        let commits = program.metric("fanfare_store_commits_total");
        let sync = program.metric("fanfare_store_sync_duration_seconds_sum")
            / program.metric("fanfare_store_sync_duration_seconds_count");
        program.stop();
        let file = program.files().join("data/fanfare.redb");
        let length = file.metadata().expect("the store is there").len() as f64;
        let (count, bytes) = stored(&file);
        assert_eq!(count, posted.alerts, "{name}: on disk after the kill, and answered");
        Round { cpu, commits, sync, record: bytes as f64 / count as f64, file: length, posted }
    }

    fn bare(&self, runtime: &Runtime, size: usize, joined: bool, sync: bool) -> Committed {
        let (files, time) = (directory(), Duration::from_secs_f64(seconds()));
        let Self { clients, batch, .. } = *self;
        let commits = Commits { clients, batch, size, joined, sync, time, most: MOST as u64 };
        runtime.block_on(commits.run(files.path()))
    }

    /// What the bare loop does without syncing, and with one record per post.
    fn price(&self, report: &mut Report, runtime: &Runtime, size: f64, alone: f64) {
        let name = self.name();
        let free = self.bare(runtime, size as usize, false, false).rate();
        let note = "the bare loop without syncing, against the bare loop";
        report.add(
            (&name, "price of syncing", "times"),
            free / alone,
            None,
            format!("{note}: {free:.0}/s"),
        );
        if self.batch > 1 {
            let joined = self.bare(runtime, size as usize, true, true).rate();
            let note = "one record per post in the bare loop, against one per alert";
            report.add(
                (&name, "one record per post", "times"),
                joined / alone,
                None,
                format!("{note}: {joined:.0} alerts/s"),
            );
        }
    }
}

// === impl Round ===

impl Round {
    /// Alerts per second.
    fn rate(&self) -> f64 {
        self.posted.alerts as f64 / self.posted.seconds()
    }
}

// === impl Committed ===

impl Committed {
    /// Records per second.
    fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }
}
