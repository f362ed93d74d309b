//! What senders do: expiry, staleness, pairs, limits.

use fanfare::{
    alert::{Alert, Labels},
    dispatch::Settings,
    publish::Source,
};
use jiff::Timestamp;

use super::world::{BEGIN, World, alert, at, settings};

#[test]
fn an_alert_that_nobody_sends_any_more_ends() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.wait(299);
    assert!(world.told().is_empty());
    world.wait(1);
    assert_eq!(world.told(), ["a resolved"]);
    let counts = world.state.counts();
    assert_eq!((counts.firing, counts.resolved, counts.expired), (0, 1, 1));
}

#[test]
fn nothing_expires_before_everyone_could_send_again_after_a_start() {
    let mut world = World::new(&["a"]);
    world.now = BEGIN - 60;
    world.restart();
    world.now = BEGIN;
    world.accept(alert("x", BEGIN, BEGIN + 10, BEGIN), Source::V2);
    world.wait(239);
    assert_eq!(world.state.counts().firing, 1);
    world.wait(1);
    assert_eq!(world.state.counts().firing, 0);
}

#[test]
fn an_alert_that_expired_and_comes_back_is_told_again() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    let first = world.send(fanfare::dispatch::Settled::Delivered);
    world.wait(300);
    world.told();
    world.fires("x", BEGIN);
    let second = world.send(fanfare::dispatch::Settled::Delivered);
    assert_eq!(second[0].0, "a firing");
    assert_ne!(first[0].1, second[0].1);
}

#[test]
fn an_outage_of_the_sender_is_no_new_incident_while_its_end_is_untold() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.wait(300);
    world.fires("x", BEGIN);
    assert!(world.told().is_empty(), "told that it fires, and it does");
}

#[test]
fn a_target_that_may_have_heard_of_an_end_is_told_that_it_fires_again() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.wait(300);
    world.send(super::world::UNSURE);
    world.fires("x", BEGIN);
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn webhook_alerts_never_expire_but_go_stale() {
    let mut world = World::new(&["a"]);
    let mut firing = alert("x", BEGIN, BEGIN, BEGIN);
    (firing.ends_at, firing.timeout) = (Timestamp::MAX, true);
    world.accept(firing.clone(), Source::Webhook);
    world.told();
    world.wait(24 * 3_600 - 1);
    world.told();
    assert!(world.told().is_empty());
    assert_eq!(world.state.counts().firing, 1);
    world.wait(1);
    assert!(world.told().is_empty());
    let counts = world.state.counts();
    assert_eq!((counts.firing, counts.resolved, counts.stale), (0, 0, 1));
    world.recover("a");
    assert!(world.told().is_empty());
    world.wait(3 * 24 * 3_600);
    world.accept(alert("x", BEGIN, world.now, world.now), Source::Webhook);
    assert_eq!(world.told(), ["a resolved"], "a late resolve closes what is open");
    firing.updated_at = at(world.now);
    world.wait(15 * 60);
    assert_eq!(world.state.counts().resolved, 0);
    world.accept(firing, Source::Webhook);
    world.wait(24 * 3_600 + 14 * 24 * 3_600);
    assert_eq!(world.state.counts().stale, 0, "forgotten after two weeks");
}

#[test]
fn the_newest_source_decides_how_an_alert_ends() {
    let mut world = World::new(&["a"]);
    let mut firing = alert("x", BEGIN, BEGIN, BEGIN);
    (firing.ends_at, firing.timeout) = (Timestamp::MAX, true);
    world.accept(firing.clone(), Source::Webhook);
    world.fires("x", BEGIN);
    world.wait(300);
    assert_eq!(world.state.counts().firing, 0);
    world.fires("y", BEGIN);
    firing.labels = alert("y", 0, 0, 0).labels;
    firing.updated_at = at(world.now);
    world.accept(firing, Source::Webhook);
    world.wait(3_600);
    assert_eq!(world.state.counts().firing, 1);
}

