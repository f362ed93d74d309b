//! What becomes of a group's notifications, target by target.

use fanfare::dispatch::{Settled, Verdict, Why};

use super::{
    super::world::{BEGIN, FAILED, REPEAT, UNSURE, key},
    INTERVAL, WAIT, is_empty, ready, send, send_to, told, words, world,
};

#[test]
fn a_failing_target_is_tried_again_and_delays_nobody() {
    let mut world = world(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    send_to(&mut world, "a", Settled::Delivered);
    send_to(&mut world, "b", FAILED);
    world.fires_on("y", BEGIN);
    world.wait(10);
    assert_eq!(send_to(&mut world, "b", FAILED), ["b first notification: x"], "not the news");
    world.wait(INTERVAL - 10);
    assert_eq!(
        told(&mut world),
        ["a new alerts added: x y", "b first notification: x y"],
        "the flush came in time"
    );
    assert_eq!(world.ends_of(), ["b firing Superseded"]);
}

#[test]
fn retries_are_the_same_notification_and_repeats_are_not() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    let first = world.send_to("a", FAILED);
    world.wait(10);
    assert_eq!(world.send_to("a", Settled::Delivered), first);
    world.wait(REPEAT + INTERVAL);
    let repeat = world.send_to("a", Settled::Delivered);
    assert_eq!(repeat.len(), 1);
    assert_ne!(repeat[0].1, first[0].1);
}

#[test]
fn the_same_state_keeps_its_failures_over_a_flush() {
    let mut world = world(&["a"]);
    world.edit("a", |one| one.limits.max_attempts = Some(2));
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    let first = world.send_to("a", FAILED);
    world.wait(INTERVAL);
    let (notification, ticket) = world.take("a").unwrap();
    assert_eq!((ticket.attempts(), &notification.id), (1, &first[0].1));
    world.settle(ticket, FAILED);
    assert_eq!(world.letters(), [Why::MaxAttempts]);
    world.wait(2 * INTERVAL);
    send_to(&mut world, "a", FAILED);
    assert!(world.letters().is_empty(), "one dead letter for a state");
    world.fires_on("y", BEGIN);
    world.wait(INTERVAL);
    send_to(&mut world, "a", FAILED);
    world.wait(10);
    send_to(&mut world, "a", FAILED);
    assert_eq!(world.letters(), [Why::MaxAttempts], "another state");
}

#[test]
fn what_was_refused_is_offered_again_at_the_next_flush() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    assert_eq!(send_to(&mut world, "a", Settled::Rejected).len(), 1);
    assert_eq!(world.letters(), [Why::Rejected]);
    world.wait(INTERVAL - 1);
    assert!(told(&mut world).is_empty());
    world.wait(1);
    assert_eq!(send_to(&mut world, "a", Settled::Rejected), ["a first notification: x"]);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a first notification: x"]);
    assert!(world.letters().is_empty(), "one dead letter for a state");
}

