//! End to end on loopback: posts in one process, receivers in another, the program between them.
//! `BENCH_CASE` names one case: `M=10 flat`.

use std::{fmt::Write as _, time::Duration};

use super::{
    bare::Bare,
    is_quick,
    post::{Load, Posted, Poster},
    program::Program,
    report::{Goal, Report},
    sink::{Got, Sinks, Times, Wire},
};

/// Rounds of the program and the bare loop in turns; the median counts.
const ROUNDS: usize = 3;
/// What the manifests allow each target, which is also what the bare loop has under way.
pub(crate) const IN_FLIGHT: usize = 8;
const PATIENCE: Duration = Duration::from_secs(15);

/// One case, M receivers.
struct Case {
    name: &'static str,
    receivers: usize,
    wire: Wire,
    /// Alerts of a round.
    alerts: usize,
    /// Share of the bare loop that is wanted.
    goal: Option<f64>,
}

/// One flat-out round of a program.
pub(crate) struct Round {
    /// Notifications per second, from the first post to the last arrival.
    pub(crate) rate: f64,
    pub(crate) got: Got,
    pub(crate) posted: Posted,
    /// From the start of the post to the arrival.
    pub(crate) times: Times,
    /// CPU seconds of the program.
    pub(crate) cpu: f64,
    /// CPU seconds of the receivers.
    sinks_cpu: f64,
    /// Bytes of memory at most.
    pub(crate) peak: u64,
}

/// Objects for these receivers: one route, everything ungrouped.
pub(crate) fn manifests(sinks: &Sinks) -> String {
    let mut text = String::from(
        "apiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {name: all}\nspec:\n  scope: Cluster\n  \
         targetSelector: {matchLabels: {all: \"yes\"}}\n",
    );
    let mut tls = "";
    if !sinks.authority.is_empty() {
        tls = "  connection: {tls: {caConfigMapRef: {name: authority, key: ca.crt}}}\n";
        text += "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: authority}\ndata:\n  ca.crt: |\n";
        text.extend(sinks.authority.lines().flat_map(|line| ["    ", line, "\n"]));
    }
    for (at, url) in sinks.urls.iter().enumerate() {
        write!(
 text,
            "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata: {{name: sink-{at}, labels: {{all: \"yes\"}}}}\n\
             spec:\n  type: Webhook\n  webhook: {{url: \"{url}\"}}\n  payload: {{format: PrometheusV4}}\n  flow: {{maxInFlight: {IN_FLIGHT}}}\n{tls}"
        ).expect("text grows");
    }
    text
}

pub(crate) fn run() {
    let mut report = Report::new("delivery");
    let rounds = if is_quick() { 1 } else { ROUNDS };
    report.set(
        "rounds",
        format!("{rounds}, program and bare loop in turns, a new program each; medians"),
    );
    report.set(
        "posters",
        "4 clients, batches of 50, new alerts, ungrouped, one route to all receivers",
    );
    report.set("targets", format!("Webhook, PrometheusV4, maxInFlight {IN_FLIGHT} (the default), no rateLimit (the default)"));
    report.set("bare loop", format!("hyper on one thread, {IN_FLIGHT} connections (HTTP/2: streams) to each receiver, bodies of the program's size"));
    let only = std::env::var("BENCH_CASE").unwrap_or_default();
    for case in cases().into_iter().filter(|case| case.name.contains(&only)) {
        flat_out(&mut report, &case, rounds);
    }
    for receivers in [1, 10] {
        if format!("M={receivers} paced").contains(&only) {
            paced(&mut report, receivers);
        }
    }
    report.finish();
}

