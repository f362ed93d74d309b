//! What changes of configuration do.

use serde_json::json;

use super::world::{BEGIN, FAILED, World, at, key, recipient};

fn told_world() -> World {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world
}

#[test]
fn a_target_that_joins_is_told_what_fires() {
    let mut world = told_world();
    world.routes.get_mut("r").unwrap().recipients.push(recipient("b"));
    world.configure();
    assert_eq!(world.told(), ["b firing"]);
    world.configure();
    assert!(world.told().is_empty());
}

#[test]
fn who_joins_after_the_end_hears_nothing() {
    let mut world = told_world();
    world.ends("x", BEGIN);
    world.told();
    world.routes.get_mut("r").unwrap().recipients.push(recipient("b"));
    world.route("s", json!({}), &["c"]);
    world.configure();
    world.restart();
    assert!(world.told().is_empty());
}

#[test]
fn a_change_does_not_repeat_what_failed() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.send(FAILED);
    world.routes.get_mut("r").unwrap().recipients.push(recipient("b"));
    world.configure();
    assert_eq!(world.told(), ["b firing"]);
}

#[test]
fn an_alert_that_no_longer_matches_is_resolved_but_not_repeated() {
    let mut world = told_world();
    world.routes.get_mut("r").unwrap().recipients.push(recipient("b"));
    world.routes.get_mut("r").unwrap().spec = json!({"matcherExpr": "alertname=other"});
    world.configure();
    world.fires_on("x", BEGIN);
    world.wait(9 * 3_600);
    assert!(world.told().is_empty());
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["a resolved"]);
}

#[test]
fn an_alert_that_no_longer_matches_and_may_have_been_told_is_resolved_after_a_restart() {
    for settled in [true, false] {
        let mut world = World::new(&["a"]);
        world.fires("x", BEGIN);
        let (_, ticket) = world.take("a").unwrap();
        world.routes.get_mut("r").unwrap().spec = json!({"matcherExpr": "alertname=other"});
        world.configure();
        if settled {
            world.settle(ticket, super::world::UNSURE);
        }
        world.restart();
        world.ends("x", BEGIN);
        assert_eq!(world.told(), ["a resolved"]);
    }
}

#[test]
fn what_is_owed_no_longer_because_the_route_changed_is_superseded() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.routes.get_mut("r").unwrap().spec = json!({"matcherExpr": "alertname=other"});
    world.configure();
    assert_eq!(world.ends_of(), ["a firing Superseded"]);
    assert!(world.told().is_empty());
}

#[test]
fn a_suspended_route_tells_nothing_and_the_difference_afterwards() {
    let mut world = told_world();
    world.routes.get_mut("r").unwrap().spec = json!({"suspend": true});
    world.configure();
    world.ends("x", BEGIN);
    world.fires("y", BEGIN);
    let accepted = world
        .accept(super::world::alert("z", BEGIN, BEGIN + 300, BEGIN), fanfare::publish::Source::V2);
    assert_eq!(accepted.unrouted, 0, "muted is not unrouted");
    world.wait(280);
    assert!(world.told().is_empty());
    world.routes.get_mut("r").unwrap().spec = json!({});
    world.configure();
    let mut told = world.told();
    told.sort();
    assert_eq!(told, ["a firing", "a firing", "a resolved"]);
}

#[test]
fn what_a_muted_route_told_is_not_forgotten() {
    let mut world = told_world();
    world.routes.get_mut("r").unwrap().spec = json!({"suspend": true});
    world.configure();
    world.ends("x", BEGIN);
    world.wait(3 * 24 * 3_600);
    world.restart();
    world.routes.get_mut("r").unwrap().spec = json!({});
    world.configure();
    assert_eq!(world.told(), ["a resolved"]);
    assert!(world.letters().is_empty());
}

#[test]
fn what_is_owed_to_a_suspended_target_is_held() {
    let mut world = told_world();
    world.fires("y", BEGIN);
    world.send(FAILED);
    world.edit("a", |one| one.suspended = true);
    world.ends("x", BEGIN);
    world.recover("a");
    world.wait(250);
    assert!(world.told().is_empty());
    world.edit("a", |one| one.suspended = false);
    let mut told = world.told();
    told.sort();
    assert_eq!(told, ["a firing", "a resolved"]);
}

