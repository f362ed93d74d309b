//! `delivery.semantics: Every`: each transition goes to the queue on disk, once, in order.

use fanfare::{
    alert::Status,
    api::Semantics,
    dispatch::{Limits, Origin, Settled},
};
use serde_json::json;

use super::world::{BEGIN, BLOCKED, FAILED, UNSURE, World, recipient};

fn world() -> World {
    let mut world = World::new(&["a", "b"]);
    world.edit("a", |one| {
        one.limits = Limits { semantics: Semantics::Every, ..Limits::default() };
    });
    world
}

fn queued(world: &mut World) -> Vec<Status> {
    std::mem::take(&mut world.disk.queue)
        .iter()
        .map(|one| {
            assert_eq!(one.origin, Origin::Every("prod/r".parse().unwrap()));
            one.notification.status
        })
        .collect()
}

const BOTH: [Status; 2] = [Status::Firing, Status::Resolved];

#[test]
fn every_transition_is_queued_with_the_alert_and_never_owed() {
    let mut world = world();
    for _ in 0..3 {
        world.fires("x", world.now);
        world.fires("x", world.now);
        world.wait(10);
        world.ends("x", world.now - 10);
        world.wait(10);
    }
    assert_eq!(queued(&mut world), [BOTH, BOTH, BOTH].concat());
    assert!(world.take("a").is_none());
    assert!(world.take("b").is_none());
    let ids: std::collections::HashSet<_> =
        world.ended.iter().map(|one| one.notification.id.clone()).collect();
    assert_eq!(ids.len(), 3, "b was superseded three times");
}

#[test]
fn a_transition_is_in_one_commit_with_its_alert() {
    let mut world = world();
    let now = world.moment();
    let firing = super::world::alert("x", BEGIN, BEGIN + 300, BEGIN);
    let (_, _owed) = world.state.accept(vec![firing], fanfare::publish::Source::V2, now);
    let facts = world.state.take_facts();
    let kinds: Vec<&str> = facts
        .iter()
        .map(|fact| match fact {
            fanfare::dispatch::Fact::Alert(..) => "alert",
            fanfare::dispatch::Fact::Told(..) => "told",
            fanfare::dispatch::Fact::Forget(_) => "forget",
            fanfare::dispatch::Fact::Enqueue(_) => "enqueue",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["alert", "told", "enqueue"]);
}

#[test]
fn a_restart_queues_nothing_twice() {
    let mut world = world();
    world.fires("x", BEGIN);
    assert_eq!(queued(&mut world).len(), 1);
    world.restart();
    assert!(queued(&mut world).is_empty());
    world.ends("x", BEGIN);
    world.restart();
    assert_eq!(queued(&mut world), [Status::Resolved]);
}

#[test]
fn what_fires_when_the_target_joins_is_queued() {
    let mut world = world();
    world.fires("x", BEGIN);
    world.fires("y", BEGIN);
    world.ends("y", BEGIN);
    queued(&mut world);
    let mut joins = recipient("c");
    joins.limits.semantics = Semantics::Every;
    world.routes.get_mut("r").unwrap().recipients.push(joins);
    world.configure();
    assert_eq!(queued(&mut world), [Status::Firing]);
    world.configure();
    assert!(queued(&mut world).is_empty());
}

#[test]
fn a_muted_transition_is_noted_as_skipped() {
    let mut world = world();
    world.routes.get_mut("r").unwrap().spec = json!({"suspend": true});
    world.configure();
    world.fires("x", BEGIN);
    world.ends("x", BEGIN);
    assert!(queued(&mut world).is_empty());
    assert_eq!(world.ends_of(), ["a firing Skipped", "a resolved Skipped"]);
    world.fires("y", BEGIN);
    world.routes.get_mut("r").unwrap().spec = json!({});
    world.configure();
    assert_eq!(queued(&mut world), [Status::Firing], "the difference is told");
}

#[test]
fn without_send_resolved_only_firings_are_queued() {
    let mut world = world();
    world.edit("a", |one| one.send_resolved = false);
    world.fires("x", BEGIN);
    world.ends("x", BEGIN);
    world.wait(1);
    world.fires("x", world.now);
    assert_eq!(queued(&mut world), [Status::Firing, Status::Firing]);
}

fn needs_every(world: &mut World) {
    world.edit("a", |one| one.limits.semantics = Semantics::Every);
}

#[test]
fn what_is_in_flight_when_every_transition_becomes_needed_is_queued_if_it_fails() {
    for outcome in [FAILED, BLOCKED, Settled::Rejected, Settled::Cancelled] {
        let mut world = World::new(&["a"]);
        world.fires("x", BEGIN);
        let (_, ticket) = world.take("a").unwrap();
        needs_every(&mut world);
        assert!(queued(&mut world).is_empty(), "one way at a time");
        world.settle(ticket, outcome);
        world.commit();
        assert_eq!(queued(&mut world), [Status::Firing], "{outcome:?}");
        assert!(world.state.owed().is_empty());
    }
}

#[test]
fn who_may_have_heard_before_every_transition_was_needed_hears_of_the_end() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.send(UNSURE);
    world.ends("x", BEGIN);
    needs_every(&mut world);
    assert_eq!(queued(&mut world), [Status::Resolved]);
}

#[test]
fn who_may_have_heard_before_a_crash_hears_of_the_end_from_the_queue() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    let _under_way = world.take("a").unwrap();
    needs_every(&mut world);
    world.ends("x", BEGIN);
    world.crash();
    assert_eq!(queued(&mut world), [Status::Resolved]);
}

#[test]
fn who_may_have_heard_of_what_a_muted_route_told_hears_of_the_end_after_a_restart() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.send(UNSURE);
    world.routes.get_mut("r").unwrap().spec = json!({"suspend": true});
    needs_every(&mut world);
    world.ends("x", BEGIN);
    world.restart();
    assert!(queued(&mut world).is_empty(), "muted");
    world.routes.get_mut("r").unwrap().spec = json!({});
    world.configure();
    assert_eq!(queued(&mut world), [Status::Resolved]);
}

#[test]
fn who_surely_heard_nothing_while_the_route_was_muted_is_queued_nothing_after_a_restart() {
    let mut world = world();
    world.fires("x", BEGIN);
    world.ends("x", BEGIN);
    assert_eq!(queued(&mut world), BOTH);
    world.routes.get_mut("r").unwrap().spec = json!({"suspend": true});
    world.configure();
    world.wait(10);
    world.fires("x", world.now);
    world.ends("x", world.now);
    world.restart();
    world.routes.get_mut("r").unwrap().spec = json!({});
    world.configure();
    assert!(queued(&mut world).is_empty());
}
