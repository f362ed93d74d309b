//! Telling, failing, trying again, resolving.

use fanfare::{
    alert::NotificationReason,
    dispatch::{Settled, Slot},
};
use serde_json::json;

use super::world::{BEGIN, World, at};

const FAILED: Settled = Settled::Failed { maybe_told: false };
const UNSURE: Settled = Settled::Failed { maybe_told: true };

#[test]
fn a_new_alert_is_told_to_every_target_once() {
    let mut world = World::new(&["a", "b"]);
    let slots = world.fires("x", BEGIN);
    assert_eq!(world.told(slots.clone()), ["a firing", "b firing"]);
    assert!(world.told(slots).is_empty());
    world.wait(60);
    assert!(world.fires("x", BEGIN).is_empty());
    world.wait(60);
    assert!(world.fires("x", BEGIN).is_empty());
    assert_eq!(world.state.counts().firing, 1);
}

#[test]
fn a_notification_says_who_and_what() {
    let mut world = World::new(&["a"]);
    let slots = world.fires("x", BEGIN);
    let (notification, ticket) = world.take(&slots[0]).unwrap();
    assert_eq!(&*notification.group_key, "prod/r:{alertname=\"x\", namespace=\"prod\"}");
    assert_eq!(&*notification.receiver, "prod/a");
    assert_eq!(&*notification.external_url, "http://fanfare.example");
    assert_eq!(notification.incident_key.len(), 64);
    assert_eq!(notification.reason, NotificationReason::First);
    assert_eq!((notification.at, notification.members.len()), (at(BEGIN), 1));
    assert_eq!((ticket.slot(), ticket.status()), (&slots[0], notification.status));
    assert!(!notification.id.contains('.'));
}

#[test]
fn only_one_notification_of_a_slot_is_in_flight() {
    let mut world = World::new(&["a"]);
    let slot = world.fires("x", BEGIN).remove(0);
    let (_, ticket) = world.take(&slot).unwrap();
    assert!(world.take(&slot).is_none());
    assert!(world.fires("x", BEGIN).is_empty());
    assert!(world.ends("x", BEGIN).is_empty());
    let newer = world.state.settle(ticket, Settled::Delivered, at(BEGIN)).unwrap();
    assert_eq!(world.told(vec![newer]), ["a resolved"]);
}

#[test]
fn a_failed_target_is_tried_at_each_resend_and_on_recovery() {
    for outcome in [FAILED, UNSURE, Settled::Skipped] {
        let mut world = World::new(&["a", "b"]);
        let slots = world.fires("x", BEGIN);
        let (a, b): (Vec<_>, Vec<_>) =
            slots.into_iter().partition(|slot| *slot.target.name == *"a");
        let first = world.send(a, outcome).remove(0);
        world.told(b);
        world.wait(30);
        let again = world.fires("x", BEGIN);
        let second = world.send(again, outcome).remove(0);
        assert_eq!(first, second, "a retry is the same notification");
        let slots = world.recover("a");
        assert_eq!(world.told(slots), ["a firing"], "{outcome:?}");
        assert!(world.fires("x", BEGIN).is_empty());
        assert!(world.recover("b").is_empty());
    }
}

#[test]
fn what_failed_is_offered_again_after_a_growing_pause() {
    let mut world = World::new(&["a"]);
    let slots = world.fires("x", BEGIN);
    world.send(slots, FAILED);
    assert!(world.wait(59).is_empty());
    let slots = world.wait(1);
    world.send(slots, FAILED);
    assert!(world.wait(119).is_empty());
    let slots = world.wait(1);
    assert_eq!(world.told(slots), ["a firing"]);
}

#[test]
fn a_skipped_firing_is_not_offered_by_time() {
    let mut world = World::new(&["a"]);
    let slots = world.fires("x", BEGIN);
    world.send(slots, Settled::Skipped);
    assert!(world.wait(250).is_empty());
}

#[test]
fn a_refused_notification_waits_before_it_is_offered_again() {
    let mut world = World::new(&["a"]);
    let slots = world.fires("x", BEGIN);
    world.send(slots, Settled::Rejected);
    world.wait(60);
    assert!(world.fires("x", BEGIN).is_empty());
    world.wait(200);
    assert!(world.fires("x", BEGIN).is_empty());
    let slots = world.wait(40);
    assert_eq!(world.send(slots, Settled::Rejected).len(), 1);
    world.ends("x", BEGIN);
    assert_eq!(world.fires("x", world.now + 1).len(), 1, "a later incident is another matter");
}

#[test]
fn a_resolve_goes_to_those_told_only() {
    let mut world = World::new(&["deaf", "told", "unsure"]);
    for slot in world.fires("x", BEGIN) {
        let outcome = match &*slot.target.name {
            "deaf" => FAILED,
            "told" => Settled::Delivered,
            _ => UNSURE,
        };
        world.send(vec![slot], outcome);
    }
    world.wait(60);
    let slots = world.ends("x", BEGIN);
    assert_eq!(world.told(slots), ["told resolved", "unsure resolved"]);
    let superseded = world.state.take_superseded();
    assert_eq!(superseded, [("prod/deaf".parse().unwrap(), 1)]);
    assert!(world.ends("x", BEGIN).is_empty());
    assert!(world.recover("deaf").is_empty());
}

