//! Random histories of a grouped route, silences included: what really reaches each receiver, over crashes too,
//! is judged. Nobody is told of what is silenced.
//! In the end everyone knows what fires, nothing is left open that is over, and nothing is left on disk.
//!
//! `FANFARE_SEQUENCES` says how many histories are tried, `FANFARE_SEED` is the number of the first.

mod around;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use fanfare::{
    alert::{Alert, Labels, Notification, Status},
    dispatch::{Settled, Ticket},
    publish::{SilenceId, Source},
    routing::{GroupBy, Grouping},
};
use fastrand::Rng;
use serde_json::json;

use super::{
    super::world::{BLOCKED, FAILED, UNSURE, World, alert, recipient},
    INTERVAL, by, grouping, is_empty,
};

const ALERTS: [&str; 4] = ["w", "x", "y", "z"];
/// Short: a history has some.
const REPEAT: i64 = 900;

struct Flight {
    target: String,
    /// The grouping changed: whatever becomes of it, it may have arrived.
    stale: bool,
    /// The route groups now, or does not any more: whether it had arrived by then. It does not arrive after what
    /// follows it.
    arrived: Option<bool>,
    notification: Arc<Notification>,
    ticket: Ticket,
}

struct History {
    world: World,
    rng: Rng,
    /// Since when each alert fires.
    fires: BTreeMap<&'static str, i64>,
    flights: Vec<Flight>,
    /// By target, group key and alert: what it heard last.
    beliefs: BTreeMap<(String, Arc<str>, String), Status>,
    /// Which alert it keeps quiet, and until when.
    silences: BTreeMap<SilenceId, (&'static str, i64)>,
    /// Told in this process's life, and known to be.
    acknowledged: BTreeMap<(String, Arc<str>), Arc<Notification>>,
    /// What the target was sent since it last heard that all is over; for this process's life.
    sent: BTreeSet<(String, Arc<str>)>,
    restarted: bool,
    log: Vec<String>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut world = World::new(&["a", "b", "c"]);
        world.repeat = REPEAT;
        let route = world.routes.get_mut("r").unwrap();
        route.grouping = Some(by(&["team"]));
        route.recipients[1].send_resolved = false;
        world.configure();
        Self {
            world,
            rng: Rng::with_seed(seed),
            fires: BTreeMap::new(),
            flights: Vec::new(),
            beliefs: BTreeMap::new(),
            silences: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            sent: BTreeSet::new(),
            restarted: false,
            log: Vec::new(),
        }
    }

    fn note(&mut self, what: impl std::fmt::Display) {
        let line = format!("{:>6} {what}", self.world.now - super::super::world::BEGIN);
        if std::env::var("FANFARE_LOG").is_ok() {
            eprintln!("{line}");
        }
        self.log.push(line);
    }

    fn alert(&self, name: &str, starts: i64, ends: i64) -> Alert {
        let team = if name < "y" { "1" } else { "2" };
        let labels = [("namespace", "prod"), ("alertname", name), ("team", team)];
        Alert { labels: Labels::from_iter(labels), ..alert(name, starts, ends, self.world.now) }
    }

    fn fire(&mut self, name: &'static str) {
        let now = self.world.now;
        let starts = *self.fires.entry(name).or_insert(now);
        let alert = self.alert(name, starts, now + 1_000_000);
        self.world.accept(alert, Source::V2);
        self.note(format!("{name} fires"));
    }

    fn end(&mut self, name: &'static str) {
        if let Some(starts) = self.fires.remove(name) {
            let alert = self.alert(name, starts, self.world.now);
            self.world.accept(alert, Source::V2);
            self.note(format!("{name} ends"));
        }
    }

    fn wait(&mut self, seconds: i64) {
        self.world.wait(seconds);
        self.note(format!("waited {seconds}"));
    }

