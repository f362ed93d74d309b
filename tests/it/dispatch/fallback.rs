//! Who is told when nobody else could be.

mod edits;
mod groups;

use std::{sync::Arc, time::Duration};

use fanfare::{
    alert::{Labels, Notification},
    api::Semantics,
    dispatch::{FallbackMode, FallbackTerms, Role, Settled, Verdict},
};

use super::world::{BEGIN, FAILED, UNSURE, World, key, recipient};

/// Seconds after which the fallback is told.
const AFTER: i64 = 120;

fn terms(mode: FallbackMode) -> FallbackTerms {
    FallbackTerms { after: Duration::from_secs(AFTER.unsigned_abs()), mode }
}

/// Regular targets `a` and `b`, the fallback `z`.
fn world(mode: FallbackMode) -> World {
    let mut world = World::new(&["a", "b"]);
    fall_back(&mut world, mode);
    world
}

fn fall_back(world: &mut World, mode: FallbackMode) {
    let route = world.routes.get_mut("r").unwrap();
    route.fallback = Some(terms(mode));
    route.recipients.retain(|one| one.role == Role::Regular);
    let mut fallback = recipient("z");
    fallback.role = Role::Fallback;
    route.recipients.push(fallback);
    world.configure();
}

/// The circuits of these targets open or close.
fn circuits(world: &mut World, targets: &[&str], open: bool) {
    for target in targets {
        let now = world.moment();
        let owed = world.state.circuit(&key(target), open, now);
        world.settle_accounts(owed);
    }
}

/// Takes what the fallback is owed.
fn take(world: &mut World) -> Option<Arc<Notification>> {
    let (notification, ticket) = world.take("z")?;
    world.settle(ticket, Settled::Delivered);
    world.commit();
    Some(notification)
}

#[test]
fn a_fallback_is_told_once_nobody_was_told_for_long_enough() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    assert_eq!(world.send(FAILED).len(), 2, "the fallback's turn has not come");
    world.wait(AFTER - 1);
    assert!(world.take("z").is_none());
    world.wait(1);
    let told = take(&mut world).unwrap();
    assert!(told.fallback);
    assert!(take(&mut world).is_none(), "once");
}

#[test]
fn a_fallback_hears_nothing_where_one_target_was_told() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.send_to("a", FAILED);
    assert_eq!(world.send_to("b", Settled::Delivered).len(), 1);
    world.wait(3 * 3_600);
    assert!(world.take("z").is_none());
    world.ends("x", BEGIN);
    world.ends_of();
    assert_eq!(world.told(), ["b resolved"]);
    assert!(world.ends_of().is_empty(), "nothing that the fallback missed");
}

#[test]
fn an_end_before_its_turn_is_none_of_the_fallbacks_business() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(60);
    world.ends("x", BEGIN);
    assert!(world.told().is_empty());
    world.wait(3_600);
    assert!(world.told().is_empty());
    assert_eq!(world.ends_of(), ["a firing Superseded", "b firing Superseded"]);
}

#[test]
fn instead_settles_the_others_until_the_next_change() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.send_to("a", FAILED);
    world.verdicts.insert("b".into(), Verdict::Hold);
    world.send_to("b", FAILED);
    world.wait(AFTER);
    world.ends_of();
    assert_eq!(world.send_to("z", Settled::Delivered).len(), 1);
    assert_eq!(world.ends_of(), ["a firing Superseded", "b firing Superseded"]);
    world.verdicts.clear();
    world.recover("a");
    world.recover("b");
    assert!(world.told().is_empty(), "the fallback stands in");
    world.wait(5 * 3_600);
    assert_eq!(world.told(), ["z firing"], "who was told is reminded");
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["z resolved"], "who heard nothing hears no end");
    world.now += 60;
    let later = world.now;
    world.fires_on("x", later);
    assert_eq!(world.told(), ["a firing", "b firing"], "the next change is everyone's again");
    assert!(world.letters().is_empty());
}