#[test]
fn a_failed_resolve_stays_owed() {
    let mut world = World::new(&["a"]);
    let slots = world.fires("x", BEGIN);
    world.told(slots);
    world.wait(60);
    let slots = world.ends("x", BEGIN);
    assert_eq!(world.send(slots, Settled::Skipped).len(), 1);
    let slots = world.ends("x", BEGIN);
    assert_eq!(world.send(slots, FAILED).len(), 1);
    let slots = world.wait(3_600);
    assert!(!slots.is_empty());
    assert_eq!(world.told(slots), ["a resolved"]);
}

#[test]
fn an_alert_that_ended_while_its_firing_was_under_way_is_superseded_or_resolved() {
    for (outcome, owed, superseded) in
        [(FAILED, false, 1), (UNSURE, true, 0), (Settled::Delivered, true, 0)]
    {
        let mut world = World::new(&["a"]);
        let slot = world.fires("x", BEGIN).remove(0);
        let (_, ticket) = world.take(&slot).unwrap();
        world.ends("x", BEGIN);
        assert_eq!(world.state.settle(ticket, outcome, at(BEGIN)).is_some(), owed, "{outcome:?}");
        assert_eq!(world.state.take_superseded().len(), superseded, "{outcome:?}");
    }
}

#[test]
fn every_notification_has_its_own_id() {
    let mut world = World::new(&["a", "b"]);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let start = world.now;
        let slots = world.fires("x", start);
        ids.extend(world.send(slots, Settled::Delivered));
        world.wait(60);
        let slots = world.ends("x", start);
        ids.extend(world.send(slots, Settled::Delivered));
        world.wait(60);
    }
    assert_eq!(ids.len(), 12);
    let distinct: std::collections::HashSet<_> = ids.iter().map(|(_, id)| id.clone()).collect();
    assert_eq!(distinct.len(), 12);
}

#[test]
fn a_later_incident_is_told_though_the_end_of_the_first_was_not() {
    let mut world = World::new(&["a"]);
    let slots = world.fires("x", BEGIN);
    world.told(slots);
    world.wait(60);
    let slots = world.ends("x", BEGIN);
    world.send(slots, FAILED);
    world.wait(30);
    let start = world.now;
    let slots = world.fires("x", start);
    assert_eq!(world.told(slots), ["a firing"]);
}

#[test]
fn without_send_resolved_the_end_is_noted_and_the_next_firing_is_told() {
    let mut world = World::new(&["a"]);
    world.edit("a", |one| one.send_resolved = false);
    let slots = world.fires("x", BEGIN);
    let first = world.send(slots, Settled::Delivered);
    world.wait(60);
    assert!(world.ends("x", BEGIN).is_empty());
    world.wait(130);
    world.fires("x", BEGIN);
    let slots = world.wait(120);
    let second = world.send(slots, Settled::Delivered);
    assert_eq!(second[0].0, "a firing");
    assert_ne!(first[0].1, second[0].1);
}

#[test]
fn two_routes_to_one_target_tell_it_twice() {
    let mut world = World::new(&["a"]);
    world.route("s", json!({"matcherExpr": "alertname=x"}), &["a"]);
    world.configure();
    let slots = world.fires("x", BEGIN);
    let routes: Vec<_> = slots.iter().map(|slot: &Slot| slot.route.name.to_string()).collect();
    assert_eq!(routes, ["r", "s"]);
    assert_eq!(world.told(slots).len(), 2);
    assert_eq!(world.fires("y", BEGIN).len(), 1);
}

#[test]
fn a_target_is_reminded_of_what_it_was_told() {
    let mut world = World::new(&["a", "b"]);
    let reminded = |world: &World, target: &str| {
        let key = format!("prod/{target}").parse().unwrap();
        let mut names: Vec<String> = world
            .state
            .reminders(&key, at(world.now))
            .iter()
            .map(|one| format!("{} {}", one.alert.label("alertname"), one.status.as_str()))
            .collect();
        names.sort();
        names
    };
    world.route("s", json!({}), &["a"]);
    world.configure();
    for name in ["x", "y", "z"] {
        let slots = world.fires(name, BEGIN);
        let to_a =
            slots.into_iter().filter(|slot| *slot.target.name == *"a" && name != "z").collect();
        world.told(to_a);
    }
    let slots = world.ends("y", BEGIN);
    world.told(slots);
    assert_eq!(reminded(&world, "a"), ["x firing", "y resolved"]);
    assert!(reminded(&world, "b").is_empty());
    for _ in 0..4 {
        world.wait(240);
        world.fires("x", BEGIN);
    }
    assert_eq!(reminded(&world, "a"), ["x firing"]);
    world.edit("a", |one| one.suspended = true);
    world.routes.remove("s");
    world.configure();
    assert!(reminded(&world, "a").is_empty());
}