fn cases() -> Vec<Case> {
    let plain = |name, receivers, alerts, goal| Case {
        name,
        receivers,
        wire: Wire::Http1,
        alerts,
        goal: Some(goal),
    };
    let mut cases = vec![
        plain("M=1 flat out", 1, 40_000, 0.3),
        plain("M=10 flat out", 10, 10_000, 0.6),
        plain("M=50 flat out", 50, 2_000, 0.6),
        Case {
            name: "M=10 TLS HTTP/1.1",
            receivers: 10,
            wire: Wire::Http1Tls,
            alerts: 5_000,
            goal: None,
        },
        Case {
            name: "M=10 TLS HTTP/2",
            receivers: 10,
            wire: Wire::Http2Tls,
            alerts: 5_000,
            goal: None,
        },
    ];
    if is_quick() {
        for case in &mut cases {
            case.alerts /= 20;
        }
    }
    cases
}

fn flat_out(report: &mut Report, case: &Case, rounds: usize) {
    let Case { name, receivers, wire, alerts, goal } = case;
    let mut sinks = Sinks::start(*receivers, *wire);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let (mut shares, mut by_cpu) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut program = Program::start(&manifests(&sinks), &[]);
        let round = burst(name, &mut program, &mut sinks, *alerts);
        round.got.assert_exactly_once(name, (receivers * alerts) as u64);
        drop(program);
        let size = (round.got.bytes / round.got.posts) as usize;
        let (rate, cost, both) = bare_round(case, &mut sinks, size);
        let pairs = round.got.pairs as f64;
        by_cpu.push(both / ((round.cpu + round.posted.cpu + round.sinks_cpu) / pairs));
        shares.push(round.rate / rate);
        bare.push((rate, cost));
        ours.push(round);
    }
    let share = median(&shares);
    let at = |of: &dyn Fn(&Round) -> f64| median(&ours.iter().map(of).collect::<Vec<_>>());
    let notifications = (receivers * alerts) as f64;
    let rate = at(&|round| round.rate);
    let size = ours[0].got.bytes / ours[0].got.posts;
    let [bare, cost] =
        [0, 1].map(|at| median(&bare.iter().map(|one| [one.0, one.1][at]).collect::<Vec<_>>()));
    let note = format!(
        "the bare loop {bare:.0}/s; {alerts} alerts, bodies of {size} bytes, each exactly once"
    );
    report.add((name, "notifications", "per second"), rate, None, note);
    report.add(
        (name, "share of the bare loop", ""),
        share,
        goal.map(Goal::AtLeast),
        "median of the rounds' shares",
    );
    let note = "CPU time of a post in the bare loop and its receivers / of a notification in program, posters and receivers: the share \
                of a machine that has nothing else to do";
    report.add((name, "share by CPU time", ""), median(&by_cpu), None, note);
    let cpu = at(&|round| round.cpu) / notifications * 1e6;
    report.add(
        (name, "CPU per notification", "us"),
        cpu,
        None,
        format!("the bare loop {:.1} us", cost * 1e6),
    );
    let peak = at(&|round| round.peak as f64) / f64::from(1 << 20);
    report.add((name, "peak memory", "MiB"), peak, Some(Goal::AtMost(150.0)), "resident");
    let accepted = at(&|round| round.posted.alerts as f64 / round.posted.seconds());
    let note = format!("p99 of a post {:.1} ms", at(&|round| round.posted.answered.p99));
    report.add((name, "alerts accepted", "per second"), accepted, None, note);
    let note = format!("p50 {:.0} ms", at(&|round| round.times.p50));
    report.add((name, "post to receiver p99", "ms"), at(&|round| round.times.p99), None, note);
}

