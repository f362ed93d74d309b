//! A small world: routes and targets by name, a clock, a disk, alerts in one line.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use fanfare::{
    alert::{Alert, Labels, Notification},
    api::{AlertRouteSpec, TargetKey},
    clock::Moment,
    dispatch::{
        Ended, Fact, FallbackTerms, Limits, Next, Owed, Plan, Recipient, Role, RouteTerms,
        Settings, Settled, State, Ticket, Verdict, Why,
    },
    publish::{Accepted, Source},
    routing::{Grouping, Route, RouteSettings, RouteTable},
};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

pub(super) use super::disk::Disk;

/// The world begins an hour after the process started.
pub(super) const BEGIN: i64 = 1_800_000_000;
/// Every route's repeatInterval.
pub(super) const REPEAT: i64 = 4 * 3_600;

pub(super) const FAILED: Settled =
    Settled::Failed { maybe_told: false, retry_in: Duration::from_secs(10) };
pub(super) const UNSURE: Settled =
    Settled::Failed { maybe_told: true, retry_in: Duration::from_secs(10) };
pub(super) const BLOCKED: Settled = Settled::Blocked { retry_in: Duration::from_secs(10) };

#[derive(Clone, Default)]
pub(super) struct RouteOf {
    pub(super) spec: serde_json::Value,
    pub(super) recipients: Vec<Recipient>,
    /// It exists but can't be used at present.
    pub(super) rejected: bool,
    /// It is told in groups.
    pub(super) grouping: Option<Arc<Grouping>>,
    pub(super) fallback: Option<FallbackTerms>,
}

pub(super) struct World {
    pub(super) state: State,
    pub(super) now: i64,
    pub(super) repeat: i64,
    zero: Instant,
    settings: Settings,
    pub(super) routes: BTreeMap<String, RouteOf>,
    compiled: BTreeMap<String, (serde_json::Value, Arc<Route>)>,
    /// Route and target that is forbidden.
    pub(super) forbidden: Vec<(String, String)>,
    /// Targets that exist beside those that routes reach.
    pub(super) others: Vec<Recipient>,
    pub(super) disk: Disk,
    /// Written by nobody who waits: a crash loses it.
    lazy: Vec<Fact>,
    pub(super) ended: Vec<Ended>,
    /// What health says; send if nothing is said.
    pub(super) verdicts: BTreeMap<String, Verdict>,
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn key(target: &str) -> TargetKey {
    TargetKey::new("prod", target)
}

pub(super) fn recipient(name: &str) -> Recipient {
    Recipient {
        target: key(name),
        uid: format!("uid of {name}").into(),
        send_resolved: true,
        suspended: false,
        limits: Limits::default(),
        role: Role::default(),
    }
}

/// An alert as Prometheus sends it: `ends` in the future fires.
pub(super) fn alert(name: &str, starts: i64, ends: i64, now: i64) -> Alert {
    Alert {
        labels: Labels::from_iter([("namespace", "prod"), ("alertname", name)]),
        annotations: Labels::empty(),
        starts_at: at(starts),
        ends_at: at(ends),
        timeout: false,
        generator_url: "".into(),
        updated_at: at(now),
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        resolve_timeout: Duration::from_mins(5),
        webhook_max_age: Duration::from_hours(24),
        max_alerts: 1_000,
        max_per_name: 0,
        max_bytes: 64 * 1024 * 1024,
        external_url: "http://fanfare.example".into(),
    }
}

// === impl World ===

impl World {
    /// One route to `targets`.
    pub(super) fn new(targets: &[&str]) -> Self {
        Self::with(settings(), targets)
    }

    pub(super) fn with(settings: Settings, targets: &[&str]) -> Self {
        let zero = Instant::now();
        let start = Moment { mono: zero, wall: at(BEGIN - 3_600) };
        let mut world = Self {
            state: State::new(settings.clone(), start),
            now: BEGIN,
            repeat: REPEAT,
            zero,
            settings,
            routes: BTreeMap::new(),
            compiled: BTreeMap::new(),
            forbidden: Vec::new(),
            others: Vec::new(),
            disk: Disk::default(),
            lazy: Vec::new(),
            ended: Vec::new(),
            verdicts: BTreeMap::new(),
        };
        world.route("r", json!({}), targets);
        world.configure();
        world
    }

