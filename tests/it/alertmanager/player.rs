//! Plays a timeline to [`State`], with targets that take everything.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use fanfare::{
    alert::{self, Alert, Limits, Status},
    api::{AlertRouteSpec, TargetKey, TimeInterval},
    clock::Moment,
    dispatch::{
        self, Next, Owed, Plan, Recipient, Role, RouteTerms, Settings, Settled, State, Verdict,
    },
    publish::{SilenceDraft, SilenceId, SilenceMatcher, Source},
    routing::{
        GroupBy, Grouping, Hours, InhibitRule, Matcher, Matchers, Route, RouteSettings, RouteTable,
    },
};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::timeline::{Grouped, Interval, Post, Sent, Silencing, Step, Timeline};

/// When timelines start.
const BEGIN: i64 = 946_684_800_000;
/// The process runs for longer than that: nothing waits for senders to come back after a start.
const BEFORE: i64 = 3_600_000;
const RESOLVE_TIMEOUT: Duration = Duration::from_mins(5);

/// What is sent in a timeline.
pub(super) fn play(timeline: &Timeline) -> Vec<Sent> {
    let mut player = Player::new(timeline);
    for step in &timeline.steps {
        player.pass(step.at);
        player.take(step);
    }
    player.pass(timeline.end);
    player.sent.sort();
    player.sent
}

struct Player {
    state: State,
    zero: Instant,
    now: i64,
    targets: Vec<TargetKey>,
    /// By the names of the timeline.
    silences: BTreeMap<String, SilenceId>,
    made: u32,
    sent: Vec<Sent>,
}

// === impl Player ===

impl Player {
    fn new(timeline: &Timeline) -> Self {
        let zero = Instant::now();
        let settings = Settings {
            resolve_timeout: RESOLVE_TIMEOUT,
            webhook_max_age: Duration::from_hours(24),
            max_alerts: 1_000,
            max_per_name: 0,
            max_bytes: 64 << 20,
            external_url: "".into(),
        };
        let state = State::new(settings, Moment { mono: zero, wall: wall(-BEFORE) });
        let targets = (0..timeline.routes.len()).map(target).collect();
        let (silences, sent) = (BTreeMap::new(), Vec::new());
        let mut player = Self { state, zero, now: 0, targets, silences, made: 0, sent };
        let owed = player.state.reconfigure(Arc::new(plan(timeline)), player.moment());
        player.settle_accounts(owed);
        player
    }

    fn moment(&self) -> Moment {
        let passed = Duration::from_millis((self.now + BEFORE).unsigned_abs());
        Moment { mono: self.zero + passed, wall: wall(self.now) }
    }

    /// Lets time pass, timer by timer.
    fn pass(&mut self, end: i64) {
        for round in 0.. {
            assert!(round < 100_000, "time stands still at {}", self.now);
            let Some(due) = self.state.next_due(self.moment()) else { break };
            let due = due.as_nanos().div_ceil(1_000_000);
            let due = self.now.saturating_add(i64::try_from(due).unwrap_or(i64::MAX));
            if due > end {
                break;
            }
            self.now = due;
            let (owed, _) = self.state.tick(self.moment());
            self.settle_accounts(owed);
        }
        self.now = end;
    }

    fn take(&mut self, step: &Step) {
        if !step.alerts.is_empty() {
            let alerts = parse(&step.alerts, wall(self.now));
            let (accepted, owed) = self.state.accept(alerts, Source::V2, self.moment());
            assert_eq!(accepted.refused, 0);
            self.settle_accounts(owed);
        }
        if let Some(asked) = &step.silence {
            self.silence(asked);
        }
        if let Some(name) = &step.expire {
            self.state.expire_silence(self.silences[name], self.moment()).unwrap();
            self.turn();
        }
    }

    fn silence(&mut self, asked: &Silencing) {
        self.made += 1;
        let fresh = format!("00000000-0000-4000-8000-{:012x}", self.made).parse().unwrap();
        let matcher = |one: &Matcher| SilenceMatcher {
            name: one.name.clone(),
            kind: one.kind,
            value: one.value.clone(),
        };
        let draft = SilenceDraft {
            id: self.silences.get(&asked.name).copied(),
            matchers: Matchers::parse(&asked.matchers).unwrap().iter().map(matcher).collect(),
            starts_at: wall(asked.starts),
            ends_at: wall(asked.ends),
            created_by: "timeline".into(),
            comment: "timeline".into(),
            annotations: BTreeMap::new(),
        };
        let id = self.state.set_silence(draft, fresh, 0, self.moment()).unwrap();
        self.silences.insert(asked.name.clone(), id);
        self.turn();
    }

    fn turn(&mut self) {
        while self.state.is_turning() {
            let owed = self.state.turn(self.moment());
            self.settle_accounts(owed);
        }
    }

