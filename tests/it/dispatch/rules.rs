//! Telling, resolving, repeating: one in flight, one owed.

use fanfare::{alert::NotificationReason, dispatch::Settled};
use serde_json::json;

use super::world::{BEGIN, FAILED, REPEAT, UNSURE, World, at, key};

#[test]
fn a_new_alert_is_told_to_every_target_once() {
    let mut world = World::new(&["a", "b"]);
    world.fires("x", BEGIN);
    assert_eq!(world.told(), ["a firing", "b firing"]);
    for _ in 0..2 {
        world.wait(60);
        world.fires("x", BEGIN);
        assert!(world.told().is_empty());
    }
    assert_eq!(world.state.counts().firing, 1);
}

#[test]
fn nothing_is_sent_before_it_is_on_disk() {
    let mut world = World::new(&["a"]);
    let now = world.moment();
    let first = super::world::alert("x", BEGIN, BEGIN + 300, BEGIN);
    let (_, owed) = world.state.accept(vec![first], fanfare::publish::Source::V2, now);
    assert!(!owed.is_empty());
    assert!(world.take("a").is_none());
    let over = super::world::alert("x", BEGIN, BEGIN, BEGIN);
    let (_, later) = world.state.accept(vec![over], fanfare::publish::Source::V2, now);
    assert!(world.state.enqueue(owed, now).is_empty(), "the second change is not on disk yet");
    assert!(world.take("a").is_none());
    assert!(world.state.enqueue(later, now).is_empty());
    world.fires("y", BEGIN);
    let now = world.moment();
    let again = super::world::alert("z", BEGIN, BEGIN + 300, BEGIN);
    let (_, owed) = world.state.accept(vec![again], fanfare::publish::Source::V2, now);
    assert_eq!(world.state.enqueue(owed, now), [key("a")]);
}

#[test]
fn a_change_that_is_not_on_disk_takes_back_what_was_ready() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.ends("x", BEGIN);
    world.now += 1;
    let now = world.moment();
    let again = super::world::alert("x", BEGIN + 1, BEGIN + 300, BEGIN + 1);
    let (_, owed) = world.state.accept(vec![again], fanfare::publish::Source::V2, now);
    assert!(world.take("a").is_none(), "what it says now may be lost");
    world.settle_accounts(owed);
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn what_follows_an_attempt_waits_for_the_disk_too() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    let (_, ticket) = world.take("a").unwrap();
    let now = world.moment();
    let over = super::world::alert("x", BEGIN, BEGIN, BEGIN);
    let (_, owed) = world.state.accept(vec![over], fanfare::publish::Source::V2, now);
    world.settle(ticket, Settled::Delivered);
    assert!(world.take("a").is_none());
    world.settle_accounts(owed);
    assert_eq!(world.told(), ["a resolved"]);
}

#[test]
fn a_resend_without_a_change_writes_nothing() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    let writes = world.disk.writes;
    for _ in 0..10 {
        world.wait(60);
        world.fires("x", BEGIN);
    }
    assert_eq!(world.disk.writes, writes);
}

#[test]
fn an_alert_costs_one_record_and_its_log_one_per_batch() {
    let targets: Vec<String> = (0..10).map(|at| format!("t{at}")).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let mut world = World::new(&targets);
    world.fires("x", BEGIN);
    assert_eq!(world.disk.writes, 1);
    let now = world.moment();
    for target in &targets {
        let (_, ticket) = world.take(target).unwrap();
        drop(world.state.settle(ticket, Settled::Delivered, now));
    }
    world.commit();
    assert_eq!(world.disk.writes, 2);
}

#[test]
fn a_notification_says_who_and_what() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    let (notification, ticket) = world.take("a").unwrap();
    assert_eq!(&*notification.group_key, "prod/r:{alertname=\"x\", namespace=\"prod\"}");
    assert_eq!(&*notification.receiver, "prod/a");
    assert_eq!(&*notification.external_url, "http://fanfare.example");
    assert_eq!(notification.incident_key.len(), 64);
    assert_eq!(notification.reason, NotificationReason::First);
    assert_eq!((notification.at, notification.members.len()), (at(BEGIN), 1));
    assert_eq!((ticket.status(), ticket.attempts()), (notification.status, 0));
    assert_eq!((ticket.route().to_string(), ticket.changed_at()), ("prod/r".into(), at(BEGIN)));
    assert!(!notification.id.contains('.') && !ticket.must_commit());
}