#[test]
fn also_leaves_the_others_owed() {
    let mut world = world(FallbackMode::Also);
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(AFTER);
    world.ends_of();
    assert_eq!(world.send_to("z", Settled::Delivered).len(), 1);
    assert!(world.ends_of().is_empty());
    assert_eq!(world.told(), ["a firing", "b firing"]);
    world.wait(5 * 3_600);
    assert_eq!(world.told(), ["a firing", "b firing"], "the fallback is not needed any more");
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["a resolved", "b resolved", "z resolved"]);
}

#[test]
fn the_end_goes_to_the_fallback_marked_as_such() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(AFTER);
    take(&mut world).unwrap();
    world.ends("x", BEGIN);
    let end = take(&mut world).unwrap();
    assert!(end.fallback && end.firing().next().is_none());
}

#[test]
fn one_that_may_have_been_told_is_no_reason_to_wait_but_hears_the_end() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.send_to("a", UNSURE);
    world.send_to("b", FAILED);
    world.wait(AFTER);
    assert_eq!(world.send_to("z", Settled::Delivered).len(), 1);
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["a resolved", "z resolved"]);
}

#[test]
fn an_attempt_under_way_finishes_and_counts() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    let (_, slow) = world.take("a").unwrap();
    let (_, slower) = world.take("b").unwrap();
    world.wait(AFTER);
    assert_eq!(world.send_to("z", Settled::Delivered).len(), 1);
    world.ends_of();
    world.settle(slow, Settled::Delivered);
    world.settle(slower, FAILED);
    assert_eq!(world.ends_of(), ["b firing Superseded"]);
    world.wait(3_600);
    assert!(world.told().is_empty());
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["a resolved", "z resolved"]);
}

#[test]
fn a_target_that_is_told_at_last_spares_the_fallback() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(AFTER);
    world.ends_of();
    world.recover("a");
    assert_eq!(world.send_to("a", Settled::Delivered).len(), 1);
    assert_eq!(world.ends_of(), ["z firing Superseded"]);
    assert!(world.take("z").is_none());
}

#[test]
fn a_fallback_is_told_at_once_while_every_circuit_is_open() {
    let mut world = world(FallbackMode::Instead);
    circuits(&mut world, &["a"], true);
    world.fires_on("x", BEGIN);
    assert!(world.take("z").is_none(), "b may still be told");
    circuits(&mut world, &["b"], true);
    assert_eq!(world.send_to("z", Settled::Delivered).len(), 1);
    world.fires_on("y", BEGIN);
    assert_eq!(world.send_to("z", Settled::Delivered).len(), 1);
    circuits(&mut world, &["a"], false);
    world.fires_on("w", BEGIN);
    assert!(world.take("z").is_none());
}

#[test]
fn a_fallback_is_told_at_once_while_every_target_is_suspended() {
    let mut world = world(FallbackMode::Instead);
    world.edit("a", |one| one.suspended = true);
    world.fires_on("x", BEGIN);
    assert!(world.take("z").is_none());
    world.edit("b", |one| one.suspended = true);
    assert_eq!(world.send_to("z", Settled::Delivered).len(), 1);
    world.edit("a", |one| one.suspended = false);
    world.edit("b", |one| one.suspended = false);
    assert!(world.told().is_empty());
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["z resolved"]);
}

#[test]
fn suspended_and_cut_off_together_leave_nobody() {
    let mut world = world(FallbackMode::Instead);
    world.edit("a", |one| one.suspended = true);
    circuits(&mut world, &["b"], true);
    world.fires_on("x", BEGIN);
    assert_eq!(world.send_to("z", Settled::Delivered).len(), 1);
}

#[test]
fn a_muted_route_has_no_fallback() {
    let mut world = world(FallbackMode::Instead);
    circuits(&mut world, &["a", "b"], true);
    world.routes.get_mut("r").unwrap().spec = serde_json::json!({"suspend": true});
    world.configure();
    world.fires_on("x", BEGIN);
    world.wait(3_600);
    assert!(world.told().is_empty());
    circuits(&mut world, &["a", "b"], false);
    world.routes.get_mut("r").unwrap().spec = serde_json::json!({});
    world.configure();
    assert_eq!(world.send(FAILED).len(), 2, "its time counts from now");
    world.wait(AFTER - 1);
    assert!(world.take("z").is_none());
    world.wait(1);
    assert_eq!(world.send_to("z", Settled::Delivered).len(), 1);
}

