//! When a group is told, and of what: each rule of Alertmanager's dedup stage.

use fanfare::{
    api::Semantics,
    dispatch::{Mute, Settled},
    routing::GroupBy,
};

use super::{
    super::world::{BEGIN, REPEAT, World},
    INTERVAL, WAIT, by, group, grouping, is_empty, ready, send_to, told, world,
};

#[test]
fn a_new_group_waits_for_company() {
    let mut world = world(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT - 1);
    world.fires_on("y", BEGIN);
    assert!(told(&mut world).is_empty());
    world.wait(1);
    assert_eq!(told(&mut world), ["a first notification: x y", "b first notification: x y"]);
    world.wait(10 * INTERVAL);
    assert!(told(&mut world).is_empty());
}

#[test]
fn an_alert_older_than_the_wait_is_told_at_once() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN - WAIT);
    world.wait(0);
    assert!(told(&mut world).is_empty(), "exactly as old as the wait is not older");
    world.wait(WAIT);
    assert_eq!(told(&mut world).len(), 1);
    let mut world = super::world(&["a"]);
    world.fires_on("x", BEGIN - WAIT - 1);
    world.wait(0);
    assert_eq!(told(&mut world), ["a first notification: x"]);
}

#[test]
fn a_new_alert_is_told_at_the_next_flush() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.wait(1);
    world.fires_on("y", BEGIN - 1_000);
    world.wait(INTERVAL - 2);
    assert!(told(&mut world).is_empty());
    world.wait(1);
    assert_eq!(told(&mut world), ["a new alerts added: x y"]);
}

#[test]
fn what_a_flush_leaves_out_is_counted_once_for_each_target() {
    let mut world = world(&["a", "b"]);
    world.silence("x", 100_000);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    assert_eq!(told(&mut world).len(), 2);
    assert_eq!(world.muted(Mute::Silenced), (1, 2));
    world.wait(2 * INTERVAL);
    assert!(told(&mut world).is_empty());
    assert_eq!(world.muted(Mute::Silenced), (1, 2), "there was no news");
}

#[test]
fn what_was_told_and_is_silenced_is_not_counted() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.silence("x", 100_000);
    world.fires_on("y", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a new alerts added: y"]);
    assert_eq!(world.muted(Mute::Silenced), (1, 0));
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert!(told(&mut world).is_empty());
    assert_eq!(world.muted(Mute::Silenced).1, 1, "its end is not told");
}

