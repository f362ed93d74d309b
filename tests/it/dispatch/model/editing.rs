//! Changes of configuration, and of the process.

use std::collections::{BTreeMap, BTreeSet};

use fanfare::{alert::Status, api::Semantics, dispatch::Why};
use serde_json::json;

use super::{
    super::world::{RouteOf, recipient},
    ledger::Entry,
    script::{ALERTS, Key, Link, Script, TARGETS, suspended, wants},
    sender::{Says, Sent},
};

impl Script {
    pub(super) fn edit_something(&mut self, target: &str) {
        let before = self.world.routes.clone();
        let routes = &mut self.world.routes;
        let route = if self.rng.bool() { "r" } else { "s" };
        let kind = self.rng.u32(0..8);
        if kind != 0 && kind < 6 && routes.values().any(|route| route.rejected) {
            return;
        }
        match kind {
            0 => {
                for one in routes.values_mut().flat_map(|route| &mut route.recipients) {
                    one.suspended ^= *one.target.name == *target;
                }
            }
            1 => {
                let spec = &mut routes.get_mut("r").unwrap().spec;
                let suspended = spec["suspend"].as_bool().unwrap_or(false);
                spec["suspend"] = json!(!suspended);
            }
            2 => {
                if let Some(route) = routes.get_mut("s") {
                    let other = route.spec["matcherExpr"] == "alertname=x";
                    route.spec["matcherExpr"] =
                        json!(if other { "alertname=y" } else { "alertname=x" });
                }
            }
            3 => {
                let target = if target == "a" { "b" } else { target };
                let recipients = &mut routes.get_mut("r").unwrap().recipients;
                if let Some(at) = recipients.iter().position(|one| *one.target.name == *target) {
                    recipients.remove(at);
                } else {
                    let mut back = recipient(target);
                    back.limits = recipients[0].limits;
                    recipients.push(back);
                }
            }
            4 => {
                if let Some(route) = routes.get_mut(route) {
                    for one in &mut route.recipients {
                        one.send_resolved ^= *one.target.name == *target;
                    }
                }
            }
            5 => switch(routes, target),
            6 => {
                if let Some(route) = routes.get_mut(route) {
                    route.rejected ^= true;
                }
            }
            _ => {
                if routes.remove("s").is_none() {
                    let mut back = routes["r"].clone();
                    back.spec = json!({"matcherExpr": "alertname=x"});
                    routes.insert("s".to_owned(), back);
                }
            }
        }
        self.world.configure();
        self.connect(&before, false);
        self.flushed();
    }

    /// Brings what is known in line with the routes.
    pub(super) fn connect(&mut self, before: &BTreeMap<String, RouteOf>, restored: bool) {
        let mut after = self.world.routes.clone();
        self.reached.retain(|name, _| after.get(name).is_some_and(|route| route.rejected));
        for (name, targets) in &self.reached {
            let recipients = &mut after.get_mut(name).unwrap().recipients;
            recipients.retain(|one| targets.contains(&*one.target.name));
        }
        let now = self.world.now;
        for which in 0..ALERTS.len() {
            let Some(says) = self.sent[which].as_ref().map(Sent::says) else { continue };
            let linked: Vec<String> = self
                .known
                .links
                .keys()
                .filter(|key| key.0 == which)
                .map(|key| key.1.clone())
                .collect();
            for name in linked {
                let mut link = self.known.links.remove(&(which, name.clone())).unwrap();
                let matched = link.matches;
                let Some(route) = after.get(&name) else {
                    for (target, entry) in link.entries {
                        self.leave(
                            &(which, name.clone(), target),
                            (&entry, matched),
                            Why::RouteDeleted,
                        );
                    }
                    continue;
                };
                if !suspended(route) {
                    link.matches = wants(route, which);
                }
                let present: BTreeSet<String> =
                    route.recipients.iter().map(|one| one.target.name.to_string()).collect();
                let gone: Vec<String> = link
                    .entries
                    .keys()
                    .filter(|target| !present.contains(*target))
                    .cloned()
                    .collect();
                for target in gone {
                    let entry = link.entries.remove(&target).unwrap();
                    let exists = after
                        .values()
                        .flat_map(|route| &route.recipients)
                        .any(|one| *one.target.name == *target);
                    let why = if exists { Why::TargetRemoved } else { Why::TargetDeleted };
                    self.leave(&(which, name.clone(), target), (&entry, matched), why);
                }
                for one in &route.recipients {
                    let target = one.target.name.to_string();
                    let every = one.limits.semantics == Semantics::Every;
                    let muted = suspended(route) || one.suspended;
                    let was_muted = before.get(&name).is_some_and(|old| {
                        suspended(old)
                            || old
                                .recipients
                                .iter()
                                .any(|old| old.target == one.target && old.suspended)
                    });
                    match link.entries.get_mut(&target) {
                        Some(entry) if was_muted && !muted && !restored => {
                            entry.resume(now);
                        }
                        Some(_) => {}
                        None => {
                            let unknown = restored && link.matches;
                            let entry = joining(says, now, unknown.then_some(every));
                            link.entries.insert(target.clone(), entry);
                        }
                    }
                    let entry = link.entries.get_mut(&target).unwrap();
                    if link.matches && !matched && !restored {
                        rejoin(entry, says, now);
                    }
                    let entry = &link.entries[&target];
                    if matched
                        && !link.matches
                        && !every
                        && says.fires()
                        && entry.flying.is_none()
                        && entry.owes_change(says, true)
                        && entry.letter != Some(says.version)
                    {
                        self.expect(
                            &(which, name.clone(), target),
                            Status::Firing,
                            Why::Superseded,
                            false,
                        );
                    }
                }
                if link.matches || link.entries.values().any(|entry| !entry.is_blank()) {
                    self.known.links.insert((which, name), link);
                }
            }
            self.link(which, &after, restored);
        }
    }

