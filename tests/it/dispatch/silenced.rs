//! What silences mean for what is owed.

use std::time::Duration;

use fanfare::{
    alert::Status,
    api::Semantics,
    dispatch::{Limits, Mute, Settled},
    publish::Source,
};
use tokio::time::Instant;

use super::{
    quiet::draft,
    world::{BEGIN, FAILED, REPEAT, World},
};

const HOUR: i64 = 3_600;

fn world() -> World {
    World::new(&["a", "b"])
}

#[test]
fn a_silenced_alert_is_told_to_nobody_until_the_silence_ends() {
    let mut world = world();
    world.silence("x", HOUR);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    assert_eq!(world.told(), ["a firing", "b firing"], "only the other one");
    assert_eq!(world.muted(Mute::Silenced), (1, 2));
    world.wait(HOUR - 1);
    assert!(world.told().is_empty());
    world.wait(1);
    assert_eq!(world.told(), ["a firing", "b firing"]);
    assert_eq!(world.muted(Mute::Silenced), (0, 2));
}

#[test]
fn a_silence_takes_back_what_waits_and_its_end_by_hand_tells_it() {
    let mut world = world();
    world.fires_on("x", BEGIN);
    assert_eq!(world.send_to("b", FAILED).len(), 1);
    let id = world.silence("x", HOUR);
    assert_eq!(world.ends_of(), ["a firing Muted", "b firing Muted"]);
    assert_eq!(world.muted(Mute::Silenced), (1, 2));
    world.wait(600);
    world.recover("b");
    assert!(world.told().is_empty());
    world.unsilence(id);
    assert_eq!(world.told(), ["a firing", "b firing"]);
    assert!(world.ends_of().is_empty());
}

#[test]
fn an_attempt_in_flight_finishes_and_is_not_repeated() {
    let mut world = world();
    world.fires_on("x", BEGIN);
    let (_, a) = world.take("a").unwrap();
    let (_, b) = world.take("b").unwrap();
    let id = world.silence("x", HOUR);
    world.settle(a, Settled::Delivered);
    world.settle(b, FAILED);
    assert!(world.ends_of().is_empty());
    assert_eq!(world.muted(Mute::Silenced), (1, 1), "the one that failed");
    world.wait(600);
    assert!(world.told().is_empty());
    world.unsilence(id);
    assert_eq!(world.told(), ["b firing"]);
}

#[test]
fn a_silence_begins_by_itself() {
    let mut world = world();
    world.set(draft(&[("alertname", "=~", "x|z")], (BEGIN + 60, BEGIN + 120))).unwrap();
    world.fires_on("x", BEGIN);
    assert_eq!(world.told(), ["a firing", "b firing"]);
    world.wait(59);
    world.fires_on("z", BEGIN + 59);
    world.wait(1);
    assert_eq!(world.ends_of(), ["a firing Muted", "b firing Muted"]);
    assert!(world.told().is_empty());
    world.wait(60);
    assert_eq!(world.told(), ["a firing", "b firing"], "z, and x is known");
}

/// Alertmanager forgets it: a named difference.
#[test]
fn a_resolve_while_silenced_is_told_when_the_silence_ends() {
    let mut world = world();
    world.fires_on("x", BEGIN);
    world.told();
    world.silence("x", HOUR);
    world.ends("x", BEGIN);
    world.wait(HOUR - 1);
    assert!(world.told().is_empty());
    assert_eq!(world.state.counts().resolved, 1, "not forgotten after 15 minutes");
    world.wait(1);
    assert_eq!(world.told(), ["a resolved", "b resolved"]);
    world.wait(HOUR);
    assert_eq!(world.state.counts().resolved, 0);
}

#[test]
fn who_knows_hears_nothing_new_when_the_silence_ends() {
    let mut world = world();
    world.fires_on("x", BEGIN);
    world.told();
    world.silence("x", HOUR);
    world.wait(HOUR);
    assert!(world.told().is_empty());
    world.silence("x", REPEAT);
    world.wait(REPEAT - 1);
    assert!(world.told().is_empty(), "nothing repeats while silenced");
    world.wait(1);
    assert_eq!(world.told(), ["a firing", "b firing"], "the repeat is overdue");
}

