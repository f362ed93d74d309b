//! Alerts that keep others quiet, route by route.

use std::{sync::Arc, time::Duration};

use fanfare::{
    alert::Alert,
    dispatch::Mute,
    publish::Source,
    routing::{GroupBy, Grouping},
};
use serde_json::{Value, json};

use super::world::{BEGIN, FAILED, World, at};

fn is(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

/// What pages keeps quiet what warns on the same node.
fn rule() -> Value {
    json!({"source": [is("severity", "page")], "target": [is("severity", "warn")], "equal": ["node"]})
}

fn world() -> World {
    with(&json!({"inhibit": [rule()]}))
}

fn with(spec: &Value) -> World {
    let mut world = World::new(&["a"]);
    world.routes.get_mut("r").unwrap().spec = spec.clone();
    world.configure();
    world
}

fn page(node: &str) -> [(&str, &str); 3] {
    [("alertname", "down"), ("severity", "page"), ("node", node)]
}

fn warn(node: &str) -> [(&str, &str); 3] {
    [("alertname", "slow"), ("severity", "warn"), ("node", node)]
}

#[test]
fn a_source_keeps_its_targets_quiet_while_it_fires() {
    let mut world = world();
    world.takes(&page("1"), true);
    world.takes(&warn("1"), true);
    world.takes(&warn("2"), true);
    assert_eq!(world.told(), ["a firing", "a firing"], "the source and the other node");
    assert_eq!(world.muted(Mute::Inhibited), (1, 1));
    let inhibited = *world.disk.alerts.keys().nth(1).unwrap();
    let source = world.labelled(&page("1"), true).labels.fingerprint();
    assert_eq!(world.state.muted_by(inhibited).inhibited_by, [source]);
    world.wait(9);
    world.takes(&page("1"), false);
    assert_eq!(world.told(), ["a resolved", "a firing"]);
    assert_eq!(world.muted(Mute::Inhibited), (0, 1));
}

#[test]
fn a_source_takes_back_what_waits_and_the_difference_is_told_afterwards() {
    let mut world = world();
    world.takes(&warn("1"), true);
    world.takes(&warn("2"), true);
    assert_eq!(world.send_to("a", FAILED).len(), 2);
    world.takes(&page("1"), true);
    assert_eq!(world.ends_of(), ["a firing Muted"]);
    world.wait(30);
    assert_eq!(world.told(), ["a firing", "a firing"], "the source, and the other node again");
    world.takes(&page("2"), true);
    world.wait(9);
    world.takes(&warn("2"), false);
    assert_eq!(world.told(), ["a firing"], "the source alone");
    world.takes(&page("2"), false);
    assert_eq!(world.told(), ["a resolved", "a resolved"], "the end of both");
}

#[test]
fn order_within_a_post_does_not_matter() {
    let mut world = world();
    let alerts = vec![world.labelled(&warn("1"), true), world.labelled(&page("1"), true)];
    let (_, owed) = world.state.accept(alerts, Source::V2, world.moment());
    world.settle_accounts(owed);
    assert_eq!(world.told(), ["a firing"]);
    assert_eq!(world.muted(Mute::Inhibited), (1, 1));
}

/// Alertmanager lost this between 0.30 and 0.34.0.
#[test]
fn every_source_of_the_same_values_counts() {
    let mut world = world();
    let second = [("alertname", "dead"), ("severity", "page"), ("node", "1")];
    world.takes(&page("1"), true);
    world.takes(&second, true);
    world.takes(&warn("1"), true);
    world.told();
    world.wait(9);
    world.takes(&second, false);
    assert_eq!(world.told(), ["a resolved"]);
    world.takes(&page("1"), false);
    assert_eq!(world.told(), ["a resolved", "a firing"]);
}

#[test]
fn a_missing_label_equals_a_missing_one() {
    let mut world = world();
    world.takes(&page("")[..2], true);
    world.takes(&warn("")[..2], true);
    world.takes(&warn("1"), true);
    assert_eq!(world.told(), ["a firing", "a firing"]);
    let mut world = with(&json!({"inhibit": [{
        "source": [is("severity", "page")], "target": [is("severity", "warn")],
    }]}));
    world.takes(&page("1"), true);
    world.takes(&warn("2"), true);
    assert_eq!(world.told(), ["a firing"], "without equal labels all agree");
}

#[test]
fn alerts_on_both_sides_keep_quiet_but_not_each_other() {
    let source = json!([{"name": "severity", "matchType": "=~", "value": "page|warn"}]);
    let rule = json!({"source": source, "target": [is("severity", "warn")], "equal": ["node"]});
    let mut world = with(&json!({"inhibit": [rule]}));
    let other = [("alertname", "full"), ("severity", "warn"), ("node", "1")];
    world.takes(&warn("1"), true);
    world.takes(&other, true);
    assert_eq!(world.told(), ["a firing", "a firing"], "neither themselves nor each other");
    world.takes(&page("1"), true);
    world.wait(9);
    world.takes(&warn("1"), false);
    world.takes(&other, false);
    assert_eq!(world.told(), ["a firing"], "what is only a source keeps both quiet");
    let rule = json!({"source": source, "target": [{"name": "severity", "matchType": "!=", "value": "page"}]});
    let mut world = with(&json!({"inhibit": [rule]}));
    world.takes(&warn("1"), true);
    world.takes(&[("alertname", "note")], true);
    assert_eq!(
        world.told(),
        ["a firing"],
        "what is only a target is kept quiet by one on both sides"
    );
}

#[test]
fn a_source_that_is_silenced_inhibited_or_not_wanted_counts_all_the_same() {
    let mut world = with(&json!({"inhibit": [rule()], "matchers": [is("severity", "warn")]}));
    world.takes(&page("1"), true);
    world.takes(&warn("1"), true);
    assert!(world.told().is_empty(), "the route does not want the source");
    let chain = json!({"source": [is("severity", "warn")], "target": [is("alertname", "note")]});
    let mut world = with(&json!({"inhibit": [rule(), chain]}));
    world.silence("down", 3_600);
    world.takes(&page("1"), true);
    world.takes(&warn("1"), true);
    world.takes(&[("alertname", "note")], true);
    assert!(world.told().is_empty());
}

#[test]
fn a_source_outside_the_scope_of_the_route_does_not_count() {
    let mut world = world();
    let mut alert = world.labelled(&page("1"), true);
    let labels = alert.labels.iter().map(|(name, value)| match name {
        "namespace" => (name, "dev"),
        _ => (name, value),
    });
    alert.labels = labels.collect();
    world.accept(alert.clone(), Source::V2);
    world.takes(&warn("1"), true);
    assert_eq!(world.told(), ["a firing"]);
    world.routes.get_mut("r").unwrap().spec = json!({"scope": "Cluster", "inhibit": [rule()]});
    world.configure();
    assert_eq!(world.told(), ["a firing"], "now the route wants the source too");
    world.wait(9);
    world.takes(&warn("1"), false);
    assert!(world.told().is_empty());
}

#[test]
fn rules_are_the_routes_own() {
    let mut world = world();
    world.route("other", json!({}), &["b"]);
    world.configure();
    world.takes(&page("1"), true);
    world.takes(&warn("1"), true);
    assert_eq!(world.told(), ["a firing", "b firing", "b firing"]);
}

#[test]
fn rules_that_come_and_go_concern_what_fires() {
    let mut world = with(&json!({}));
    world.takes(&page("1"), true);
    world.takes(&warn("1"), true);
    world.routes.get_mut("r").unwrap().spec = json!({"inhibit": [rule()]});
    world.configure();
    assert_eq!(world.ends_of(), ["a firing Muted"]);
    assert_eq!(world.told(), ["a firing"]);
    world.routes.get_mut("r").unwrap().spec = json!({});
    world.configure();
    assert_eq!(world.told(), ["a firing"]);
    assert_eq!(world.muted(Mute::Inhibited).0, 0);
}

#[test]
fn a_source_that_expires_releases_and_one_that_fires_again_counts_again() {
    let mut world = world();
    let source = super::world::alert("", BEGIN, BEGIN + 300, BEGIN);
    let labels = world.labelled(&page("1"), true).labels;
    world.accept(fanfare::alert::Alert { labels, ..source }, Source::V2);
    world.takes(&warn("1"), true);
    assert_eq!(world.told(), ["a firing"]);
    world.wait(301);
    assert_eq!(world.told(), ["a resolved", "a firing"]);
    world.wait(600);
    world.takes(&page("1"), true);
    world.wait(9);
    world.takes(&warn("1"), false);
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn a_restart_tells_nothing_that_is_inhibited() {
    let mut world = world();
    world.takes(&warn("1"), true);
    world.takes(&warn("2"), true);
    world.takes(&page("1"), true);
    assert_eq!(world.told(), ["a firing", "a firing"]);
    for _ in 0..2 {
        world.restart();
        assert!(world.told().is_empty());
        assert_eq!(world.muted(Mute::Inhibited).0, 1);
    }
    world.wait(9);
    world.takes(&page("1"), false);
    assert_eq!(world.told(), ["a resolved", "a firing"]);
}

#[test]
fn a_source_that_only_a_slower_sender_reports_keeps_its_targets_quiet() {
    let mut world = world();
    world.takes(&page("1"), true);
    world.told();
    world.wait(10);
    world.takes(&page("1"), false);
    assert_eq!(world.told(), ["a resolved"]);
    let slower = Alert { starts_at: at(BEGIN), ..world.labelled(&page("1"), true) };
    world.accept(slower, Source::V2);
    world.takes(&warn("1"), true);
    assert!(world.told().is_empty(), "nobody is told of either yet");
    assert_eq!(world.muted(Mute::Inhibited).0, 1);
    world.wait(120);
    assert_eq!(world.told(), ["a firing"], "the source, which still fires");
}

#[test]
fn a_flush_at_the_end_of_a_source_shows_whom_it_kept_quiet() {
    let mut world = world();
    let times = (Duration::ZERO, Duration::from_mins(5));
    let grouping = Grouping { by: GroupBy::Labels([].into()), wait: times.0, interval: times.1 };
    world.routes.get_mut("r").unwrap().grouping = Some(Arc::new(grouping));
    world.configure();
    world.takes(&warn("2"), true);
    world.wait(0);
    assert_eq!(world.told(), ["a firing"]);
    let source = Alert { ends_at: at(BEGIN + 300), ..world.labelled(&page("1"), true) };
    world.accept(source, Source::V2);
    world.takes(&warn("1"), true);
    world.wait(299);
    assert!(world.told().is_empty());
    world.wait(1);
    let sent = world.send(fanfare::dispatch::Settled::Delivered);
    assert_eq!(sent.len(), 1);
    assert_eq!(world.muted(Mute::Inhibited).0, 0);
    world.wait(300);
    assert!(world.told().is_empty(), "both were told in one");
}
