//! How much memory many alerts take: 100,000 of them in as many groups of one route with one target, once while
//! all of it is owed (the target is suspended), once with all of it told.

use std::time::Duration;

use super::{
    is_quick,
    post::{Load, Poster},
    program::Program,
    report::{Goal, Report},
    sink::{Sinks, Wire},
};

const ALERTS: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(15);
/// Time for what is still under way: commits, answers.
const SETTLE: Duration = Duration::from_secs(2);
/// What the issue allows.
const GOAL: f64 = 250.0;

pub(crate) fn run() {
    let mut report = Report::new("memory");
    let alerts = if is_quick() { ALERTS / 50 } else { ALERTS };
    report.set("alerts", "8 labels, 2 annotations, a generator URL; about 560 bytes of text each");
    report
        .set("groups", "one for each alert, one route, one Webhook target that gets PrometheusV4");
    for (name, suspend) in [("owed", true), ("told", false)] {
        let mut sinks = Sinks::start(1, Wire::Http1);
        let program = Program::start(&manifests(&sinks, suspend), &[]);
        let idle = program.memory();
        let case = format!("{alerts} alerts in {alerts} groups, {name}");
        sinks.clear(alerts);
        let cpu = program.cpu();
        let posted = Poster::start().run(&Load::flat_out(program.alerts_url(), alerts));
        posted.assert_accepted(&case, alerts as u64);
        let told = if suspend { 0 } else { alerts as u64 };
        sinks.wait(told, PATIENCE).assert_exactly_once(&case, told);
        std::thread::sleep(SETTLE);
        let cpu = (program.cpu() - cpu) * 1e6 / alerts as f64;
        let each = program.memory().saturating_sub(idle) / alerts as u64;
        let note = format!("{each} bytes an alert beside the idle program's {:.0} MiB", mib(idle));
        let goal = Some(Goal::AtMost(GOAL));
        report.add((&case, "resident memory", "MiB"), mib(program.memory()), goal, note);
        report.add((&case, "peak memory", "MiB"), mib(program.peak_memory()), goal, "resident");
        report.add(
            (&case, "CPU per alert", "us"),
            cpu,
            None,
            "accepting it, and telling it if it is told",
        );
    }
    report.finish();
}

fn manifests(sinks: &Sinks, suspend: bool) -> String {
    format!(
        "apiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {{name: all}}\nspec:\n  scope: Cluster\n  \
         grouping: {{by: [alertname, bench, instance], wait: 0s, interval: 5m}}\n  targets: [{{name: sink}}]\n---\n\
         apiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata: {{name: sink}}\nspec:\n  suspend: {suspend}\n  \
         type: Webhook\n  webhook: {{url: \"{}\"}}\n  payload: {{format: PrometheusV4}}\n",
        sinks.urls[0]
    )
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
