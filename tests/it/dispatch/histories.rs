//! Random histories of what the model leaves out: muting of every kind, fallback, digests; on a route without
//! groups. What each receiver really got is judged: nobody is told of what is muted, nobody twice of the same,
//! a fallback neither before its turn nor of what another knows, a digest names each alert once; and in the end
//! everyone knows what fires and nobody believes in what is over.
//!
//! `FANFARE_SEQUENCES` says how many histories are tried, `FANFARE_SEED` is the number of the first.

mod outside;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use fanfare::{
    alert::{Member, Notification, Status},
    dispatch::{FallbackMode, FallbackTerms, Role, Settled, Ticket, Verdict},
    publish::SilenceId,
};
use fastrand::Rng;
use serde_json::{Value, json};

use super::world::{BEGIN, BLOCKED, FAILED, UNSURE, World, recipient};

/// While `source` fires, the next one is inhibited.
const ALERTS: [&str; 4] = ["source", "quiet", "x", "y"];
/// The last one is the fallback, if there is one.
const TARGETS: [&str; 3] = ["a", "b", "z"];
const AFTER: i64 = 120;
const REPEAT: i64 = 7_200;

/// Target and alert.
type Of = (String, &'static str);
/// Start of an incident, and how often the alert had begun or ended by then.
type Since = (i64, u32);

struct Flight {
    target: String,
    notification: Arc<Notification>,
    tickets: Vec<Ticket>,
    /// What each alert in it is, with the start of its incident.
    says: Vec<(&'static str, Status, Since)>,
}

struct History {
    world: World,
    rng: Rng,
    mode: Option<FallbackMode>,
    /// Of each alert that fires, or fired last.
    since: BTreeMap<&'static str, Since>,
    fires: BTreeSet<&'static str>,
    /// Until when each alert is silenced.
    silences: BTreeMap<SilenceId, (&'static str, i64)>,
    open: BTreeSet<&'static str>,
    flights: Vec<Flight>,
    /// What was heard last, surely or perhaps.
    beliefs: BTreeMap<Of, Status>,
    /// What is known to be told in this process's life: status, start and when.
    sure: BTreeMap<Of, (Status, Since, i64)>,
    /// Who was sent a firing.
    sent: BTreeSet<Of>,
    crashed: bool,
    log: Vec<String>,
}

fn name_of(member: &Member) -> &'static str {
    let name = member.alert.label("alertname");
    ALERTS.into_iter().find(|one| *one == name).unwrap()
}

fn spec(suspended: bool) -> Value {
    let is = |name: &str| json!([{"name": "alertname", "value": name}]);
    let times = (0..24).flat_map(|hour| [10, 40].map(|minute| (hour, minute)));
    let times = times.map(|(hour, minute)| {
        let (from, to) = (format!("{hour:02}:{minute}"), format!("{hour:02}:{}", minute + 10));
        json!({"startTime": from, "endTime": to})
    });
    json!({
        "suspend": suspended,
        "inhibit": [{"source": is("source"), "target": is("quiet"), "equal": []}],
        "muteTimeIntervals": [{"times": times.collect::<Vec<_>>()}],
    })
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::new(&["a", "b"]);
        world.repeat = REPEAT;
        let mode = [None, Some(FallbackMode::Instead), Some(FallbackMode::Also)][rng.usize(0..3)];
        let digests = rng.bool();
        let route = world.routes.get_mut("r").unwrap();
        route.spec = spec(false);
        if let Some(mode) = mode {
            let after = Duration::from_secs(AFTER.unsigned_abs());
            route.fallback = Some(FallbackTerms { after, mode });
            route.recipients.push(recipient("z"));
            route.recipients[2].role = Role::Fallback;
        }
        for one in &mut route.recipients {
            one.limits.max_age = Duration::from_hours(1_000);
            one.limits.digest = digests && *one.target.name != *"b";
        }
        world.configure();
        Self {
            world,
            rng,
            mode,
            since: BTreeMap::new(),
            fires: BTreeSet::new(),
            silences: BTreeMap::new(),
            open: BTreeSet::new(),
            flights: Vec::new(),
            beliefs: BTreeMap::new(),
            sure: BTreeMap::new(),
            sent: BTreeSet::new(),
            crashed: false,
            log: Vec::new(),
        }
    }

    fn note(&mut self, what: impl std::fmt::Display) {
        self.log.push(format!("{:>6} {what}", self.world.now - BEGIN));
    }

    fn fire(&mut self, name: &'static str) {
        if self.fires.insert(name) {
            let since = self.since.entry(name).or_default();
            *since = (self.world.now, since.1 + 1);
        }
        self.world.fires_on(name, self.since[name].0);
        self.note(format!("{name} fires"));
    }

    fn end(&mut self, name: &'static str) {
        if self.fires.remove(name) {
            let (starts, turns) = self.since.get_mut(name).unwrap();
            *turns += 1;
            self.world.ends(name, *starts);
            self.note(format!("{name} ends"));
        }
    }

    fn step(&mut self) {
        let name = ALERTS[self.rng.usize(0..4)];
        let target = TARGETS[self.rng.usize(0..3)];
        match self.rng.u32(0..100) {
            0..14 => self.fire(name),
            14..26 => self.end(name),
            26..44 => {
                let seconds = [1, 20, 60, 130, 310, 700][self.rng.usize(0..6)];
                self.world.wait(seconds);
                self.note(format!("waited {seconds}"));
            }
            44..66 => self.take(target),
            66..82 => {
                let outcome = [Settled::Delivered, FAILED, UNSURE, Settled::Rejected, BLOCKED];
                let outcome = outcome[self.rng.usize(0..9).saturating_sub(4)];
                self.settle_any(outcome);
            }
            82..84 => self.restart(),
            84..86 => self.hold(target),
            86..90 => {
                let seconds = [60, 600][self.rng.usize(0..2)];
                let id = self.world.silence(name, seconds);
                self.silences.insert(id, (name, self.world.now + seconds));
                self.note(format!("{name} silenced for {seconds}"));
            }
            90..93 => self.unsilence(),
            93..95 => self.suspend(),
            95..98 => {
                let target = ["a", "b"][self.rng.usize(0..2)];
                self.circuit(target);
            }
            _ => self.world.recover(target),
        }
    }

    fn is_muted(&self, name: &str) -> bool {
        let now = self.world.now;
        let minute = now / 60 % 60;
        (10..20).contains(&minute)
            || (40..50).contains(&minute)
            || self.silences.values().any(|(of, until)| *of == name && now < *until)
            || (name == "quiet" && self.fires.contains("source"))
            || self.world.routes["r"].spec["suspend"] == true
    }

    fn take(&mut self, target: &str) {
        if self.open.contains(target) {
            return;
        }
        let Some(first) = self.world.take(target) else { return };
        let (most, now) = (self.rng.usize(1..5), self.world.moment());
        let decide = &mut |_: &_, _| Verdict::Send;
        let (notification, tickets) = self.world.state.next_digest(first, most, now, decide);
        if tickets.iter().any(Ticket::must_commit) {
            self.world.commit();
        }
        assert_eq!(tickets.len(), notification.members.len(), "each alert in it has a ticket");
        let mut says = Vec::new();
        for member in &notification.members {
            let name = name_of(member);
            says.push((name, member.status, self.since[name]));
        }
        let distinct: BTreeSet<_> = says.iter().map(|(name, ..)| name).collect();
        assert_eq!(distinct.len(), says.len(), "named twice");
        self.note(format!("{target} takes {says:?}"));
        for (name, status, (starts, _)) in says.iter().copied() {
            self.judge((target.to_owned(), name), status, starts);
        }
        self.flights.push(Flight { target: target.to_owned(), notification, tickets, says });
    }

    /// Whether the target may be told that now.
    fn judge(&mut self, of: Of, status: Status, starts: i64) {
        let (now, name) = (self.world.now, of.1);
        assert!(!self.is_muted(name), "told though muted: {of:?}");
        let flies = |flight: &&Flight| {
            flight.target == of.0 && flight.says.iter().any(|(other, ..)| *other == name)
        };
        assert!(self.flights.iter().find(flies).is_none(), "two in flight: {of:?}");
        if let Some((known, since, at)) = self.sure.get(&of) {
            let again = (*known, since.0) == (status, starts) && now < at + REPEAT;
            assert!(!again, "told twice: {of:?} {status:?}");
        }
        if status == Status::Resolved {
            assert!(self.crashed || self.sent.contains(&of), "an end of nothing: {of:?}");
            return;
        }
        if of.0 == "z" {
            let cut_off = self.open.len() == 2;
            assert!(cut_off || now >= starts + AFTER, "before its turn: {of:?}");
            let knows = |target: &str| {
                let known = self.sure.get(&(target.to_owned(), name));
                known.is_some_and(|(status, since, _)| {
                    (*status, since.0) == (Status::Firing, starts)
                })
            };
            assert!(!knows("a") && !knows("b"), "somebody was told: {of:?}");
        }
        self.sent.insert(of);
    }

    fn settle_any(&mut self, outcome: Settled) {
        if !self.flights.is_empty() {
            let at = self.rng.usize(0..self.flights.len());
            self.settle(at, outcome);
        }
    }

    fn settle(&mut self, at: usize, outcome: Settled) {
        let flight = self.flights.swap_remove(at);
        self.note(format!("{} {outcome:?} {:?}", flight.target, flight.says));
        let arrived = outcome == Settled::Delivered || (outcome == UNSURE && self.rng.bool());
        if arrived {
            self.arrive(&flight);
        }
        for (name, status, since) in &flight.says {
            let of = (flight.target.clone(), *name);
            if outcome == Settled::Delivered {
                self.sure.insert(of, (*status, *since, self.world.now));
            } else if outcome == UNSURE {
                self.sure.remove(&of);
            }
        }
        for ticket in flight.tickets {
            self.world.settle(ticket, outcome);
        }
    }

    fn arrive(&mut self, flight: &Flight) {
        for member in &flight.notification.members {
            let name = name_of(member);
            self.beliefs.insert((flight.target.clone(), name), member.status);
        }
    }

    fn deliver_all(&mut self) {
        for target in TARGETS {
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
        for target in std::mem::take(&mut self.open) {
            self.tell_circuit(target);
        }
        self.end("source");
        if self.world.routes["r"].spec["suspend"] == true {
            self.suspend();
        }
        for _ in 0..14 {
            self.world.wait(130);
            self.deliver_all();
        }
        self.check();
        for name in ALERTS {
            self.end(name);
        }
        for _ in 0..14 {
            self.world.wait(130);
            self.deliver_all();
        }
        self.check();
        self.world.wait(3_600);
        let disk = &self.world.disk;
        assert!(disk.alerts.is_empty() && disk.told.is_empty(), "{disk:#?}");
        assert!(self.world.state.owed().is_empty());
    }

    /// Everyone knows what fires, if only by the fallback, and nobody believes in what is over.
    fn check(&self) {
        for name in ALERTS {
            let believes = |target: &str| {
                self.beliefs.get(&(target.to_owned(), name)) == Some(&Status::Firing)
            };
            if self.fires.contains(name) {
                let instead = self.mode == Some(FallbackMode::Instead) && believes("z");
                assert!(instead || (believes("a") && believes("b")), "{name} is not known to fire");
            } else {
                let open = TARGETS.iter().find(|target| believes(target));
                assert_eq!(open, None, "{name} is believed to fire");
            }
        }
    }
}

#[test]
fn every_quiet_or_crowded_history_ends_with_everyone_knowing() {
    let number = |variable: &str| std::env::var(variable).ok()?.parse().ok();
    let first = number("FANFARE_SEED").unwrap_or(1);
    let count: u64 = number("FANFARE_SEQUENCES").unwrap_or(250);
    for seed in first..first + count {
        let mut history = History::new(seed);
        let play = std::panic::AssertUnwindSafe(|| {
            for _ in 0..history.rng.usize(20..120) {
                history.step();
            }
            history.calm_down();
        });
        if let Err(why) = std::panic::catch_unwind(play) {
            eprintln!("again: FANFARE_SEED={seed} FANFARE_SEQUENCES=1\n{}", history.log.join("\n"));
            std::panic::resume_unwind(why);
        }
    }
    eprintln!("{count} histories of muting, fallback and digests from seed {first}");
}
