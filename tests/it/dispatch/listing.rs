//! What is held, as the API sees it.

use std::sync::Arc;

use fanfare::{
    alert::Labels,
    api::MatchType,
    dispatch::{Listed, Listing, Plan, RouteTerms},
    publish::{SilenceDraft, SilenceMatcher, Source},
    routing::{GroupBy, Grouping, InhibitRule, Matchers, Route, RouteSettings, RouteTable},
};
use serde_json::json;

use super::world::{BEGIN, World, alert, at, recipient};

fn listing(world: &World) -> Listing {
    let mut listing = Listing::default();
    for ids in world.state.held().chunks(2) {
        world.state.show(ids, &mut listing);
    }
    listing
}

fn shown<'a>(listing: &'a Listing, name: &str) -> &'a Listed {
    listing.alerts.iter().find(|shown| shown.alert.label("alertname") == name).unwrap()
}

fn routes(shown: &Listed) -> Vec<(String, bool)> {
    shown.standing.routes.iter().map(|on| (on.route.key.to_string(), on.muted)).collect()
}

#[test]
fn firing_alerts_are_shown_with_their_routes_and_targets() {
    let mut world = World::new(&["b", "a"]);
    world.route("s", json!({"matchers": [{"name": "alertname", "value": "x"}]}), &["c"]);
    world.configure();
    for name in ["x", "y", "z"] {
        world.fires(name, BEGIN);
    }
    world.ends("z", BEGIN);
    let listing = listing(&world);
    assert_eq!(listing.alerts.len(), 2, "what is over is left out");
    let (x, y) = (shown(&listing, "x"), shown(&listing, "y"));
    assert_eq!(routes(x), [("prod/r".to_owned(), false), ("prod/s".to_owned(), false)]);
    let targets: Vec<String> =
        x.standing.routes[0].route.targets.iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["prod/a", "prod/b"]);
    assert_eq!(routes(y), [("prod/r".to_owned(), false)]);
    assert!(!x.standing.is_suppressed() && !x.standing.unprocessed);
}

#[test]
fn alerts_in_the_same_place_share_their_standing() {
    let mut world = World::new(&["a"]);
    for name in ["x", "y"] {
        world.fires(name, BEGIN);
    }
    let listing = listing(&world);
    assert!(Arc::ptr_eq(&listing.alerts[0].standing, &listing.alerts[1].standing));
}

#[test]
fn suspended_route_is_shown_as_muted_for_old_and_new_alerts() {
    let mut world = World::new(&["a"]);
    world.fires("old", BEGIN);
    world.route("r", json!({"suspend": true}), &["a"]);
    world.configure();
    world.fires("new", BEGIN);
    let seen = listing(&world);
    for name in ["old", "new"] {
        assert_eq!(routes(shown(&seen, name)), [("prod/r".to_owned(), true)], "{name}");
        assert!(shown(&seen, name).standing.is_suppressed(), "{name}");
    }
    world.route("s", json!({}), &["b"]);
    world.configure();
    let seen = listing(&world);
    let old = shown(&seen, "old");
    assert_eq!(routes(old), [("prod/r".to_owned(), true), ("prod/s".to_owned(), false)]);
    assert!(!old.standing.is_suppressed(), "the other route tells it");
}

#[test]
fn silence_is_shown_by_its_id() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    world.fires("y", BEGIN);
    let draft = SilenceDraft {
        id: None,
        matchers: vec![SilenceMatcher {
            name: "alertname".into(),
            kind: MatchType::Equal,
            value: "x".into(),
        }],
        starts_at: at(BEGIN),
        ends_at: at(BEGIN + 3_600),
        created_by: "me".into(),
        comment: "c".into(),
        annotations: [].into(),
    };
    let now = world.moment();
    let fresh = "3f2504e0-4f89-41d3-9a0c-0305e82c3301".parse().unwrap();
    let id = world.state.set_silence(draft, fresh, 0, now).unwrap();
    world.turn();
    let seen = listing(&world);
    assert_eq!(*shown(&seen, "x").standing.silenced_by, [id]);
    assert!(shown(&seen, "x").standing.is_suppressed());
    assert!(shown(&seen, "y").standing.silenced_by.is_empty());
}

