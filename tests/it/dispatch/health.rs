//! Skip and Hold: what health does to what is owed.

use fanfare::dispatch::{Settled, Verdict};

use super::world::{BEGIN, FAILED, REPEAT, World, key};

fn with(verdict: Verdict) -> World {
    let mut world = World::new(&["a"]);
    world.verdicts.insert("a".into(), verdict);
    world.fires_on("x", BEGIN);
    assert!(world.told().is_empty());
    world
}

#[test]
fn a_skipped_firing_is_settled_until_it_repeats() {
    let mut world = with(Verdict::Skip);
    assert_eq!(world.ends_of(), ["a firing Skipped"]);
    world.verdicts.clear();
    world.fires_on("x", BEGIN);
    world.recover("a");
    world.wait(REPEAT - 1);
    assert!(world.told().is_empty());
    world.wait(1);
    let (_, ticket) = world.take("a").unwrap();
    assert!(ticket.must_commit(), "the disk says that it heard nothing");
    world.settle(ticket, Settled::Delivered);
}

#[test]
fn a_skipped_firing_is_settled_until_it_changes() {
    let mut world = with(Verdict::Skip);
    world.verdicts.clear();
    world.ends("x", BEGIN);
    assert!(world.told().is_empty(), "it heard nothing");
    assert_eq!(world.ends_of(), ["a firing Skipped"], "and that is no news");
    world.wait(1);
    world.fires_on("x", world.now);
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn a_resolve_is_held_never_skipped() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.verdicts.insert("a".into(), Verdict::Skip);
    world.ends("x", BEGIN);
    assert!(world.told().is_empty());
    assert!(world.ends_of().is_empty());
    assert_eq!(world.state.owed()[0].1.held, 1);
    world.wait(7_200);
    assert!(world.told().is_empty());
    world.verdicts.clear();
    world.recover("a");
    assert_eq!(world.told(), ["a resolved"]);
}

#[test]
fn what_is_held_is_tried_one_at_a_time() {
    let mut world = with(Verdict::Hold);
    world.fires_on("y", BEGIN);
    assert!(world.told().is_empty());
    assert_eq!(world.state.owed()[0].1.held, 2);
    world.verdicts.clear();
    assert!(world.told().is_empty(), "it is held until somebody says so");
    let now = world.moment();
    assert_eq!(world.state.release(&key("a"), 1, now), 1);
    assert_eq!(world.send(FAILED).len(), 1, "a real notification is the trial");
    let now = world.moment();
    assert_eq!(world.state.release(&key("a"), 9, now), 1);
    assert_eq!(world.state.release(&key("a"), 9, now), 0);
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn recovery_makes_ready_what_is_held() {
    let mut world = with(Verdict::Hold);
    world.verdicts.clear();
    world.recover("a");
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn a_change_of_what_is_held_holds_the_latest() {
    let mut world = with(Verdict::Hold);
    world.ends("x", BEGIN);
    assert_eq!(world.ends_of(), ["a firing Superseded"]);
    assert!(world.state.owed().is_empty());
    world.wait(1);
    world.fires_on("x", world.now);
    assert!(world.told().is_empty());
    assert_eq!(world.state.owed()[0].1.held, 1);
}

#[test]
fn a_looked_at_lane_gives_others_their_turn() {
    let mut world = World::new(&["a"]);
    for round in 0..300 {
        world.fires_on(&format!("x{round}"), BEGIN);
    }
    let now = world.moment();
    let mut more = 0;
    while matches!(
        world.state.next(&key("a"), now, &mut |_, _| Verdict::Hold),
        fanfare::dispatch::Next::More
    ) {
        more += 1;
    }
    assert_eq!(more, 2);
    assert_eq!(world.state.owed()[0].1.held, 300);
}

#[test]
fn alerts_that_come_and_go_fill_no_queue_of_a_target_that_is_away() {
    let mut world = World::new(&["a"]);
    let verdicts = [Verdict::Hold, Verdict::Send];
    for round in 0..3_000_u32 {
        let name = format!("x{}", round % 7);
        world.verdicts.insert("a".into(), verdicts[round as usize % 2]);
        world.fires_on(&name, world.now);
        if let Some((_, ticket)) = world.take("a") {
            world.settle(ticket, FAILED);
        }
        world.now += 1;
        world.ends(&name, world.now - 1);
        world.ended.clear();
        if round % 100 == 0 {
            world.wait(1_000);
        }
    }
    let size = format!("{:?}", world.state).len();
    assert!(size < 600_000, "{size}");
}
