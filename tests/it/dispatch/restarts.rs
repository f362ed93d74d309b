//! What survives the process: `kill -9` after any commit.

use fanfare::{
    dispatch::{Fact, Settled, Verdict},
    store::{self, Op, Store as _},
};
use serde_json::json;

use super::world::{BEGIN, Disk, FAILED, REPEAT, UNSURE, World};

/// What the next process reads of a disk when the real store wrote it, to a real file.
async fn reopened(disk: &Disk) -> Disk {
    let dir = tempfile::tempdir().unwrap();
    let settings = store::Settings::for_memory(64 * 1024 * 1024);
    let (store, _) = store::open(dir.path(), settings.clone()).unwrap();
    let facts = disk.load().into_iter().flat_map(|(id, alert, told)| {
        [Some(Fact::Alert(id, alert)), told.map(|told| Fact::Told(id, told))]
    });
    let seq = store.submit(facts.flatten().map(Op::Fact).collect(), false);
    store.durable(seq).await.unwrap();
    drop(store);
    let (_, loaded) = store::open(dir.path(), settings).unwrap();
    let mut disk = Disk::default();
    for found in loaded.alerts {
        disk.told.extend(found.told.map(|told| (found.id, told)));
        disk.alerts.insert(found.id, found.alert);
    }
    disk
}

#[tokio::test]
async fn a_repeat_comes_on_time_after_a_restart() {
    for (down, rest) in [(60, REPEAT - 60), (REPEAT - 1, 1), (REPEAT + 100, 0)] {
        let mut world = World::new(&["a"]);
        world.fires_on("x", BEGIN);
        let first = world.send(Settled::Delivered);
        world.commit();
        let disk = reopened(&world.disk).await;
        world.now += down;
        world.restart_from(disk);
        if rest > 0 {
            world.wait(rest - 1);
            assert_eq!(world.told(), [] as [&str; 0], "down for {down} s: too early");
            world.wait(1);
        }
        let second = world.send(Settled::Delivered);
        assert_eq!(second.len(), 1, "down for {down} s");
        assert_eq!(second[0].0, "a firing");
        assert_ne!(second[0].1, first[0].1, "a notification of its own");
    }
}

#[test]
fn what_was_told_is_not_told_again() {
    let mut world = World::new(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.told();
    world.restart();
    assert!(world.told().is_empty());
    world.wait(REPEAT - 1);
    assert!(world.told().is_empty());
    world.wait(1);
    assert_eq!(world.told(), ["a firing", "b firing"], "the repeat survives");
    world.ends("x", BEGIN);
    world.restart();
    assert_eq!(world.told(), ["a resolved", "b resolved"]);
}

#[test]
fn what_was_not_told_is_sent_with_the_same_id() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    let first = world.send(FAILED);
    world.restart();
    assert_eq!(world.send(Settled::Delivered), first);
    world.wait(1);
    world.ends("x", BEGIN);
    let first = world.send(UNSURE);
    world.restart();
    assert_eq!(world.send(Settled::Delivered), first);
}

#[test]
fn a_lost_outcome_is_told_again_with_the_same_id_and_resolved() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    let disk = world.disk.clone();
    let first = world.send(Settled::Delivered);
    world.restart_from(disk.clone());
    assert_eq!(world.send(Settled::Delivered), first);
    world.restart_from(disk);
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["a resolved"], "it may have been told");
}

#[test]
fn a_transition_between_two_records_may_have_been_told() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.wait(300);
    world.fires("x", BEGIN);
    assert!(world.told().is_empty(), "told that it fires, and it does");
    world.restart();
    assert_eq!(world.told(), ["a firing"], "the end that came between may have been told");
}

#[test]
fn who_surely_heard_nothing_hears_no_end_after_a_restart_either() {
    let mut world = World::new(&["a", "b"]);
    world.fires("x", BEGIN);
    world.send_to("a", FAILED);
    world.send_to("b", Settled::Delivered);
    world.ends("x", BEGIN);
    world.restart();
    assert_eq!(world.told(), ["b resolved"]);
}

#[test]
fn what_was_skipped_stays_skipped() {
    let mut world = World::new(&["a"]);
    world.verdicts.insert("a".into(), Verdict::Skip);
    world.fires_on("x", BEGIN);
    world.told();
    world.verdicts.clear();
    world.restart();
    assert!(world.told().is_empty());
    let skipped = world.disk.clone();
    world.ends("x", BEGIN);
    assert!(world.told().is_empty());
    world.restart_from(skipped);
    world.wait(REPEAT);
    let (_, ticket) = world.take("a").unwrap();
    assert!(ticket.must_commit());
    let now = world.moment();
    drop(world.state.settle(ticket, Settled::Delivered, now));
    world.restart_from(world.disk.clone());
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["a resolved"], "the attempt was on disk before it began");
}

