//! What happens around the alerts: the process, health, silences, the configuration, circuits.

use fanfare::{alert::Status, dispatch::Verdict};

use super::{super::world::key, History, spec};

impl History {
    pub(super) fn restart(&mut self) {
        for flight in std::mem::take(&mut self.flights) {
            if self.rng.bool() {
                self.arrive(&flight);
            }
            for (name, ..) in &flight.says {
                self.sure.remove(&(flight.target.clone(), *name));
            }
        }
        let lossless = self.rng.bool();
        self.note(format!("restart, lossless: {lossless}"));
        self.crashed = true;
        if lossless {
            // What has changed since may have been told, as far as a later process knows.
            let (fires, now) = (&self.fires, &self.since);
            self.sure.retain(|(_, name), (status, since, _)| {
                (*status == Status::Firing) == fires.contains(name) && *since == now[name]
            });
            self.world.restart();
        } else {
            self.sure.clear();
            self.world.crash();
        }
        for target in self.open.clone() {
            self.tell_circuit(target);
        }
    }

    pub(super) fn hold(&mut self, target: &str) {
        self.world.verdicts.insert(target.to_owned(), Verdict::Hold);
        assert!(self.world.take(target).is_none());
        self.world.verdicts.clear();
        self.note(format!("{target} held"));
    }

    pub(super) fn unsilence(&mut self) {
        let now = self.world.now;
        self.silences.retain(|_, (_, until)| *until > now);
        if let Some((id, of)) = self.silences.pop_first() {
            self.world.unsilence(id);
            self.note(format!("{of:?} no longer silenced"));
        }
    }

    pub(super) fn suspend(&mut self) {
        let route = self.world.routes.get_mut("r").unwrap();
        let suspended = route.spec["suspend"] != true;
        route.spec = spec(suspended);
        self.world.configure();
        self.note(format!("suspended: {suspended}"));
    }

    pub(super) fn circuit(&mut self, target: &'static str) {
        if !self.open.remove(target) {
            self.open.insert(target);
        }
        self.tell_circuit(target);
    }

    pub(super) fn tell_circuit(&mut self, target: &'static str) {
        let (open, now) = (self.open.contains(target), self.world.moment());
        let owed = self.world.state.circuit(&key(target), open, now);
        self.world.settle_accounts(owed);
        self.note(format!("circuit of {target} open: {open}"));
    }
}