#[test]
fn a_flush_during_an_attempt_is_made_up_for() {
    let mut world = world(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    let (_, ticket) = world.take("a").unwrap();
    send_to(&mut world, "b", Settled::Delivered);
    world.fires_on("y", BEGIN);
    world.wait(INTERVAL + 1);
    assert_eq!(told(&mut world), ["b new alerts added: x y"]);
    world.settle(ticket, Settled::Delivered);
    world.wait(0);
    assert_eq!(told(&mut world), ["a new alerts added: x y"], "at once, not at the next flush");
    assert!(world.ends_of().is_empty());
}

#[test]
fn an_end_goes_to_those_told_and_to_those_who_may_have_been() {
    let mut world = world(&["a", "b", "c"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    send_to(&mut world, "a", Settled::Delivered);
    send_to(&mut world, "b", FAILED);
    send_to(&mut world, "c", UNSURE);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a all alerts resolved: x-", "c all alerts resolved: x-"]);
    assert_eq!(world.ends_of(), ["b firing Superseded", "c firing Superseded"]);
    world.wait(3_600);
    assert!(is_empty(&world), "{:?}", world.disk);
}

#[test]
fn whoever_may_have_heard_of_an_end_is_told_that_it_fires_again() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(send_to(&mut world, "a", UNSURE), ["a some alerts resolved: x- y"]);
    world.fires_on("x", world.now);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a new alerts added: x y"]);
}

#[test]
fn who_ended_leaves_although_a_target_is_dead_that_never_heard_of_it() {
    let mut world = world(&["a", "b"]);
    for name in ["x", "y", "z"] {
        world.fires_on(name, BEGIN);
        world.wait(INTERVAL);
        send_to(&mut world, "a", Settled::Delivered);
        send_to(&mut world, "b", FAILED);
        world.ends(name, BEGIN);
    }
    world.fires_on("on", BEGIN);
    for _ in 0..6 {
        world.wait(INTERVAL);
        send_to(&mut world, "a", Settled::Delivered);
        send_to(&mut world, "b", FAILED);
    }
    assert_eq!(world.state.counts().resolved, 0);
    assert_eq!(ready(&world, "b"), 0);
    world.wait(10);
    assert_eq!(told(&mut world), ["b first notification: on"]);
}

#[test]
fn a_skipped_firing_is_settled_until_something_changes() {
    let mut world = world(&["a"]);
    world.verdicts.insert("a".into(), Verdict::Skip);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    assert!(told(&mut world).is_empty());
    assert_eq!(world.ends_of(), ["a firing Skipped"]);
    world.verdicts.clear();
    world.wait(5 * INTERVAL);
    assert!(told(&mut world).is_empty());
    assert!(world.ends_of().is_empty());
    world.fires_on("y", BEGIN);
    world.wait(INTERVAL);
    let (notification, ticket) = world.take("a").unwrap();
    assert_eq!(words(&notification), "a first notification: x y");
    assert!(ticket.must_commit(), "the disk said that it surely heard nothing of x");
    world.settle(ticket, Settled::Delivered);
}

#[test]
fn a_skipped_firing_needs_no_end_and_repeats() {
    let mut world = world(&["a"]);
    world.verdicts.insert("a".into(), Verdict::Skip);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.verdicts.clear();
    world.wait(REPEAT + INTERVAL);
    assert_eq!(told(&mut world), ["a repeat interval elapsed: x"]);
    let mut world = super::world(&["a"]);
    world.verdicts.insert("a".into(), Verdict::Skip);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.verdicts.clear();
    world.ends("x", BEGIN);
    world.wait(3_600);
    assert!(told(&mut world).is_empty());
    assert!(is_empty(&world), "{:?}", world.disk);
}

#[test]
fn an_end_is_held_not_skipped() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.verdicts.insert("a".into(), Verdict::Skip);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert!(told(&mut world).is_empty());
    assert!(world.ends_of().is_empty());
    world.verdicts.clear();
    world.recover("a");
    assert_eq!(told(&mut world), ["a some alerts resolved: x- y"]);
}

#[test]
fn what_is_held_is_the_newest_state_on_recovery() {
    let mut world = world(&["a"]);
    world.verdicts.insert("a".into(), Verdict::Hold);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    assert!(told(&mut world).is_empty());
    world.fires_on("y", BEGIN);
    world.wait(INTERVAL);
    assert!(told(&mut world).is_empty());
    world.verdicts.clear();
    world.recover("a");
    assert_eq!(told(&mut world), ["a first notification: x y"]);
}

#[test]
fn an_end_that_is_too_old_is_given_up_once() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    send_to(&mut world, "a", FAILED);
    world.wait(24 * 3_600);
    assert_eq!(world.letters(), [Why::MaxAge]);
    world.wait(3_600);
    assert!(told(&mut world).is_empty() && world.letters().is_empty());
    assert!(is_empty(&world), "{:?}", world.disk);
}

#[test]
fn too_many_ends_go_to_the_dead_letters() {
    let mut world = world(&["a"]);
    super::group(&mut world, super::by(&["alertname"]));
    world.edit("a", |one| one.limits.queue.max_notifications = 2);
    for name in ["x", "y", "z"] {
        world.fires_on(name, BEGIN);
        world.wait(1);
    }
    world.wait(WAIT);
    told(&mut world);
    for name in ["x", "y", "z"] {
        world.ends(name, BEGIN);
    }
    world.wait(INTERVAL);
    assert_eq!(world.letters(), [Why::QueueFull]);
    assert_eq!(told(&mut world), ["a all alerts resolved: y-", "a all alerts resolved: z-"]);
    world.wait(3_600);
    assert!(is_empty(&world), "{:?}", world.disk);
}

#[test]
fn what_is_cancelled_or_put_back_stays_owed() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    assert_eq!(
        words(
            &world
                .take("a")
                .map(|(notification, ticket)| {
                    let now = world.moment();
                    world.state.put_back(ticket, now);
                    notification
                })
                .unwrap()
        ),
        "a first notification: x"
    );
    let (_, ticket) = world.take("a").unwrap();
    world.settle(ticket, Settled::Cancelled);
    assert_eq!(told(&mut world), ["a first notification: x"]);
}

#[test]
fn a_dead_letter_can_be_tried_again() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    send_to(&mut world, "a", Settled::Rejected);
    let letter = world.ended.pop().unwrap();
    let (labels, now) = (&letter.notification.group_labels, world.moment());
    assert!(world.state.try_again(&key("a"), &letter.route, labels, now));
    assert_eq!(send(&mut world, Settled::Rejected), ["a first notification: x"]);
    assert_eq!(world.letters(), [Why::Rejected], "another dead letter");
    world.wait(INTERVAL);
    told(&mut world);
    assert!(!world.state.try_again(&key("a"), &letter.route, labels, now), "nothing is owed");
}