    /// Everything is on disk at once, and every target takes what it is sent.
    fn settle_accounts(&mut self, owed: Owed) {
        self.state.take_facts();
        let now = self.moment();
        self.state.enqueue(owed, now);
        for at in 0..self.targets.len() {
            while let Some(sent) = self.send(at) {
                self.sent.push(sent);
            }
        }
        self.state.take_facts();
        self.state.take_ended();
    }

    fn send(&mut self, at: usize) -> Option<Sent> {
        let now = self.moment();
        let (notification, ticket) = loop {
            match self.state.next(&self.targets[at], now, &mut |_, _| Verdict::Send) {
                Next::Send(notification, ticket) => break (notification, ticket),
                Next::Nothing => return None,
                Next::More => {}
            }
        };
        let settlement = self.state.settle(ticket, Settled::Delivered, now);
        assert!(settlement.ended.is_empty());
        let of = |status: Status| {
            let members = notification.members.iter().filter(|member| member.status == status);
            let names =
                members.map(|member| format!("{:016x}", member.alert.labels.fingerprint().0));
            names.collect::<BTreeSet<_>>().into_iter().collect()
        };
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Some(Sent {
            at: self.now,
            receiver: format!("r{at}"),
            group: notification.group_labels.iter().map(pair).collect(),
            reason: notification.reason.as_str().to_owned(),
            firing: of(Status::Firing),
            resolved: of(Status::Resolved),
        })
    }
}

/// The moment on the calendar.
pub(super) fn wall(at: i64) -> Timestamp {
    Timestamp::from_millisecond(BEGIN + at).unwrap()
}

fn target(at: usize) -> TargetKey {
    TargetKey::new("prod", &format!("r{at}"))
}

fn parse(posts: &[Post], now: Timestamp) -> Vec<Alert> {
    let one = |post: &Post| {
        let mut alert = json!({"labels": post.labels});
        for (name, at) in [("startsAt", post.starts), ("endsAt", post.ends)] {
            if let Some(at) = at {
                alert[name] = json!(wall(at).to_string());
            }
        }
        alert
    };
    let body = serde_json::to_vec(&posts.iter().map(one).collect::<Vec<_>>()).unwrap();
    let settings =
        alert::v2::Settings { resolve_timeout: RESOLVE_TIMEOUT, limits: Limits::default() };
    alert::v2::parse(&body, now, &settings).unwrap().alerts
}

/// When a route notifies.
pub(super) fn hours(route: &Grouped) -> Hours {
    let ours = |of: &Option<Interval>| -> Vec<TimeInterval> {
        let text = |(_, theirs): &Interval| {
            theirs.replace("start_time", "startTime").replace("end_time", "endTime")
        };
        of.iter().map(|one| serde_json::from_str(&text(one)).unwrap()).collect()
    };
    Hours::compile(&ours(&route.active), &ours(&route.mute)).unwrap()
}

/// The rules of a timeline, which hold on every route.
pub(super) fn rules(timeline: &Timeline) -> Arc<[InhibitRule]> {
    let rule = |(source, target, equal): &(String, String, Vec<&str>)| InhibitRule {
        source: Matchers::parse(source).unwrap(),
        target: Matchers::parse(target).unwrap(),
        equal: equal.iter().map(|name| Box::from(*name)).collect(),
    };
    timeline.inhibit.iter().map(rule).collect()
}

fn plan(timeline: &Timeline) -> Plan {
    let inhibit = rules(timeline);
    let settings = RouteSettings { scope_label: "namespace".into(), cluster_namespaces: None };
    let compile = |(at, route): (usize, &Grouped)| {
        let spec =
            json!({"scope": "Cluster", "matcherExpr": route.matchers, "targets": [{"name": "x"}]});
        let spec: AlertRouteSpec = serde_json::from_value(spec).unwrap();
        let key = format!("prod/r{at}").parse().unwrap();
        Arc::new(Route::compile(key, "u".into(), 1, Arc::new(spec), &settings).unwrap())
    };
    let routes: Vec<_> = timeline.routes.iter().enumerate().map(compile).collect();
    let mut plan = Plan::new(Arc::new(RouteTable::new(routes.clone())));
    for (at, (compiled, route)) in routes.iter().zip(&timeline.routes).enumerate() {
        let by = match *route.by {
            ["..."] => GroupBy::All,
            ref names => GroupBy::Labels(names.iter().map(|name| Box::from(*name)).collect()),
        };
        let grouping = Grouping {
            by,
            wait: Duration::from_secs(route.wait),
            interval: Duration::from_secs(route.interval),
        };
        let terms = RouteTerms {
            repeat_interval: Duration::from_secs(route.repeat),
            grouping: Some(Arc::new(grouping)),
            inhibit: inhibit.clone(),
            hours: Arc::new(hours(route)),
            ..RouteTerms::default()
        };
        let recipient = Recipient {
            target: target(at),
            uid: format!("r{at}").into(),
            send_resolved: route.send_resolved,
            suspended: false,
            limits: dispatch::Limits::default(),
            role: Role::Regular,
        };
        plan.add(compiled.key.clone(), terms, vec![recipient]);
    }
    plan
}
