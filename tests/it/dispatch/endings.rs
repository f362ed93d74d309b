//! Routes and targets that go: nothing more is sent, and what stays open is said once.

use fanfare::{dispatch::Settled, publish::Source};
use jiff::Timestamp;
use serde_json::json;

use super::world::{BEGIN, FAILED, World, alert, recipient};

/// x was told to a, y was not.
fn world() -> World {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.fires("y", BEGIN);
    world
}

/// What ended, with the name of the alert; the world is quiet then, over a restart too.
fn ended(world: &mut World) -> Vec<String> {
    let mut all: Vec<String> = world
        .ended
        .iter()
        .map(|one| one.notification.group_labels.get("alertname").to_owned())
        .zip(world.ended.clone())
        .map(|(name, one)| format!("{name} {:?} {}", one.why, one.dead_letter))
        .collect();
    all.sort();
    world.ended.clear();
    world.restart();
    world.ends("x", BEGIN);
    world.ends("y", BEGIN);
    assert!(world.told().is_empty());
    assert!(world.ended.is_empty(), "said once");
    all
}

#[test]
fn a_deleted_route_leaves_what_is_open_to_the_dead_letters() {
    let mut world = world();
    world.routes.clear();
    world.configure();
    assert_eq!(ended(&mut world), ["x RouteDeleted true", "y RouteDeleted false"]);
}

#[test]
fn a_deleted_target_leaves_what_is_open_to_the_dead_letters() {
    let mut world = world();
    world.routes.get_mut("r").unwrap().recipients.clear();
    world.configure();
    assert_eq!(ended(&mut world), ["x TargetDeleted true", "y TargetDeleted false"]);
}

#[test]
fn a_target_taken_off_the_route_hears_nothing_more() {
    let mut world = world();
    world.others = vec![recipient("a")];
    world.routes.get_mut("r").unwrap().recipients.clear();
    world.configure();
    assert_eq!(ended(&mut world), ["x TargetRemoved true", "y TargetRemoved false"]);
}

#[test]
fn a_target_that_revokes_its_permission_hears_nothing_more() {
    let mut world = world();
    world.others = vec![recipient("a")];
    world.forbidden = vec![("r".into(), "a".into())];
    world.routes.get_mut("r").unwrap().recipients.clear();
    world.configure();
    assert_eq!(ended(&mut world), ["x NotPermitted true", "y NotPermitted false"]);
}

#[test]
fn a_recreated_target_starts_with_nothing_told() {
    let mut world = world();
    world.edit("a", |one| one.uid = "another".into());
    assert_eq!(world.ends_of(), ["a firing TargetDeleted †", "a firing TargetDeleted"]);
    assert_eq!(world.told(), ["a firing", "a firing"]);
}

#[test]
fn what_went_while_the_process_was_away_is_said_at_its_start() {
    let mut world = world();
    world.routes.get_mut("r").unwrap().recipients.clear();
    world.commit();
    world.ended.clear();
    world.restart();
    assert_eq!(ended(&mut world), ["x TargetDeleted true"]);
    world.route("r", json!({}), &["a"]);
    world.routes.clear();
    world.restart();
    assert!(world.ended.is_empty());
}

#[test]
fn a_late_answer_says_nothing_about_a_target_that_came_back() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    let (_, ticket) = world.take("a").unwrap();
    let recipients = std::mem::take(&mut world.routes.get_mut("r").unwrap().recipients);
    world.configure();
    assert_eq!(world.ends_of(), ["a firing TargetDeleted †"], "it may have been told");
    world.routes.get_mut("r").unwrap().recipients = recipients;
    world.configure();
    world.settle(ticket, Settled::Delivered);
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn names_are_given_back() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    for round in 0..50 {
        let name = format!("t{round}");
        world.route("r", json!({}), &[&name]);
        world.configure();
        assert_eq!(world.send_to(&name, FAILED).len(), 1);
    }
    let size = format!("{:?}", world.state).len();
    for round in 50..100 {
        let name = format!("t{round}");
        world.route("r", json!({}), &[&name]);
        world.configure();
        world.send_to(&name, FAILED);
    }
    world.state.take_ended();
    assert!(format!("{:?}", world.state).len() < size + 1_000);
}

#[test]
fn nothing_is_said_of_what_was_never_told_of_a_stale_alert() {
    for leaves in [
        |world: &mut World| world.routes.clear(),
        |world: &mut World| world.route("r", json!({"matcherExpr": "alertname=y"}), &["a"]),
    ] {
        let mut world = World::new(&["a"]);
        let mut firing = alert("x", BEGIN, BEGIN, BEGIN);
        (firing.ends_at, firing.timeout) = (Timestamp::MAX, true);
        world.accept(firing, Source::Webhook);
        world.wait(24 * 3_600);
        world.ended.clear();
        leaves(&mut world);
        world.configure();
        assert!(world.ended.is_empty(), "it was superseded when it went stale");
    }
}
