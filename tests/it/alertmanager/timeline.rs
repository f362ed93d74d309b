//! What happens in a timeline, and how Alertmanager is asked about it.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    fs,
    process::Command,
};

use fanfare::alert::Labels;
use serde::{Deserialize, Serialize};

use crate::support::controlplane::{built, say_skip};

/// Whom Alertmanager tells what no route takes.
const NOBODY: &str = "nobody";

/// What happens, and when. Times are milliseconds since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    pub(super) routes: Vec<Grouped>,
    /// Source, target, equal: for every route.
    pub(super) inhibit: Vec<(String, String, Vec<&'static str>)>,
    pub(super) steps: Vec<Step>,
    pub(super) end: i64,
}

/// Times at which a route notifies, or does not: a name, and the interval as JSON in Alertmanager's form.
/// Timelines begin at midnight of the first of January 2000, a Saturday.
pub(super) type Interval = (&'static str, &'static str);

/// A route with one target.
#[derive(Clone, Debug)]
pub(super) struct Grouped {
    pub(super) matchers: String,
    pub(super) by: Vec<&'static str>,
    /// Seconds.
    pub(super) wait: u64,
    pub(super) interval: u64,
    pub(super) repeat: u64,
    pub(super) send_resolved: bool,
    pub(super) active: Option<Interval>,
    pub(super) mute: Option<Interval>,
}

/// One moment.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Step {
    pub(super) at: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) alerts: Vec<Post>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) silence: Option<Silencing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expire: Option<String>,
}

/// An alert as a sender posts it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Post {
    pub(super) labels: BTreeMap<&'static str, &'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) starts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ends: Option<i64>,
}

/// A silence as somebody sets it; with a name that was used before, as somebody edits it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Silencing {
    pub(super) name: String,
    pub(super) matchers: String,
    pub(super) starts: i64,
    pub(super) ends: i64,
}

/// One notification.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Sent {
    pub(super) at: i64,
    pub(super) receiver: String,
    pub(super) group: BTreeMap<String, String>,
    pub(super) reason: String,
    pub(super) firing: Vec<String>,
    pub(super) resolved: Vec<String>,
}

// === impl Timeline ===

impl Timeline {
    /// What Alertmanager sends in each; `None`, said loudly, if the tools are not built.
    pub(super) fn play_to_alertmanager(all: &[Self]) -> Option<Vec<Vec<Sent>>> {
        let Some(bin) = built() else {
            say_skip();
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("in"), dir.path().join("out"));
        let line = |one: &Self| {
            let asked =
                serde_json::json!({"config": one.config(), "steps": one.steps, "end": one.end});
            asked.to_string() + "\n"
        };
        fs::write(&from, all.iter().map(line).collect::<String>()).unwrap();
        let output = Command::new(bin.join("amtimelines"))
            .args(["-test.run", "TestPlay", "-test.timeout", "10m"])
            .env("AMTIMELINES_IN", &from)
            .env("AMTIMELINES_OUT", &to)
            .current_dir(dir.path())
            .output()
            .unwrap_or_else(|error| panic!("amtimelines: {error}: run make controlplane"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let answers = fs::read_to_string(&to).unwrap();
        let answers = answers.lines().map(|line| {
            let mut sent: Vec<Sent> = serde_json::from_str(line).unwrap();
            sent.retain(|one| one.receiver != NOBODY);
            sent.sort();
            sent
        });
        Some(answers.collect())
    }

    /// The same without silences and hours.
    pub(super) fn without_mutes(mut self) -> Self {
        for step in &mut self.steps {
            (step.silence, step.expire) = (None, None);
        }
        for route in &mut self.routes {
            (route.active, route.mute) = (None, None);
        }
        self
    }

    /// The alertmanager.yml of the routes.
    fn config(&self) -> String {
        let mut text = format!("route:\n  receiver: {NOBODY}\n  routes:\n");
        let mut receivers = format!("receivers:\n- name: {NOBODY}\n");
        let mut intervals = String::new();
        for (at, route) in self.routes.iter().enumerate() {
            let Grouped { matchers, by, wait, interval, repeat, send_resolved, active, mute } =
                route;
            write!(
                text,
                "  - receiver: r{at}\n    continue: true\n    matchers: [{matchers:?}]\n    group_by: {by:?}\n    \
                 group_wait: {wait}s\n    group_interval: {interval}s\n    repeat_interval: {repeat}s\n"
            )
            .unwrap();
            for (kind, of) in [("active", active), ("mute", mute)] {
                let Some((name, interval)) = of else { continue };
                writeln!(text, "    {kind}_time_intervals: [{name}-{kind}-{at}]").unwrap();
                writeln!(intervals, "- name: {name}-{kind}-{at}\n  time_intervals: [{interval}]")
                    .unwrap();
            }
            write!(
                receivers,
                "- name: r{at}\n  webhook_configs:\n  - url: http://127.0.0.1:1/\n    send_resolved: {send_resolved}\n"
            )
            .unwrap();
        }
        let mut inhibit = String::new();
        for (source, target, equal) in &self.inhibit {
            let start = if inhibit.is_empty() { "inhibit_rules:\n" } else { "" };
            write!(
                inhibit,
                "{start}- source_matchers: [{source:?}]\n  target_matchers: [{target:?}]\n  equal: {equal:?}\n"
            )
            .unwrap();
        }
        if !intervals.is_empty() {
            intervals.insert_str(0, "time_intervals:\n");
        }
        text + &inhibit + &intervals + &receivers
    }
}

impl fmt::Display for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Labels = self.labels.iter().map(|(name, value)| (*name, *value)).collect();
        let values: Vec<&str> = self.labels.values().copied().collect();
        let name = format!("{:016x}", labels.fingerprint().0);
        write!(f, "{}={}", values.concat(), &name[..4])?;
        for (sign, at) in [("from", self.starts), ("until", self.ends)] {
            if let Some(at) = at {
                write!(f, " {sign} {at}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |names: &[String]| {
            names.iter().map(|name| name[..4].to_owned()).collect::<Vec<_>>().join(" ")
        };
        let (group, reason) = (self.group.values().cloned().collect::<String>(), &self.reason);
        let (firing, resolved) = (short(&self.firing), short(&self.resolved));
        write!(
            f,
            "{}: {} {group:?} {reason}: firing [{firing}], resolved [{resolved}]",
            self.at, self.receiver
        )
    }
}