    pub(super) fn moment(&self) -> Moment {
        let passed = u64::try_from(self.now - BEGIN + 3_600).unwrap();
        Moment { mono: self.zero + Duration::from_secs(passed), wall: at(self.now) }
    }

    pub(super) fn route(&mut self, name: &str, spec: serde_json::Value, targets: &[&str]) {
        let recipients = targets.iter().map(|name| recipient(name)).collect();
        self.routes.insert(name.to_owned(), RouteOf { spec, recipients, ..RouteOf::default() });
    }

    fn plan(&mut self) -> Plan {
        let settings = RouteSettings { scope_label: "namespace".into(), cluster_namespaces: None };
        let compile = |name: &str, spec: &serde_json::Value| {
            let spec: AlertRouteSpec = serde_json::from_value(spec.clone()).unwrap();
            let key = format!("prod/{name}").parse().unwrap();
            Arc::new(Route::compile(key, "u".into(), 1, Arc::new(spec), &settings).unwrap())
        };
        let mut routes = Vec::new();
        let (rejected, accepted): (Vec<_>, Vec<_>) =
            self.routes.iter().partition(|(_, of)| of.rejected);
        for (name, of) in &accepted {
            let entry = self.compiled.get(*name).filter(|(spec, _)| *spec == of.spec).cloned();
            let (_, route) = entry.unwrap_or_else(|| (of.spec.clone(), compile(name, &of.spec)));
            self.compiled.insert((*name).clone(), (of.spec.clone(), route.clone()));
            routes.push(route);
        }
        let mut plan = Plan::new(Arc::new(RouteTable::new(routes.clone())));
        for (route, of) in routes.iter().zip(accepted.iter().map(|(_, of)| of)) {
            let repeat_interval = Duration::from_secs(self.repeat.unsigned_abs());
            let terms = RouteTerms {
                suspended: route.suspend,
                repeat_interval,
                grouping: of.grouping.clone(),
                fallback: of.fallback,
                inhibit: route.inhibit.clone(),
                hours: route.hours.clone(),
            };
            plan.add(route.key.clone(), terms, of.recipients.clone());
        }
        for (name, of) in &rejected {
            plan.keep(format!("prod/{name}").parse().unwrap());
            for one in &of.recipients {
                plan.exists(one.target.clone(), one.uid.clone());
            }
        }
        for (route, target) in &self.forbidden {
            plan.forbid(format!("prod/{route}").parse().unwrap(), key(target));
        }
        for one in &self.others {
            plan.exists(one.target.clone(), one.uid.clone());
        }
        plan
    }

    /// Configures without writing anything down.
    pub(super) fn reconfigure(&mut self) -> Owed {
        let (plan, now) = (self.plan(), self.moment());
        self.state.reconfigure(Arc::new(plan), now)
    }

    pub(super) fn configure(&mut self) {
        let owed = self.reconfigure();
        self.settle_accounts(owed);
    }

    /// Writes what changed and puts what is owed into the queues.
    pub(super) fn settle_accounts(&mut self, owed: Owed) {
        self.commit();
        let now = self.moment();
        self.state.enqueue(owed, now);
        self.commit();
    }

    pub(super) fn commit(&mut self) {
        self.note();
        self.disk.write(std::mem::take(&mut self.lazy));
    }

    /// Hands facts over without waiting for them.
    fn note(&mut self) {
        self.lazy.extend(self.state.take_facts());
        self.ended.extend(self.state.take_ended());
    }

    /// Changes the recipient `target` of route `r` and configures anew.
    pub(super) fn edit(&mut self, target: &str, edit: impl Fn(&mut Recipient)) {
        let route = self.routes.get_mut("r").unwrap();
        route.recipients.iter_mut().filter(|one| *one.target.name == *target).for_each(edit);
        self.configure();
    }

    pub(super) fn accept(&mut self, alert: Alert, source: Source) -> Accepted {
        let now = self.moment();
        let (accepted, owed) = self.state.accept(vec![alert], source, now);
        self.settle_accounts(owed);
        accepted
    }

    /// `name` fires since `starts`; sent now, good for five minutes.
    pub(super) fn fires(&mut self, name: &str, starts: i64) {
        self.accept(alert(name, starts, self.now + 300, self.now), Source::V2);
    }

    /// `name` fires and will for a long time.
    pub(super) fn fires_on(&mut self, name: &str, starts: i64) {
        self.accept(alert(name, starts, self.now + 100_000_000, self.now), Source::V2);
    }

