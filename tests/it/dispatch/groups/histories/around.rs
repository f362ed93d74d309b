//! What happens around the alerts: the process, health, silences.

use fanfare::dispatch::Verdict;

use super::{super::super::world::key, Flight, History};

impl History {
    pub(super) fn restart(&mut self) {
        self.land();
        self.flights.clear();
        if self.rng.bool() {
            self.note("restart");
            self.world.restart();
        } else {
            self.note("crash");
            self.acknowledged.clear();
            self.world.crash();
        }
        self.restarted = true;
    }

    /// What is under way has arrived by now, or does not any more.
    pub(super) fn land(&mut self) {
        for at in 0..self.flights.len() {
            if self.flights[at].arrived.is_none() {
                let arrived = self.rng.bool();
                self.flights[at].arrived = Some(arrived);
                let Flight { target, notification, .. } = &self.flights[at];
                let (target, notification) = (target.clone(), notification.clone());
                if arrived {
                    self.arrive(&target, &notification);
                }
            }
        }
    }

    pub(super) fn judge(&mut self, target: &str) {
        let verdict = if self.rng.bool() { Verdict::Skip } else { Verdict::Hold };
        self.note(format!("{target} {verdict:?}"));
        self.world.verdicts.insert(target.to_owned(), verdict);
        assert!(self.world.take(target).is_none());
        self.world.commit();
        self.world.verdicts.clear();
    }

    /// What is held for the target may be sent: for a trial.
    pub(super) fn release(&mut self, target: &str) {
        let now = self.world.moment();
        let released = self.world.state.release(&key(target), 1, now);
        self.note(format!("{target} released {released}"));
    }

    /// What was taken is not sent.
    pub(super) fn put_back(&mut self) {
        if self.flights.is_empty() {
            return;
        }
        let at = self.rng.usize(0..self.flights.len());
        if self.flights[at].arrived.is_some() {
            return;
        }
        let Flight { target, notification, ticket, .. } = self.flights.swap_remove(at);
        self.note(format!("{target} put back ({})", notification.group_key));
        let now = self.world.moment();
        self.world.state.put_back(ticket, now);
    }

    pub(super) fn silence(&mut self, name: &'static str) {
        let seconds = [30, 600][self.rng.usize(0..2)];
        let id = self.world.silence(name, seconds);
        self.silences.insert(id, (name, self.world.now + seconds));
        self.note(format!("{name} silenced for {seconds}"));
    }

    pub(super) fn unsilence(&mut self) {
        let now = self.world.now;
        self.silences.retain(|_, (_, until)| *until > now);
        if let Some((id, (name, _))) = self.silences.pop_first() {
            self.world.unsilence(id);
            self.note(format!("{name} no longer silenced"));
        }
    }

    pub(super) fn is_silenced(&self, name: &str) -> bool {
        let now = self.world.now;
        self.silences.values().any(|(of, until)| *of == name && now < *until)
    }
}
