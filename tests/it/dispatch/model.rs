//! Random histories against the rules, stated as what each target may believe.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use fanfare::{
    alert::{Notification, Status},
    dispatch::{Counts, Settled, Slot, Ticket},
    publish::Source,
};
use proptest::prelude::*;
use serde_json::json;

use super::world::{World, alert, at, recipient};

#[derive(Clone, Debug)]
enum Op {
    Fire { alert: usize, fresh: bool },
    End { alert: usize },
    Wait(i64),
    Take(prop::sample::Index),
    Settle(prop::sample::Index, Settled),
    SuspendTarget(usize),
    SuspendRoute,
    ToggleMatcher,
    ToggleMember,
    Recover(usize),
}

const ALERTS: [&str; 2] = ["x", "y"];
const TARGETS: [&str; 2] = ["a", "b"];
const DOUBT: i64 = 120;

/// What a sender said about an alert.
#[derive(Clone, Copy, Default)]
struct Sent {
    starts: i64,
    ends: i64,
    explicit_end: Option<i64>,
    doubt_until: i64,
    incident: u32,
}

/// What a target may believe about an alert of a route: `None` is that it never heard of it.
#[derive(Clone)]
struct Belief {
    may: BTreeSet<Option<Status>>,
    told_incident: u32,
}

/// Route, alert, target.
type Key = (String, usize, String);

struct Model {
    world: World,
    sent: [Sent; 2],
    beliefs: BTreeMap<Key, Belief>,
    pending: BTreeSet<Slot>,
    in_flight: Vec<(Key, Arc<Notification>, Ticket, u32, bool)>,
    delivered: HashSet<(Key, Arc<str>)>,
}

impl Default for Belief {
    fn default() -> Self {
        Self { may: BTreeSet::from([None]), told_incident: 0 }
    }
}

impl Sent {
    fn fires(&self, now: i64) -> bool {
        now < self.ends
    }

    fn told_as_firing(&self, now: i64) -> bool {
        self.fires(now) && now >= self.doubt_until
    }
}

impl Model {
    fn new() -> Self {
        let mut world = World::new(&TARGETS);
        world.route("s", json!({"matcherExpr": "alertname=x"}), &TARGETS);
        world.routes.get_mut("s").unwrap().recipients[1].send_resolved = false;
        world.configure();
        Self {
            world,
            sent: [Sent::default(); 2],
            beliefs: BTreeMap::new(),
            pending: BTreeSet::new(),
            in_flight: Vec::new(),
            delivered: HashSet::new(),
        }
    }

    fn note(&mut self, slots: Vec<Slot>) {
        self.pending.extend(slots);
    }

    fn post(&mut self, which: usize, starts: i64, ends: i64) {
        let now = self.world.now;
        let slots = self.world.accept(alert(ALERTS[which], starts, ends, now), Source::V2).1;
        self.note(slots);
    }

    fn fire(&mut self, which: usize, fresh: bool) {
        let now = self.world.now;
        let sent = &mut self.sent[which];
        if !sent.fires(now) {
            // After that long it may be forgotten, and its start with it.
            let fresh = fresh || sent.starts == 0 || now >= sent.ends + 900;
            let starts = if fresh { now } else { sent.starts };
            if sent.explicit_end.is_some_and(|end| starts <= end) {
                sent.doubt_until = now + DOUBT;
            } else if starts > sent.ends {
                sent.incident += 1;
            }
            sent.starts = starts;
        }
        sent.ends = now + 300;
        let starts = sent.starts;
        self.post(which, starts, now + 300);
    }

    fn end(&mut self, which: usize) {
        let now = self.world.now;
        let sent = &mut self.sent[which];
        if sent.starts == 0 {
            return;
        }
        if sent.fires(now) {
            sent.ends = now;
            sent.doubt_until = 0;
        }
        let (starts, ends) = (sent.starts, sent.ends);
        sent.explicit_end = sent.explicit_end.max(Some(ends));
        self.post(which, starts, ends);
    }

    fn wait(&mut self, seconds: i64) {
        let slots = self.world.wait(seconds);
        self.note(slots);
        let now = self.world.now;
        for sent in &mut self.sent {
            if !sent.fires(now) {
                sent.doubt_until = 0;
            }
        }
    }

