//! Changes of the configuration: groups that still exist keep their time and what was told.

use std::{sync::Arc, time::Duration};

use fanfare::{
    dispatch::Why,
    routing::{GroupBy, Grouping},
};
use serde_json::json;

use super::{
    super::world::{BEGIN, REPEAT, World, recipient},
    INTERVAL, WAIT, by, group, grouping, is_empty, ready, send_to, told, world,
};
use fanfare::dispatch::Settled;

#[test]
fn an_unrelated_change_resets_no_timer() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT - 1);
    world.route("other", json!({"matcherExpr": "alertname=nobody"}), &["a"]);
    world.configure();
    world.wait(1);
    assert_eq!(told(&mut world), ["a first notification: x"]);
    world.fires_on("y", BEGIN);
    world.wait(INTERVAL - 1);
    world.edit("a", |one| one.limits.max_age = Duration::from_hours(1));
    assert!(told(&mut world).is_empty());
    world.wait(1);
    assert_eq!(told(&mut world), ["a new alerts added: x y"]);
}

#[test]
fn a_target_that_joins_is_told_what_fires_now() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.fires_on("y", BEGIN);
    world.wait(1);
    world.routes.get_mut("r").unwrap().recipients.push(recipient("b"));
    world.configure();
    world.wait(0);
    assert_eq!(told(&mut world), ["b first notification: x y"], "a waits for its flush");
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a new alerts added: x y"]);
}

#[test]
fn what_leaves_with_a_target_or_a_route_is_said_once() {
    for route in [false, true] {
        let mut world = world(&["a", "b", "c"]);
        world.fires_on("x", BEGIN);
        world.wait(WAIT);
        send_to(&mut world, "a", Settled::Delivered);
        send_to(&mut world, "b", Settled::Delivered);
        assert_eq!(ready(&world, "c"), 1);
        if route {
            world.others = ["a", "b", "c"].map(recipient).into();
            world.routes.clear();
        } else {
            world.routes.get_mut("r").unwrap().recipients.truncate(1);
            world.others = vec![recipient("b")];
        }
        world.configure();
        let ends = world.ends_of();
        if route {
            let expected =
                ["a firing RouteDeleted †", "b firing RouteDeleted †", "c firing RouteDeleted"];
            assert_eq!(ends, expected);
            assert!(world.disk.groups.is_empty());
        } else {
            assert_eq!(ends, ["b firing TargetRemoved †", "c firing TargetDeleted"]);
        }
        world.ends("x", BEGIN);
        world.wait(INTERVAL);
        assert_eq!(told(&mut world).len(), usize::from(!route));
        world.wait(3_600);
        assert!(is_empty(&world), "{:?}", world.disk);
    }
}

#[test]
fn an_alert_that_no_longer_matches_is_resolved_for_those_told() {
    let mut world = world(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    send_to(&mut world, "a", Settled::Delivered);
    world.routes.get_mut("r").unwrap().spec = json!({"matcherExpr": "alertname=y"});
    world.configure();
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["b first notification: y"], "nobody hears of x anew");
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a some alerts resolved: x- y"]);
    world.ends("y", BEGIN);
    world.wait(INTERVAL);
    told(&mut world);
    world.wait(3_600);
    assert!(is_empty(&world), "{:?}", world.disk);
}

#[test]
fn while_it_fires_unwanted_the_group_is_not_over() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.routes.get_mut("r").unwrap().spec = json!({"matcherExpr": "alertname=nobody"});
    world.configure();
    world.wait(REPEAT + 2 * INTERVAL);
    assert!(told(&mut world).is_empty(), "not repeated");
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a some alerts resolved: x- y"]);
    world.ends("y", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a all alerts resolved: y-"]);
    world.wait(3_600);
    assert!(is_empty(&world), "{:?}", world.disk);
}

#[test]
fn an_alert_that_matches_again_is_a_member_again() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    for expr in ["alertname=y", "alertname=~\".*\""] {
        world.routes.get_mut("r").unwrap().spec = json!({"matcherExpr": expr});
        world.configure();
    }
    world.wait(INTERVAL);
    assert!(told(&mut world).is_empty(), "it was told");
    world.wait(REPEAT);
    assert_eq!(told(&mut world), ["a repeat interval elapsed: x y"]);
}

#[test]
fn what_matches_again_is_told_under_another_id() {
    for restarts in [false, true] {
        let mut world = world(&["a"]);
        world.fires_on("x", BEGIN);
        world.wait(WAIT);
        let first = world.send(Settled::Delivered);
        world.routes.get_mut("r").unwrap().spec = json!({"matcherExpr": "alertname=y"});
        world.configure();
        world.ends("x", BEGIN);
        world.wait(INTERVAL);
        assert_eq!(told(&mut world), ["a all alerts resolved: x-"]);
        if restarts {
            world.restart();
        }
        // A slower sender: the same incident.
        world.fires_on("x", BEGIN);
        world.routes.get_mut("r").unwrap().spec = json!({});
        world.configure();
        world.wait(2 * INTERVAL);
        let again = world.send(Settled::Delivered);
        assert_eq!((first.len(), again.len()), (1, 1));
        assert_eq!(first[0].0, again[0].0);
        assert_ne!(first[0].1, again[0].1);
    }
}

#[test]
fn what_the_route_does_not_want_makes_no_groups() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.routes.get_mut("r").unwrap().spec = json!({"matcherExpr": "alertname=y"});
    world.configure();
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    told(&mut world);
    for after in [by(&[]), by(&["alertname"]), grouping(GroupBy::All)] {
        group(&mut world, after);
        assert_eq!(format!("{:?}", world.state).matches(" linked: ").count(), 1);
    }
    world.wait(3_600);
    assert!(is_empty(&world), "{:?}", world.disk);
}

