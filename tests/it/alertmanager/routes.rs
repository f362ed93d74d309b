//! Routes: where the file that the API shows leads an alert, it is led by us.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use fanfare::{
    alert::Labels,
    api::{AlertRouteSpec, ConfigMapKeyRef, SecretKeyRef, TargetKey},
    delivery::{Credentials, Missing, Object, compile},
    registry::{Moment, ResolvedRoute, RouteEntry, RouteTarget, Snapshot, Target, TargetEntry},
    routing::{Route, RouteSettings, RouteTable},
};
use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    generate::{self, CASES},
    oracle::{ask, none_of},
};
use crate::{server::Bed, support::http::get};

/// Sets of routes that are tried.
const SETS: usize = 200;
const TARGETS: [&str; 4] = ["prod/chat", "prod/pager", "ops/log", "ops/hook"];

/// A receiver and the labels of a group.
type Place = (String, BTreeMap<String, String>);

#[tokio::test]
async fn the_file_leads_alerts_where_the_routes_lead_them() {
    let mut rng = generate::rng();
    let bed = Bed::start().await;
    let (mut questions, mut expected) = (Vec::new(), Vec::new());
    let mut cut = 0;
    for _ in 0..SETS {
        let snapshot = Arc::new(snapshot(&mut rng));
        bed.show(snapshot.clone());
        let status = get(&format!("{}/api/v2/status", bed.api)).await.json();
        let file = status["config"]["original"].as_str().unwrap().to_owned();
        if file.contains("Too many final routes") {
            cut += 1;
            continue;
        }
        let sets: Vec<_> = (0..=CASES / SETS * 3 / 2).map(|_| labels(&mut rng)).collect();
        expected.push(sets.iter().map(|set| ours(&snapshot, set)).collect::<Vec<_>>());
        questions.push(json!({"config": file, "sets": sets}));
    }
    let Some(answers) = ask(&questions) else { return };
    let mut differences = Vec::new();
    let (mut sets, mut places) = (0, 0);
    for ((question, answer), expected) in questions.iter().zip(&answers).zip(&expected) {
        let file = question["config"].as_str().unwrap();
        let Some(groups) = answer["groups"].as_array() else {
            differences.push(format!("Alertmanager refuses {file}: {answer}"));
            continue;
        };
        for (at, (theirs, ours)) in groups.iter().zip(expected).enumerate() {
            let theirs = placed(theirs);
            sets += 1;
            places += ours.len();
            if theirs != *ours {
                let set = &question["sets"][at];
                differences.push(format!("{set}: {ours:?}, Alertmanager: {theirs:?}, by\n{file}"));
            }
        }
    }
    eprintln!(
        "{} sets of routes ({cut} left out), {sets} label sets, {places} places",
        questions.len()
    );
    none_of(&differences);
    assert!(sets >= CASES && places > sets / 2, "too little is compared: {sets}, {places}");
}

fn placed(theirs: &Value) -> Vec<Place> {
    let place = |one: &Value| -> Place {
        (
            one["receiver"].as_str().unwrap().to_owned(),
            serde_json::from_value(one["labels"].clone()).unwrap(),
        )
    };
    let mut all: Vec<Place> = theirs.as_array().unwrap().iter().map(place).collect();
    all.retain(|(receiver, _)| receiver != "unrouted");
    all.sort();
    all
}

fn ours(snapshot: &Snapshot, set: &BTreeMap<String, String>) -> Vec<Place> {
    let labels: Labels = set.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut all = Vec::new();
    for route in snapshot.table.resolve(&labels) {
        let group = route.grouping.as_ref().map_or(labels.clone(), |it| it.by.labels_of(&labels));
        let group: BTreeMap<String, String> =
            group.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let resolved = snapshot.route(&route.key).unwrap();
        let receivers = resolved.targets.iter().map(|one| one.target.key.to_string());
        all.extend(receivers.map(|receiver| (receiver, group.clone())));
    }
    all.sort();
    all
}

