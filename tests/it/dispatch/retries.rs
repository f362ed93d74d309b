//! What failed, was refused or grew too old.

use std::time::Duration;

use fanfare::{
    api::{QueueLimit, Semantics, WhenFull},
    dispatch::{Limits, Settled, Why},
};
use serde_json::json;

use super::world::{BEGIN, BLOCKED, FAILED, REPEAT, UNSURE, World, at};

fn limited(limits: Limits) -> World {
    let mut world = World::new(&["a"]);
    world.edit("a", |one| one.limits = limits);
    world
}

const HOUR: i64 = 3_600;

#[test]
fn what_failed_is_sent_again_after_its_delay_as_the_same_notification() {
    for outcome in [FAILED, UNSURE] {
        let mut world = World::new(&["a"]);
        world.fires("x", BEGIN);
        let first = world.send(outcome);
        world.fires("x", BEGIN);
        assert!(world.told().is_empty(), "a re-send is no reason to try again");
        world.wait(9);
        assert!(world.told().is_empty());
        world.wait(1);
        let (again, ticket) = world.take("a").unwrap();
        assert_eq!((&again.id, ticket.attempts()), (&first[0].1, 1));
    }
}

#[test]
fn delays_are_kept_to_the_millisecond_and_do_not_follow_the_wall_clock() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    let (_, ticket) = world.take("a").unwrap();
    let retry_in = Duration::from_millis(250);
    world.settle(ticket, Settled::Failed { maybe_told: false, retry_in });
    let mut now = world.moment();
    assert_eq!(world.state.next_due(now), Some(retry_in));
    now.wall = at(BEGIN - 7 * HOUR);
    now.mono += Duration::from_millis(249);
    assert!(world.state.tick(now).1.is_empty());
    now.mono += Duration::from_millis(1);
    assert_eq!(world.state.tick(now).1.len(), 1);
}

#[test]
fn recovery_makes_ready_what_failed_what_was_refused_and_what_was_given_up() {
    let mut world = limited(Limits { max_attempts: Some(1), ..Limits::default() });
    for outcome in [FAILED, Settled::Rejected] {
        world.fires("x", BEGIN);
        world.fires("y", BEGIN);
        world.send(outcome);
        assert!(world.told().is_empty());
        world.recover("a");
        assert_eq!(world.told(), ["a firing", "a firing"], "{outcome:?}");
        world.wait(1);
        world.ends("x", BEGIN);
        world.ends("y", BEGIN);
        world.told();
        world = World::new(&["a"]);
    }
}

#[test]
fn news_does_not_wait_for_the_delay_of_the_old_state() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.send(UNSURE);
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["a resolved"]);
}

#[test]
fn a_refused_notification_is_one_dead_letter_and_offered_again_ever_later() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    let first = world.send(Settled::Rejected);
    assert_eq!(world.letters(), [Why::Rejected]);
    for pause in [300, 600, 1_200, 2_400, 4_800, 9_600, REPEAT, REPEAT] {
        world.wait(pause - 1);
        world.fires_on("x", BEGIN);
        assert!(world.told().is_empty());
        world.wait(1);
        assert_eq!(world.send(Settled::Rejected), first, "{pause}");
    }
    assert!(world.letters().is_empty());
    world.ends("x", BEGIN);
    assert!(world.ends_of().is_empty(), "its end is known: the dead letter");
    world.fires("x", world.now + 1);
    assert_eq!(world.send(Settled::Rejected).len(), 1, "a later incident is another matter");
    assert_eq!(world.letters(), [Why::Rejected]);
}

#[test]
fn a_refused_resolve_is_offered_until_it_is_too_old() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.ends("x", BEGIN);
    world.send(Settled::Rejected);
    assert_eq!(world.ends_of(), ["a resolved Rejected †"]);
    world.wait(300);
    assert_eq!(world.send(Settled::Rejected).len(), 1);
    world.wait(25 * HOUR);
    assert_eq!(world.ends_of(), ["a resolved MaxAge"]);
    assert_eq!(world.state.counts().resolved, 0);
}

#[test]
fn too_many_attempts_are_one_dead_letter_and_a_firing_is_tried_on() {
    let mut world = limited(Limits { max_attempts: Some(2), ..Limits::default() });
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(10);
    assert!(world.letters().is_empty());
    world.send(FAILED);
    assert_eq!(world.letters(), [Why::MaxAttempts]);
    for _ in 0..3 {
        world.wait(14);
        assert!(world.send(FAILED).is_empty());
        world.wait(1);
        assert_eq!(world.send(FAILED).len(), 1, "once per unhealthyInterval");
    }
    assert!(world.letters().is_empty());
    world.recover("a");
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn a_resolve_ends_at_its_last_attempt_or_age() {
    let mut world = limited(Limits { max_attempts: Some(1), ..Limits::default() });
    world.fires("x", BEGIN);
    world.told();
    world.ends("x", BEGIN);
    world.send(FAILED);
    assert_eq!(world.ends_of(), ["a resolved MaxAttempts †"]);
    world.recover("a");
    assert!(world.told().is_empty());
    world.wait(15 * 60);
    assert_eq!(world.state.counts().resolved, 0);
    assert!(world.disk.alerts.is_empty());
}

#[test]
fn what_waits_too_long_is_a_dead_letter_even_if_it_was_never_tried() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(24 * HOUR - 1);
    assert!(world.letters().is_empty());
    world.wait(1);
    assert_eq!(world.ends_of(), ["a firing MaxAge †"]);
    world.wait(48 * HOUR);
    assert!(world.letters().is_empty(), "one for each state");
    assert_eq!(world.told(), ["a firing"]);
    world.ends("x", BEGIN);
    world.wait(24 * HOUR);
    assert_eq!(world.ends_of(), ["a resolved MaxAge †"]);
}

