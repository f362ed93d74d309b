//! Notifications on their way, and what becomes of them.

use fanfare::{
    alert::Status,
    dispatch::{Settled, Verdict, Why},
};

use super::{
    ledger::MAX_ATTEMPTS,
    script::{ALERTS, Flight, Got, Key, Script, key_of},
    sender::Says,
};

impl Script {
    pub(super) fn take(&mut self, target: &str) {
        self.world.verdicts.clear();
        let Some((notification, ticket)) = self.world.take(target) else { return };
        let name = notification.group_labels.get("alertname");
        let which = ALERTS.iter().position(|one| *one == name).unwrap();
        let key = (which, ticket.route().name.to_string(), target.to_owned());
        let (says, matches) = self.says(&key);
        let now = self.world.now;
        assert!(!self.is_muted(&key), "sent though muted: {key:?}");
        assert_eq!(notification.status, says.status, "{key:?}");
        let taken = (key.clone(), notification.id.clone());
        assert!(!self.known.acknowledged.contains(&taken), "told twice: {key:?}");
        assert!(!self.needs_every(&key), "not from the queue on disk: {key:?}");
        let entry = self.entry(&key);
        assert!(entry.owes(says, matches, now), "sent though not owed: {key:?} {entry:?}");
        assert_eq!(entry.flying, None, "two in flight: {key:?}");
        assert_eq!(ticket.must_commit(), entry.closed == Some(says.version));
        assert_eq!(ticket.attempts(), entry.failures + entry.refusals);
        if ticket.must_commit() {
            let since = entry.repeat_due(says);
            entry.resumed = entry.resumed.max(since);
            entry.closed = None;
        }
        entry.flying = Some(says.version);
        if ticket.must_commit() {
            self.disk = self.known.clone();
        }
        let era = self.eras[which];
        let id = notification.id.clone();
        self.flights.push(Flight { key, said: says, era, id, ticket, stale: false });
    }

    pub(super) fn put_back(&mut self) {
        if self.flights.is_empty() {
            return;
        }
        let Flight { key, said, ticket, stale, .. } =
            self.flights.remove(self.rng.usize(0..self.flights.len()));
        let now = self.world.moment();
        self.world.state.put_back(ticket, now);
        if stale {
            return;
        }
        self.entry(&key).flying = None;
        self.landed(&key, said);
    }

    pub(super) fn settle(&mut self, at: usize, outcome: Settled) {
        let Flight { key, said, era, id, ticket, stale } = self.flights.remove(at);
        self.world.settle(ticket, outcome);
        let arrived = match outcome {
            Settled::Delivered => true,
            Settled::Failed { maybe_told: true, .. } => self.rng.bool(),
            _ => false,
        };
        if stale {
            return;
        }
        if arrived {
            self.arrive(&key, said, era);
        }
        let (says, matches) = self.says(&key);
        let (now, muted) = (self.world.now, self.is_muted(&key));
        let left_out = said.status == Status::Resolved && !self.sends_resolved(&key);
        let wanted = matches || said.status == Status::Resolved;
        let every = self.needs_every(&key);
        let current = says.version == said.version && wanted && !muted && !left_out && !every;
        let entry = self.entry(&key);
        entry.flying = None;
        let too_old = entry.expires(says) <= now;
        match outcome {
            Settled::Cancelled => {}
            Settled::Blocked { .. } => drop(self.blocked.insert(key.2.clone())),
            _ => drop(self.blocked.remove(&key.2)),
        }
        let entry = self.entry(&key);
        match outcome {
            Settled::Delivered => {
                entry.deliver(said, now);
                self.known.acknowledged.insert((key.clone(), id));
            }
            Settled::Failed { maybe_told, .. } => {
                entry.maybe.extend(maybe_told.then_some(said.status));
                if current {
                    entry.failures += 1;
                    let too_often = entry.failures >= MAX_ATTEMPTS;
                    if too_often || too_old {
                        let why = if too_often { Why::MaxAttempts } else { Why::MaxAge };
                        self.give_up(&key, why);
                    }
                }
                self.landed(&key, said);
            }
            Settled::Blocked { .. } => {
                entry.failures += u32::from(current);
                self.landed(&key, said);
            }
            Settled::Rejected => {
                entry.refusals += u32::from(current);
                if entry.letter.replace(said.version) != Some(said.version) {
                    self.expect(&key, said.status, Why::Rejected, true);
                }
                if current && says.status == Status::Resolved && too_old {
                    self.give_up(&key, Why::MaxAge);
                }
            }
            Settled::Cancelled => self.landed(&key, said),
        }
        self.close(&key);
        self.absorb();
    }

    /// Not told; if the alert says something else by now, it never will be.
    pub(super) fn landed(&mut self, key: &Key, said: Says) {
        let (says, matches) = self.says(key);
        let current = says.version == said.version && (matches || said.status == Status::Resolved);
        if !current && self.entry(key).letter != Some(said.version) {
            self.expect(key, said.status, Why::Superseded, false);
        }
        self.close(key);
        self.absorb();
    }

    /// The receiver really got it.
    pub(super) fn arrive(&mut self, key: &Key, said: Says, era: u32) {
        let got = self.got.entry(key.clone()).or_default();
        let order = (era, said.version);
        if let Some(last) = got.last() {
            assert!(order >= last.order, "overtaken: {key:?}");
        }
        got.push(Got { order, status: said.status, incident: said.incident });
    }

    /// Health keeps everything from being sent that is ready.
    pub(super) fn judge(&mut self, target: &str, verdict: Verdict) {
        self.world.verdicts.insert(target.to_owned(), verdict);
        assert!(self.world.take(target).is_none());
        self.world.verdicts.clear();
        for ended in self.world.ended.clone() {
            assert_eq!(ended.why, Why::Skipped);
            let key = key_of(&ended);
            let (now, muted) = (self.world.now, self.is_muted(&key));
            let (says, matches) = self.says(&key);
            let entry = self.entry(&key);
            assert!(entry.owes(says, matches, now) && entry.flying.is_none() && !muted);
            assert_eq!(says.status, Status::Firing, "a resolve is never skipped");
            (entry.closed, entry.at) = (Some(says.version), Some(now));
            self.expect(&key, Status::Firing, Why::Skipped, false);
        }
    }
}
