//! Targets that need every transition, and targets that are owed too much.

use fanfare::{alert::Status, api::Semantics, dispatch::Why};

use super::script::{ALERTS, Key, Script, TARGETS, key_of, matches, suspended};

impl Script {
    pub(super) fn needs_every(&self, (_, route, target): &Key) -> bool {
        let mut recipients = self.world.routes[route].recipients.iter();
        recipients
            .any(|one| *one.target.name == **target && one.limits.semantics == Semantics::Every)
    }

    /// What is news to a target that needs every transition goes into its queue and counts as told.
    pub(super) fn tell_every(&mut self, key: &Key) {
        let (now, era, sends) = (self.world.now, self.eras[key.0], self.sends_resolved(key));
        let (says, matches) = self.says(key);
        let muted = suspended(&self.world.routes[&key.1]);
        let entry = self.entry(key);
        if muted || entry.flying.is_some() || !entry.owes_change(says, matches) {
            return;
        }
        entry.deliver(says, now);
        if says.status == Status::Firing || sends {
            self.queued.push((key.clone(), says.status));
            self.arrive(key, says, era);
        } else {
            self.got.remove(key);
        }
    }

    /// A muted route tells those nothing either, which is noted.
    pub(super) fn skip_muted(&mut self, which: usize) {
        let says = self.sent[which].as_ref().unwrap().says();
        let mut skipped = Vec::new();
        for (name, route) in &self.world.routes {
            let muted = suspended(route) && !route.rejected && matches(route, which);
            for one in route.recipients.iter().filter(|_| muted && !says.stale) {
                if one.limits.semantics == Semantics::Every {
                    skipped.push((which, name.clone(), one.target.name.to_string()));
                }
            }
        }
        for key in skipped {
            self.expect(&key, says.status, Why::Skipped, false);
        }
    }

    /// The queue on disk holds what the rules say, each once.
    pub(super) fn compare_queue(&mut self) {
        if !self.queued.is_empty() {
            self.world.commit();
            self.disk = self.known.clone();
        }
        let mut queued = Vec::new();
        for one in std::mem::take(&mut self.world.disk.queue) {
            let name = one.notification.group_labels.get("alertname");
            let which = ALERTS.iter().position(|one| *one == name).unwrap();
            let fanfare::dispatch::Origin::Every(route) = &one.origin else { unreachable!() };
            let key = (which, route.name.to_string(), one.target.name.to_string());
            let id = (key.clone(), one.notification.id.clone());
            assert!(self.known.acknowledged.insert(id.clone()), "queued twice: {key:?}");
            self.disk.acknowledged.insert(id);
            queued.push((key, one.notification.status));
        }
        let mut expected = std::mem::take(&mut self.queued);
        queued.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(queued, expected, "what is queued, and what the rules say");
    }

    /// Resolves beyond what a target may be owed end. Which of them is not looked at here, but that it
    /// was owed, and that it had to be.
    pub(super) fn overflow(&mut self) {
        for ended in self.world.ended.split_off(self.looked_at) {
            if ended.why == Why::QueueFull {
                let key = key_of(&ended);
                let (says, matches) = self.says(&key);
                assert!(self.resolves_owed(&key.2) > self.most_resolves, "not too many: {key:?}");
                let entry = self.entry(&key);
                assert_eq!(says.status, Status::Resolved, "{key:?}");
                assert!(entry.owes_change(says, matches) && entry.flying.is_none(), "{key:?}");
                self.give_up(&key, Why::QueueFull);
            }
            self.world.ended.push(ended);
        }
        self.looked_at = self.world.ended.len();
        for target in TARGETS {
            let flying = self.flights.iter().any(|flight| *flight.key.2 == *target);
            if self.resolves_owed(target) <= self.most_resolves {
                self.crowded.remove(target);
            } else if flying || self.limits_unknown {
                self.crowded.insert(target.to_owned());
            } else {
                assert!(self.crowded.contains(target), "too many resolves: {target}");
            }
        }
    }

    fn resolves_owed(&mut self, target: &str) -> usize {
        let keys = self.keys().into_iter();
        let owed = keys.filter(|key| *key.2 == *target && !self.needs_every(key)).filter(|key| {
            let ((says, matches), link) =
                (self.says(key), &self.known.links[&(key.0, key.1.clone())]);
            says.status == Status::Resolved && link.entries[&key.2].owes_change(says, matches)
        });
        owed.count()
    }
}
