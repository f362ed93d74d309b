//! Senders, and time.

use fanfare::{
    alert::Status,
    dispatch::{Recipient, Why},
    publish::Source,
};
use jiff::Timestamp;

use super::{
    super::world::alert,
    ledger::Entry,
    script::{ALERTS, Key, Link, Script, wants},
    sender::Sent,
};

impl Script {
    pub(super) fn fire(&mut self, which: usize, fresh: bool) {
        let now = self.world.now;
        let starts = match &self.sent[which] {
            Some(sent) if !fresh || sent.fires => sent.starts,
            _ => now,
        };
        let source = self.post(which, starts, None);
        if self.sent[which].is_some() {
            self.change(which, |sent| sent.fire(starts, source, now));
        } else {
            self.hold(which, starts, source);
        }
        self.flushed();
    }

    /// A new alert: everyone whom its routes reach surely heard nothing.
    fn hold(&mut self, which: usize, starts: i64, source: Source) {
        self.sent[which] = Some(Sent::new(starts, source, self.world.now));
        let entry = |target: &Recipient| (target.target.name.to_string(), Entry::default());
        for (name, route) in &self.world.routes {
            if wants(route, which) {
                let entries = route.recipients.iter().map(entry).collect();
                let link = Link { matches: true, entries };
                self.known.links.insert((which, name.clone()), link);
            }
        }
        self.skip_muted(which);
    }

    pub(super) fn end(&mut self, which: usize) {
        let now = self.world.now;
        let Some(sent) = &self.sent[which] else {
            self.post(which, now - 5, Some(now));
            self.flushed();
            return;
        };
        let (starts, ends) = (sent.starts, sent.end_to_send(now));
        let source = self.post(which, starts, Some(ends));
        self.change(which, |sent| sent.end(source, now));
        self.flushed();
    }

    /// Posts an alert in one wire form or the other; it fires if it has no end.
    fn post(&mut self, which: usize, starts: i64, ends: Option<i64>) -> Source {
        let now = self.world.now;
        let mut alert = alert(ALERTS[which], starts, ends.unwrap_or(now + 300), now);
        let source = if self.rng.u8(0..4) == 0 { Source::Webhook } else { Source::V2 };
        if source == Source::Webhook && ends.is_none() {
            (alert.ends_at, alert.timeout) = (Timestamp::MAX, true);
        }
        let accepted = self.world.accept(alert, source);
        assert_eq!((accepted.alerts, accepted.refused), (1, 0));
        source
    }

    pub(super) fn wait(&mut self, seconds: i64) {
        let end = self.world.now + seconds;
        loop {
            self.world.wait(0);
            self.pass();
            let now = self.world.now;
            let Some(next) = self.deadlines().into_iter().filter(|at| *at > now).min() else {
                break;
            };
            if next > end {
                break;
            }
            self.world.wait(next - now);
        }
        self.world.wait(end - self.world.now);
        self.pass();
    }

    pub(super) fn deadlines(&self) -> Vec<i64> {
        let mut all = Vec::new();
        for ((which, _), link) in &self.known.links {
            let Some(sent) = &self.sent[*which] else { continue };
            for entry in link.entries.values() {
                all.extend([entry.expires(sent.says())]);
                all.extend(entry.repeat_due(sent.says()));
            }
        }
        all.extend(self.sent.iter().flatten().filter_map(|sent| sent.due(self.grace)));
        all
    }

    pub(super) fn pass(&mut self) {
        let (now, grace) = (self.world.now, self.grace);
        for which in 0..ALERTS.len() {
            if self.sent[which].is_some() {
                self.change(which, |sent| sent.pass(grace, now));
            }
        }
        for key in self.keys() {
            let (says, matches) = self.says(&key);
            let entry = self.entry(&key);
            let lettered = says.status == Status::Firing && entry.letter == Some(says.version);
            let old = entry.owes(says, matches, now) && entry.expires(says) <= now;
            let idle = entry.flying.is_none() && !self.is_muted(&key) && !self.needs_every(&key);
            if old && !lettered && idle {
                if self.blocked.contains(&key.2) {
                    self.entry(&key).resumed = Some(now);
                } else {
                    self.give_up(&key, Why::MaxAge);
                }
            }
        }
        self.flushed();
        self.forget();
    }

    /// What is old and of which nothing is owed may be forgotten.
    pub(super) fn forget(&mut self) {
        for (which, name) in ALERTS.iter().enumerate() {
            let held = self.world.disk.alerts.values();
            let held = held.filter(|one| one.alert.label("alertname") == *name).count();
            let Some(sent) = self.sent[which].clone().filter(|_| held == 0) else { continue };
            assert!(sent.is_old(self.world.now), "forgotten too early");
            for key in self.keys().iter().filter(|key| key.0 == which) {
                let (says, matches) = self.says(key);
                assert!(!self.entry(key).owes_change(says, matches), "forgotten though owed");
                assert!(self.entry(key).flying.is_none(), "forgotten while in flight");
            }
            // Nobody is told of the end of what went stale: it is not known to be over.
            if sent.stale {
                self.got.retain(|key, _| key.0 != which);
            }
            self.sent[which] = None;
            self.eras[which] += 1;
            self.known.links.retain(|(of, _), _| *of != which);
            self.disk.links.retain(|(of, _), _| *of != which);
        }
    }

    /// Does something to an alert; if it says something else then, what was owed ends.
    pub(super) fn change(&mut self, which: usize, change: impl FnOnce(&mut Sent)) {
        let sent = self.sent[which].as_mut().unwrap();
        let was = sent.says();
        change(sent);
        if sent.says().version == was.version {
            return;
        }
        for key in self.keys().into_iter().filter(|key| key.0 == which) {
            let matches = self.says(&key).1;
            let entry = self.entry(&key);
            let overtaken = match entry.flying {
                Some(version) => version != was.version && (matches || entry.open()) && !was.stale,
                None => entry.owes_change(was, matches) && entry.letter != Some(was.version),
            };
            if overtaken && !self.needs_every(&key) {
                self.expect(&key, was.status, Why::Superseded, false);
            }
            self.entry(&key).news();
            self.close(&key);
        }
        self.skip_muted(which);
    }

    /// Who surely heard nothing need not hear of the end.
    pub(super) fn close(&mut self, key: &Key) {
        let (says, matches) = self.says(key);
        let entry = self.entry(key);
        if says.status == Status::Resolved
            && entry.flying.is_none()
            && !entry.open()
            && (matches || !entry.is_blank())
        {
            entry.closed = Some(says.version);
        }
    }

    pub(super) fn give_up(&mut self, key: &Key, why: Why) {
        let (says, _) = self.says(key);
        let entry = self.entry(key);
        let first = entry.letter != Some(says.version);
        entry.letter = Some(says.version);
        if says.status == Status::Resolved {
            entry.closed = Some(says.version);
            self.got.remove(key);
        }
        if first || says.status == Status::Resolved {
            self.expect(key, says.status, why, first);
        }
    }
}