#[test]
fn only_one_notification_of_a_slot_is_in_flight() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    let (_, ticket) = world.take("a").unwrap();
    assert!(world.take("a").is_none());
    world.fires("x", BEGIN);
    world.ends("x", BEGIN);
    assert!(world.take("a").is_none());
    world.settle(ticket, Settled::Delivered);
    assert_eq!(world.told(), ["a resolved"]);
}

#[test]
fn a_resolve_waits_for_the_end_of_its_firing() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    let (_, ticket) = world.take("a").unwrap();
    world.ends("x", BEGIN);
    world.wait(30);
    assert!(world.take("a").is_none(), "the attempt that timed out is still open");
    world.settle(ticket, UNSURE);
    assert_eq!(world.told(), ["a resolved"]);
}

#[test]
fn a_resolve_goes_to_those_told_only() {
    let mut world = World::new(&["deaf", "told", "unsure"]);
    world.fires("x", BEGIN);
    world.send_to("deaf", FAILED);
    world.send_to("told", Settled::Delivered);
    world.send_to("unsure", UNSURE);
    world.wait(1);
    world.ends("x", BEGIN);
    assert_eq!(world.ends_of(), ["deaf firing Superseded", "unsure firing Superseded"]);
    assert_eq!(world.told(), ["told resolved", "unsure resolved"]);
    world.recover("deaf");
    assert!(world.told().is_empty());
}

#[test]
fn an_alert_that_ended_while_its_firing_was_under_way_is_superseded_or_resolved() {
    for (outcome, owed, superseded) in
        [(FAILED, false, 1), (UNSURE, true, 1), (Settled::Delivered, true, 0)]
    {
        let mut world = World::new(&["a"]);
        world.fires("x", BEGIN);
        let (_, ticket) = world.take("a").unwrap();
        world.ends("x", BEGIN);
        assert!(world.ends_of().is_empty());
        world.settle(ticket, outcome);
        assert_eq!(world.ends_of().len(), superseded, "{outcome:?}");
        assert_eq!(world.told().len(), usize::from(owed), "{outcome:?}");
    }
}

#[test]
fn a_later_incident_is_told_though_the_end_of_the_first_was_not() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.wait(60);
    world.ends("x", BEGIN);
    world.send(FAILED);
    world.wait(5);
    world.fires("x", world.now);
    assert_eq!(world.ends_of(), ["a resolved Superseded"]);
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn without_send_resolved_the_end_is_noted_and_the_next_firing_is_told() {
    let mut world = World::new(&["a"]);
    world.edit("a", |one| one.send_resolved = false);
    world.fires("x", BEGIN);
    let first = world.send(Settled::Delivered);
    world.wait(60);
    world.ends("x", BEGIN);
    assert!(world.told().is_empty());
    world.wait(130);
    world.fires("x", BEGIN);
    assert!(world.told().is_empty());
    world.wait(120);
    let second = world.send(Settled::Delivered);
    assert_eq!(second[0].0, "a firing");
    assert_ne!(first[0].1, second[0].1);
}

#[test]
fn two_routes_to_one_target_tell_it_twice() {
    let mut world = World::new(&["a"]);
    world.route("s", json!({"matcherExpr": "alertname=x"}), &["a"]);
    world.configure();
    world.fires("x", BEGIN);
    let ids = world.send(Settled::Delivered);
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0].1, ids[1].1);
    world.fires("y", BEGIN);
    assert_eq!(world.told().len(), 1);
}

#[test]
fn every_notification_has_its_own_id() {
    let mut world = World::new(&["a", "b"]);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let start = world.now;
        world.fires("x", start);
        ids.extend(world.send(Settled::Delivered));
        world.wait(60);
        world.ends("x", start);
        ids.extend(world.send(Settled::Delivered));
        world.wait(60);
    }
    assert_eq!(ids.len(), 12);
    let distinct: std::collections::HashSet<_> = ids.iter().map(|(_, id)| id.clone()).collect();
    assert_eq!(distinct.len(), 12);
}

