//! Compiled routes and their index.
#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "a test that can't go on fails")]

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use fanfare::{
    alert::Labels,
    api::{AlertRouteSpec, MatchType, Reason, RouteKey},
    routing::{Matcher, Rejection, Route, RouteSettings, RouteTable},
};
use proptest::prelude::*;
use serde_json::json;

fn settings() -> RouteSettings {
    RouteSettings {
        scope_label: "namespace".into(),
        cluster_namespaces: Some(vec!["ops".to_owned()]),
    }
}

fn compile(name: &str, spec: serde_json::Value) -> Result<Route, Rejection> {
    let spec: AlertRouteSpec = serde_json::from_value(spec).unwrap();
    Route::compile(name.parse().unwrap(), "uid".into(), 1, Arc::new(spec), &settings())
}

fn table(routes: &[(&str, serde_json::Value)]) -> RouteTable {
    let routes = routes.iter().map(|(name, spec)| Arc::new(compile(name, spec.clone()).unwrap()));
    RouteTable::new(routes.collect())
}

fn resolved(table: &RouteTable, labels: &[(&str, &str)]) -> Vec<String> {
    let labels = labels.iter().copied().collect::<Labels>();
    table.resolve(&labels).iter().map(|route| route.key.to_string()).collect()
}

fn shadow(table: &RouteTable, name: &str) -> Option<String> {
    let key: RouteKey = name.parse().unwrap();
    let route = table.routes().find(|route| route.key == key).unwrap();
    table.shadowed(route).map(|key| key.to_string())
}

#[test]
fn routes_see_the_alerts_of_their_namespace() {
    let table = table(&[
        ("prod/all", json!({})),
        ("test/all", json!({"scope": "Namespace"})),
        ("ops/all", json!({"scope": "Cluster"})),
    ]);
    assert_eq!(resolved(&table, &[("namespace", "prod")]), ["ops/all", "prod/all"]);
    assert_eq!(resolved(&table, &[("namespace", "other")]), ["ops/all"]);
    assert_eq!(resolved(&table, &[("a", "b")]), ["ops/all"]);
}