#[test]
fn inhibited_alert_names_its_source_and_the_route_its_grouping() {
    let mut world = World::new(&["a"]);
    let settings = RouteSettings { scope_label: "namespace".into(), cluster_namespaces: None };
    let spec = Arc::new(serde_json::from_value(json!({})).unwrap());
    let key: fanfare::api::RouteKey = "prod/q".parse().unwrap();
    let route = Arc::new(Route::compile(key.clone(), "u".into(), 1, spec, &settings).unwrap());
    let mut plan = Plan::new(Arc::new(RouteTable::new(vec![route])));
    let matchers = |text: &str| Matchers::parse(text).unwrap();
    let rule = InhibitRule {
        source: matchers("alertname=NodeDown"),
        target: matchers("alertname=Slow"),
        equal: ["namespace".into()].into(),
    };
    let grouping = Grouping {
        by: GroupBy::Labels([].into()),
        wait: std::time::Duration::ZERO,
        interval: std::time::Duration::from_secs(1),
    };
    let terms = RouteTerms {
        inhibit: [rule].into(),
        grouping: Some(Arc::new(grouping)),
        ..RouteTerms::default()
    };
    plan.add(key, terms, vec![recipient("a")]);
    let now = world.moment();
    let owed = world.state.reconfigure(Arc::new(plan), now);
    world.settle_accounts(owed);
    for name in ["NodeDown", "Slow"] {
        world.accept(alert(name, BEGIN, BEGIN + 300, BEGIN), Source::V2);
    }
    let seen = listing(&world);
    let source = shown(&seen, "NodeDown");
    let on = &shown(&seen, "Slow").standing.routes[0];
    assert_eq!(*on.inhibited_by, [source.alert.labels.fingerprint()]);
    assert!(on.is_absent() && !source.standing.routes[0].is_absent());
    let by = &on.route.grouping.as_ref().unwrap().by;
    assert_eq!(by.labels_of(&source.alert.labels), Labels::empty());
}

#[test]
fn restored_alert_is_unprocessed_until_there_is_a_plan() {
    let mut world = World::new(&["a"]);
    world.fires("x", BEGIN);
    let (disk, now) = (world.disk.clone(), world.moment());
    let state = disk.restore(super::world::settings(), now);
    let mut seen = Listing::default();
    state.show(&state.held(), &mut seen);
    assert!(shown(&seen, "x").standing.unprocessed && routes(shown(&seen, "x")).is_empty());
    world.restart();
    assert!(!shown(&listing(&world), "x").standing.unprocessed);
}

/// Both hash to 74ccca84fb3bb005 as `{a="…"}`; labels that follow keep them equal.
const TWINS: [&str; 2] = ["nTtfYXxUR2g", "ovYDwt9Xx6e"];

#[test]
fn two_label_sets_with_one_fingerprint_are_two_alerts() {
    let mut world = World::new(&["t"]);
    let twin = |value: &str, ends: i64| {
        let mut one = alert("", BEGIN, ends, BEGIN);
        one.labels = [("a", value), ("namespace", "prod")].into_iter().collect();
        one
    };
    for value in TWINS {
        let accepted = world.accept(twin(value, BEGIN + 300), Source::V2);
        assert_eq!((accepted.alerts, accepted.unrouted), (1, 0));
    }
    assert_eq!(world.told().len(), 2, "each is told");
    let seen = listing(&world);
    let prints: Vec<_> = seen.alerts.iter().map(|one| one.alert.labels.fingerprint()).collect();
    assert_eq!((prints.len(), prints[0]), (2, prints[1]));
    world.accept(twin(TWINS[0], BEGIN), Source::V2);
    let left = listing(&world);
    assert_eq!(left.alerts.len(), 1);
    assert_eq!(left.alerts[0].alert.label("a"), TWINS[1], "the other still fires");
    assert_eq!(world.told().len(), 1);
}