    fn step(&mut self) {
        let name = ALERTS[self.rng.usize(0..ALERTS.len())];
        let target = ["a", "b", "c"][self.rng.usize(0..3)];
        match self.rng.u32(0..108) {
            0..16 => self.fire(name),
            16..28 => self.end(name),
            28..48 => {
                let most = [5, 40, INTERVAL + 10, REPEAT][self.rng.usize(0..4)];
                let seconds = self.rng.i64(0..most);
                self.wait(seconds);
            }
            48..66 => self.take(target),
            66..84 => self.settle_any(),
            84..88 => self.restart(),
            88..90 => {
                self.world.recover(target);
            }
            90..92 => self.judge(target),
            92..95 => self.silence(name),
            95..97 => self.unsilence(),
            97..99 => self.release(target),
            99..100 => self.put_back(),
            _ => self.edit(target),
        }
    }

    fn take(&mut self, target: &str) {
        self.world.wait(0);
        let Some((notification, ticket)) = self.world.take(target) else { return };
        self.note(format!("{} ({})", super::words(&notification), notification.group_key));
        let key = notification.group_key.clone();
        let flies = |flight: &Flight| {
            !flight.stale && flight.target == target && flight.notification.group_key == key
        };
        assert!(!self.flights.iter().any(flies), "two in flight");
        let id = (target.to_owned(), notification.id.clone());
        assert!(!self.acknowledged.contains_key(&id), "told twice");
        let members = &notification.members;
        assert!(!members.is_empty());
        for member in members {
            let name = member.alert.label("alertname");
            assert!(!self.is_silenced(name), "{name} is silenced");
        }
        let distinct: BTreeSet<_> =
            members.iter().map(|member| member.alert.labels.clone()).collect();
        assert_eq!(distinct.len(), members.len());
        if target == "b" {
            assert!(notification.resolved().next().is_none(), "it does not want resolves");
        }
        let of = (target.to_owned(), key);
        if notification.status == Status::Resolved {
            assert!(self.restarted || self.sent.contains(&of), "an end of nothing");
        } else {
            self.sent.insert(of);
        }
        let target = target.to_owned();
        self.flights.push(Flight { target, stale: false, arrived: None, notification, ticket });
    }

    fn settle_any(&mut self) {
        if self.flights.is_empty() {
            return;
        }
        let at = self.rng.usize(0..self.flights.len());
        let outcome = match self.rng.u32(0..20) {
            0..10 => Settled::Delivered,
            10..13 => FAILED,
            13..16 => UNSURE,
            16 => Settled::Rejected,
            17 => BLOCKED,
            _ => Settled::Cancelled,
        };
        self.settle(at, outcome);
    }

    fn settle(&mut self, at: usize, outcome: Settled) {
        let Flight { target, stale, arrived, notification, ticket } = self.flights.swap_remove(at);
        let outcome = match arrived {
            Some(true) if outcome != Settled::Delivered => UNSURE,
            Some(false) => FAILED,
            _ => outcome,
        };
        self.note(format!("{target} {outcome:?} ({})", notification.group_key));
        self.world.settle(ticket, outcome);
        if outcome == Settled::Delivered && !stale {
            let id = (target.clone(), notification.id.clone());
            self.acknowledged.insert(id, notification.clone());
        }
        let arrives = outcome == Settled::Delivered || (outcome == UNSURE && self.rng.bool());
        if arrives && arrived.is_none() {
            self.arrive(&target, &notification);
        }
    }

    fn arrive(&mut self, target: &str, notification: &Notification) {
        for member in &notification.members {
            let name = member.alert.label("alertname").to_owned();
            let of = (target.to_owned(), notification.group_key.clone(), name);
            self.beliefs.insert(of, member.status);
        }
    }

