//! Grouped routes: Alertmanager's rules, and where ours go beyond them.

mod edits;
mod histories;
mod muting;
mod outcomes;
mod restarts;
mod rules;
mod scale;
mod under_way;

use std::{sync::Arc, time::Duration};

use fanfare::{
    alert::{Notification, Status},
    dispatch::Settled,
    routing::{GroupBy, Grouping},
};

use super::world::{World, key};

/// Times of the groups, in seconds.
const WAIT: i64 = 30;
const INTERVAL: i64 = 300;

fn grouping(by: GroupBy) -> Arc<Grouping> {
    let seconds = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
    Arc::new(Grouping { by, wait: seconds(WAIT), interval: seconds(INTERVAL) })
}

fn by(labels: &[&str]) -> Arc<Grouping> {
    grouping(GroupBy::Labels(labels.iter().map(|label| Box::from(*label)).collect()))
}

/// One route that puts all alerts of a namespace into one group.
fn world(targets: &[&str]) -> World {
    let mut world = World::new(targets);
    group(&mut world, by(&["namespace"]));
    world
}

/// Changes how route `r` groups.
fn group(world: &mut World, grouping: impl Into<Option<Arc<Grouping>>>) {
    world.routes.get_mut("r").unwrap().grouping = grouping.into();
    world.configure();
}

/// `target reason: members`, `-` behind those that are over.
fn words(notification: &Notification) -> String {
    let target = notification.receiver.trim_start_matches("prod/");
    let member = |member: &fanfare::alert::Member| {
        let over = if member.status == Status::Resolved { "-" } else { "" };
        format!(" {}{over}", member.alert.label("alertname"))
    };
    let members: String = notification.members.iter().map(member).collect();
    let fires = notification.firing().next().is_some();
    assert_eq!(fires, notification.status == Status::Firing);
    format!("{target} {}:{members}", notification.reason.as_str())
}

/// Sends what one target is owed.
fn send_to(world: &mut World, target: &str, outcome: Settled) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some((notification, ticket)) = world.take(target) {
        sent.push(words(&notification));
        world.settle(ticket, outcome);
        assert!(sent.len() < 1_000, "a failure is sent again at once");
    }
    world.commit();
    sent
}

/// Sends everything that is owed.
fn send(world: &mut World, outcome: Settled) -> Vec<String> {
    let targets = world.targets();
    targets.iter().flat_map(|target| send_to(world, target, outcome)).collect()
}

fn told(world: &mut World) -> Vec<String> {
    send(world, Settled::Delivered)
}

/// Nothing is left of anything.
fn is_empty(world: &World) -> bool {
    let disk = &world.disk;
    let counts = world.state.counts();
    (counts.firing, counts.resolved, counts.stale) == (0, 0, 0)
        && disk.alerts.is_empty()
        && disk.told.is_empty()
        && disk.groups.is_empty()
        && world.state.owed().is_empty()
}

/// What is ready for a target.
fn ready(world: &World, target: &str) -> usize {
    let owed = world.state.owed();
    owed.iter().find(|(of, _)| *of == key(target)).map_or(0, |(_, counts)| counts.ready)
}