#[test]
fn matchers_and_the_expression_must_all_hold() {
    let spec = json!({
        "matchers": [{"name": "team", "matchType": "=~", "value": "a|b"}, {"name": "sev", "value": "high"}],
        "matcherExpr": "{env!=\"test\"}",
    });
    let route = compile("prod/x", spec).unwrap();
    assert_eq!(route.matcher_summary, r#"{env!="test",sev="high",team=~"a|b"}"#);
    let labels = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Labels>();
    let good = [("namespace", "prod"), ("sev", "high"), ("team", "b")];
    assert!(route.matches(&labels(&good)));
    assert!(!route.matches(&labels(&good[1..])));
    assert!(!route.matches(&labels(&[good[0], good[1], good[2], ("env", "test")])));
}

#[test]
fn final_routes_hide_lower_ones_of_their_namespace() {
    let final_ = |priority: i32| json!({"final": true, "priority": priority, "matcherExpr": "a=b"});
    let table = table(&[
        ("prod/first", final_(5)),
        ("prod/higher", json!({"priority": 6})),
        ("prod/lower", json!({})),
        ("prod/same-z", json!({"priority": 5})),
        ("prod/earlier", json!({"priority": 5})),
        ("ops/cluster", json!({"scope": "Cluster"})),
    ]);
    let prod = ("namespace", "prod");
    assert_eq!(
        resolved(&table, &[prod, ("a", "b")]),
        ["ops/cluster", "prod/higher", "prod/earlier", "prod/first"]
    );
    assert_eq!(resolved(&table, &[prod, ("a", "x")]).len(), 5);
}

#[test]
fn suspended_routes_count_for_final_and_are_left_out() {
    let table = table(&[
        ("prod/muted", json!({"final": true, "priority": 1, "suspend": true})),
        ("prod/lower", json!({})),
    ]);
    assert!(resolved(&table, &[("namespace", "prod")]).is_empty());
    let mut out = Vec::new();
    assert!(table.resolve_into(&Labels::from_iter([("namespace", "prod")]), &mut out));
    assert!(!table.resolve_into(&Labels::from_iter([("namespace", "x")]), &mut out));
}

#[test]
fn cluster_scope_needs_permission() {
    let rejection = compile("prod/x", json!({"scope": "Cluster"})).unwrap_err();
    assert_eq!(rejection.reason, Reason::ScopeNotPermitted);
    assert!(rejection.message.contains("--cluster-route-namespaces"));
    assert!(compile("ops/x", json!({"scope": "Cluster"})).is_ok());
}

#[test]
fn bad_matchers_are_rejected_with_their_place() {
    for (spec, place) in [
        (
            json!({"matchers": [{"name": "a", "value": "b"}, {"name": "a", "matchType": "=~", "value": "b("}]}),
            "spec.matchers[1]: ",
        ),
        (json!({"matchers": [{"name": "", "value": "b"}]}), "spec.matchers[0]: name is empty"),
        (json!({"matcherExpr": "a=b,,"}), "spec.matcherExpr: "),
        (json!({"matcherExpr": "\"\"=x"}), "spec.matcherExpr: a label name is empty"),
        (json!({"matcherExpr": "a=~\"\\\\pL{1000}\""}), "spec.matcherExpr: "),
    ] {
        let rejection = compile("prod/x", spec).unwrap_err();
        assert_eq!(rejection.reason, Reason::InvalidMatcher);
        assert!(rejection.message.starts_with(place), "{}", rejection.message);
    }
}

#[test]
fn targets_take_the_namespace_of_their_route() {
    let route = compile(
        "prod/x",
        json!({"targets": [{"name": "a"}, {"name": "b", "namespace": "shared", "sendResolved": false}, {"name": "a", "namespace": "prod"}]}),
    )
    .unwrap();
    let targets: Vec<_> =
        route.targets.iter().map(|one| (one.key.to_string(), one.send_resolved)).collect();
    assert_eq!(targets, [("prod/a".to_owned(), true), ("shared/b".to_owned(), false)]);
}

#[test]
fn a_route_behind_a_superset_is_shadowed() {
    let table = table(&[
        ("prod/top", json!({"final": true, "priority": 9, "matcherExpr": "sev=~\"high|low\""})),
        ("prod/implied", json!({"matcherExpr": "sev=high,team=x"})),
        ("prod/same", json!({"matcherExpr": "sev=~\"high|low\",team=x"})),
        ("prod/free", json!({"matcherExpr": "sev=mid"})),
        ("prod/wider", json!({})),
        ("prod/over", json!({"priority": 10, "matcherExpr": "sev=high"})),
        ("ops/catch", json!({"final": true, "priority": 1, "scope": "Cluster"})),
        ("ops/own", json!({"matcherExpr": "x=y"})),
        ("test/own", json!({"matcherExpr": "sev=high"})),
    ]);
    assert_eq!(shadow(&table, "prod/implied").as_deref(), Some("prod/top"));
    assert_eq!(shadow(&table, "prod/same").as_deref(), Some("prod/top"));
    assert_eq!(shadow(&table, "ops/own").as_deref(), Some("ops/catch"));
    for free in ["prod/free", "prod/wider", "prod/over", "prod/top", "ops/catch", "test/own"] {
        assert_eq!(shadow(&table, free), None, "{free}");
    }
}

/// What the rules say, without an index.
fn naive(routes: &[Arc<Route>], labels: &Labels) -> Vec<RouteKey> {
    let mut routes: Vec<_> = routes.iter().filter(|route| route.matches(labels)).collect();
    routes.sort_by_key(|r| (r.key.namespace.clone(), Reverse(r.priority), r.key.name.clone()));
    let mut out: Vec<RouteKey> = Vec::new();
    for (at, route) in routes.iter().enumerate() {
        let hidden = routes[..at]
            .iter()
            .any(|earlier| earlier.is_final && earlier.key.namespace == route.key.namespace);
        if !hidden && !route.suspend {
            out.push(route.key.clone());
        }
    }
    out
}

fn any_spec() -> impl Strategy<Value = serde_json::Value> {
    let name = prop::sample::select(vec!["a", "b", "namespace"]);
    let kind = prop::sample::select(vec!["=", "!=", "=~", "!~"]);
    let value = prop::sample::select(vec!["", "x", "y", "ops", "x|y", ".+", "n."]);
    let matcher = (name, kind, value)
        .prop_map(|(name, kind, value)| json!({"name": name, "matchType": kind, "value": value}));
    let matchers = prop::collection::vec(matcher, 0..4);
    (matchers, -1..2, any::<bool>(), prop::bool::weighted(0.2), any::<bool>()).prop_map(
        |(matchers, priority, final_, suspend, cluster)| {
            let scope = if cluster { "Cluster" } else { "Namespace" };
            json!({"matchers": matchers, "priority": priority, "final": final_, "suspend": suspend, "scope": scope})
        },
    )
}

fn any_labels() -> impl Strategy<Value = Labels> {
    let name = prop::sample::select(vec!["a", "b", "namespace", "c"]);
    let value = prop::sample::select(vec!["x", "y", "ops", "n1"]);
    prop::collection::vec((name, value), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn compiled(specs: Vec<serde_json::Value>) -> Vec<Arc<Route>> {
    specs.into_iter().enumerate().map(|(at, spec)| compile_at(at, spec)).collect()
}

fn compile_at(at: usize, spec: serde_json::Value) -> Arc<Route> {
    let all = RouteSettings { cluster_namespaces: None, ..settings() };
    let key = RouteKey::new(["ops", "n1", "n2"][at % 3], &format!("r{at}"));
    let spec = Arc::new(serde_json::from_value(spec).unwrap());
    Arc::new(Route::compile(key, "u".into(), 1, spec, &all).unwrap())
}

/// Every `final` route looked at, without an index.
fn naive_shadow(routes: &[Arc<Route>], route: &Route) -> Option<RouteKey> {
    let implied = |matcher: &Matcher| {
        route.matchers.iter().any(|own| {
            let equality = own.kind == MatchType::Equal && !own.value.is_empty();
            own == matcher || (own.name == matcher.name && equality && matcher.accepts(&own.value))
        })
    };
    let hides = |first: &&Arc<Route>| {
        first.is_final
            && first.key.namespace == route.key.namespace
            && first.order(route) == Ordering::Less
            && first.matchers.iter().all(implied)
    };
    let first = routes.iter().filter(hides).min_by(|a, b| a.order(b));
    first.map(|route| route.key.clone())
}

fn pointers<'a>(routes: impl Iterator<Item = &'a Arc<Route>>) -> Vec<*const Route> {
    routes.map(Arc::as_ptr).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn the_index_answers_what_the_rules_say(
        specs in prop::collection::vec(any_spec(), 0..20),
        labels in prop::collection::vec(any_labels(), 1..8),
    ) {
        let routes = compiled(specs);
        let table = RouteTable::new(routes.clone());
        prop_assert_eq!(table.routes().count(), routes.len());
        for labels in labels {
            let keys: Vec<_> = table.resolve(&labels).iter().map(|route| route.key.clone()).collect();
            prop_assert_eq!(keys, naive(&routes, &labels));
        }
    }

    /// Routes are added, removed and compiled anew; a table that follows each change answers as one that is
    /// built from what there is, and an earlier form of it still answers as it did.
    #[test]
    fn a_table_that_follows_changes_answers_like_a_new_one(
        changes in prop::collection::vec((0..12_usize, prop::option::weighted(0.7, any_spec())), 0..60),
        early in 0..60_usize,
        labels in prop::collection::vec(any_labels(), 1..8),
    ) {
        let (mut table, mut present) = (RouteTable::default(), BTreeMap::new());
        let mut earlier = (table.clone(), present.clone());
        for (turn, (at, spec)) in changes.into_iter().enumerate() {
            if turn == early {
                earlier = (table.clone(), present.clone());
            }
            if let Some(old) = present.remove(&at) {
                table.remove(&old);
            }
            if let Some(spec) = spec {
                let route = compile_at(at, spec);
                table.insert(route.clone());
                present.insert(at, route);
            }
        }
        for (table, present) in [(&table, &present), (&earlier.0, &earlier.1)] {
            let routes: Vec<_> = present.values().cloned().collect();
            let fresh = RouteTable::new(routes.clone());
            prop_assert_eq!(pointers(table.routes()), pointers(fresh.routes()));
            prop_assert_eq!(pointers(table.suspended()), pointers(fresh.suspended()));
            for labels in &labels {
                let keys: Vec<_> = table.resolve(labels).iter().map(|route| route.key.clone()).collect();
                prop_assert_eq!(keys, naive(&routes, labels));
            }
            for route in &routes {
                prop_assert_eq!(table.shadowed(route), fresh.shadowed(route));
                prop_assert_eq!(table.shadowed(route), naive_shadow(&routes, route));
            }
        }
        let (then, now) = (earlier.1, present);
        let mut expected = BTreeSet::new();
        for (at, route) in then.iter().chain(&now) {
            let stays = [&then, &now].iter().all(|all| all.get(at).is_some_and(|one| Arc::ptr_eq(one, route)));
            if !stays {
                expected.insert(Arc::as_ptr(route));
            }
        }
        let changes = table.changes_since(&earlier.0);
        prop_assert_eq!(changes.iter().map(Arc::as_ptr).collect::<BTreeSet<_>>(), expected);
    }

    #[test]
    fn a_shadowed_route_never_gets_an_alert(
        specs in prop::collection::vec(any_spec(), 0..20),
        labels in prop::collection::vec(any_labels(), 1..30),
    ) {
        let routes = compiled(specs);
        let table = RouteTable::new(routes.clone());
        for route in routes.iter().filter(|route| table.shadowed(route).is_some()) {
            for labels in &labels {
                prop_assert!(table.resolve(labels).iter().all(|got| got.key != route.key));
            }
        }
    }
}
