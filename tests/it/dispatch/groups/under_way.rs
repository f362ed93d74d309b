//! Attempts that are under way when the process is killed: the log says something of their members that is true
//! only as long as they have not arrived.

use std::sync::Arc;

use fanfare::{
    alert::Status,
    dispatch::{Settled, Ticket},
    routing::GroupBy,
};

use super::{
    super::world::{BEGIN, FAILED, REPEAT, UNSURE, World},
    INTERVAL, WAIT, by, group, grouping, is_empty, told, words, world,
};

/// Begins an attempt; gives the key of its group.
fn attempt(world: &mut World, expected: &str) -> (Arc<str>, Ticket) {
    let (notification, ticket) = world.take("a").unwrap();
    assert_eq!(words(&notification), expected);
    (notification.group_key.clone(), ticket)
}

/// Ends x and gives the keys of the groups whose end is told.
fn ended(world: &mut World, starts: i64) -> Vec<Arc<str>> {
    world.ends("x", starts);
    let mut keys = Vec::new();
    for _ in 0..2 {
        world.wait(INTERVAL);
        while let Some((notification, ticket)) = world.take("a") {
            assert_eq!(notification.status, Status::Resolved);
            keys.push(notification.group_key.clone());
            world.settle(ticket, Settled::Delivered);
        }
    }
    world.wait(3_600);
    assert!(is_empty(world), "{:?}", world.disk);
    keys
}

fn over_and_fired_by_a_slower_sender() -> World {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    told(&mut world);
    world.fires_on("x", BEGIN);
    world.wait(0);
    world
}

#[test]
fn what_may_have_been_told_in_two_groups_is_ended_in_both() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    let (old, ticket) = attempt(&mut world, "a first notification: x");
    group(&mut world, by(&["alertname"]));
    world.wait(WAIT);
    let (new, _) = attempt(&mut world, "a first notification: x");
    world.settle(ticket, Settled::Delivered);
    world.commit();
    world.crash();
    let keys = ended(&mut world, BEGIN);
    assert!(keys.contains(&old) && keys.contains(&new), "{keys:?}");
}

#[test]
fn a_group_that_once_had_nothing_to_tell_ends_what_it_may_have_told_since() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    group(&mut world, None);
    group(&mut world, grouping(GroupBy::All));
    world.wait(REPEAT + 2 * INTERVAL);
    let (key, _) = attempt(&mut world, "a first notification: x");
    world.crash();
    assert!(ended(&mut world, BEGIN).contains(&key));
}

#[test]
fn what_a_slower_sender_says_may_have_been_told() {
    let mut world = over_and_fired_by_a_slower_sender();
    let (key, _) = attempt(&mut world, "a first notification: x");
    world.crash();
    assert_eq!(ended(&mut world, BEGIN), [key]);
}

#[test]
fn what_surely_did_not_arrive_is_not_ended() {
    let mut world = over_and_fired_by_a_slower_sender();
    let (_, ticket) = attempt(&mut world, "a first notification: x");
    world.settle(ticket, FAILED);
    world.restart();
    assert!(ended(&mut world, BEGIN).is_empty());
}

#[test]
fn a_group_tells_again_what_may_have_been_ended_before_the_route_grouped() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    told_alone(&mut world, Settled::Delivered);
    world.ends("x", BEGIN);
    told_alone(&mut world, UNSURE);
    world.wait(1);
    let starts = world.now;
    world.fires_on("x", starts);
    group(&mut world, grouping(GroupBy::All));
    world.wait(WAIT);
    assert_eq!(told(&mut world), ["a first notification: x"]);
    assert_eq!(ended(&mut world, starts).len(), 1);
}

#[test]
fn what_a_group_had_not_told_may_be_told_when_the_route_groups_no_more() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    told_alone(&mut world, Settled::Rejected);
    group(&mut world, grouping(GroupBy::All));
    group(&mut world, None);
    let (key, _) = attempt(&mut world, "a first notification: x");
    world.crash();
    assert_eq!(ended(&mut world, BEGIN), [key]);
}

fn told_alone(world: &mut World, outcome: Settled) {
    let (_, ticket) = world.take("a").unwrap();
    world.settle(ticket, outcome);
}