    /// Links an alert with the routes that want it and are not known yet.
    fn link(&mut self, which: usize, routes: &BTreeMap<String, RouteOf>, restored: bool) {
        let Some(says) = self.sent[which].as_ref().map(Sent::says) else { return };
        let now = self.world.now;
        for (name, route) in routes {
            let at = (which, name.clone());
            if wants(route, which) && !self.known.links.contains_key(&at) {
                let entries = route.recipients.iter();
                let entries = entries.map(|one| {
                    let every = one.limits.semantics == Semantics::Every;
                    let entry = joining(says, now, restored.then_some(every));
                    (one.target.name.to_string(), entry)
                });
                let link = Link { matches: true, entries: entries.collect() };
                self.known.links.insert(at, link);
            }
        }
    }

    /// A recipient is no more.
    pub(super) fn leave(&mut self, key: &Key, (entry, matched): (&Entry, bool), why: Why) {
        let says = self.sent[key.0].as_ref().unwrap().says();
        let open = entry.open() || (entry.flying.is_some() && says.status == Status::Firing);
        let given_up = says.status == Status::Resolved && entry.closed == Some(says.version);
        if (open && !given_up) || entry.owes_change(says, matched) {
            self.expect(key, says.status, why, open);
        }
        for flight in self.flights.iter_mut().filter(|flight| flight.key == *key) {
            flight.stale = true;
        }
        self.known.acknowledged.retain(|(of, _)| of != key);
        self.got.remove(key);
    }

    pub(super) fn restart(&mut self, lossless: bool) {
        // A process that starts with a route that can't be used does not know what it leaves out.
        self.limits_unknown = false;
        let usable = self.world.routes.values().all(|route| !route.rejected);
        if usable && self.rng.u8(0..4) == 0 {
            // Edited while nobody looked.
            let target = TARGETS[self.rng.usize(0..3)];
            switch(&mut self.world.routes, target);
        }
        let unusable = self.world.routes.values_mut().filter(|route| route.rejected);
        for one in
            unusable.inspect(|_| self.limits_unknown = true).flat_map(|route| &mut route.recipients)
        {
            (one.send_resolved, one.limits.semantics) = (true, Semantics::Latest);
        }
        for flight in std::mem::take(&mut self.flights) {
            if !flight.stale && self.rng.bool() {
                self.arrive(&flight.key, flight.said, flight.era);
            }
        }
        if lossless {
            self.world.restart();
            self.disk = self.known.clone();
        } else {
            self.world.crash();
        }
        self.known = self.disk.clone();
        self.blocked.clear();
        self.crowded.clear();
        self.grace = self.world.now + 300;
        let now = self.world.now;
        self.sent.iter_mut().flatten().for_each(|sent| sent.restart(now));
        for ((which, _), link) in &mut self.known.links {
            let version = self.sent[*which].as_ref().unwrap().says().version;
            let matched = std::mem::take(&mut link.matches);
            link.entries.retain(|_, entry| entry.is_written(matched));
            link.entries.values_mut().for_each(|entry| *entry = entry.restored(version));
        }
        self.known.links.retain(|_, link| !link.entries.is_empty());
        let routes = self.world.routes.clone();
        self.reached.clear();
        for name in routes.iter().filter(|(_, route)| route.rejected).map(|(name, _)| name) {
            let links = self.known.links.iter().filter(|((_, route), _)| route == name);
            let targets = links.flat_map(|(_, link)| link.entries.keys().cloned());
            self.reached.insert(name.clone(), targets.collect());
        }
        self.connect(&routes, true);
        self.flushed();
    }

    /// Everything is on disk; what the routes leave out counts as told.
    pub(super) fn flushed(&mut self) {
        self.absorb();
        self.disk = self.known.clone();
    }

    pub(super) fn absorb(&mut self) {
        let now = self.world.now;
        for key in self.keys() {
            if self.needs_every(&key) {
                self.tell_every(&key);
                continue;
            }
            let sends = self.sends_resolved(&key);
            let (says, matches) = self.says(&key);
            let entry = self.entry(&key);
            if !sends
                && says.status == Status::Resolved
                && entry.flying.is_none()
                && entry.owes_change(says, matches)
            {
                entry.deliver(says, now);
                self.got.remove(&key);
            }
        }
        self.overflow();
    }
}

/// The target needs the latest state instead of every transition, or the other way round.
fn switch(routes: &mut BTreeMap<String, RouteOf>, target: &str) {
    let all = routes.values_mut().flat_map(|route| &mut route.recipients);
    for one in all.filter(|one| *one.target.name == *target) {
        let semantics = &mut one.limits.semantics;
        *semantics = match semantics {
            Semantics::Latest => Semantics::Every,
            Semantics::Every => Semantics::Latest,
        };
    }
}

/// The route wants the alert again: who is not told what fires is told now, as if they had just joined.
fn rejoin(entry: &mut Entry, says: Says, now: i64) {
    if entry.is_blank() {
        *entry = joining(says, now, None);
    } else if says.fires() {
        entry.resume(now);
    }
}

/// An entry for who joins while the alert says that. `unknown`: an earlier process may have told them; whether
/// they need every transition.
fn joining(says: Says, now: i64, unknown: Option<bool>) -> Entry {
    let mut entry = Entry::default();
    if let Some(every) = unknown {
        entry.maybe.push(Status::Firing);
        entry.resumed = every.then_some(now);
    } else if says.fires() {
        entry.resumed = Some(now);
    } else if !says.stale {
        entry.closed = Some(says.version);
    }
    entry
}
