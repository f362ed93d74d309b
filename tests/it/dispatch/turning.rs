//! Silences and hours that turn very many alerts: in steps, and bounded in memory.

use std::time::Duration;

use fanfare::{
    alert::{Alert, Labels},
    dispatch::{Mute, Settings, Settled},
    publish::{SilenceDraft, SilenceError, SilenceId, Source},
    routing::{GroupBy, Grouping},
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    quiet::draft,
    world::{BEGIN, World, alert, settings},
};

const HOUR: i64 = 3_600;
const LONG: (i64, i64) = (BEGIN, BEGIN + HOUR);
const LATER: (i64, i64) = (BEGIN + HOUR, BEGIN + 2 * HOUR);
/// Alerts that one step may work through.
const STEP: usize = 1_024;

/// `FANFARE_ALERTS` alerts; few by default, because this build is slow.
fn number() -> usize {
    std::env::var("FANFARE_ALERTS").ok().and_then(|text| text.parse().ok()).unwrap_or(4_000)
}

/// Fire for a long time, all told.
fn world(number: usize) -> World {
    let settings = Settings { max_alerts: number + 10, max_bytes: usize::MAX, ..settings() };
    let mut world = World::with(settings, &["a"]);
    fire(&mut world, 0..number);
    world
}

fn fire(world: &mut World, ones: std::ops::Range<usize>) {
    let now = world.moment();
    let one = |one: usize| Alert {
        labels: Labels::from_iter([
            ("namespace", "prod".to_owned()),
            ("alertname", format!("x{one}")),
        ]),
        ..alert("x", BEGIN, BEGIN + 100_000_000, BEGIN)
    };
    let (accepted, owed) = world.state.accept(ones.map(one).collect(), Source::V2, now);
    assert_eq!(accepted.refused, 0);
    world.settle_accounts(owed);
    tell(world);
}

/// Delivers everything that is owed.
fn tell(world: &mut World) {
    while let Some((_, ticket)) = world.take("a") {
        world.settle(ticket, Settled::Delivered);
    }
    world.commit();
}

fn silenced(world: &World) -> usize {
    world.muted(Mute::Silenced).0
}

/// Works through everything, one tick at a time. Answers how many there were, and how long the longest took.
fn ticks(world: &mut World) -> (usize, Duration) {
    let (mut steps, mut longest) = (0, Duration::ZERO);
    while world.state.next_due(world.moment()) == Some(Duration::ZERO) {
        let (before, began) = (silenced(world), Instant::now());
        let (owed, _) = world.state.tick(world.moment());
        longest = longest.max(began.elapsed());
        world.settle_accounts(owed);
        assert!(silenced(world).abs_diff(before) <= STEP, "more than a step at a time");
        steps += 1;
    }
    (steps, longest)
}

#[test]
fn a_silence_of_very_many_alerts_begins_and_ends_in_steps() {
    let number = number();
    let mut world = world(number);
    world.set(draft(&[("namespace", "=", "prod")], LATER)).unwrap();
    let mut turn = |at: i64, quiet: usize| {
        world.now = BEGIN + at;
        let (steps, longest) = ticks(&mut world);
        assert_eq!(silenced(&world), quiet);
        assert!(steps >= number / STEP, "{steps} steps");
        eprintln!("{number} alerts in {steps} steps, the longest took {longest:?}");
    };
    turn(HOUR, number);
    turn(2 * HOUR, 0);
}

#[test]
fn hours_of_very_many_alerts_turn_in_steps() {
    let number = number();
    let mut world = world(number);
    let hours =
        json!({"activeTimeIntervals": [{"times": [{"startTime": "08:00", "endTime": "09:00"}]}]});
    world.routes.get_mut("r").unwrap().spec = hours;
    world.configure();
    world.now = BEGIN + HOUR;
    let mut steps = 0;
    while world.state.is_turning() || steps == 0 {
        let before = world.muted(Mute::OffHours).0;
        let (owed, _) = world.state.tick(world.moment());
        world.settle_accounts(owed);
        assert!(world.muted(Mute::OffHours).0 - before <= STEP, "more than a step at a time");
        steps += 1;
    }
    assert_eq!(world.muted(Mute::OffHours).0, number);
    assert!(steps >= number / STEP, "{steps} steps");
}

