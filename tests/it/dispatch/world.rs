//! A small world: routes and targets by name, a clock in seconds, alerts in one line.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fanfare::{
    alert::{Alert, Labels, Notification},
    api::AlertRouteSpec,
    dispatch::{Plan, Recipient, Settings, Settled, Slot, State, Ticket},
    publish::{Accepted, Source},
    routing::{Route, RouteSettings, RouteTable},
};
use jiff::Timestamp;
use serde_json::json;

/// The world begins an hour after the process started.
pub(super) const BEGIN: i64 = 1_800_000_000;

#[derive(Clone)]
pub(super) struct RouteOf {
    pub(super) spec: serde_json::Value,
    pub(super) recipients: Vec<Recipient>,
}

pub(super) struct World {
    pub(super) state: State,
    pub(super) now: i64,
    pub(super) routes: BTreeMap<String, RouteOf>,
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn recipient(name: &str) -> Recipient {
    Recipient {
        target: format!("prod/{name}").parse().unwrap(),
        uid: format!("uid of {name}").into(),
        send_resolved: true,
        suspended: false,
    }
}

/// An alert as Prometheus sends it: `ends` in the future fires.
pub(super) fn alert(name: &str, starts: i64, ends: i64, now: i64) -> Alert {
    Alert {
        labels: Labels::from_iter([("namespace", "prod"), ("alertname", name)]),
        annotations: Labels::empty(),
        starts_at: at(starts),
        ends_at: at(ends),
        timeout: false,
        generator_url: "".into(),
        updated_at: at(now),
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        resolve_timeout: Duration::from_mins(5),
        webhook_max_age: Duration::from_hours(24),
        max_alerts: 1_000,
        max_bytes: 64 * 1024 * 1024,
        external_url: "http://fanfare.example".into(),
    }
}

impl World {
    /// One route to `targets`.
    pub(super) fn new(targets: &[&str]) -> Self {
        Self::with(settings(), targets)
    }

    pub(super) fn with(settings: Settings, targets: &[&str]) -> Self {
        let state = State::new(settings, at(BEGIN - 3_600));
        let mut world = Self { state, now: BEGIN, routes: BTreeMap::new() };
        world.route("r", json!({}), targets);
        world.configure();
        world
    }

    pub(super) fn route(&mut self, name: &str, spec: serde_json::Value, targets: &[&str]) {
        let recipients = targets.iter().map(|name| recipient(name)).collect();
        self.routes.insert(name.to_owned(), RouteOf { spec, recipients });
    }

    pub(super) fn configure(&mut self) -> Vec<Slot> {
        let settings = RouteSettings { scope_label: "namespace".into(), cluster_namespaces: None };
        let compile = |(name, route): (&String, &RouteOf)| {
            let spec: AlertRouteSpec = serde_json::from_value(route.spec.clone()).unwrap();
            let key = format!("prod/{name}").parse().unwrap();
            Arc::new(Route::compile(key, "u".into(), 1, Arc::new(spec), &settings).unwrap())
        };
        let routes: Vec<_> = self.routes.iter().map(compile).collect();
        let mut plan = Plan::new(Arc::new(RouteTable::new(routes.clone())));
        for (route, of) in routes.iter().zip(self.routes.values()) {
            plan.add(route.key.clone(), route.suspend, of.recipients.clone());
        }
        self.state.reconfigure(Arc::new(plan), at(self.now))
    }

    /// Changes the recipient `target` of route `r` and configures anew.
    pub(super) fn edit(&mut self, target: &str, edit: impl Fn(&mut Recipient)) -> Vec<Slot> {
        let route = self.routes.get_mut("r").unwrap();
        route.recipients.iter_mut().filter(|one| *one.target.name == *target).for_each(edit);
        self.configure()
    }

    pub(super) fn accept(&mut self, alert: Alert, source: Source) -> (Accepted, Vec<Slot>) {
        self.state.accept(vec![alert], source, at(self.now))
    }

    /// `name` fires since `starts`; sent now, good for five minutes.
    pub(super) fn fires(&mut self, name: &str, starts: i64) -> Vec<Slot> {
        self.accept(alert(name, starts, self.now + 300, self.now), Source::V2).1
    }

    /// `name` is over since now.
    pub(super) fn ends(&mut self, name: &str, starts: i64) -> Vec<Slot> {
        self.accept(alert(name, starts, self.now, self.now), Source::V2).1
    }

    /// Time passes.
    pub(super) fn wait(&mut self, seconds: i64) -> Vec<Slot> {
        let end = self.now + seconds;
        let mut slots = Vec::new();
        while let Some(due) = self.state.next_deadline().filter(|due| *due <= at(end)) {
            self.now = self.now.max(due.as_second() + i64::from(due.subsec_nanosecond() > 0));
            slots.extend(self.state.tick(at(self.now)));
        }
        self.now = end;
        slots
    }

    pub(super) fn take(&mut self, slot: &Slot) -> Option<(Arc<Notification>, Ticket)> {
        self.state.take(slot, at(self.now))
    }

    /// Sends what the slots owe; gives `target status` for each and the ids.
    pub(super) fn send(&mut self, slots: Vec<Slot>, outcome: Settled) -> Vec<(String, Arc<str>)> {
        let mut sent = Vec::new();
        let mut slots = std::collections::VecDeque::from(slots);
        while let Some(slot) = slots.pop_front() {
            let Some((notification, ticket)) = self.take(&slot) else { continue };
            sent.push((
                format!("{} {}", slot.target.name, notification.status.as_str()),
                notification.id.clone(),
            ));
            slots.extend(self.state.settle(ticket, outcome, at(self.now)));
        }
        sent
    }

    /// Delivers; gives `target status` for each.
    pub(super) fn told(&mut self, slots: Vec<Slot>) -> Vec<String> {
        self.send(slots, Settled::Delivered).into_iter().map(|(what, _)| what).collect()
    }

    pub(super) fn recover(&mut self, target: &str) -> Vec<Slot> {
        self.state.owed_of(&[format!("prod/{target}").parse().unwrap()].into(), at(self.now))
    }
}
