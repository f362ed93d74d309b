//! The routes as an `alertmanager.yml`: what `amtool config show` and `config routes` read.
//!
//! Every target is a receiver `namespace/name` without settings, so that nothing secret is in it. Every route
//! is a child of the root that continues; one with several targets has a child for each. An alert that no
//! route takes ends at the receiver `unrouted`, which is no target.

mod finals;

use std::{fmt::Write as _, time::Duration};

use super::yaml::{list, quoted};
use crate::{
    api::{self, TargetKey, TargetType, TimeInterval},
    registry::{ResolvedRoute, Snapshot, TargetEntry},
    routing::{Matcher, Matchers, Route},
};

/// The receiver of alerts that no route takes; no target has a name without a slash.
const UNROUTED: &str = "unrouted";
/// How soon an ungrouped route tells what changed: at once, in Alertmanager's terms.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The whole file.
pub(super) fn original(snapshot: &Snapshot) -> String {
    let mut out = format!(
        "# Written by Fanfare from its AlertRoutes and PublishTargets; receivers are targets.\nroute:\n  receiver: {UNROUTED}\n  group_by: [\"...\"]\n  group_wait: 0s\n  group_interval: 1s\n  routes:"
    );
    let routes: Vec<_> = snapshot.table.routes().collect();
    if routes.is_empty() {
        out.push_str(" []");
    }
    out.push('\n');
    let mut intervals = String::new();
    let mut rules = String::new();
    for (at, route) in routes.iter().enumerate() {
        let Some(resolved) = snapshot.route(&route.key) else { continue };
        let finals = routes[..at]
            .iter()
            .filter(|other| other.is_final && other.key.namespace == route.key.namespace);
        push_route(&mut out, resolved, finals.map(|route| &***route));
        push_intervals(&mut intervals, route);
        push_rules(&mut rules, route);
    }
    for (name, text) in [("inhibit_rules", rules), ("time_intervals", intervals)] {
        if !text.is_empty() {
            let _ = write!(out, "{name}:\n{text}");
        }
    }
    let _ = write!(out, "receivers:\n- name: {UNROUTED}\n");
    for (key, entry) in snapshot.targets.iter() {
        let kind = match entry {
            TargetEntry::Accepted(target) => Some(target.kind),
            TargetEntry::Rejected(target) => target.kind,
        };
        let kind = kind.map_or("not usable", TargetType::as_str);
        let _ = writeln!(out, "- name: {} # {kind}", quoted(&key.to_string()));
    }
    out
}

fn push_route<'a>(
    out: &mut String,
    resolved: &ResolvedRoute,
    finals: impl Iterator<Item = &'a Route>,
) {
    let route = &resolved.route;
    let usable = resolved.targets.iter().map(|one| &one.target.key);
    let mut targets: Vec<&TargetKey> = usable.chain(&resolved.rejected).collect();
    targets.sort();
    let note = if route.suspend {
        " is suspended"
    } else if targets.is_empty() {
        " reaches no target"
    } else {
        ""
    };
    let _ = writeln!(out, "  # AlertRoute {}{note}", route.key);
    if !note.is_empty() {
        return;
    }
    let branches = finals::branches(route, finals).unwrap_or_else(|| {
        out.push_str(
            "  # Too many final routes before it to be told apart here: they are left out.\n",
        );
        vec![route.matchers.iter().cloned().collect()]
    });
    for matchers in branches {
        push_branch(out, route, &matchers, &targets);
    }
}

fn push_branch(out: &mut String, route: &Route, matchers: &[Matcher], targets: &[&TargetKey]) {
    let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    let mut line = |text: &str| {
        let _ = writeln!(out, "  {text}");
    };
    line("- continue: true");
    line(&format!("  matchers: {}", list(texts.iter().map(String::as_str))));
    let (by, wait, interval) = match &route.spec.grouping {
        Some(grouping) => (&grouping.by[..], grouping.wait(), grouping.interval()),
        None => (&["...".to_owned()][..], Duration::ZERO, AT_ONCE),
    };
    line(&format!("  group_by: {}", list(by.iter().map(String::as_str))));
    let time = |time: Duration| api::Duration(time).to_string();
    line(&format!("  group_wait: {}", time(wait)));
    line(&format!("  group_interval: {}", time(interval)));
    line(&format!("  repeat_interval: {}", time(route.repeat_interval)));
    // These are not inherited: they belong to those that have a receiver to notify.
    let mut hours = Vec::new();
    for (kind, of) in kinds(route) {
        if !of.is_empty() {
            hours.push(format!("{kind}_time_intervals: [{}]", quoted(&name(route, kind))));
        }
    }
    if let [only] = targets {
        line(&format!("  receiver: {}", quoted(&only.to_string())));
        for text in &hours {
            line(&format!("  {text}"));
        }
        return;
    }
    line("  routes:");
    for target in targets {
        line(&format!("  - receiver: {}", quoted(&target.to_string())));
        line("    continue: true");
        for text in &hours {
            line(&format!("    {text}"));
        }
    }
}

fn kinds(route: &Route) -> [(&'static str, &[TimeInterval]); 2] {
    [("active", &route.spec.active_time_intervals), ("mute", &route.spec.mute_time_intervals)]
}

fn name(route: &Route, kind: &str) -> String {
    format!("{}/{kind}", route.key)
}

fn push_intervals(out: &mut String, route: &Route) {
    for (kind, of) in kinds(route).into_iter().filter(|(_, of)| !of.is_empty()) {
        let _ = write!(out, "- name: {}\n  time_intervals:\n", quoted(&name(route, kind)));
        for interval in of {
            let mut fields = Vec::new();
            if !interval.times.is_empty() {
                let range = |range: &api::TimeRange| {
                    let (start, end) = (quoted(&range.start_time), quoted(&range.end_time));
                    format!("{{start_time: {start}, end_time: {end}}}")
                };
                let ranges: Vec<String> = interval.times.iter().map(range).collect();
                fields.push(format!("times: [{}]", ranges.join(", ")));
            }
            for (field, texts) in [
                ("weekdays", &interval.weekdays),
                ("days_of_month", &interval.days_of_month),
                ("months", &interval.months),
                ("years", &interval.years),
            ] {
                if !texts.is_empty() {
                    fields.push(format!("{field}: {}", list(texts.iter().map(String::as_str))));
                }
            }
            if let Some(location) = &interval.location {
                fields.push(format!("location: {}", quoted(location)));
            }
            let _ = writeln!(out, "  - {}", fields.join("\n    "));
        }
    }
}

/// A rule of a route is about its own alerts, and about sources in its scope. Alertmanager's rules hold for
/// all routes, so that this is as near as one can get.
fn push_rules(out: &mut String, route: &Route) {
    if route.suspend {
        return;
    }
    for rule in &*route.inhibit {
        let source: Vec<String> = rule.source.iter().map(ToString::to_string).collect();
        let own =
            route.matchers.iter().filter(|one| !rule.target.iter().any(|other| other == *one));
        let target = Matchers::sorted(own.chain(&rule.target).cloned().collect());
        let target: Vec<String> = target.iter().map(ToString::to_string).collect();
        let _ = write!(
            out,
            "# AlertRoute {}\n- source_matchers: {}\n  target_matchers: {}\n",
            route.key,
            list(source.iter().map(String::as_str)),
            list(target.iter().map(String::as_str)),
        );
        if !rule.equal.is_empty() {
            let _ = writeln!(out, "  equal: {}", list(rule.equal.iter().map(|name| &**name)));
        }
    }
}