fn suspend(world: &mut World, suspended: bool) {
    world.routes.get_mut("r").unwrap().spec = json!({"suspend": suspended});
    world.configure();
}

/// Tells x, changes the grouping, lets y come and both end.
fn regrouped(before: impl Into<Option<Arc<Grouping>>>, after: impl Into<Option<Arc<Grouping>>>) {
    let mut world = World::new(&["a"]);
    group(&mut world, before);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    let (notification, ticket) = world.take("a").unwrap();
    world.settle(ticket, Settled::Delivered);
    group(&mut world, after);
    world.wait(2 * INTERVAL);
    assert!(told(&mut world).is_empty(), "nothing already told is told again");
    world.restart();
    world.wait(2 * INTERVAL);
    assert!(told(&mut world).is_empty(), "nor after a restart");
    world.fires_on("y", world.now);
    world.wait(INTERVAL);
    let (news, ticket) = world.take("a").unwrap();
    assert_eq!(super::words(&news), "a first notification: y");
    world.settle(ticket, Settled::Delivered);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    let (end, ticket) = world.take("a").unwrap();
    assert_eq!(super::words(&end), "a all alerts resolved: x-");
    assert_eq!(end.group_key, notification.group_key, "under its old key");
    world.settle(ticket, Settled::Delivered);
    assert!(told(&mut world).is_empty());
    world.ends("y", BEGIN);
    world.wait(INTERVAL);
    let (end, ticket) = world.take("a").unwrap();
    assert_eq!(
        (super::words(&end).as_str(), &end.group_key),
        ("a all alerts resolved: y-", &news.group_key)
    );
    world.settle(ticket, Settled::Delivered);
    world.wait(3_600);
    assert!(is_empty(&world), "{:?}", world.disk);
}

#[test]
fn another_grouping_drains_the_old_groups() {
    regrouped(by(&["namespace"]), by(&["alertname"]));
}

#[test]
fn a_grouping_that_is_added_drains_what_was_told_alone() {
    regrouped(None, by(&["namespace"]));
}

#[test]
fn a_grouping_that_is_removed_drains_the_groups() {
    regrouped(by(&["namespace"]), None);
}

#[test]
fn what_was_told_alone_before_a_restart_is_ended_though_the_route_is_suspended_and_groups() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    let (notification, ticket) = world.take("a").unwrap();
    world.settle(ticket, Settled::Delivered);
    suspend(&mut world, true);
    world.restart();
    group(&mut world, by(&["namespace"]));
    suspend(&mut world, false);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    let (end, ticket) = world.take("a").unwrap();
    assert_eq!(super::words(&end), "a all alerts resolved: x-");
    assert_eq!(end.group_key, notification.group_key);
    world.settle(ticket, Settled::Delivered);
    world.wait(3_600);
    assert!(is_empty(&world), "{:?}", world.disk);
}

#[test]
fn a_grouping_by_all_labels_goes_on_with_what_was_told_alone() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    let (notification, ticket) = world.take("a").unwrap();
    world.settle(ticket, Settled::Delivered);
    group(&mut world, grouping(GroupBy::All));
    world.wait(INTERVAL);
    assert!(told(&mut world).is_empty());
    world.wait(REPEAT + INTERVAL);
    let (repeat, ticket) = world.take("a").unwrap();
    assert_eq!(repeat.group_key, notification.group_key);
    assert_ne!(repeat.id, notification.id);
    world.settle(ticket, Settled::Delivered);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a all alerts resolved: x-"]);
}

#[test]
fn what_was_told_in_another_group_comes_up_again_when_that_is_old() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    group(&mut world, by(&["alertname"]));
    world.wait(REPEAT + 2 * INTERVAL);
    assert_eq!(told(&mut world), ["a first notification: x"]);
}

#[test]
fn a_change_back_finds_the_groups_as_they_were() {
    let mut world = world(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    send_to(&mut world, "a", Settled::Delivered);
    group(&mut world, by(&["alertname"]));
    group(&mut world, by(&["namespace"]));
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["b first notification: x"]);
    assert!(world.letters().is_empty());
    world.wait(REPEAT + 2 * INTERVAL);
    let repeat = ["a repeat interval elapsed: x", "b repeat interval elapsed: x"];
    assert_eq!(told(&mut world), repeat);
}

#[test]
fn what_is_suspended_keeps_the_latest_state() {
    let mut world = world(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.edit("a", |one| one.suspended = true);
    world.fires_on("y", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["b new alerts added: x y"]);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["b some alerts resolved: x- y"]);
    world.edit("a", |one| one.suspended = false);
    assert_eq!(told(&mut world), ["a new alerts added: x- y"]);
    suspend(&mut world, true);
    world.ends("y", BEGIN);
    world.wait(INTERVAL);
    assert!(told(&mut world).is_empty());
    suspend(&mut world, false);
    let end = ["a all alerts resolved: y-", "b all alerts resolved: y-"];
    assert_eq!(told(&mut world), end);
}

#[test]
fn a_route_that_is_rejected_for_a_while_keeps_its_groups() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.routes.get_mut("r").unwrap().rejected = true;
    world.configure();
    world.wait(1);
    world.restart();
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert!(told(&mut world).is_empty());
    world.routes.get_mut("r").unwrap().rejected = false;
    world.configure();
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a all alerts resolved: x-"]);
    assert!(world.letters().iter().all(|why| *why != Why::TargetRemoved));
}