#[test]
fn what_is_owed_to_a_suspended_target_is_counted() {
    let paused = |world: &World| {
        let owed = world.state.owed();
        let counts = owed.iter().find(|(target, _)| *target == key("a")).map(|(_, counts)| *counts);
        counts.map_or((0, 0, None), |it| (it.paused, it.total(), it.oldest))
    };
    let mut world = told_world();
    assert_eq!(paused(&world), (0, 0, None));
    world.edit("a", |one| one.suspended = true);
    world.fires("y", BEGIN);
    let since = Some(at(world.now));
    world.wait(60);
    world.ends("x", BEGIN);
    assert_eq!(paused(&world), (2, 2, since));
    world.ends("y", BEGIN);
    assert_eq!(paused(&world).0, 1, "what it never heard of is owed no more");
    world.wait(60);
    world.fires("y", world.now);
    assert_eq!(paused(&world).0, 2);
    world.edit("a", |one| one.suspended = false);
    assert_eq!((paused(&world).0, paused(&world).1), (0, 2));
    let mut told = world.told();
    told.sort();
    assert_eq!(told, ["a firing", "a resolved"]);
    assert_eq!(paused(&world), (0, 0, None));
    world.edit("a", |one| one.suspended = true);
    world.ends("y", BEGIN);
    assert_eq!(paused(&world).0, 1);
    world.routes.clear();
    world.configure();
    assert_eq!(paused(&world), (0, 0, None));
}

#[test]
fn what_is_owed_to_a_suspended_target_is_not_forgotten() {
    let mut world = told_world();
    world.edit("a", |one| one.suspended = true);
    world.ends("x", BEGIN);
    world.wait(7 * 24 * 3_600);
    world.edit("a", |one| one.suspended = false);
    assert_eq!(world.told(), ["a resolved"]);
    world.wait(15 * 60);
    assert_eq!(world.state.counts().resolved, 0);
}

#[test]
fn a_new_final_route_takes_over_from_a_lower_one() {
    let mut world = told_world();
    world.route("f", json!({"final": true, "priority": 1, "matcherExpr": "alertname=x"}), &["b"]);
    world.configure();
    assert_eq!(world.told(), ["b firing"]);
    world.edit("a", |one| one.uid = "another".into());
    assert!(world.told().is_empty(), "r lost the alert");
    world.routes.remove("f");
    world.configure();
    assert_eq!(world.told(), ["a firing"]);
}

fn reject(world: &mut World, rejected: bool) {
    world.routes.get_mut("r").unwrap().rejected = rejected;
    world.configure();
}

#[test]
fn a_route_that_cannot_be_used_is_muted_and_forgets_nothing() {
    for restart in [false, true] {
        let mut world = told_world();
        world.fires("y", BEGIN);
        world.send(FAILED);
        reject(&mut world, true);
        if restart {
            world.restart();
        }
        world.ends("x", BEGIN);
        world.fires_on("y", BEGIN);
        world.wait(3 * 24 * 3_600);
        assert!(world.told().is_empty(), "nothing is sent");
        assert!(world.letters().is_empty(), "nothing is given up");
        reject(&mut world, false);
        let mut told = world.told();
        told.sort();
        assert_eq!(told, ["a firing", "a resolved"], "restart: {restart}");
        assert!(world.letters().is_empty());
    }
}

#[test]
fn a_route_that_is_deleted_while_it_cannot_be_used_leaves_open_what_it_told() {
    for restart in [false, true] {
        let mut world = told_world();
        reject(&mut world, true);
        if restart {
            world.restart();
        }
        world.routes.remove("r");
        world.configure();
        assert_eq!(world.ends_of(), ["a firing RouteDeleted †"], "restart: {restart}");
    }
}

#[test]
fn a_target_that_is_deleted_while_its_route_cannot_be_used_is_given_up() {
    let mut world = told_world();
    reject(&mut world, true);
    world.routes.get_mut("r").unwrap().recipients.clear();
    world.configure();
    assert_eq!(world.ends_of(), ["a firing TargetDeleted †"]);
}