#[test]
fn alerts_are_compared_with_a_silence_in_steps() {
    let mut world = world(10 * STEP);
    let nobody = draft(&[("alertname", "=", "nobody")], LONG);
    let fresh = SilenceId(uuid::Uuid::from_u128(1 << 64));
    world.state.set_silence(nobody, fresh, 0, world.moment()).unwrap();
    assert_eq!(world.turn(), 3);
}

#[test]
fn what_comes_and_goes_between_two_steps_is_silenced_too() {
    let mut world = world(3 * STEP);
    let id = world.set(draft(&[("namespace", "=", "prod")], LATER)).unwrap();
    world.now = BEGIN + HOUR;
    let (owed, _) = world.state.tick(world.moment());
    world.settle_accounts(owed);
    assert_eq!(silenced(&world), STEP, "one step so far");
    world.fires_on("new", world.now);
    assert_eq!(silenced(&world), STEP + 1, "at once");
    world.ends("x0", BEGIN);
    world.unsilence(id);
    assert_eq!(silenced(&world), 0, "what was not reached is left alone");
    world.turn();
    tell(&mut world);
    world.wait(HOUR);
    assert_eq!(silenced(&world), 0);
}

#[test]
fn a_silence_in_place_of_another_lets_nobody_go_between() {
    let number = 6 * STEP;
    let mut world = world(number);
    let id = world.set(draft(&[("namespace", "=", "prod")], LONG)).unwrap();
    assert_eq!(silenced(&world), number);
    let fresh = SilenceId(uuid::Uuid::from_u128(2 << 64));
    let nobody = draft(&[("alertname", "=", "nobody")], LONG);
    world.state.set_silence(nobody, fresh, 0, world.moment()).unwrap();
    assert!(world.state.turn(world.moment()).is_empty() && world.state.is_turning());
    let other = SilenceDraft { id: Some(id), ..draft(&[("alertname", "=~", "x[0-9]+")], LONG) };
    let fresh = SilenceId(uuid::Uuid::from_u128(1 << 64));
    assert_eq!(world.state.set_silence(other, fresh, 0, world.moment()), Ok(fresh));
    let mut steps = 0;
    while world.state.is_turning() {
        assert!(world.state.turn(world.moment()).is_empty());
        assert_eq!(silenced(&world), number, "step {steps}");
        steps += 1;
    }
    assert!(steps > 5, "{steps}");
}

#[test]
fn a_silence_that_ends_before_it_reached_an_alert_lets_it_go() {
    let number = 5 * STEP;
    let mut world = world(number);
    let fresh = SilenceId(uuid::Uuid::from_u128(1 << 64));
    let all = draft(&[("namespace", "=", "prod")], LONG);
    world.state.set_silence(all, fresh, 0, world.moment()).unwrap();
    let owed = world.state.turn(world.moment());
    world.settle_accounts(owed);
    // All are looked at again for another reason.
    let source = json!([{"name": "alertname", "value": "x0"}]);
    let target = json!([{"name": "namespace", "value": "prod"}]);
    world.routes.get_mut("r").unwrap().spec =
        json!({"inhibit": [{"source": source, "target": target, "equal": []}]});
    world.configure();
    assert_eq!(silenced(&world), number);
    world.unsilence(fresh);
    assert_eq!(silenced(&world), 0);
}

