//! One random history: what is done to the state, and what the rules say should come of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use fanfare::{
    alert::Status,
    api::{Semantics, WhenFull},
    dispatch::{Ended, Settings, Settled, Ticket, Verdict, Why},
};
use fastrand::Rng;
use serde_json::json;

use super::{
    super::world::{BLOCKED, FAILED, RouteOf, UNSURE, World, key, settings},
    ledger::{Entry, MAX_AGE, MAX_ATTEMPTS, REPEAT},
    sender::{Says, Sent, WEBHOOK_MAX_AGE},
};

pub(super) const ALERTS: [&str; 2] = ["x", "y"];
/// At first the last one needs every transition.
pub(super) const TARGETS: [&str; 3] = ["a", "b", "e"];

/// A little more than two weeks.
pub(super) const FORTNIGHT: i64 = 15 * 24 * 3_600;

/// Alert, route, target.
pub(super) type Key = (usize, String, String);

/// One alert on one route.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    pub(super) matches: bool,
    pub(super) entries: BTreeMap<String, Entry>,
}

pub(super) type Links = BTreeMap<(usize, String), Link>;

/// What Fanfare knows, and what of that is on disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) links: Links,
    /// Notifications that were taken by their target.
    pub(super) acknowledged: BTreeSet<(Key, Arc<str>)>,
}

pub(super) struct Flight {
    pub(super) key: Key,
    pub(super) said: Says,
    pub(super) era: u32,
    pub(super) id: Arc<str>,
    pub(super) ticket: Ticket,
    /// The target left meanwhile.
    pub(super) stale: bool,
}

/// What a receiver really got.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) order: (u32, u32),
    pub(super) status: Status,
    pub(super) incident: u32,
}

pub(super) struct Script {
    pub(super) rng: Rng,
    pub(super) world: World,
    pub(super) sent: [Option<Sent>; 2],
    /// How often each alert was forgotten.
    pub(super) eras: [u32; 2],
    pub(super) known: Known,
    pub(super) disk: Known,
    /// Targets whose address was out of bounds at the last attempt.
    pub(super) blocked: BTreeSet<String>,
    pub(super) grace: i64,
    pub(super) expected: Vec<String>,
    /// Transitions that belong into the queue on disk.
    pub(super) queued: Vec<(Key, Status)>,
    /// How many resolves a target may be owed.
    pub(super) most_resolves: usize,
    /// Targets that may be owed more, because too much was in flight to end it.
    pub(super) crowded: BTreeSet<String>,
    /// Whom the log names for a route that could not be used when the process started.
    pub(super) reached: BTreeMap<String, BTreeSet<String>>,
    /// The process started with a route that can't be used, and does not know the limits of its targets.
    pub(super) limits_unknown: bool,
    /// So much of what ended was looked at.
    pub(super) looked_at: usize,
    pub(super) flights: Vec<Flight>,
    pub(super) got: BTreeMap<Key, Vec<Got>>,
}

