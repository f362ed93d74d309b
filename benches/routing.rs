//! What it costs to find the routes of an alert, and to change one object among many.
//!
//! `resolve`: one alert against 10 to 10,000 routes of which 1 % want it (at least one). In `indexed` each
//! route demands a label's value (its namespace); in `mixed` every tenth demands none: prefixes, lists,
//! suffixes and negations only. `change`: as many targets as routes; one object changes and readers get a new
//! snapshot, while the one before is still read. `take over`: how long such a snapshot keeps the router busy,
//! most of it under the lock that intake and lanes wait for.
#![expect(clippy::unwrap_used, reason = "it stops if it can't go on")]

use std::{sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion};
use fanfare::{
    alert::{Labels, Notification},
    api::{AlertRouteSpec, RouteKey},
    delivery::{Attempt, Transport},
    dispatch::{Settings, State},
    fanout::{Courier, Metrics, Parts, Router},
    registry::{self, Monitor, Registry, Snapshot, Target},
    routing::{Route, RouteSettings, RouteTable},
    store,
};
use serde_json::{Value, json};
use tokio::{runtime::Builder, sync::watch, task::yield_now, time::Instant};
use tokio_util::sync::CancellationToken;

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/fanout/builder.rs"]
mod builder;

use builder::{now, target};

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// The number of namespaces, and of everything else that tells routes apart: 1 % match.
const KINDS: usize = 100;
/// The kind that matches.
const WANTED: usize = 7;

fn main() {
    let quick = std::env::var_os("FANFARE_QUICK").is_some();
    let (samples, time) = if quick { (10, 100) } else { (50, 1_500) };
    let mut criterion = Criterion::default()
        .sample_size(samples)
        .warm_up_time(Duration::from_millis(time / 4))
        .measurement_time(Duration::from_millis(time))
        .configure_from_args();
    resolve(&mut criterion);
    change(&mut criterion);
    take_over(&mut criterion);
    criterion.final_summary();
}

/// An alert as the node exporter's rules make them.
fn alert() -> Labels {
    Labels::from_iter([
        ("alertname", "NodeFilesystemAlmostOutOfSpace"),
        ("cluster", "eu-west-1"),
        ("device", "/dev/nvme0n1p1"),
        ("env", "prod"),
        ("instance", "node-7-12.example.com:9100"),
        ("job", "node-exporter"),
        ("namespace", "ns-7"),
        ("pod", "node-exporter-7"),
        ("service", "svc-7"),
        ("severity", "critical"),
    ])
}

fn compile(number: usize, name: &str, generation: i64, spec: Value) -> Route {
    let settings = RouteSettings { scope_label: "namespace".into(), cluster_namespaces: None };
    let key = RouteKey::new(&namespace(number), name);
    let spec: AlertRouteSpec = serde_json::from_value(spec).unwrap();
    Route::compile(key, "uid".into(), generation, Arc::new(spec), &settings).unwrap()
}

fn namespace(number: usize) -> String {
    format!("ns-{}", number % KINDS)
}

fn compiled(name: &str, generation: i64) -> Target {
    let mut target = Arc::into_inner(target(name).build()).unwrap();
    target.generation = generation;
    target
}

