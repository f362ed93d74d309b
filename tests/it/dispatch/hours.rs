//! Routes that notify at certain times only. The world begins on a Friday at 08:00 UTC.

use std::time::Duration;

use fanfare::dispatch::Mute;
use serde_json::{Value, json};

use super::world::{BEGIN, World};

const HOUR: i64 = 3_600;

fn from_to(from: &str, to: &str) -> Value {
    json!({"times": [{"startTime": from, "endTime": to}]})
}

fn world(spec: &Value) -> World {
    let mut world = World::new(&["a"]);
    world.routes.get_mut("r").unwrap().spec = spec.clone();
    world.configure();
    world
}

fn working_hours() -> World {
    world(&json!({"activeTimeIntervals": [from_to("09:00", "17:00")]}))
}

#[test]
fn what_fires_off_hours_is_told_when_they_begin() {
    let mut world = working_hours();
    world.route("always", json!({}), &["b"]);
    world.configure();
    world.fires_on("x", BEGIN);
    assert_eq!(world.told(), ["b firing"]);
    assert_eq!(world.muted(Mute::OffHours), (1, 1));
    let id = *world.disk.alerts.keys().next().unwrap();
    assert_eq!(world.state.muted_by(id).muted_by, ["prod/r".parse().unwrap()]);
    assert_eq!(world.state.next_due(world.moment()), Some(Duration::from_hours(1)));
    world.wait(HOUR - 1);
    assert!(world.told().is_empty());
    world.wait(1);
    assert_eq!(world.told(), ["a firing"]);
    assert!(world.state.muted_by(id).muted_by.is_empty());
    assert_eq!(world.muted(Mute::OffHours), (0, 1));
}

#[test]
fn an_end_off_hours_is_told_when_they_begin_again() {
    let mut world = working_hours();
    world.repeat = 1_000 * HOUR;
    world.configure();
    world.wait(HOUR);
    world.fires_on("x", world.now);
    assert_eq!(world.told(), ["a firing"]);
    world.fires_on("y", world.now);
    world.wait(8 * HOUR);
    assert_eq!(world.ends_of(), ["a firing Muted"], "y waited for its turn");
    world.ends("x", BEGIN + HOUR);
    world.wait(16 * HOUR - 1);
    assert!(world.told().is_empty());
    world.wait(1);
    assert_eq!(world.told(), ["a resolved", "a firing"]);
}

#[test]
fn mute_intervals_beat_active_ones() {
    let mut world = world(&json!({
        "activeTimeIntervals": [from_to("08:00", "17:00")],
        "muteTimeIntervals": [from_to("08:30", "09:30")],
    }));
    world.fires_on("x", BEGIN);
    assert_eq!(world.told(), ["a firing"]);
    world.wait(1_800);
    world.fires_on("y", world.now);
    assert!(world.told().is_empty());
    world.wait(HOUR);
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn other_hours_count_at_once() {
    let mut world = working_hours();
    world.fires_on("x", BEGIN);
    let mut become_ = |spec: Value| {
        world.routes.get_mut("r").unwrap().spec = spec;
        world.configure();
        (world.muted(Mute::OffHours).0, world.ends_of().len())
    };
    assert_eq!(become_(json!({"activeTimeIntervals": [from_to("07:00", "09:00")]})), (0, 0));
    assert_eq!(become_(json!({"muteTimeIntervals": [from_to("07:00", "09:00")]})), (1, 1));
    assert_eq!(become_(json!({})), (0, 0));
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn a_restart_off_hours_tells_nobody() {
    let mut world = working_hours();
    world.edit("a", |one| one.limits.max_age = Duration::from_mins(30));
    world.fires_on("x", BEGIN);
    world.crash();
    assert!(world.told().is_empty());
    assert_eq!(world.muted(Mute::OffHours).0, 1);
    world.commit();
    world.now += 2 * HOUR;
    world.restart();
    world.wait(0);
    assert!(world.letters().is_empty(), "nobody knows since when it could have been told");
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn a_suspended_route_is_counted_and_shown() {
    let mut world = world(&json!({}));
    world.fires_on("x", BEGIN);
    world.told();
    world.routes.get_mut("r").unwrap().spec = json!({"suspend": true});
    world.configure();
    world.fires_on("y", BEGIN);
    world.wait(9);
    world.ends("x", BEGIN);
    assert_eq!(world.muted(Mute::Suspended), (2, 2));
    for id in world.disk.alerts.keys() {
        assert_eq!(world.state.muted_by(*id).muted_by, ["prod/r".parse().unwrap()]);
    }
    world.routes.get_mut("r").unwrap().spec = json!({});
    world.configure();
    assert_eq!(world.told(), ["a resolved", "a firing"]);
    assert_eq!(world.muted(Mute::Suspended).0, 0);
}