#[test]
fn a_dead_letter_is_written_once() {
    let mut world = World::new(&["a", "b"]);
    world.fires_on("x", BEGIN);
    world.send_to("a", Settled::Rejected);
    world.wait(24 * 3_600);
    assert_eq!(world.letters().len(), 2);
    world.restart();
    world.send(Settled::Rejected);
    world.wait(48 * 3_600);
    assert!(world.letters().is_empty());
}

#[test]
fn a_resolve_that_was_given_up_stays_so() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.ends("x", BEGIN);
    world.wait(24 * 3_600);
    assert_eq!(world.letters().len(), 1);
    assert!(world.disk.alerts.is_empty(), "and is forgotten with its alert");
}

#[test]
fn the_end_of_a_suspension_survives() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    world.told();
    world.edit("a", |one| one.suspended = true);
    world.ends("x", BEGIN);
    world.wait(48 * 3_600);
    world.restart();
    assert!(world.told().is_empty());
    assert!(world.letters().is_empty());
    world.edit("a", |one| one.suspended = false);
    assert_eq!(world.told(), ["a resolved"]);
}

#[test]
fn nothing_is_sent_or_forgotten_before_the_first_plan() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.ends("x", BEGIN);
    let now = world.moment();
    world.state =
        fanfare::dispatch::State::restore(super::world::settings(), world.disk.load(), [], now);
    world.wait(20 * 60);
    assert!(world.take("a").is_none());
    assert_eq!(world.disk.alerts.len(), 1);
    assert!(world.ended.is_empty());
    world.configure();
    assert_eq!(world.told(), ["a resolved"]);
}

#[test]
fn expiry_counts_only_while_intake_is_up() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.now += 3_600;
    world.restart();
    world.wait(299);
    assert!(world.told().is_empty());
    world.wait(1);
    assert_eq!(world.told(), ["a resolved"]);
}

#[test]
fn a_doubt_survives() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.wait(60);
    world.ends("x", BEGIN);
    world.told();
    world.wait(20);
    world.fires("x", BEGIN);
    world.restart();
    assert!(world.told().is_empty());
    world.wait(119);
    assert!(world.told().is_empty());
    world.wait(1);
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn incidents_go_on_where_they_were() {
    let mut world = World::new(&["a"]);
    let mut ids = std::collections::HashSet::new();
    for _ in 0..4 {
        let start = world.now;
        world.fires("x", start);
        world.restart();
        ids.extend(world.send(Settled::Delivered).into_iter().map(|(_, id)| id));
        world.wait(10);
        world.ends("x", start);
        world.restart();
        ids.extend(world.send(Settled::Delivered).into_iter().map(|(_, id)| id));
        world.wait(10);
    }
    assert_eq!(ids.len(), 8);
}

#[test]
fn alert_and_log_are_forgotten_in_one_commit() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.ends("x", BEGIN);
    world.told();
    assert_eq!((world.disk.alerts.len(), world.disk.told.len()), (1, 1));
    world.wait(15 * 60);
    assert_eq!((world.disk.alerts.len(), world.disk.told.len()), (0, 0));
    world.ends("x", BEGIN);
    assert!(world.disk.alerts.is_empty(), "a late resolve is not stored");
}

#[test]
fn a_route_that_no_longer_wants_the_alert_still_ends_it_after_a_restart() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    world.told();
    world.routes.get_mut("r").unwrap().spec = json!({"matcherExpr": "alertname=other"});
    world.configure();
    world.restart();
    assert!(world.told().is_empty());
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["a resolved"]);
    assert_eq!(world.state.counts().resolved, 1);
}

#[test]
fn what_a_start_knows_of_a_target_that_heard_nothing_is_on_disk() {
    let mut world = World::new(&["a", "b"]);
    world.fires("x", BEGIN);
    world.send_to("a", Settled::Delivered);
    world.edit("a", |one| one.suspended = true);
    world.routes.get_mut("r").unwrap().spec = json!({"matcherExpr": "alertname=y"});
    world.configure();
    world.ends("x", BEGIN);
    let skipped = |world: &World| -> Vec<Option<u32>> {
        let entries = world.disk.told.values().flat_map(|told| &told.routes[0].entries);
        entries.map(|entry| entry.skipped).collect()
    };
    assert_eq!(skipped(&world), [None], "b is not in the log");
    world.restart();
    assert_eq!(skipped(&world), [None, Some(2)], "it surely heard nothing");
}