/// One route in [`KINDS`] is of the [`WANTED`] kind.
fn spec(number: usize, mixed: bool) -> Value {
    let targets = json!([{"name": format!("t-{number}")}]);
    if !mixed || !number.is_multiple_of(10) {
        let matchers = r#"{severity=~"critical|warning",env!="test"}"#;
        return json!({"matcherExpr": matchers, "targets": targets});
    }
    let kind = number / 10 % KINDS;
    let matchers = match number / 10 % 4 {
        0 => format!(r#"{{instance=~"node-{kind}-.+"}}"#),
        1 => format!(r#"{{service=~"job-{kind}|svc-{kind}",env!="test"}}"#),
        2 => format!(r#"{{pod=~".+-{kind}"}}"#),
        _ if kind == WANTED => r#"{cluster!~"us-.+"}"#.to_owned(),
        _ => format!(r#"{{cluster!~"eu-.+|us-{kind}-.+"}}"#),
    };
    json!({"scope": "Cluster", "matcherExpr": matchers, "targets": targets})
}

fn routes(count: usize, mixed: bool) -> Vec<Arc<Route>> {
    let route = |number| compile(number, &format!("r-{number}"), 1, spec(number, mixed));
    (0..count).map(route).map(Arc::new).collect()
}

fn resolve(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resolve");
    let labels = alert();
    for (name, mixed) in [("indexed", false), ("mixed", true)] {
        for count in SIZES {
            let routes = routes(count, mixed);
            let wanting = routes.iter().filter(|route| route.matches(&labels)).count();
            assert!(wanting.abs_diff(count / KINDS) <= 1 + count / 1_000, "{wanting} of {count}");
            let table = RouteTable::new(routes);
            let mut out = Vec::new();
            table.resolve_into(&labels, &mut out);
            assert_eq!(out.len(), wanting);
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| table.resolve_into(&labels, &mut out));
            });
        }
    }
    group.finish();
}

/// As many targets as routes, each route with a target of its own; one more target is used by 1 % of them.
struct World {
    registry: Registry,
    /// What readers hold.
    shown: Arc<Snapshot>,
    count: usize,
    generation: i64,
}

// === impl World ===

impl World {
    fn new(count: usize) -> Self {
        let mut registry = Registry::default();
        for number in 0..count {
            let name = format!("{}/t-{number}", namespace(number));
            registry.apply_target(Ok(compiled(&name, 1)));
        }
        registry.apply_target(Ok(compiled("ns-7/shared", 1)));
        registry.targets_listed();
        registry.routes_listed();
        let mut world = Self { shown: registry.snapshot(), registry, count, generation: 1 };
        for number in 0..count {
            let route = world.route(number, 0);
            world.registry.apply_route(Ok(route));
        }
        let last = world.last(0);
        world.registry.apply_route(Ok(last));
        world.shown = world.registry.snapshot();
        world
    }

    fn target(&mut self, name: &str) -> Target {
        self.generation += 1;
        compiled(name, self.generation)
    }

    fn route(&mut self, number: usize, priority: i32) -> Route {
        self.generation += 1;
        let mut spec = spec(number, true);
        spec["priority"] = priority.into();
        if number % KINDS == WANTED {
            spec["targets"] = json!([{"name": format!("t-{number}")}, {"name": "shared"}]);
        }
        compile(number, &format!("r-{number}"), self.generation, spec)
    }

    /// A `final` route that takes what ten others of its namespace could have.
    fn last(&mut self, number: i32) -> Route {
        self.generation += 1;
        let matchers = if number % 2 == 0 { "a" } else { "b" };
        let matchers = format!("{{service=\"svc-{matchers}\"}}");
        let spec = json!({"final": true, "priority": 9, "matcherExpr": matchers});
        compile(WANTED, "last", self.generation, spec)
    }

    /// How long `change` and the new snapshot take; what it takes over is made, and the snapshot before is
    /// dropped, outside of that.
    fn measure<T>(
        &mut self,
        rounds: u64,
        mut make: impl FnMut(&mut Self) -> T,
        mut change: impl FnMut(&mut Registry, T),
    ) -> Duration {
        let mut spent = Duration::ZERO;
        for _ in 0..rounds {
            let taken = make(self);
            let started = Instant::now();
            change(&mut self.registry, taken);
            let next = self.registry.snapshot();
            spent += started.elapsed();
            assert_eq!(next.generation, self.shown.generation + 1);
            self.shown = next;
        }
        spent
    }

    /// How long the router takes over what `change` makes.
    async fn take_over(
        &mut self,
        rounds: u64,
        sender: &watch::Sender<Arc<Snapshot>>,
        mut change: impl FnMut(&mut Self),
    ) -> Duration {
        let mut spent = Duration::ZERO;
        for _ in 0..rounds {
            change(self);
            self.shown = self.registry.snapshot();
            sender.send_replace(self.shown.clone());
            let started = Instant::now();
            // There is one thread: the router has its turn now.
            yield_now().await;
            yield_now().await;
            spent += started.elapsed();
        }
        spent
    }
}

fn take_over(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("take over");
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    for count in &SIZES[1..] {
        let mut world = World::new(*count);
        let middle = world.count / 2 + WANTED;
        let own = format!("{}/t-{middle}", namespace(middle));
        let (sender, snapshots) = watch::channel(world.shown.clone());
        let parts = Parts {
            snapshots,
            monitor: Monitor::new(Arc::default(), registry::Metrics::default()),
            metrics: Metrics::register(&mut prometheus_client::registry::Registry::default()),
            refresh: Arc::new(|_| {}),
            store: store::in_memory(store::Settings::for_memory(1 << 30)).unwrap(),
        };
        let settings = Settings {
            resolve_timeout: Duration::from_mins(5),
            webhook_max_age: Duration::from_hours(24),
            max_alerts: 1_000,
            max_per_name: 0,
            max_bytes: 1 << 30,
            external_url: "".into(),
        };
        let router = Router::new(Courier::new(Nowhere, parts), State::new(settings, now()));
        let stop = CancellationToken::new();
        let running = stop.clone();
        runtime.spawn(async move { router.run(running, Duration::ZERO).await });
        runtime.block_on(async {
            yield_now().await;
            yield_now().await;
        });
        let mut bench = |name: &str, change: &dyn Fn(&mut World)| {
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter_custom(|rounds| {
                    runtime.block_on(world.take_over(rounds, &sender, change))
                });
            });
        };
        bench("target edited", &|world| {
            let target = world.target(&own);
            world.registry.apply_target(Ok(target));
        });
        bench("route edited", &|world| {
            let priority = i32::from(world.generation % 4 < 2);
            let route = world.route(middle, priority);
            world.registry.apply_route(Ok(route));
        });
        bench("route added or deleted", &|world| {
            let route = world.route(middle, 0);
            if world.shown.route(&route.key).is_some() {
                world.registry.remove_route(&route.key);
            } else {
                world.registry.apply_route(Ok(route));
            }
        });
        stop.cancel();
    }
    group.finish();
}

