//! A fallback that joins, leaves or changes.

use fanfare::dispatch::{FallbackMode, Role, Settled};

use super::{
    super::world::{BEGIN, FAILED, World},
    AFTER, fall_back, world,
};

#[test]
fn without_a_fallback_the_others_are_owed_again() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(AFTER);
    world.send_to("z", Settled::Delivered);
    world.ends_of();
    let route = world.routes.get_mut("r").unwrap();
    route.fallback = None;
    let left = route.recipients.pop().unwrap();
    world.others.push(left);
    world.configure();
    assert_eq!(world.ends_of(), ["z firing TargetRemoved †"], "it stays open there");
    assert_eq!(world.told(), ["a firing", "b firing"]);
}

#[test]
fn a_fallback_that_was_not_needed_leaves_without_a_word() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.ends_of();
    let route = world.routes.get_mut("r").unwrap();
    route.fallback = None;
    let left = route.recipients.pop().unwrap();
    world.others.push(left);
    world.configure();
    assert!(world.ends_of().is_empty());
}

#[test]
fn also_after_instead_owes_the_others_again_and_back() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(AFTER);
    world.send_to("z", Settled::Delivered);
    fall_back(&mut world, FallbackMode::Also);
    assert_eq!(world.send(FAILED).len(), 2);
    fall_back(&mut world, FallbackMode::Instead);
    world.recover("a");
    assert!(world.send_to("a", Settled::Delivered).is_empty());
}

#[test]
fn a_fallback_that_joins_counts_from_when_the_alert_was_accepted() {
    let mut world = World::new(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(AFTER + 60);
    fall_back(&mut world, FallbackMode::Instead);
    assert_eq!(world.send_to("z", Settled::Delivered).len(), 1, "at once");
}

#[test]
fn a_fallback_that_becomes_a_regular_target_is_told() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.told();
    world.edit("z", |one| one.role = Role::Regular);
    assert_eq!(world.told(), ["z firing"]);
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["a resolved", "b resolved", "z resolved"]);
}
