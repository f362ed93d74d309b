//! Whether the state says the same as the rules, and whether everyone knows in the end.

use fanfare::{
    alert::Status,
    dispatch::{Counts, Settled},
};
use serde_json::json;

use super::{
    super::world::FAILED,
    script::{ALERTS, FORTNIGHT, Script, TARGETS, key_of, suspended},
};

impl Script {
    /// The state owes what the rules say, and what ended is what the rules say.
    pub(super) fn compare(&mut self) {
        self.world.ended.extend(self.world.state.take_ended());
        self.overflow();
        self.looked_at = 0;
        let ended = std::mem::take(&mut self.world.ended);
        let mut ended: Vec<String> = ended
            .iter()
            .map(|one| {
                let (which, route, target) = key_of(one);
                let status = one.notification.status;
                format!(
                    "{route} {} {target} {status:?} {:?} {}",
                    ALERTS[which], one.why, one.dead_letter
                )
            })
            .collect();
        ended.sort();
        self.expected.sort();
        assert_eq!(ended, std::mem::take(&mut self.expected), "what ended, and what the rules say");
        self.compare_queue();
        let owed = self.world.state.owed();
        let now = self.world.now;
        for target in TARGETS {
            let mut expected = 0;
            for key in self.keys().iter().filter(|key| *key.2 == *target) {
                let ((says, matches), muted) = (self.says(key), self.is_muted(key));
                let paused = muted && !suspended(&self.world.routes[&key.1]);
                let every = self.needs_every(key);
                let entry = self.entry(key);
                let told_later = (!muted && entry.owes(says, matches, now))
                    || (paused && entry.owes_change(says, matches));
                expected += usize::from(entry.flying.is_some() || (told_later && !every));
            }
            let counts = owed.iter().find(|(key, _)| *key.name == *target);
            let counts = counts.map(|(_, counts)| *counts).unwrap_or_default();
            assert_eq!(counts.total(), expected, "{target}: {counts:?}\n{:#?}", self.known.links);
        }
    }

    /// Everything works again and senders repeat themselves: soon every target knows what is.
    pub(super) fn calm_down(&mut self) {
        while !self.flights.is_empty() {
            self.settle(0, FAILED);
        }
        let before = self.world.routes.clone();
        let routes = &mut self.world.routes;
        for route in routes.values_mut() {
            route.rejected = false;
        }
        routes.get_mut("r").unwrap().spec["suspend"] = json!(false);
        routes
            .values_mut()
            .flat_map(|route| &mut route.recipients)
            .for_each(|one| one.suspended = false);
        self.world.configure();
        self.connect(&before, false);
        self.flushed();
        for _ in 0..12 {
            for which in 0..ALERTS.len() {
                match &self.sent[which] {
                    Some(sent) if sent.fires => self.fire(which, false),
                    _ => self.end(which),
                }
            }
            self.deliver_all();
            self.wait(70);
        }
        self.deliver_all();
        self.compare();
        for key in self.keys() {
            let (says, matches) = self.says(&key);
            let skipped = self.entry(&key).closed.is_some();
            let last = self.got.get(&key).and_then(|got| got.last()).cloned();
            match (says.status, last) {
                (Status::Firing, last) if matches && !skipped => {
                    let last = last.expect("told of what fires");
                    assert_eq!(
                        (last.status, last.incident),
                        (Status::Firing, says.incident),
                        "{key:?}"
                    );
                }
                (Status::Resolved, Some(last)) => {
                    assert_eq!(last.status, Status::Resolved, "left open: {key:?}");
                }
                _ => {}
            }
        }
        (0..ALERTS.len()).for_each(|which| self.end(which));
        self.deliver_all();
        self.wait(40 * 60);
        let counts = self.world.state.counts();
        assert_eq!(counts, Counts { expired: counts.expired, ..Counts::default() });
        self.wait(FORTNIGHT);
        assert_eq!(self.world.state.next_due(self.world.moment()), None);
        assert!(self.world.disk.alerts.is_empty() && self.world.disk.told.is_empty());
        assert!(self.world.state.owed().is_empty());
    }

    pub(super) fn deliver_all(&mut self) {
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
    }
}