fn labels(rng: &mut Rng) -> BTreeMap<String, String> {
    let mut set = generate::labels(rng);
    if rng.u8(..5) > 0 {
        set.insert("namespace".to_owned(), rng.choice(["prod", "ops", "x"]).unwrap().to_owned());
    }
    set.retain(|_, value| !value.is_empty());
    set
}

fn snapshot(rng: &mut Rng) -> Snapshot {
    let targets: Vec<Arc<Target>> = TARGETS.map(target).into();
    let compiled = (0..rng.usize(1..8)).filter_map(|at| route(rng, at)).collect();
    let table = RouteTable::new(compiled);
    let resolve = |route: &Arc<Route>| {
        let reached = targets
            .iter()
            .filter(|target| route.targets.iter().any(|named| named.key == target.key));
        let reached =
            reached.map(|target| RouteTarget { target: target.clone(), send_resolved: true });
        let resolved = ResolvedRoute {
            route: route.clone(),
            targets: reached.collect(),
            rejected: Vec::new(),
            unresolved: Vec::new(),
            fallback: Vec::new(),
            rejected_fallback: Vec::new(),
            shadowed_by: None,
        };
        (route.key.clone(), RouteEntry::Accepted(Arc::new(resolved)))
    };
    let routes = table.routes().map(resolve).collect();
    let entry = |target: &Arc<Target>| (target.key.clone(), TargetEntry::Accepted(target.clone()));
    Snapshot {
        complete: true,
        targets: Arc::new(targets.iter().map(entry).collect()),
        routes: Arc::new(routes),
        table: Arc::new(table),
        ..Snapshot::default()
    }
}

/// `None`: what was generated is no valid route.
fn route(rng: &mut Rng, at: usize) -> Option<Arc<Route>> {
    let namespace = rng.choice(["prod", "ops"]).unwrap();
    let names: BTreeSet<&str> = (0..rng.usize(1..4)).filter_map(|_| rng.choice(TARGETS)).collect();
    let names = names.into_iter().map(|name| {
        let (namespace, name) = name.split_once('/').unwrap();
        json!({"namespace": namespace, "name": name})
    });
    let mut spec = json!({
        "scope": rng.choice(["Cluster", "Namespace"]).unwrap(),
        "priority": rng.i32(0..3),
        "final": rng.u8(..5) == 0,
        "suspend": rng.u8(..10) == 0,
        "targets": names.collect::<Vec<_>>(),
        "matcherExpr": generate::matchers(rng),
    });
    if rng.u8(..3) > 0 {
        let by: &[&str] = rng
            .choice([
                &["alertname"][..],
                &[],
                &["..."],
                &["team", "über"],
                &["missing", "with space", "a"],
            ])
            .unwrap();
        spec["grouping"] = json!({"by": by});
    }
    let spec: AlertRouteSpec = serde_json::from_value(spec).unwrap();
    let key = format!("{namespace}/r{at}").parse().unwrap();
    let settings = RouteSettings { scope_label: "namespace".into(), cluster_namespaces: None };
    Route::compile(key, "u".into(), 1, Arc::new(spec), &settings).ok().map(Arc::new)
}

fn target(name: &str) -> Arc<Target> {
    struct Nothing;
    impl Credentials for Nothing {
        fn secret(&self, _: &SecretKeyRef) -> Result<&[u8], Missing> {
            Err(Missing::NotFound)
        }

        fn config_map(&self, _: &ConfigMapKeyRef) -> Result<&[u8], Missing> {
            Err(Missing::NotFound)
        }
    }
    let (namespace, name) = name.split_once('/').unwrap();
    let object = Object {
        key: TargetKey::new(namespace, name),
        uid: name.into(),
        generation: 1,
        labels: Arc::default(),
        spec: Arc::new(serde_json::from_value(json!({"type": "Log"})).unwrap()),
    };
    let now = Moment { mono: tokio::time::Instant::now(), wall: jiff::Timestamp::now() };
    Arc::new(compile(object, &Nothing, now).unwrap())
}