#[test]
fn a_problem_within_a_silence_leaves_no_trace() {
    let mut world = world();
    world.silence("x", HOUR);
    world.fires_on("x", BEGIN);
    world.ends("x", BEGIN);
    world.wait(HOUR);
    assert!(world.told().is_empty());
    assert!(world.ends_of().is_empty(), "nothing was superseded: it was never to be told");
    world.wait(60);
    assert_eq!(world.state.counts().resolved, 0, "and it is forgotten");
    assert!(world.disk.alerts.is_empty() && world.disk.told.is_empty());
}

#[test]
fn the_last_of_several_silences_releases() {
    let mut world = world();
    let first = world.silence("x", HOUR);
    let second = world.set(draft(&[("namespace", "!=", "dev")], (BEGIN, BEGIN + HOUR))).unwrap();
    world.fires_on("x", BEGIN);
    let by = |world: &World| {
        let id = *world.disk.alerts.keys().next().unwrap();
        world.state.muted_by(id).silenced_by
    };
    let mut silences = by(&world);
    silences.sort_unstable();
    assert_eq!(silences, [first, second]);
    world.unsilence(first);
    assert_eq!(by(&world), [second]);
    assert!(world.told().is_empty());
    world.unsilence(second);
    assert_eq!(world.told(), ["a firing", "b firing"]);
    assert!(by(&world).is_empty());
}

#[test]
fn an_edit_that_makes_a_new_silence_lets_nothing_through() {
    let mut world = world();
    let old = world.silence("x", HOUR);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.told();
    let mut new = draft(&[("alertname", "=~", "x|y")], (BEGIN, BEGIN + HOUR));
    new.id = Some(old);
    world.wait(9);
    world.set(new).unwrap();
    assert!(world.told().is_empty() && world.ends_of().is_empty());
    world.wait(HOUR);
    assert_eq!(world.told(), ["a firing", "b firing"], "x; y is known");
}

#[test]
fn age_does_not_count_while_silenced() {
    let mut world = world();
    let age = Duration::from_mins(30);
    world.edit("a", |one| one.limits.max_age = age);
    world.silence("x", HOUR);
    world.fires_on("x", BEGIN);
    world.wait(HOUR);
    assert_eq!(world.send_to("a", FAILED).len(), 1);
    world.wait(1_700);
    assert!(world.letters().is_empty());
    assert_eq!(world.send_to("a", FAILED).len(), 1);
    world.wait(100);
    assert_eq!(world.letters().len(), 1, "30 minutes after the silence");
}

#[test]
fn who_needs_every_transition_misses_those_while_silenced() {
    let mut world = world();
    world.edit("a", |one| {
        one.limits = Limits { semantics: Semantics::Every, ..Limits::default() };
    });
    let queued = |world: &mut World| {
        let queue = std::mem::take(&mut world.disk.queue);
        queue.iter().map(|one| one.notification.status).collect::<Vec<_>>()
    };
    world.fires_on("x", BEGIN);
    assert_eq!(queued(&mut world), [Status::Firing]);
    world.told();
    let id = world.silence("x", HOUR);
    world.ends("x", BEGIN);
    world.wait(60);
    world.fires_on("x", BEGIN + 60);
    world.wait(60);
    world.ends("x", BEGIN + 60);
    let skipped = ["a resolved Skipped", "a firing Skipped", "a resolved Skipped"];
    assert_eq!(world.ends_of(), skipped);
    assert!(queued(&mut world).is_empty());
    world.unsilence(id);
    assert_eq!(queued(&mut world), [Status::Resolved], "the difference to what it was told");
    assert_eq!(world.told(), ["b resolved"]);
}

#[test]
fn a_restart_within_a_silence_tells_nobody() {
    let mut world = world();
    world.fires_on("known", BEGIN);
    world.told();
    world.set(draft(&[("namespace", "=", "prod")], (BEGIN, BEGIN + HOUR))).unwrap();
    world.ends("known", BEGIN);
    world.fires_on("x", BEGIN);
    for round in 0..2 {
        world.crash();
        assert!(world.told().is_empty(), "{round}");
    }
    assert_eq!(world.muted(Mute::Silenced).0, 2);
    world.wait(HOUR);
    assert_eq!(world.told(), ["a resolved", "a firing", "b resolved", "b firing"]);
}