#[test]
fn its_time_goes_on_over_a_restart() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(AFTER / 2);
    world.restart();
    world.send(FAILED);
    world.wait(AFTER / 2 - 1);
    assert!(world.take("z").is_none());
    world.wait(1);
    assert_eq!(world.send_to("z", Settled::Delivered).len(), 1);
    world.ends("x", BEGIN);
    let all = ["a resolved", "b resolved", "z resolved"];
    assert_eq!(world.told(), all, "a start can't know what the others were told before");
}

#[test]
fn a_fallback_that_stands_in_does_so_after_a_restart() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(AFTER);
    assert_eq!(world.send_to("z", Settled::Delivered).len(), 1);
    for _ in 0..2 {
        world.restart();
        assert!(world.told().is_empty());
    }
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["z resolved"]);
}

#[test]
fn a_fallback_that_may_believe_that_it_is_over_stands_in_for_nobody() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(AFTER);
    world.send_to("z", Settled::Delivered);
    world.ends("x", BEGIN);
    assert_eq!(world.send_to("z", UNSURE).len(), 1);
    // A slower sender, believed two minutes later.
    world.fires_on("x", BEGIN);
    world.wait(120);
    assert_eq!(world.send_to("a", Settled::Delivered).len(), 1);
    assert_eq!(world.send_to("b", Settled::Delivered).len(), 1);
}

#[test]
fn a_fallback_that_was_never_told_hears_no_end_after_a_restart() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.told();
    world.crash();
    world.told();
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["a resolved", "b resolved"]);
}

#[test]
fn a_fallback_that_may_have_been_told_before_a_crash_hears_the_end() {
    let mut world = world(FallbackMode::Instead);
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(AFTER);
    let (_, ticket) = world.take("z").unwrap();
    assert!(ticket.must_commit());
    world.crash();
    drop(ticket);
    world.ends("x", BEGIN);
    let told = world.told();
    assert!(told.contains(&"z resolved".to_owned()), "{told:?}");
}

#[test]
fn a_fallback_has_an_age_of_its_own() {
    let mut world = world(FallbackMode::Also);
    world.edit("z", |one| one.limits.max_age = Duration::from_mins(1));
    world.fires_on("x", BEGIN);
    world.send(FAILED);
    world.wait(AFTER);
    assert!(world.letters().is_empty());
    world.send_to("z", FAILED);
    world.wait(59);
    assert!(world.letters().is_empty());
    world.wait(2);
    assert_eq!(world.letters().len(), 1);
}

#[test]
fn a_queue_of_transitions_is_no_evidence_that_somebody_was_told() {
    let mut world = world(FallbackMode::Instead);
    world.edit("b", |one| one.limits.semantics = Semantics::Every);
    world.fires_on("x", BEGIN);
    world.send_to("a", FAILED);
    world.wait(AFTER);
    assert_eq!(world.send_to("z", Settled::Delivered).len(), 1, "a was not told");
    world.edit("a", |one| one.limits.semantics = Semantics::Every);
    world.fires_on("y", world.now);
    world.wait(3_600);
    assert!(world.told().is_empty(), "both have it in their queues");
    circuits(&mut world, &["a", "b"], true);
    assert_eq!(world.told(), ["z firing"], "but can't be told");
}

#[test]
fn a_route_without_a_fallback_waits_for_nothing() {
    let mut world = World::new(&["a"]);
    circuits(&mut world, &["a"], true);
    world.fires_on("x", BEGIN);
    assert_eq!(world.told(), ["a firing"]);
    assert!(world.state.holds(&Labels::from_iter([("namespace", "prod"), ("alertname", "x")])));
}