    fn take(&mut self, slot: &Slot) {
        self.pending.remove(slot);
        let now = self.world.now;
        let Some((notification, ticket)) = self.world.take(slot) else { return };
        let name = notification.members[0].alert.label("alertname");
        let which = ALERTS.iter().position(|one| *one == name).unwrap();
        let key = (slot.route.name.to_string(), which, slot.target.name.to_string());
        let sent = self.sent[which];
        let belief = self.beliefs.entry(key.clone()).or_default().clone();
        assert!(
            self.in_flight.iter().all(|(other, .., current)| *other != key || !current),
            "two in flight for {key:?}"
        );
        assert!(
            !self.delivered.contains(&(key.clone(), notification.id.clone())),
            "an id was used twice"
        );
        let route = &self.world.routes[&key.0];
        assert!(!route.spec["suspend"].as_bool().unwrap_or(false), "a muted route speaks");
        let recipient = route.recipients.iter().find(|one| *one.target.name == key.2).unwrap();
        assert!(!recipient.suspended, "a suspended target is sent to");
        match notification.status {
            Status::Firing => {
                assert!(sent.told_as_firing(now), "told as firing but does not: {key:?}");
                assert!(self.wants(&key), "told to a route that does not want it: {key:?}");
                let known = belief.may == BTreeSet::from([Some(Status::Firing)]);
                // Where ends are left out, the target never unlearns what it was told.
                let news = belief.told_incident != sent.incident || !recipient.send_resolved;
                assert!(!known || news, "told twice: {key:?}");
            }
            Status::Resolved => {
                assert!(!sent.told_as_firing(now), "told as resolved but fires: {key:?}");
                assert!(belief.may.contains(&Some(Status::Firing)), "resolved unheard: {key:?}");
                assert!(recipient.send_resolved, "a resolve that the route leaves out: {key:?}");
            }
        }
        self.in_flight.push((key, notification, ticket, sent.incident, true));
    }

    fn settle(&mut self, at_index: usize, outcome: Settled) {
        let (key, notification, ticket, incident, current) = self.in_flight.remove(at_index);
        if current {
            let belief = self.beliefs.get_mut(&key).unwrap();
            let status = Some(notification.status);
            match outcome {
                Settled::Delivered => {
                    belief.may = BTreeSet::from([status]);
                    belief.told_incident = incident;
                    assert!(self.delivered.insert((key, notification.id.clone())));
                }
                Settled::Failed { maybe_told: true } => {
                    belief.may.insert(status);
                }
                _ => {}
            }
        }
        let newer = self.world.state.settle(ticket, outcome, at(self.world.now));
        assert!(current || newer.is_none());
        self.note(newer.into_iter().collect());
    }

    fn wants(&self, (route, which, _): &Key) -> bool {
        let spec = &self.world.routes[route].spec;
        spec["matcherExpr"].as_str().is_none_or(|text| text.ends_with(ALERTS[*which]))
    }

    /// A resolve that a route leaves out is noted as told; the target goes on believing.
    fn edit(&mut self, edit: impl FnOnce(&mut World)) {
        edit(&mut self.world);
        let slots = self.world.configure();
        self.note(slots);
        let gone = |key: &Key| {
            self.world.routes[&key.0].recipients.iter().all(|one| *one.target.name != key.2)
        };
        self.beliefs.retain(|key, _| !gone(key));
        self.delivered.retain(|(key, _)| !gone(key));
        for flight in &mut self.in_flight {
            flight.4 &= !gone(&flight.0);
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Fire { alert, fresh } => self.fire(alert, fresh),
            Op::End { alert } => self.end(alert),
            Op::Wait(seconds) => self.wait(seconds),
            Op::Take(ref index) => {
                let slots: Vec<Slot> = self.pending.iter().cloned().collect();
                if !slots.is_empty() {
                    self.take(index.get(&slots));
                }
            }
            Op::Settle(ref index, outcome) => {
                if !self.in_flight.is_empty() {
                    self.settle(index.index(self.in_flight.len()), outcome);
                }
            }
            Op::SuspendTarget(which) => self.edit(|world| {
                for route in world.routes.values_mut() {
                    for one in &mut route.recipients {
                        one.suspended ^= *one.target.name == *TARGETS[which];
                    }
                }
            }),
            Op::SuspendRoute => self.edit(|world| {
                let spec = &mut world.routes.get_mut("r").unwrap().spec;
                let suspended = spec["suspend"].as_bool().unwrap_or(false);
                spec["suspend"] = json!(!suspended);
            }),
            Op::ToggleMatcher => self.edit(|world| {
                let spec = &mut world.routes.get_mut("s").unwrap().spec;
                let now = if spec["matcherExpr"] == "alertname=x" {
                    "alertname=y"
                } else {
                    "alertname=x"
                };
                spec["matcherExpr"] = json!(now);
            }),
            Op::ToggleMember => self.edit(|world| {
                let recipients = &mut world.routes.get_mut("r").unwrap().recipients;
                if recipients.len() == 2 {
                    recipients.pop();
                } else {
                    recipients.push(recipient("b"));
                }
            }),
            Op::Recover(which) => {
                let slots = self.world.recover(TARGETS[which]);
                self.note(slots);
            }
        }
    }