#[test]
fn some_resolved_is_told_to_those_who_want_it() {
    let mut world = world(&["a", "b"]);
    world.edit("b", |one| one.send_resolved = false);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a some alerts resolved: x- y"]);
    world.wait(INTERVAL);
    assert!(told(&mut world).is_empty(), "who ended and was told of has left");
    world.fires_on("z", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a new alerts added: y z", "b new alerts added: y z"]);
}

#[test]
fn what_ended_unseen_and_fires_again_is_told() {
    let mut world = world(&["a", "b"]);
    world.edit("b", |one| one.send_resolved = false);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    told(&mut world);
    world.wait(1);
    world.fires_on("x", world.now);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a new alerts added: x y", "b new alerts added: x y"]);
}

#[test]
fn all_resolved_is_told_and_the_group_goes() {
    let mut world = world(&["a", "b"]);
    world.edit("b", |one| one.send_resolved = false);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.ends("x", BEGIN);
    world.ends("y", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a all alerts resolved: x- y-"]);
    world.wait(1);
    world.fires_on("x", world.now);
    world.wait(WAIT);
    assert_eq!(told(&mut world), ["a first notification: x", "b first notification: x"]);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a all alerts resolved: x-"]);
    world.wait(3_600);
    assert!(is_empty(&world), "{:?}", world.disk);
}

#[test]
fn what_came_and_went_is_told_only_beside_what_fires() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(1);
    world.ends("x", BEGIN);
    world.wait(WAIT);
    assert!(told(&mut world).is_empty(), "nobody heard of it");
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    assert_eq!(told(&mut world), ["a first notification: y"]);
    world.fires_on("z", BEGIN);
    world.wait(1);
    world.ends("z", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a some alerts resolved: y z-"]);
}

#[test]
fn what_ended_and_fires_again_between_two_flushes_is_no_news() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.ends("x", BEGIN);
    world.wait(1);
    world.fires_on("x", world.now);
    world.wait(2 * INTERVAL);
    assert!(told(&mut world).is_empty());
}

#[test]
fn what_fires_repeats_at_the_first_flush_after_the_interval() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.wait(REPEAT);
    assert!(told(&mut world).is_empty(), "the flush at that moment is not after it");
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a repeat interval elapsed: x y"]);
    world.ends("y", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a some alerts resolved: x y-"]);
    world.wait(REPEAT);
    assert!(told(&mut world).is_empty(), "it counts from what was told last");
}

#[test]
fn labels_make_groups() {
    let mut world = world(&["a"]);
    group(&mut world, by(&["alertname", "missing"]));
    world.fires_on("x", BEGIN - WAIT - 1);
    world.fires_on("y", BEGIN - WAIT - 1);
    world.wait(0);
    let (notification, ticket) = world.take("a").unwrap();
    assert_eq!(&*notification.group_key, r#"prod/r:{alertname="x"}"#);
    assert_eq!(notification.group_labels.len(), 1);
    assert_eq!(notification.incident_key.len(), 64);
    world.settle(ticket, Settled::Delivered);
    assert_eq!(told(&mut world), ["a first notification: y"]);
    for (by, groups) in [(by(&[]), 1), (grouping(GroupBy::All), 2)] {
        let mut world = super::world(&["a"]);
        group(&mut world, by);
        world.fires_on("x", BEGIN);
        world.fires_on("y", BEGIN);
        world.wait(WAIT);
        assert_eq!(told(&mut world).len(), groups);
    }
}

#[test]
fn who_needs_every_transition_has_each_alert_at_once() {
    let mut world = World::new(&["a", "b"]);
    for one in &mut world.routes.get_mut("r").unwrap().recipients {
        if &*one.target.name == "b" {
            one.limits.semantics = Semantics::Every;
        }
    }
    group(&mut world, by(&["namespace"]));
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.ends("x", BEGIN);
    assert_eq!(world.disk.queue.len(), 3);
    world.wait(WAIT);
    assert_eq!(told(&mut world), ["a first notification: x- y"]);
    assert_eq!(world.disk.queue.len(), 3);
}

#[test]
fn a_group_without_news_writes_nothing_and_wakes_nobody_in_between() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    let writes = world.disk.writes;
    world.wait(INTERVAL - 1);
    assert_eq!(world.state.next_due(world.moment()).unwrap().as_secs(), 1);
    world.wait(10 * INTERVAL);
    assert_eq!(world.disk.writes, writes);
}

#[test]
fn a_notified_group_is_one_record() {
    let mut world = world(&["a", "b", "c"]);
    for name in ["x", "y", "z"] {
        world.fires_on(name, BEGIN);
    }
    world.wait(WAIT);
    let writes = world.disk.writes;
    for target in ["a", "b", "c"] {
        while let Some((_, ticket)) = world.take(target) {
            world.settle(ticket, Settled::Delivered);
        }
    }
    world.commit();
    assert!(world.disk.writes - writes <= 3, "one for each time that somebody took it");
    assert_eq!((world.disk.groups.len(), world.disk.told.len()), (1, 0));
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    send_to(&mut world, "a", Settled::Delivered);
    assert_eq!(ready(&world, "b"), 1);
}

#[test]
fn a_slower_sender_is_believed_at_once() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    told(&mut world);
    world.fires_on("x", BEGIN);
    world.wait(0);
    assert_eq!(told(&mut world), ["a first notification: x"], "it is old");
}

#[test]
fn a_target_is_reminded_of_what_it_was_told_in_groups() {
    use super::super::world::key;
    let mut world = world(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    send_to(&mut world, "a", Settled::Delivered);
    let reminders = |world: &World, target: &str| {
        world.state.reminders(&key(target), super::super::world::at(world.now)).len()
    };
    assert_eq!((reminders(&world, "a"), reminders(&world, "b")), (2, 0));
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    send_to(&mut world, "a", Settled::Delivered);
    world.fires_on("z", BEGIN);
    world.wait(INTERVAL);
    send_to(&mut world, "a", Settled::Delivered);
    assert_eq!(reminders(&world, "a"), 3, "who ended is repeated for a quarter of an hour");
    world.wait(900);
    assert_eq!(reminders(&world, "a"), 2);
}

#[test]
fn what_came_and_went_since_the_flush_waits_for_the_next() {
    let mut world = world(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    send_to(&mut world, "a", Settled::Delivered);
    world.wait(1);
    world.fires_on("w", BEGIN);
    world.wait(1);
    world.ends("w", BEGIN);
    send_to(&mut world, "b", Settled::Delivered);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a some alerts resolved: w- x", "b some alerts resolved: w- x"]);
}