/// Nothing is sent here.
#[derive(Clone)]
struct Nowhere;

impl Transport for Nowhere {
    async fn send(&self, _target: &Arc<Target>, _notification: &Arc<Notification>) -> Attempt {
        std::future::pending().await
    }
}

fn change(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("change");
    for count in &SIZES[1..] {
        let mut world = World::new(*count);
        let middle = world.count / 2 + WANTED;
        let own = format!("{}/t-{middle}", namespace(middle));
        let mut bench = |name: &str, run: &mut dyn FnMut(&mut World, u64) -> Duration| {
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter_custom(|rounds| run(&mut world, rounds));
            });
        };
        let edit = |registry: &mut Registry, target| registry.apply_target(Ok(target));
        bench("target of one route edited", &mut |world, rounds| {
            world.measure(rounds, |world| world.target(&own), edit)
        });
        bench("target of 1 % of the routes edited", &mut |world, rounds| {
            world.measure(rounds, |world| world.target("ns-7/shared"), edit)
        });
        let apply = |registry: &mut Registry, route| registry.apply_route(Ok(route));
        let mut turn = 0;
        bench("route edited", &mut |world, rounds| {
            let priority = |world: &mut World| {
                turn += 1;
                world.route(middle, turn % 2)
            };
            world.measure(rounds, priority, apply)
        });
        let remove = |registry: &mut Registry, key: RouteKey| registry.remove_route(&key);
        bench("route added", &mut |world, rounds| {
            let without = |world: &mut World| {
                let route = world.route(middle, 0);
                world.registry.remove_route(&route.key);
                world.shown = world.registry.snapshot();
                route
            };
            world.measure(rounds, without, apply)
        });
        bench("route deleted", &mut |world, rounds| {
            let with = |world: &mut World| {
                let route = world.route(middle, 0);
                let key = route.key.clone();
                world.registry.apply_route(Ok(route));
                world.shown = world.registry.snapshot();
                key
            };
            world.measure(rounds, with, remove)
        });
        let mut turn = 0;
        bench("final route edited", &mut |world, rounds| {
            let last = |world: &mut World| {
                turn += 1;
                world.last(turn)
            };
            world.measure(rounds, last, apply)
        });
    }
    group.finish();
}
