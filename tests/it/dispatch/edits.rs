//! What changes of configuration do.

use fanfare::dispatch::Settled;
use serde_json::json;

use super::world::{BEGIN, World, recipient};

const FAILED: Settled = Settled::Failed { maybe_told: false };

fn told_world() -> World {
    let mut world = World::new(&["a"]);
    let slots = world.fires("x", BEGIN);
    world.told(slots);
    world
}

#[test]
fn a_target_that_joins_is_told_what_fires() {
    let mut world = told_world();
    world.routes.get_mut("r").unwrap().recipients.push(recipient("b"));
    let slots = world.configure();
    assert_eq!(world.told(slots), ["b firing"]);
    assert!(world.configure().is_empty());
}

#[test]
fn a_change_does_not_repeat_what_failed() {
    let mut world = World::new(&["a"]);
    let slots = world.fires("x", BEGIN);
    world.send(slots, FAILED);
    world.routes.get_mut("r").unwrap().recipients.push(recipient("b"));
    let slots = world.configure();
    assert_eq!(world.told(slots), ["b firing"]);
}

#[test]
fn an_alert_that_no_longer_matches_is_resolved_but_not_repeated() {
    let mut world = told_world();
    world.routes.get_mut("r").unwrap().recipients.push(recipient("b"));
    world.routes.get_mut("r").unwrap().spec = json!({"matcherExpr": "alertname=other"});
    assert!(world.configure().is_empty());
    assert!(world.fires("x", BEGIN).is_empty());
    let slots = world.ends("x", BEGIN);
    assert_eq!(world.told(slots), ["a resolved"]);
}

#[test]
fn a_suspended_route_tells_nothing_and_the_difference_afterwards() {
    let mut world = told_world();
    world.routes.get_mut("r").unwrap().spec = json!({"suspend": true});
    assert!(world.configure().is_empty());
    assert!(world.ends("x", BEGIN).is_empty());
    assert!(world.fires("y", BEGIN).is_empty());
    let accepted = world
        .accept(super::world::alert("z", BEGIN, BEGIN + 300, BEGIN), fanfare::publish::Source::V2);
    assert_eq!(accepted.0.unrouted, 0, "muted is not unrouted");
    world.wait(280);
    world.routes.get_mut("r").unwrap().spec = json!({});
    let slots = world.configure();
    let mut told = world.told(slots);
    told.sort();
    assert_eq!(told, ["a firing", "a firing", "a resolved"]);
}

#[test]
fn what_is_owed_to_a_suspended_target_is_held() {
    let mut world = told_world();
    let slots = world.fires("y", BEGIN);
    world.send(slots.clone(), FAILED);
    world.edit("a", |one| one.suspended = true);
    assert!(world.take(&slots[0]).is_none());
    assert!(world.ends("x", BEGIN).is_empty());
    assert!(world.recover("a").is_empty());
    assert!(world.wait(250).is_empty());
    let slots = world.edit("a", |one| one.suspended = false);
    let mut told = world.told(slots);
    told.sort();
    assert_eq!(told, ["a firing", "a resolved"]);
}

#[test]
fn what_is_owed_to_a_suspended_target_is_not_forgotten() {
    let mut world = told_world();
    world.edit("a", |one| one.suspended = true);
    world.ends("x", BEGIN);
    world.wait(7 * 24 * 3_600);
    let slots = world.edit("a", |one| one.suspended = false);
    assert_eq!(world.told(slots), ["a resolved"]);
    world.wait(15 * 60);
    assert_eq!(world.state.counts().resolved, 0);
}

#[test]
fn a_recreated_target_starts_with_nothing_told() {
    let mut world = told_world();
    let slots = world.edit("a", |one| one.uid = "another".into());
    assert_eq!(world.told(slots), ["a firing"]);
}

#[test]
fn nothing_is_sent_for_a_target_that_left_or_a_route_that_is_gone() {
    let mut world = told_world();
    let slots = world.fires("y", BEGIN);
    let (_, ticket) = world.take(&slots[0]).unwrap();
    world.routes.get_mut("r").unwrap().recipients.clear();
    world.configure();
    assert!(world.ends("x", BEGIN).is_empty());
    world.routes.clear();
    world.configure();
    assert!(world.take(&slots[0]).is_none());
    let now = super::world::at(world.now);
    assert!(world.state.settle(ticket, Settled::Delivered, now).is_none());
}

#[test]
fn a_late_answer_says_nothing_about_a_target_that_came_back() {
    let mut world = World::new(&["a"]);
    let slot = world.fires("x", BEGIN).remove(0);
    let (_, ticket) = world.take(&slot).unwrap();
    let recipients = std::mem::take(&mut world.routes.get_mut("r").unwrap().recipients);
    world.configure();
    world.routes.get_mut("r").unwrap().recipients = recipients;
    world.configure();
    assert!(world.state.settle(ticket, Settled::Delivered, super::world::at(BEGIN)).is_none());
    assert_eq!(world.told(vec![slot]), ["a firing"]);
}

#[test]
fn a_new_final_route_takes_over_from_a_lower_one() {
    let mut world = told_world();
    world.route("f", json!({"final": true, "priority": 1, "matcherExpr": "alertname=x"}), &["b"]);
    let slots = world.configure();
    assert_eq!(world.told(slots), ["b firing"]);
    assert!(world.edit("a", |one| one.uid = "another".into()).is_empty(), "r lost the alert");
    world.routes.remove("f");
    let slots = world.configure();
    assert_eq!(world.told(slots), ["a firing"]);
}