    /// `name` is over since now.
    pub(super) fn ends(&mut self, name: &str, starts: i64) {
        self.accept(alert(name, starts, self.now, self.now), Source::V2);
    }

    /// Time passes.
    pub(super) fn wait(&mut self, seconds: i64) {
        let end = self.now + seconds;
        for round in 0.. {
            assert!(round < 100_000, "time stands still");
            let Some(due) = self.state.next_due(self.moment()) else { break };
            let whole = due.as_secs() + u64::from(due.subsec_nanos() > 0);
            let due = self.now.saturating_add(i64::try_from(whole).unwrap_or(i64::MAX));
            if due > end {
                break;
            }
            self.now = due;
            let (owed, _) = self.state.tick(self.moment());
            self.settle_accounts(owed);
        }
        self.now = end;
        self.commit();
    }

    /// The next notification for a target.
    pub(super) fn take(&mut self, target: &str) -> Option<(Arc<Notification>, Ticket)> {
        let verdict = self.verdicts.get(target).copied().unwrap_or(Verdict::Send);
        let now = self.moment();
        loop {
            match self.state.next(&key(target), now, &mut |_, _| verdict) {
                Next::Send(notification, ticket) => {
                    if ticket.must_commit() {
                        self.commit();
                    }
                    return Some((notification, ticket));
                }
                Next::Nothing => {
                    self.note();
                    return None;
                }
                Next::More => {}
            }
        }
    }

    pub(super) fn settle(&mut self, ticket: Ticket, outcome: Settled) {
        let now = self.moment();
        let settlement = self.state.settle(ticket, outcome, now);
        self.ended.extend(settlement.ended);
        self.note();
    }

    pub(super) fn targets(&self) -> BTreeSet<String> {
        let all = self.routes.values().flat_map(|route| &route.recipients);
        all.map(|one| one.target.name.to_string()).collect()
    }

    /// Sends what `target` is owed and writes it down; gives status and id of each.
    pub(super) fn send_to(&mut self, target: &str, outcome: Settled) -> Vec<(String, Arc<str>)> {
        let mut sent = Vec::new();
        while let Some((notification, ticket)) = self.take(target) {
            sent.push((
                format!("{target} {}", notification.status.as_str()),
                notification.id.clone(),
            ));
            self.settle(ticket, outcome);
            assert!(sent.len() < 1_000, "a failure is sent again at once");
        }
        self.commit();
        sent
    }

    /// Sends everything that is owed; gives `target status` for each and the ids.
    pub(super) fn send(&mut self, outcome: Settled) -> Vec<(String, Arc<str>)> {
        let targets = self.targets();
        targets.iter().flat_map(|target| self.send_to(target, outcome)).collect()
    }

    /// Delivers everything; gives `target status` for each.
    pub(super) fn told(&mut self) -> Vec<String> {
        self.send(Settled::Delivered).into_iter().map(|(what, _)| what).collect()
    }

    pub(super) fn recover(&mut self, target: &str) {
        self.state.recovered(&[key(target)].into());
    }

    /// What ended since the last call: `target why`, with `†` if it is a dead letter.
    pub(super) fn ends_of(&mut self) -> Vec<String> {
        let name = |one: &Ended| {
            let letter = if one.dead_letter { " †" } else { "" };
            let status = one.notification.status.as_str();
            format!("{} {} {:?}{letter}", one.target.name, status, one.why)
        };
        std::mem::take(&mut self.ended).iter().map(name).collect()
    }

    pub(super) fn letters(&mut self) -> Vec<Why> {
        let ended = std::mem::take(&mut self.ended);
        ended.iter().filter(|one| one.dead_letter).map(|one| one.why).collect()
    }

    /// The process ends, and another one begins with what is on `disk`.
    pub(super) fn restart_from(&mut self, disk: Disk) {
        self.disk = disk;
        self.lazy.clear();
        let now = self.moment();
        self.state = self.disk.restore(self.settings.clone(), now);
        self.configure();
    }

    /// Power is lost: what nobody waited for is too.
    pub(super) fn crash(&mut self) {
        self.restart_from(self.disk.clone());
    }

    pub(super) fn restart(&mut self) {
        self.commit();
        self.restart_from(self.disk.clone());
    }
}
