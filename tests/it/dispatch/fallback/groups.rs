//! The same where alerts are told in groups.

use std::{sync::Arc, time::Duration};

use fanfare::{
    alert::Status,
    dispatch::{FallbackMode, Role, Settled},
    routing::{GroupBy, Grouping},
};

use super::{
    super::world::{BEGIN, FAILED, World},
    AFTER, circuits, fall_back,
};

const INTERVAL: i64 = 300;

fn world(mode: FallbackMode) -> World {
    let mut world = World::new(&["a", "b"]);
    let by = GroupBy::Labels(vec!["namespace".into()].into());
    let (wait, interval) = (Duration::ZERO, Duration::from_secs(INTERVAL.unsigned_abs()));
    world.routes.get_mut("r").unwrap().grouping = Some(Arc::new(Grouping { by, wait, interval }));
    fall_back(&mut world, mode);
    world
}

/// Sends what a target is owed; gives the members of each, `-` behind those that are over.
fn send(world: &mut World, target: &str, outcome: Settled) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some((notification, ticket)) = world.take(target) {
        assert_eq!(notification.fallback, target == "z");
        let member = |member: &fanfare::alert::Member| {
            let over = if member.status == Status::Resolved { "-" } else { "" };
            format!("{}{over}", member.alert.label("alertname"))
        };
        sent.push(notification.members.iter().map(member).collect::<Vec<_>>().join(" "));
        world.settle(ticket, outcome);
        assert!(sent.len() < 100);
    }
    world.commit();
    sent
}

/// `x` fires, and nobody can be told.
fn untold(mode: FallbackMode) -> World {
    let mut world = world(mode);
    world.fires_on("x", BEGIN);
    world.wait(1);
    assert_eq!(send(&mut world, "a", FAILED), ["x"]);
    assert_eq!(send(&mut world, "b", FAILED), ["x"]);
    world
}

#[test]
fn a_group_that_nobody_was_told_of_goes_to_the_fallback() {
    let mut world = untold(FallbackMode::Instead);
    world.wait(AFTER - 2);
    assert!(world.take("z").is_none());
    world.wait(2);
    world.ends_of();
    assert_eq!(send(&mut world, "z", Settled::Delivered), ["x"]);
    world.wait(1);
    assert_eq!(world.ends_of(), ["a firing Superseded", "b firing Superseded"]);
    world.recover("a");
    assert!(send(&mut world, "a", Settled::Delivered).is_empty(), "the fallback stands in");
    world.wait(3 * INTERVAL);
    assert!(world.told().is_empty());
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(send(&mut world, "z", Settled::Delivered), ["x-"]);
    assert!(world.told().is_empty());
}

#[test]
fn only_what_nobody_was_told_of_goes_to_the_fallback() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.wait(1);
    assert_eq!(send(&mut world, "a", Settled::Delivered), ["x"]);
    world.fires_on("y", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(send(&mut world, "a", FAILED), ["x y"]);
    world.wait(1);
    assert_eq!(send(&mut world, "z", Settled::Delivered), ["y"]);
}

#[test]
fn also_leaves_the_group_owed() {
    let mut world = untold(FallbackMode::Also);
    world.wait(AFTER);
    assert_eq!(send(&mut world, "z", Settled::Delivered), ["x"]);
    world.wait(1);
    world.recover("a");
    world.recover("b");
    assert_eq!(send(&mut world, "a", Settled::Delivered), ["x"]);
    assert_eq!(send(&mut world, "b", Settled::Delivered), ["x"]);
    world.wait(6 * 3_600);
    assert!(send(&mut world, "z", Settled::Delivered).is_empty(), "it is not reminded");
}

#[test]
fn a_target_that_is_told_at_last_spares_the_fallback() {
    let mut world = untold(FallbackMode::Instead);
    world.wait(AFTER);
    world.recover("a");
    assert_eq!(send(&mut world, "a", Settled::Delivered), ["x"]);
    world.wait(1);
    assert!(world.take("z").is_none());
    world.wait(3 * INTERVAL);
    assert!(world.take("z").is_none());
}

#[test]
fn open_circuits_bring_the_fallback_in_at_once() {
    let mut world = untold(FallbackMode::Instead);
    circuits(&mut world, &["a"], true);
    world.wait(1);
    assert!(world.take("z").is_none());
    circuits(&mut world, &["b"], true);
    world.wait(1);
    assert_eq!(send(&mut world, "z", Settled::Delivered), ["x"]);
}

#[test]
fn its_time_goes_on_over_a_restart() {
    let mut world = untold(FallbackMode::Instead);
    world.wait(AFTER / 2);
    world.restart();
    world.wait(AFTER / 2 + 2);
    assert_eq!(send(&mut world, "z", Settled::Delivered), ["x"]);
    world.restart();
    world.ends("x", BEGIN);
    world.wait(2 * INTERVAL);
    assert_eq!(send(&mut world, "z", Settled::Delivered), ["x-"]);
}

#[test]
fn a_fallback_that_was_never_told_hears_no_end_after_a_restart() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.wait(1);
    world.told();
    world.restart();
    world.ends("x", BEGIN);
    world.wait(2 * INTERVAL);
    assert_eq!(world.told(), ["a resolved", "b resolved"]);
}

#[test]
fn without_a_fallback_the_others_are_owed_again() {
    let mut world = untold(FallbackMode::Instead);
    world.wait(AFTER);
    send(&mut world, "z", Settled::Delivered);
    world.wait(1);
    let route = world.routes.get_mut("r").unwrap();
    route.fallback = None;
    route.recipients.retain(|one| one.role == Role::Regular);
    world.configure();
    world.wait(INTERVAL);
    assert_eq!(send(&mut world, "a", Settled::Delivered), ["x"]);
}
