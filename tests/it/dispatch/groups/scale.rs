//! One group of very many alerts: no step goes through all members once for each of them.

use std::{ops::Range, time::Duration};

use fanfare::{
    alert::{Alert, Labels},
    dispatch::{FallbackMode, FallbackTerms, Role, Settings, Settled},
    publish::Source,
    routing::GroupBy,
};
use tokio::time::Instant;

use super::{
    super::world::{BEGIN, World, alert, recipient, settings},
    INTERVAL, WAIT, by, grouping,
};

/// Steps of a history, and how long each took.
struct Steps {
    world: World,
    begin: Instant,
    what: String,
    taken: Vec<String>,
}

/// How many alerts there are by default, because this build is slow; `FANFARE_ALERTS` says otherwise.
fn number() -> usize {
    std::env::var("FANFARE_ALERTS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

// === impl Steps ===

impl Steps {
    /// One group of everything; `a` can be told, `b` never answers.
    fn new(what: &str) -> Self {
        let settings = Settings {
            max_alerts: number(),
            max_bytes: usize::MAX,
            webhook_max_age: Duration::from_secs(2 * INTERVAL.unsigned_abs()),
            ..settings()
        };
        let mut world = World::with(settings, &["a", "b"]);
        super::group(&mut world, grouping(GroupBy::Labels([].into())));
        Self {
            world,
            begin: Instant::now(),
            what: format!("{} alerts, {what}", number()),
            taken: Vec::new(),
        }
    }

    fn done(&mut self, step: &str) {
        self.taken.push(format!("{step} {:.2?}", self.begin.elapsed()));
        self.begin = Instant::now();
    }

    /// These alerts are sent, a thousand at a time.
    fn send(&mut self, ones: Range<usize>, ends: i64, source: Source) {
        let (now, moment) = (self.world.now, self.world.moment());
        let one = |one: usize| {
            let labels = [
                ("namespace", "prod".to_owned()),
                ("alertname", format!("x{one}")),
                ("shard", (one % 7).to_string()),
            ];
            Alert { labels: Labels::from_iter(labels), ..alert("x", BEGIN, ends, now) }
        };
        for batch in ones.clone().step_by(1_000) {
            let alerts = (batch..ones.end.min(batch + 1_000)).map(one).collect();
            let (accepted, owed) = self.world.state.accept(alerts, source, moment);
            assert_eq!(accepted.refused, 0);
            self.world.settle_accounts(owed);
        }
    }

    /// Delivers what a target is owed; says how many members each notification had.
    fn tell(&mut self, target: &str) -> Vec<usize> {
        let mut told = Vec::new();
        while let Some((notification, ticket)) = self.world.take(target) {
            told.push(notification.members.len());
            self.world.settle(ticket, Settled::Delivered);
        }
        self.world.commit();
        told
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        eprintln!("{}: {}", self.what, self.taken.join(", "));
    }
}

#[test]
fn a_great_group_fires_and_ends() {
    let (number, later) = (number(), BEGIN + 100_000_000);
    let mut steps = Steps::new("fire and end");
    steps.send(0..number, later, Source::V2);
    steps.done("accepted");
    steps.world.wait(WAIT);
    steps.done("flushed");
    assert_eq!(steps.tell("a"), [number]);
    steps.done("told");
    steps.send(0..number, later + 1, Source::V2);
    steps.done("sent again");
    let half = number / 2;
    let now = steps.world.now;
    steps.send(0..half, now, Source::V2);
    steps.done("half resolved");
    steps.world.wait(INTERVAL);
    steps.done("flushed");
    assert_eq!(steps.tell("a"), [number]);
    steps.done("told");
    let disk = steps.world.disk.clone();
    steps.world.restart_from(disk);
    steps.done("restarted");
    let now = steps.world.now;
    steps.send(half..number, now, Source::V2);
    steps.done("rest resolved");
    steps.world.wait(INTERVAL);
    steps.done("flushed");
    assert_eq!(steps.tell("a"), [number - half]);
    steps.tell("b");
    steps.done("told");
    steps.world.wait(3_600);
    steps.done("forgotten");
    assert_eq!(steps.world.state.counts().resolved, 0);
}

#[test]
fn a_great_group_goes_stale() {
    let number = number();
    let mut steps = Steps::new("stale");
    steps.send(0..number, BEGIN + 100_000_000, Source::Webhook);
    steps.done("accepted");
    steps.world.wait(WAIT);
    assert_eq!(steps.tell("a"), [number]);
    steps.done("told");
    steps.world.wait(2 * INTERVAL);
    steps.done("stale");
    assert_eq!(steps.world.state.counts().stale, number);
    steps.world.restart();
    steps.done("restarted");
}

#[test]
fn a_great_group_is_put_together_otherwise() {
    let (number, later) = (number(), BEGIN + 100_000_000);
    let mut steps = Steps::new("change of `by`");
    steps.send(0..number, later, Source::V2);
    steps.world.wait(WAIT);
    assert_eq!(steps.tell("a"), [number]);
    steps.done("told");
    super::group(&mut steps.world, by(&["namespace"]));
    steps.done("changed");
    steps.world.wait(INTERVAL);
    assert_eq!(steps.tell("a"), [0; 0], "it was told in the other group");
    steps.done("flushed");
    let now = steps.world.now;
    steps.send(0..number, now, Source::V2);
    steps.done("resolved");
    steps.world.wait(INTERVAL);
    steps.done("flushed");
    assert_eq!(steps.tell("a"), [number]);
    steps.done("told");
    super::group(&mut steps.world, None);
    steps.done("not grouped any more");
}

#[test]
fn a_great_group_has_a_fallback() {
    let (number, later) = (number(), BEGIN + 100_000_000);
    let mut steps = Steps::new("fallback");
    let route = steps.world.routes.get_mut("r").unwrap();
    route.fallback = Some(FallbackTerms { after: Duration::ZERO, mode: FallbackMode::Instead });
    route.recipients.push(fanfare::dispatch::Recipient { role: Role::Fallback, ..recipient("z") });
    steps.world.configure();
    steps.send(0..number, later, Source::V2);
    steps.done("accepted");
    steps.world.wait(WAIT);
    steps.done("flushed");
    assert_eq!(steps.tell("z"), [number]);
    steps.done("fallback told");
    steps.world.wait(INTERVAL);
    steps.done("flushed");
}