    /// Everything works again and senders repeat themselves: soon every target knows what is.
    fn calm_down(&mut self) {
        while !self.in_flight.is_empty() {
            self.settle(0, Settled::Failed { maybe_told: false });
        }
        self.edit(|world| {
            world.routes.get_mut("r").unwrap().spec["suspend"] = json!(false);
            for route in world.routes.values_mut() {
                route.recipients.iter_mut().for_each(|one| one.suspended = false);
            }
        });
        for _ in 0..4 {
            for which in 0..ALERTS.len() {
                if self.sent[which].fires(self.world.now) {
                    self.fire(which, false);
                } else {
                    self.end(which);
                }
            }
            self.deliver_all();
            self.wait(60);
        }
        for (name, route) in &self.world.routes {
            for one in &route.recipients {
                for which in 0..ALERTS.len() {
                    let key = (name.clone(), which, one.target.name.to_string());
                    let belief = self.beliefs.get(&key).cloned().unwrap_or_default();
                    if !self.sent[which].fires(self.world.now) {
                        let open = belief.may.contains(&Some(Status::Firing));
                        assert!(!open || !one.send_resolved, "left open: {key:?}");
                    } else if self.wants(&key) {
                        assert_eq!(belief.may, BTreeSet::from([Some(Status::Firing)]), "{key:?}");
                        assert_eq!(belief.told_incident, self.sent[which].incident, "{key:?}");
                    }
                }
            }
        }
        (0..ALERTS.len()).for_each(|which| self.end(which));
        self.deliver_all();
        self.wait(40 * 60);
        assert_eq!(
            self.world.state.counts(),
            Counts { expired: self.world.state.counts().expired, ..Counts::default() }
        );
        assert_eq!(self.world.state.next_deadline(), None);
    }
}

impl Model {
    fn deliver_all(&mut self) {
        while let Some(slot) = self.pending.pop_first() {
            self.take(&slot);
            while !self.in_flight.is_empty() {
                self.settle(0, Settled::Delivered);
            }
        }
    }
}

fn any_op() -> impl Strategy<Value = Op> {
    let outcome = prop::sample::select(vec![
        Settled::Delivered,
        Settled::Delivered,
        Settled::Failed { maybe_told: true },
        Settled::Failed { maybe_told: false },
        Settled::Skipped,
        Settled::Cancelled,
    ]);
    prop_oneof![
        4 => (0..2usize, any::<bool>()).prop_map(|(alert, fresh)| Op::Fire { alert, fresh }),
        2 => (0..2usize).prop_map(|alert| Op::End { alert }),
        3 => prop::sample::select(vec![1, 30, 90, 130, 310]).prop_map(Op::Wait),
        8 => any::<prop::sample::Index>().prop_map(Op::Take),
        8 => (any::<prop::sample::Index>(), outcome).prop_map(|(index, outcome)| Op::Settle(index, outcome)),
        1 => (0..2usize).prop_map(Op::SuspendTarget),
        1 => Just(Op::SuspendRoute),
        1 => Just(Op::ToggleMatcher),
        1 => Just(Op::ToggleMember),
        1 => (0..2usize).prop_map(Op::Recover),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn every_history_follows_the_rules(ops in prop::collection::vec(any_op(), 0..80)) {
        let mut model = Model::new();
        for op in ops {
            model.apply(&op);
        }
        model.calm_down();
    }
}