impl Script {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let webhook_max_age = Duration::from_secs(WEBHOOK_MAX_AGE.unsigned_abs());
        let mut world = World::with(Settings { webhook_max_age, ..settings() }, &TARGETS);
        world.repeat = REPEAT;
        let most_resolves = [1, 2, 1_000][rng.usize(0..3)];
        world.route("s", json!({"matcherExpr": "alertname=x"}), &TARGETS);
        for route in world.routes.values_mut() {
            for one in &mut route.recipients {
                one.limits.max_age = Duration::from_secs(MAX_AGE.unsigned_abs());
                one.limits.max_attempts = Some(MAX_ATTEMPTS);
                one.limits.queue.max_notifications = most_resolves;
                match &*one.target.name {
                    "b" => one.limits.queue.when_full = WhenFull::DeadLetterNewest,
                    "e" => one.limits.semantics = Semantics::Every,
                    _ => {}
                }
            }
        }
        world.routes.get_mut("s").unwrap().recipients[1].send_resolved = false;
        world.configure();
        Self {
            rng,
            world,
            sent: [None, None],
            eras: [0, 0],
            known: Known::default(),
            disk: Known::default(),
            blocked: BTreeSet::new(),
            grace: 0,
            expected: Vec::new(),
            queued: Vec::new(),
            most_resolves: most_resolves as usize,
            crowded: BTreeSet::new(),
            reached: BTreeMap::new(),
            limits_unknown: false,
            looked_at: 0,
            flights: Vec::new(),
            got: BTreeMap::new(),
        }
    }

    pub(super) fn play(&mut self) {
        for _ in 0..self.rng.usize(1..70) {
            self.step();
            self.compare();
        }
        self.calm_down();
    }

    pub(super) fn step(&mut self) {
        let which = self.rng.usize(0..2);
        let target = TARGETS[self.rng.usize(0..3)];
        match self.rng.u32(0..34) {
            0..5 => {
                let fresh = self.rng.bool();
                self.fire(which, fresh);
            }
            5..8 => self.end(which),
            8..12 => {
                let seconds = match self.rng.u32(0..40) {
                    0 => FORTNIGHT,
                    at => [1, 10, 30, 90, 130, 310, 800][at as usize % 7],
                };
                self.wait(seconds);
            }
            12..20 => self.take(target),
            20..27 => {
                let outcome = [
                    Settled::Delivered,
                    Settled::Delivered,
                    FAILED,
                    UNSURE,
                    BLOCKED,
                    Settled::Rejected,
                    Settled::Cancelled,
                ];
                let outcome = outcome[self.rng.usize(0..outcome.len())];
                if !self.flights.is_empty() {
                    let at = self.rng.usize(0..self.flights.len());
                    self.settle(at, outcome);
                }
            }
            27 => {
                let verdict = if self.rng.bool() { Verdict::Skip } else { Verdict::Hold };
                self.judge(target, verdict);
            }
            28 => {
                self.world.recover(target);
                let now = self.world.moment();
                self.world.state.release(&key(target), 1, now);
            }
            29 => self.put_back(),
            30 => self.restart(true),
            31 => self.restart(false),
            _ => self.edit_something(target),
        }
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        let of = |((which, route), link): (&(usize, String), &Link)| {
            link.entries
                .keys()
                .map(|target| (*which, route.clone(), target.clone()))
                .collect::<Vec<_>>()
        };
        self.known.links.iter().flat_map(of).collect()
    }

    pub(super) fn entry(&mut self, (which, route, target): &Key) -> &mut Entry {
        let link = self.known.links.get_mut(&(*which, route.clone()));
        link.and_then(|link| link.entries.get_mut(target)).expect("the model knows it")
    }

    pub(super) fn says(&self, (which, route, _): &Key) -> (Says, bool) {
        let matches = self.known.links[&(*which, route.clone())].matches;
        (self.sent[*which].as_ref().unwrap().says(), matches)
    }

    pub(super) fn is_muted(&self, (_, route, target): &Key) -> bool {
        let route = &self.world.routes[route];
        suspended(route)
            || route.recipients.iter().any(|one| *one.target.name == **target && one.suspended)
    }

    pub(super) fn sends_resolved(&self, (_, route, target): &Key) -> bool {
        let mut recipients = self.world.routes[route].recipients.iter();
        recipients.all(|one| *one.target.name != **target || one.send_resolved)
    }

    pub(super) fn expect(
        &mut self,
        (which, route, target): &Key,
        status: Status,
        why: Why,
        letter: bool,
    ) {
        self.expected
            .push(format!("{route} {} {target} {status:?} {why:?} {letter}", ALERTS[*which]));
    }
}

pub(super) fn wants(route: &RouteOf, which: usize) -> bool {
    !suspended(route) && matches(route, which)
}

/// The route would take the alert if it was not suspended.
pub(super) fn matches(route: &RouteOf, which: usize) -> bool {
    route.spec["matcherExpr"].as_str().is_none_or(|text| text.ends_with(ALERTS[which]))
}

/// Nothing is sent for the route: it is suspended, or can't be used at present.
pub(super) fn suspended(route: &RouteOf) -> bool {
    route.rejected || route.spec["suspend"].as_bool().unwrap_or(false)
}

pub(super) fn key_of(ended: &Ended) -> Key {
    let name = ended.notification.group_labels.get("alertname");
    let which = ALERTS.iter().position(|one| *one == name).unwrap();
    (which, ended.route.name.to_string(), ended.target.name.to_string())
}