#[test]
fn the_slower_of_two_senders_makes_no_second_incident() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.wait(60);
    world.ends("x", BEGIN);
    assert_eq!(world.told(), ["a resolved"]);
    world.wait(20);
    world.fires("x", BEGIN + 5);
    assert!(world.told().is_empty());
    assert_eq!(world.state.counts().firing, 1, "the state follows the merge");
    world.wait(20);
    world.ends("x", BEGIN + 5);
    assert!(world.told().is_empty());
    world.wait(600);
    assert!(world.told().is_empty());
}

#[test]
fn what_still_fires_two_minutes_later_is_told() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.wait(60);
    world.ends("x", BEGIN);
    world.told();
    world.wait(20);
    world.fires("x", BEGIN);
    world.wait(60);
    world.fires("x", BEGIN);
    assert!(world.told().is_empty());
    world.wait(59);
    assert!(world.told().is_empty());
    world.wait(1);
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn a_resolve_in_doubt_still_reaches_those_told() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.wait(60);
    let end = world.now;
    world.ends("x", BEGIN);
    world.wait(5);
    world.fires("x", BEGIN);
    let (notification, _ticket) = world.take("a").unwrap();
    assert_eq!(notification.status.as_str(), "resolved");
    assert_eq!(notification.members[0].alert.ends_at, at(end));
}

#[test]
fn a_start_after_the_end_is_told_at_once() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.told();
    world.wait(60);
    world.ends("x", BEGIN);
    world.told();
    world.wait(10);
    let start = world.now - 1;
    world.fires("x", start);
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn a_resolve_of_what_is_not_held_is_taken_and_forgotten() {
    let mut world = World::new(&["a"]);
    let accepted = world.accept(alert("x", BEGIN, BEGIN, BEGIN), Source::V2);
    assert_eq!((accepted.alerts, accepted.refused), (1, 0));
    assert_eq!(world.state.counts(), fanfare::dispatch::Counts::default());
}

