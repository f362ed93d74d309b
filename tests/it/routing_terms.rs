//! What a compiled route demands: grouping, inhibition, hours, fallback.
#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "a test that can't go on fails")]

use std::{sync::Arc, time::Duration};

use fanfare::{
    alert::Labels,
    api::{AlertRouteSpec, FallbackMode, Reason},
    routing::{GroupBy, Rejection, Route, RouteSettings},
};
use serde_json::{Value, json};

fn compile(name: &str, spec: Value) -> Result<Route, Rejection> {
    let spec: AlertRouteSpec = serde_json::from_value(spec).unwrap();
    let settings = RouteSettings { scope_label: "namespace".into(), cluster_namespaces: None };
    Route::compile(name.parse().unwrap(), "uid".into(), 1, Arc::new(spec), &settings)
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

#[test]
fn a_route_that_says_nothing_demands_nothing() {
    let route = compile("prod/x", json!({"targets": [{"name": "t"}]})).unwrap();
    assert_eq!((route.grouping, route.fallback), (None, None));
    assert!(route.inhibit.is_empty());
    assert!(route.hours.is_active("2026-01-01T00:00:00Z".parse().unwrap()));
}

#[test]
fn grouping_names_labels_or_all_of_them() {
    let of = |grouping| compile("prod/x", json!({"grouping": grouping})).unwrap().grouping.unwrap();
    let named = of(json!({"by": ["team", "alertname", "team"]}));
    assert_eq!(named.by, GroupBy::Labels(["alertname".into(), "team".into()].into()));
    assert_eq!((named.wait, named.interval), (Duration::from_secs(30), Duration::from_mins(5)));
    assert_eq!(of(json!({"by": ["..."]})).by, GroupBy::All);
    let one = of(json!({"by": [], "wait": "0s", "interval": "1m"}));
    assert_eq!(one.by, GroupBy::Labels([].into()));
    assert_eq!((one.wait, one.interval), (Duration::ZERO, Duration::from_mins(1)));
    // A stored object may be older than the rules.
    assert!(!of(json!({"by": [], "interval": "0s"})).interval.is_zero());
}

#[test]
fn inhibition_stays_within_the_scope_of_its_route() {
    let rule = json!([{
        "source": [{"name": "severity", "value": "critical"}],
        "target": [{"name": "severity", "matchType": "=~", "value": "warning|info"}],
        "equal": ["cluster", "alertname", "cluster"]
    }]);
    let own = compile("prod/x", json!({"inhibit": rule})).unwrap();
    let all = compile("prod/x", json!({"scope": "Cluster", "inhibit": rule})).unwrap();
    let [own, all] = [&own.inhibit[0], &all.inhibit[0]];
    assert_eq!(own.equal, ["alertname".into(), "cluster".into()].into());
    let ours = labels(&[("namespace", "prod"), ("severity", "critical")]);
    let theirs = labels(&[("namespace", "test"), ("severity", "critical")]);
    assert!(own.source.matches(&ours) && all.source.matches(&ours));
    assert!(!own.source.matches(&theirs) && all.source.matches(&theirs));
    let quiet = labels(&[("namespace", "prod"), ("severity", "info")]);
    let loud = labels(&[("namespace", "test"), ("severity", "info")]);
    assert!(own.target.matches(&quiet) && all.target.matches(&quiet));
    assert!(!own.target.matches(&loud) && all.target.matches(&loud));
    assert!(!own.target.matches(&ours));
}

#[test]
fn a_matcher_of_a_rule_that_does_not_compile_is_named() {
    let good = json!({"name": "a", "value": "b"});
    let bad = json!({"name": "a", "matchType": "=~", "value": "(?<=b)c"});
    for (source, target, place) in [
        (json!([good, bad]), json!([good]), "spec.inhibit[1].source[1]: "),
        (json!([good]), json!([bad]), "spec.inhibit[1].target[0]: "),
        (json!([{"name": "", "value": "b"}]), json!([good]), "spec.inhibit[1].source[0]: "),
    ] {
        let fine = json!({"source": [good], "target": [good]});
        let rules = json!([fine, {"source": source, "target": target}]);
        let rejection = compile("prod/x", json!({"inhibit": rules})).unwrap_err();
        assert_eq!(rejection.reason, Reason::InvalidMatcher);
        assert!(rejection.message.starts_with(place), "{}", rejection.message);
    }
}

#[test]
fn a_time_zone_that_does_not_exist_is_named() {
    let fine = json!({"weekdays": ["monday:friday"], "location": "Europe/Berlin"});
    let lost = json!({"weekdays": ["sunday"], "location": "Europe/Atlantis"});
    let spec = json!({"activeTimeIntervals": [fine], "muteTimeIntervals": [fine, lost]});
    let rejection = compile("prod/x", spec).unwrap_err();
    assert_eq!(rejection.reason, Reason::InvalidTimeInterval);
    assert_eq!(
        rejection.message,
        "spec.muteTimeIntervals[1].location: there is no time zone \"Europe/Atlantis\"; write the \
         IANA name of one, for example Europe/Berlin or UTC"
    );
    let route = compile("prod/x", json!({"activeTimeIntervals": [fine]})).unwrap();
    assert!(route.hours.is_active("2026-06-01T21:59:59Z".parse().unwrap()));
    assert!(!route.hours.is_active("2026-06-05T22:00:00Z".parse().unwrap()), "Saturday in Berlin");
}

#[test]
fn a_fallback_takes_the_namespace_of_its_route() {
    let of = |fallback| compile("prod/x", json!({"fallback": fallback})).unwrap().fallback.unwrap();
    let plain = of(json!({"targets": [{"name": "a"}]}));
    assert_eq!((plain.after, plain.mode), (Duration::from_mins(2), FallbackMode::Instead));
    let set = of(json!({
        "targets": [
            {"name": "a"}, {"name": "a", "namespace": "prod"},
            {"name": "b", "namespace": "shared", "sendResolved": false}
        ],
        "after": "0s", "mode": "Also"
    }));
    let targets: Vec<_> =
        set.targets.iter().map(|one| (one.key.to_string(), one.send_resolved)).collect();
    assert_eq!(targets, [("prod/a".to_owned(), true), ("shared/b".to_owned(), false)]);
    assert_eq!((set.after, set.mode), (Duration::ZERO, FallbackMode::Also));
}