#[test]
fn what_fires_repeats_after_the_interval_with_a_new_id() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    let first = world.send(Settled::Delivered);
    world.wait(REPEAT - 1);
    assert!(world.told().is_empty());
    world.wait(1);
    let (notification, ticket) = world.take("a").unwrap();
    assert_eq!(notification.reason, NotificationReason::Repeat);
    assert_eq!(ticket.changed_at(), at(BEGIN + REPEAT), "its age counts from the repeat");
    assert_ne!(notification.id, first[0].1);
    world.settle(ticket, Settled::Delivered);
    world.wait(REPEAT);
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["a resolved"]);
    world.wait(3 * REPEAT);
    assert!(world.told().is_empty(), "what is over does not repeat");
}

#[test]
fn texts_and_times_alone_are_never_owed() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    let mut again = super::world::alert("x", BEGIN - 50, BEGIN + 900, BEGIN);
    again.annotations = fanfare::alert::Labels::from_iter([("text", "new")]);
    world.accept(again, fanfare::publish::Source::V2);
    assert!(world.told().is_empty());
    world.wait(1);
    world.edit("a", |one| one.uid = "another".into());
    let (notification, _ticket) = world.take("a").unwrap();
    assert_eq!(notification.members[0].alert.annotations.get("text"), "new");
}

#[test]
fn a_notification_that_was_put_back_is_the_next_one() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.fires("y", BEGIN);
    let (first, ticket) = world.take("a").unwrap();
    let now = world.moment();
    world.state.put_back(ticket, now);
    let (again, ticket) = world.take("a").unwrap();
    assert_eq!(first.id, again.id);
    world.ends("x", BEGIN);
    world.state.put_back(ticket, now);
    world.commit();
    assert_eq!(world.ends_of(), ["a firing Superseded"]);
    assert_eq!(world.told(), ["a firing"], "that is y");
}

#[test]
fn what_is_cancelled_stays_owed() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    let (first, ticket) = world.take("a").unwrap();
    world.settle(ticket, Settled::Cancelled);
    assert_eq!(world.send(Settled::Delivered)[0].1, first.id);
}

#[test]
fn what_is_owed_can_be_counted() {
    let mut world = World::new(&["a", "b"]);
    world.fires("x", BEGIN);
    world.wait(5);
    world.fires("y", BEGIN);
    let (_, _ticket) = world.take("a").unwrap();
    world.send_to("b", FAILED);
    let owed = world.state.owed();
    let of = |name: &str| owed.iter().find(|(target, _)| *target == key(name)).unwrap().1;
    assert_eq!((of("a").ready, of("a").in_flight, of("a").total()), (1, 1, 2));
    assert_eq!((of("b").waiting, of("b").oldest), (2, Some(at(BEGIN))));
    world.wait(10);
    world.send_to("b", Settled::Delivered);
    assert_eq!(world.state.owed().len(), 1);
}

#[test]
fn a_target_is_reminded_of_what_it_was_told() {
    let mut world = World::new(&["a", "b"]);
    let reminded = |world: &World, target: &str| {
        let mut names: Vec<String> = world
            .state
            .reminders(&key(target), at(world.now))
            .iter()
            .map(|one| format!("{} {}", one.alert.label("alertname"), one.status.as_str()))
            .collect();
        names.sort();
        names
    };
    world.route("s", json!({}), &["a"]);
    world.configure();
    for name in ["x", "y"] {
        world.fires(name, BEGIN);
        world.send_to("a", Settled::Delivered);
    }
    world.fires("z", BEGIN);
    world.ends("y", BEGIN);
    while let Some((notification, ticket)) = world.take("a") {
        let untold = notification.group_labels.get("alertname") == "z";
        world.settle(ticket, if untold { FAILED } else { Settled::Delivered });
    }
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

#[test]
fn a_repeat_is_noticed_once_however_long_the_disk_takes() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    world.told();
    world.now += REPEAT;
    let (owed, _) = world.state.tick(world.moment());
    assert_eq!(owed.len(), 1);
    for _ in 0..3 {
        world.now += 1;
        assert!(world.state.tick(world.moment()).0.is_empty());
    }
    world.settle_accounts(owed);
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn each_incident_begins_with_a_first_notification() {
    let mut world = World::new(&["a"]);
    let mut reasons = Vec::new();
    for _ in 0..2 {
        let starts = world.now;
        world.fires_on("x", starts);
        world.wait(10);
        let (notification, ticket) = world.take("a").unwrap();
        reasons.push(notification.reason);
        world.settle(ticket, Settled::Delivered);
        world.ends("x", starts);
        assert_eq!(world.told(), ["a resolved"]);
        world.wait(10);
    }
    assert_eq!(reasons, [NotificationReason::First; 2]);
}