/// Without the silence they might have been told by the earlier process, and would hear of the end.
#[test]
fn what_began_and_ended_within_a_silence_is_told_to_nobody_after_a_restart_either() {
    let mut world = world();
    world.silence("x", HOUR);
    world.wait(9);
    world.fires_on("x", BEGIN + 9);
    world.crash();
    world.ends("x", BEGIN + 9);
    world.wait(HOUR);
    assert!(world.told().is_empty());
    world.fires_on("x", world.now);
    world.ends("x", world.now);
    world.fires_on("y", world.now);
    world.crash();
    world.ends("y", world.now);
    assert_eq!(world.told(), ["a resolved", "b resolved"], "control: y was not silenced");
}

#[test]
fn who_may_have_heard_before_a_silence_hears_of_the_end_after_a_crash() {
    let mut world = world();
    world.fires_on("x", BEGIN);
    let _under_way = world.take("a").unwrap();
    world.silence("x", HOUR);
    world.wait(9);
    world.ends("x", BEGIN);
    world.crash();
    world.wait(HOUR);
    assert_eq!(world.told(), ["a resolved"]);
}

#[test]
fn what_was_on_its_way_when_a_silence_began_may_have_been_heard() {
    let mut world = world();
    world.fires_on("x", BEGIN);
    let _under_way = world.take("a").unwrap();
    world.silence("x", HOUR);
    world.crash();
    world.ends("x", BEGIN);
    world.wait(HOUR);
    assert_eq!(world.told(), ["a resolved", "b resolved"]);
}

#[test]
fn a_silence_that_ended_while_the_process_was_down_is_over() {
    let mut world = world();
    world.edit("a", |one| one.limits.max_age = Duration::from_mins(30));
    world.edit("b", |one| one.limits.max_age = Duration::from_mins(30));
    world.silence("x", HOUR);
    world.fires_on("x", BEGIN);
    world.commit();
    world.now += HOUR + 60;
    world.restart();
    world.wait(0);
    assert!(world.letters().is_empty(), "its age counts from the end of the silence");
    assert_eq!(world.told(), ["a firing", "b firing"]);
    assert_eq!(world.muted(Mute::Silenced).0, 0);
}

#[test]
fn webhook_alerts_are_silenced_too_and_re_sends_change_nothing() {
    let mut world = world();
    world.silence("x", HOUR);
    for _ in 0..3 {
        let alert = super::world::alert("x", BEGIN, BEGIN + 100_000, world.now);
        world.accept(alert, Source::Webhook);
        assert!(world.told().is_empty());
        world.wait(60);
    }
    assert_eq!(world.muted(Mute::Silenced), (1, 2), "counted once");
}

/// How long it takes is printed, not judged.
#[test]
fn ten_thousand_silences_and_alerts_meet() {
    let mut settings = super::world::settings();
    settings.max_alerts = 20_000;
    settings.max_bytes = 1 << 30;
    let mut world = World::with(settings, &["a"]);
    let number = 10_000;
    let begin = Instant::now();
    for at in 0..number {
        world.silence(&format!("alert {at}"), HOUR);
    }
    let (made, begin) = (begin.elapsed(), Instant::now());
    let alerts = |from| (from..from + number).map(|at| format!("alert {at}"));
    let alerts = alerts(number / 2).map(|name| world.labelled(&[("alertname", &name)], true));
    let (_, owed) = world.state.accept(alerts.collect(), Source::V2, world.moment());
    let (accepted, begin) = (begin.elapsed(), Instant::now());
    world.settle_accounts(owed);
    assert_eq!(world.muted(Mute::Silenced).0, number / 2);
    world.now += HOUR;
    let mut owed = 0;
    while owed < number / 2 {
        let step = world.state.tick(world.moment()).0;
        assert!(!step.is_empty(), "{owed} are released");
        owed += step.len();
        world.settle_accounts(step);
    }
    let released = begin.elapsed();
    assert_eq!(world.state.owed()[0].1.ready, number);
    eprintln!("made {made:?}, accepted {accepted:?}, released {released:?}");
}
