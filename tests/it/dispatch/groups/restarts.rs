//! What survives the process: `kill -9` after any commit.

use fanfare::dispatch::{Settled, Verdict};

use super::{
    super::world::{BEGIN, FAILED, REPEAT, recipient},
    INTERVAL, WAIT, is_empty, send, send_to, told, world,
};

#[test]
fn what_was_told_is_not_told_again() {
    let mut world = world(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.restart();
    world.wait(REPEAT);
    assert!(told(&mut world).is_empty());
    world.wait(2 * INTERVAL);
    assert_eq!(told(&mut world).len(), 2, "the repeat survives");
    world.ends("x", BEGIN);
    world.restart();
    world.wait(INTERVAL);
    assert_eq!(told(&mut world).len(), 2);
    world.ends("y", BEGIN);
    world.wait(INTERVAL);
    told(&mut world);
    world.restart();
    world.wait(3_600);
    assert!(told(&mut world).is_empty());
    assert!(is_empty(&world), "{:?}", world.disk);
}

#[test]
fn the_next_flush_comes_an_interval_after_the_last() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.wait(10);
    world.fires_on("y", BEGIN - 1_000);
    world.restart();
    world.wait(INTERVAL - 11);
    assert!(told(&mut world).is_empty());
    world.wait(1);
    assert_eq!(told(&mut world), ["a new alerts added: x y"]);
}

#[test]
fn a_new_group_waits_on() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(10);
    world.restart();
    world.wait(WAIT - 1);
    assert!(told(&mut world).is_empty());
    world.wait(1);
    assert_eq!(told(&mut world), ["a first notification: x"]);
}

#[test]
fn what_was_not_told_is_sent_with_the_same_id() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    let first = world.send(FAILED);
    world.restart();
    world.wait(WAIT);
    assert_eq!(world.send(Settled::Delivered), first);
}

#[test]
fn a_lost_outcome_is_told_again_with_the_same_id_and_resolved() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    let disk = world.disk.clone();
    let first = world.send(Settled::Delivered);
    world.restart_from(disk.clone());
    world.wait(WAIT);
    assert_eq!(world.send(Settled::Delivered), first);
    world.restart_from(disk);
    world.ends("x", BEGIN);
    world.wait(WAIT);
    assert_eq!(told(&mut world), ["a all alerts resolved: x-"], "it may have been told");
    world.restart();
    world.wait(3_600);
    assert!(told(&mut world).is_empty());
    assert!(is_empty(&world), "{:?}", world.disk);
}

#[test]
fn a_transition_between_two_records_may_have_been_told() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    let (_, ticket) = world.take("a").unwrap();
    world.fires_on("x", world.now);
    drop(ticket);
    world.crash();
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a new alerts added: x y"], "its end may have been told");
}

#[test]
fn who_surely_heard_nothing_hears_no_end_after_a_restart_either() {
    let mut world = world(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    send_to(&mut world, "a", FAILED);
    send_to(&mut world, "b", Settled::Delivered);
    world.ends("x", BEGIN);
    world.ends("y", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["b all alerts resolved: x- y-"]);
    world.restart();
    world.wait(INTERVAL);
    assert!(told(&mut world).is_empty());
}

#[test]
fn who_left_the_group_is_not_resolved_again() {
    let mut world = world(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    told(&mut world);
    world.fires_on("z", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world).len(), 2);
    world.restart();
    world.wait(2 * INTERVAL);
    assert!(told(&mut world).is_empty());
}

#[test]
fn what_was_skipped_stays_skipped() {
    let mut world = world(&["a"]);
    world.verdicts.insert("a".into(), Verdict::Skip);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.verdicts.clear();
    world.restart();
    world.wait(INTERVAL);
    assert!(told(&mut world).is_empty());
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert!(told(&mut world).is_empty(), "no end of what was left out");
}

#[test]
fn a_dead_letter_is_written_once() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    send(&mut world, Settled::Rejected);
    assert_eq!(world.letters().len(), 1);
    world.restart();
    world.wait(INTERVAL);
    assert_eq!(send(&mut world, Settled::Rejected).len(), 1);
    assert!(world.letters().is_empty());
}

#[test]
fn a_target_that_joined_while_the_process_was_down_is_told() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.routes.get_mut("r").unwrap().recipients.push(recipient("b"));
    world.restart();
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["b first notification: x"]);
}