#[test]
fn silences_that_keep_beginning_hold_nothing_up() {
    let number = 6 * STEP;
    let mut world = world(number);
    let by = GroupBy::Labels(["alertname".into()].into());
    let (wait, interval) = (Duration::from_secs(1), Duration::from_hours(1));
    world.fires_on("loud", BEGIN);
    tell(&mut world);
    world.routes.get_mut("r").unwrap().grouping = Some(Grouping { by, wait, interval }.into());
    world.configure();
    tell(&mut world);
    world.fires_on("told", world.now);
    for one in 0..30 {
        let fresh = SilenceId(uuid::Uuid::from_u128((1 << 64) + one));
        let most = draft(&[("alertname", "=~", "x[0-9]+")], LONG);
        world.state.set_silence(most, fresh, 0, world.moment()).unwrap();
        let (owed, _) = world.state.tick(world.moment());
        world.settle_accounts(owed);
        world.now += 1;
        assert!(world.state.is_turning());
    }
    assert_eq!(silenced(&world), number, "the first is effective");
    let (notification, _) = world.take("a").expect("groups are told all the same");
    assert_eq!(notification.alert_name(), "told");
}

#[test]
fn no_group_is_told_before_the_last_step() {
    let many = 3 * STEP;
    let settings = Settings { max_alerts: many, max_bytes: usize::MAX, ..settings() };
    let mut world = World::with(settings, &["a"]);
    let by = GroupBy::Labels(["namespace".into()].into());
    let (wait, interval) = (Duration::from_secs(30), Duration::from_hours(1));
    world.routes.get_mut("r").unwrap().grouping = Some(Grouping { by, wait, interval }.into());
    world.configure();
    world.set(draft(&[("alertname", "!=", "x0")], (BEGIN, BEGIN + 30))).unwrap();
    fire(&mut world, 0..many);
    // The silence ends in the very second in which the group is told.
    world.wait(30);
    let (notification, _) = world.take("a").unwrap();
    assert_eq!(notification.members.len(), many);
}

#[test]
fn silences_that_have_not_begun_keep_the_room_that_they_will_take() {
    let settings = Settings { max_bytes: 2 << 20, ..settings() };
    let mut world = World::with(settings, &["a"]);
    fire(&mut world, 0..900);
    let all = draft(&[("namespace", "=", "prod")], LATER);
    let mut made = Vec::new();
    let error = loop {
        assert!(made.len() < 100, "what they will take is not booked");
        match world.set(all.clone()) {
            Ok(id) => made.push(id),
            Err(error) => break error,
        }
    };
    assert_eq!(error, SilenceError::NoMemory);
    assert!(!made.is_empty());
    world.unsilence(made[0]);
    made[0] = world.set(all.clone()).expect("one that is given up makes room");
    world.restart();
    assert_eq!(world.set(all.clone()), Err(SilenceError::NoMemory), "after a restart too");
    world.wait(HOUR);
    world.turn();
    assert_eq!(silenced(&world), 900, "there was room when they began");
}

#[test]
fn compiled_regular_expressions_are_bounded_and_booked() {
    let settings = Settings { max_bytes: 4 << 20, ..settings() };
    let mut world = World::with(settings, &["a"]);
    let hostile = "(?:[a-zé-ü]{1,40}x){1,20}";
    let of = |one: usize| format!("{hostile}{one}.*");
    let many: Vec<String> = (0..20).map(of).collect();
    let many: Vec<_> = many.iter().map(|value| ("a", "=~", value.as_str())).collect();
    let error = world.set(draft(&many, LONG)).unwrap_err().to_string();
    assert!(error.contains("bytes of memory, more than 4194304"), "{error}");
    let mut held = 0;
    let error = loop {
        assert!(held < 50, "what is compiled is not booked");
        match world.set(draft(&[("a", "=~", &of(held))], LONG)) {
            Ok(_) => held += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, SilenceError::NoMemory);
    let plain = draft(&[("a", "=~", "node-[0-9]+")], LONG);
    assert!(held > 0 && world.set(plain).is_ok(), "a usual one takes little");
}