#[test]
fn alerts_without_a_route_are_held_and_counted() {
    let mut world = World::new(&["a"]);
    let mut stray = alert("x", BEGIN, BEGIN + 300, BEGIN);
    stray.labels = fanfare::alert::Labels::from_iter([("namespace", "elsewhere")]);
    let accepted = world.accept(stray, Source::V2);
    assert_eq!((accepted.alerts, accepted.unrouted), (1, 1));
    world.route("all", serde_json::json!({"scope": "Cluster"}), &["a"]);
    world.configure();
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn new_alerts_over_the_limit_are_refused_and_nothing_else() {
    let limited = Settings { max_alerts: 2, ..settings() };
    let mut world = World::with(limited, &["a"]);
    for name in ["x", "y"] {
        world.fires(name, BEGIN);
        world.told();
    }
    let accepted = world.accept(alert("z", BEGIN, BEGIN + 300, BEGIN), Source::V2);
    assert_eq!((accepted.alerts, accepted.refused), (0, 1));
    world.fires("x", BEGIN);
    world.ends("y", BEGIN);
    assert_eq!(world.told(), ["a resolved"]);
    world.fires("z", BEGIN);
    assert_eq!(world.told(), ["a firing"]);
    let counts = world.state.counts();
    assert_eq!((counts.firing, counts.resolved), (2, 1));
}

#[test]
fn alerts_that_ended_are_bounded_too() {
    let limited = Settings { max_alerts: 3, ..settings() };
    let mut world = World::with(limited, &["a"]);
    for round in 0..20 {
        let name = format!("x{round}");
        world.fires(&name, BEGIN);
        world.told();
        world.ends(&name, BEGIN);
        world.told();
    }
    world.fires("x", BEGIN);
    let counts = world.state.counts();
    assert_eq!((counts.firing, counts.resolved, counts.dropped), (1, 3, 0));
}

#[test]
fn an_alert_that_ended_and_comes_back_without_room_is_told() {
    let limited = Settings { max_bytes: 50_000, ..settings() };
    let mut world = World::with(limited, &["a"]);
    world.fires("back", BEGIN);
    world.told();
    world.ends("back", BEGIN);
    world.told();
    for at in 0..4 {
        world.accept(long(&format!("x{at}"), 10_000, BEGIN), Source::V2);
    }
    world.told();
    world.wait(600);
    let mut again = long("back", 40_000, world.now);
    again.starts_at = at(world.now);
    let accepted = world.accept(again, Source::V2);
    let told = world.told();
    assert_eq!((accepted.alerts, told.as_slice()), (1, &["a firing".to_owned()][..]));
}

/// An alert with an annotation of that many bytes.
fn long(name: &str, bytes: usize, now: i64) -> Alert {
    let text = "x".repeat(bytes);
    let annotations = Labels::from_iter([("text", text)]);
    Alert { annotations, ..alert(name, BEGIN, BEGIN + 3_000, now) }
}

#[test]
fn new_alerts_over_the_memory_are_refused_and_nothing_else() {
    let limited = Settings { max_bytes: 50_000, ..settings() };
    let mut world = World::with(limited, &["a"]);
    let mut taken = 0;
    for at in 0..10 {
        let accepted = world.accept(long(&format!("x{at}"), 10_000, BEGIN), Source::V2);
        world.told();
        taken += accepted.alerts;
    }
    assert_eq!((taken, world.state.counts().firing), (4, 4));
    let accepted = world.accept(long("x0", 10_000, BEGIN), Source::V2);
    assert_eq!((accepted.alerts, accepted.refused), (1, 0), "a re-send is taken");
    world.ends("x1", BEGIN);
    assert_eq!(world.told(), ["a resolved"], "a resolve is taken and told");
    let accepted = world.accept(long("y", 10_000, BEGIN), Source::V2);
    assert_eq!(accepted.alerts, 1, "what ended makes room");
}

#[test]
fn re_sends_that_grow_stay_within_the_memory() {
    let limited = Settings { max_bytes: 50_000, ..settings() };
    let mut world = World::with(limited, &["a"]);
    for name in ["x", "y", "z"] {
        world.accept(alert(name, BEGIN, BEGIN + 3_000, BEGIN), Source::V2);
    }
    for name in ["x", "y", "z", "x", "y", "z"] {
        let accepted = world.accept(long(name, 40_000, BEGIN), Source::V2);
        assert_eq!((accepted.alerts, accepted.refused), (1, 0), "{name}");
    }
    let held = format!("{:?}", world.state).matches("xxxxxxxxxx").count() * 10;
    assert!((40_000..50_000).contains(&held), "{held} bytes of annotations");
    for name in ["x", "y", "z"] {
        world.ends(name, BEGIN);
    }
    world.wait(3_600);
    assert_eq!(world.state.counts().firing, 0);
    let accepted = world.accept(long("new", 40_000, BEGIN), Source::V2);
    assert_eq!(accepted.alerts, 1, "the books are even again");
}

#[test]
fn a_hostile_sender_fills_no_queue() {
    let mut world = World::new(&["a"]);
    for step in 0..4_000 {
        let start = world.now;
        let end = start + 1_000_000_000 - step;
        world.accept(alert("x", start, end, start), Source::V2);
        world.ends("x", start);
        world.wait(1);
        world.accept(alert("x", start + 1, end, start), Source::V2);
        world.wait(900);
        world.ends("x", start);
        world.wait(1);
    }
    assert!(format!("{:?}", world.state).len() < 150_000);
}

#[test]
fn what_was_never_told_of_a_stale_alert_is_superseded() {
    let mut world = World::new(&["a"]);
    let mut firing = alert("x", BEGIN, BEGIN, BEGIN);
    (firing.ends_at, firing.timeout) = (Timestamp::MAX, true);
    world.edit("a", |one| one.suspended = true);
    world.accept(firing, Source::Webhook);
    world.wait(24 * 3_600);
    assert_eq!(world.ends_of(), ["a firing Superseded"]);
    world.edit("a", |one| one.suspended = false);
    assert!(world.told().is_empty());
}

#[test]
fn a_start_gives_webhook_alerts_their_whole_age() {
    let mut world = World::new(&["a"]);
    let mut firing = alert("x", BEGIN, BEGIN, BEGIN);
    (firing.ends_at, firing.timeout) = (Timestamp::MAX, true);
    world.accept(firing, Source::Webhook);
    world.now += 30 * 3_600;
    world.restart();
    world.wait(24 * 3_600 - 1);
    assert_eq!(world.state.counts().firing, 1);
    world.wait(1);
    assert_eq!(world.state.counts().stale, 1);
}
