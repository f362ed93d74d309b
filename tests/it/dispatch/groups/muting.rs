//! Members that are absent: silenced, for one.

use fanfare::dispatch::Settled;

use super::{
    super::world::{BEGIN, FAILED},
    INTERVAL, WAIT, group, is_empty, send_to, told, world,
};

const HOUR: i64 = 3_600;

#[test]
fn a_silenced_member_is_told_when_the_silence_is_over() {
    let mut world = world(&["a"]);
    world.silence("x", HOUR);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    assert_eq!(told(&mut world), ["a first notification: y"]);
    world.wait(HOUR);
    assert_eq!(told(&mut world), ["a new alerts added: x y"]);
}

#[test]
fn an_end_under_a_silence_is_told_afterwards() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.silence("x", HOUR);
    world.ends("x", BEGIN);
    world.wait(2 * INTERVAL);
    assert!(told(&mut world).is_empty());
    world.wait(HOUR);
    assert_eq!(told(&mut world), ["a some alerts resolved: x- y"]);
    world.ends("y", BEGIN);
    world.wait(INTERVAL);
    told(&mut world);
    world.wait(150 * HOUR);
    assert!(is_empty(&world), "{:?}", world.disk);
}

#[test]
fn what_fires_on_under_a_silence_is_told_anew_if_the_group_was_over_meanwhile() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    world.silence("x", HOUR);
    world.ends("y", BEGIN);
    world.wait(INTERVAL);
    assert_eq!(told(&mut world), ["a all alerts resolved: y-"]);
    world.wait(HOUR + INTERVAL);
    assert_eq!(told(&mut world), ["a first notification: x"]);
}

#[test]
fn a_silence_takes_back_what_is_owed_of_a_member() {
    let mut world = world(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    send_to(&mut world, "a", Settled::Delivered);
    send_to(&mut world, "b", FAILED);
    world.silence("x", HOUR);
    world.wait(10);
    assert_eq!(told(&mut world), ["b first notification: y"]);
}

#[test]
fn an_end_under_a_silence_is_told_though_the_route_groups_no_more() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.wait(WAIT);
    told(&mut world);
    group(&mut world, None);
    let silence = world.silence("x", HOUR);
    world.ends("x", BEGIN);
    world.wait(INTERVAL);
    assert!(told(&mut world).is_empty());
    world.unsilence(silence);
    world.wait(0);
    assert_eq!(told(&mut world), ["a all alerts resolved: x-"]);
    world.wait(HOUR);
    assert!(is_empty(&world), "{:?}", world.disk);
}

#[test]
fn what_is_put_back_is_not_sent_if_it_was_silenced_meanwhile() {
    let mut world = world(&["a"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.wait(WAIT);
    let (_, ticket) = world.take("a").unwrap();
    world.silence("x", HOUR);
    world.wait(0);
    let now = world.moment();
    world.state.put_back(ticket, now);
    world.wait(0);
    assert_eq!(told(&mut world), ["a first notification: y"]);
}