    fn edit(&mut self, target: &str) {
        let kind = self.rng.u32(0..6);
        let grouping = self.any_grouping();
        let route = self.world.routes.get_mut("r").unwrap();
        match kind {
            0 | 1 => {
                let turns = route.grouping.is_none() != grouping.is_none();
                route.grouping = grouping;
                self.flights.iter_mut().for_each(|flight| flight.stale = true);
                if turns {
                    self.land();
                }
            }
            2 => {
                let narrow = route.spec["matcherExpr"].is_null();
                let expr = if narrow { json!("alertname!=x") } else { json!(null) };
                route.spec["matcherExpr"] = expr;
            }
            3 => {
                let one = route.recipients.iter_mut().find(|one| *one.target.name == *target);
                if let Some(one) = one {
                    one.suspended ^= true;
                }
            }
            4 => route.spec["suspend"] = json!(!route.spec["suspend"].as_bool().unwrap_or(false)),
            _ => {
                if route.recipients.len() == 3 {
                    route.recipients.pop();
                    self.beliefs.retain(|(target, ..), _| target != "c");
                    self.flights.retain(|flight| flight.target != "c");
                    self.acknowledged.retain(|(target, _), _| target != "c");
                } else {
                    route.recipients.push(recipient("c"));
                }
            }
        }
        let route = &self.world.routes["r"];
        let what = (
            &route.spec,
            route.grouping.as_ref().map(|grouping| &grouping.by),
            route
                .recipients
                .iter()
                .map(|one| (&*one.target.name, one.suspended))
                .collect::<Vec<_>>(),
        );
        let what = format!("edit {kind}: {what:?}");
        self.note(what);
        self.world.configure();
    }

    fn any_grouping(&mut self) -> Option<Arc<Grouping>> {
        match self.rng.u32(0..5) {
            0 => None,
            1 => Some(grouping(GroupBy::All)),
            2 => Some(by(&["alertname"])),
            3 => Some(by(&[])),
            _ => Some(by(&["team"])),
        }
    }

    fn deliver_all(&mut self) {
        for target in ["a", "b", "c"] {
            self.world.recover(target);
            loop {
                self.take(target);
                if self.flights.is_empty() {
                    break;
                }
                self.settle(0, Settled::Delivered);
            }
        }
        self.world.commit();
    }

    fn calm_down(&mut self) {
        self.note("calm");
        while !self.flights.is_empty() {
            self.settle(0, FAILED);
        }
        while !self.silences.is_empty() {
            self.unsilence();
        }
        let route = self.world.routes.get_mut("r").unwrap();
        route.spec = json!({});
        route.recipients.iter_mut().for_each(|one| one.suspended = false);
        self.world.configure();
        for _ in 0..10 {
            self.deliver_all();
            self.wait(INTERVAL);
        }
        self.deliver_all();
        let targets = self.world.targets();
        for target in &targets {
            for name in ALERTS {
                let mut beliefs = self
                    .beliefs
                    .iter()
                    .filter(|((to, _, of), _)| to == target && of == name)
                    .map(|((_, key, _), status)| (key, *status));
                if self.fires.contains_key(name) {
                    let told = beliefs.any(|(_, status)| status == Status::Firing);
                    assert!(told, "{target} does not know that {name} fires");
                } else if target != "b" {
                    let open = beliefs.find(|(_, status)| *status == Status::Firing);
                    assert_eq!(open, None, "{target} believes that {name} fires");
                }
            }
        }
        for name in ALERTS {
            self.end(name);
        }
        for _ in 0..3 {
            self.wait(INTERVAL);
            self.deliver_all();
        }
        for ((target, key, name), status) in &self.beliefs {
            let closed = target == "b" || *status == Status::Resolved;
            assert!(closed, "{target} believes that {name} fires: {key}");
        }
        self.wait(3_600);
        assert!(is_empty(&self.world), "{:#?}", self.world.disk);
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Prints how to see it again.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again: FANFARE_LOG=1 FANFARE_SEED={} FANFARE_SEQUENCES=1", self.0);
        }
    }
}

#[test]
fn every_history_ends_with_everyone_knowing() {
    let first = number("FANFARE_SEED").unwrap_or(1);
    for seed in first..first + number("FANFARE_SEQUENCES").unwrap_or(250) {
        let guard = Seed(seed);
        let mut history = History::new(seed);
        for _ in 0..history.rng.usize(20..120) {
            history.step();
        }
        history.calm_down();
        drop(guard);
    }
}