/// What a program delivers of this many new alerts, flat out, after a warm-up. Whoever calls checks what came.
pub(crate) fn burst(name: &str, program: &mut Program, sinks: &mut Sinks, alerts: usize) -> Round {
    let mut posts = Poster::start();
    warm(&mut posts, program, sinks);
    sinks.clear(alerts);
    let cpu = (program.cpu(), sinks.got().cpu);
    let posted = posts.run(&Load::flat_out(program.alerts_url(), alerts));
    posted.assert_accepted(name, alerts as u64);
    let pairs = (sinks.urls.len() * alerts) as u64;
    let got = sinks.wait(pairs, PATIENCE);
    if got.pairs < pairs {
        program.stop();
        println!("{}", program.log());
    }
    let seconds = Duration::from_nanos(got.last - posted.began).as_secs_f64();
    let times = sinks.times(&posts.starts());
    Round {
        rate: pairs as f64 / seconds,
        times,
        cpu: program.cpu() - cpu.0,
        sinks_cpu: got.cpu - cpu.1,
        peak: program.peak_memory(),
        got,
        posted,
    }
}

/// Opens the connections and touches the code.
fn warm(poster: &mut Poster, program: &Program, sinks: &mut Sinks) {
    const ALERTS: usize = 400;
    sinks.clear(ALERTS);
    let load = Load { run: "warm".to_owned(), ..Load::flat_out(program.alerts_url(), ALERTS) };
    poster.run(&load).assert_accepted("warm-up", ALERTS as u64);
    let pairs = (ALERTS * sinks.urls.len()) as u64;
    sinks.wait(pairs, PATIENCE).assert_exactly_once("warm-up", pairs);
}

/// Posts per second of the bare loop, and the CPU seconds of one: its own, and with the receivers'.
fn bare_round(case: &Case, sinks: &mut Sinks, size: usize) -> (f64, f64, f64) {
    sinks.clear(case.alerts);
    let before = sinks.got().cpu;
    let bare = Bare {
        urls: sinks.urls.clone(),
        wire: case.wire,
        authority: sinks.authority.clone(),
        in_flight: IN_FLIGHT,
        size,
        posts: case.alerts,
    };
    let looped = bare.run();
    let pairs = (case.receivers * case.alerts) as u64;
    let got = sinks.wait(pairs, PATIENCE);
    got.assert_exactly_once("the bare loop", pairs);
    assert_eq!(looped.refused, 0, "the receivers answer 200");
    let both = (looped.cpu + got.cpu - before) / pairs as f64;
    (pairs as f64 / looped.seconds(), looped.cpu / pairs as f64, both)
}

/// One alert in a post, at an even pace that does not wait for answers.
fn paced(report: &mut Report, receivers: usize) {
    let alerts = if is_quick() { 500 } else { 5_000 };
    let name = format!("M={receivers} paced 500/s");
    let mut sinks = Sinks::start(receivers, Wire::Http1);
    let program = Program::start(&manifests(&sinks), &[]);
    let mut posts = Poster::start();
    warm(&mut posts, &program, &mut sinks);
    sinks.clear(alerts);
    let load = Load {
        clients: 32,
        batch: 1,
        rate: Some(500.0),
        ..Load::flat_out(program.alerts_url(), alerts)
    };
    let cpu = program.cpu();
    let posted = posts.run(&load);
    posted.assert_accepted(&name, alerts as u64);
    let pairs = (receivers * alerts) as u64;
    sinks.wait(pairs, PATIENCE).assert_exactly_once(&name, pairs);
    let cpu = (program.cpu() - cpu) / posted.seconds() * 100.0;
    let (times, commit) = (sinks.times(&posts.starts()), &posted.answered);
    let note =
        format!("start of the post to arrival; the post was answered at p50 {:.2} ms", commit.p50);
    report.add((&name, "post to receiver p50", "ms"), times.p50, Some(Goal::AtMost(1.0)), note);
    let note = format!(
        "the goal is the post's own p99, {:.2} ms (read, commit, answer), + 1.5 ms; at most {:.1} ms",
        commit.p99, times.max
    );
    report.add(
        (&name, "post to receiver p99", "ms"),
        times.p99,
        Some(Goal::AtMost(commit.p99 + 1.5)),
        note,
    );
    report.add((&name, "CPU", "% of a core"), cpu, None, "");
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