#[test]
fn the_age_does_not_count_while_suspended() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(23 * HOUR);
    world.edit("a", |one| one.suspended = true);
    world.wait(48 * HOUR);
    world.edit("a", |one| one.suspended = false);
    world.wait(23 * HOUR);
    assert!(world.letters().is_empty());
    world.wait(HOUR);
    assert_eq!(world.letters(), [Why::MaxAge]);
}

#[test]
fn who_joins_late_has_the_whole_age_to_be_told() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    world.told();
    world.wait(30 * HOUR);
    world.told();
    world.ended.clear();
    world.routes.get_mut("r").unwrap().recipients.push(super::world::recipient("b"));
    world.configure();
    world.send_to("b", FAILED);
    assert!(world.letters().is_empty());
}

fn queue(when_full: WhenFull) -> World {
    let queue = QueueLimit { max_notifications: 2, when_full };
    let mut world = limited(Limits { queue, ..Limits::default() });
    for name in ["x", "y", "z"] {
        world.fires(name, BEGIN);
    }
    world.told();
    for name in ["x", "y", "z"] {
        world.ends(name, BEGIN);
    }
    world
}

#[test]
fn the_oldest_resolve_beyond_the_queue_goes_to_the_dead_letters() {
    for (when_full, gone) in [(WhenFull::DeadLetterOldest, "x"), (WhenFull::DeadLetterNewest, "z")]
    {
        let mut world = queue(when_full);
        assert_eq!(world.ended.len(), 1);
        let ended = world.ended.remove(0);
        assert_eq!((ended.why, ended.dead_letter), (Why::QueueFull, true));
        assert_eq!(ended.notification.group_labels.get("alertname"), gone);
        assert_eq!(world.told().len(), 2);
    }
}

#[test]
fn what_goes_with_the_same_edit_makes_room_for_resolves() {
    let mut world = World::new(&["a"]);
    world.route("r", json!({"matcherExpr": "alertname=x"}), &["a"]);
    world.route("s", json!({"matcherExpr": "alertname=z"}), &["a"]);
    for route in world.routes.values_mut() {
        route.recipients[0].limits.queue.max_notifications = 1;
    }
    world.edit("a", |one| one.limits.semantics = Semantics::Every);
    world.fires("x", BEGIN);
    world.fires("z", BEGIN);
    world.told();
    world.routes.get_mut("r").unwrap().spec["suspend"] = json!(true);
    world.configure();
    world.ends("x", BEGIN);
    world.ends("z", BEGIN);
    world.ended.clear();
    world.routes.remove("s");
    world.edit("a", |one| one.limits.semantics = Semantics::Latest);
    let whys: Vec<Why> = world.ended.iter().map(|one| one.why).collect();
    assert_eq!(whys, [Why::RouteDeleted]);
}

#[test]
fn resolves_that_are_owed_do_not_count_against_the_alerts() {
    let settings = fanfare::dispatch::Settings { max_alerts: 2, ..super::world::settings() };
    let mut world = World::with(settings, &["a"]);
    for round in 0..10 {
        let name = format!("x{round}");
        world.fires(&name, BEGIN);
        while let Some((notification, ticket)) = world.take("a") {
            let firing = notification.status == fanfare::alert::Status::Firing;
            world.settle(ticket, if firing { Settled::Delivered } else { FAILED });
        }
        world.ends(&name, BEGIN);
    }
    world.wait(10);
    assert_eq!(world.state.counts().resolved, 10);
    assert_eq!(world.told().len(), 10);
    assert_eq!(world.state.counts().dropped, 0);
}

#[test]
fn a_dead_letter_counts_every_attempt_that_was_made() {
    let mut world = limited(Limits { max_attempts: Some(3), ..Limits::default() });
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(10);
    world.send(Settled::Rejected);
    assert_eq!(world.ended[0].attempts, 2, "the refused one counts");
    world.fires_on("y", world.now);
    for _ in 0..3 {
        world.send(FAILED);
        world.wait(10);
    }
    assert_eq!((world.ended[1].why, world.ended[1].attempts), (Why::MaxAttempts, 3));
}

#[test]
fn what_is_owed_to_an_address_out_of_bounds_is_never_given_up() {
    let mut world = limited(Limits { max_attempts: Some(3), ..Limits::default() });
    world.fires_on("x", BEGIN);
    world.told();
    world.ends("x", BEGIN);
    world.fires_on("y", BEGIN);
    for _ in 0..60 {
        assert_eq!(world.send(BLOCKED).len(), 2);
        world.wait(HOUR);
    }
    world.verdicts.insert("a".into(), fanfare::dispatch::Verdict::Hold);
    assert!(world.take("a").is_none());
    world.wait(72 * HOUR);
    assert!(world.ends_of().is_empty(), "not even while they are held");
    world.verdicts.clear();
    world.restart();
    world.recover("a");
    let mut told = world.told();
    told.sort();
    assert_eq!(told, ["a firing", "a resolved"]);
}
