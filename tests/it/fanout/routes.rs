//! A router at work on a registry.

use std::{sync::Arc, time::Duration};

use fanfare::{
    alert::{Alert, Status},
    api::{AlertRouteSpec, HealthState},
    clock::Moment,
    dispatch::{Restoring, Settings, State},
    fanout::{Router, RouterError, Unfinished},
    publish::{Accepted, Intake, Refused, Source},
    registry::{Registry, Snapshot, Target},
    routing::{Route, RouteSettings},
    store::Loaded,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    bed::{Bed, Wire},
    builder::{TargetBuilder, key, now, sample},
    ledger::Ledger,
};

/// Time enough for everything that can happen at once.
const MOMENT: Duration = Duration::from_millis(10);

/// A router that runs, with a registry to change and a wire to look at.
pub(crate) struct Routes {
    pub(crate) bed: Bed,
    pub(crate) router: Router<Wire>,
    registry: Registry,
    stop: CancellationToken,
    running: JoinHandle<Result<Unfinished, RouterError>>,
}

/// A route of the namespace `ns` that sees every alert and sends to `targets` of its namespace.
pub(crate) fn route(name: &str, targets: &[&str], more: Value) -> Route {
    let targets: Vec<Value> = targets.iter().map(|name| json!({"name": name})).collect();
    let mut spec = json!({"scope": "Cluster", "targets": targets});
    let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) else { unreachable!() };
    spec.extend(more);
    let spec: AlertRouteSpec = serde_json::from_value(Value::Object(spec.clone())).unwrap();
    let settings = RouteSettings { scope_label: "namespace".into(), cluster_namespaces: None };
    let key = format!("ns/{name}").parse().unwrap();
    Route::compile(key, format!("uid-{name}").into(), 1, Arc::new(spec), &settings).unwrap()
}

/// An alert that ended just now.
pub(crate) fn resolved(alert: &Alert) -> Alert {
    let now = Timestamp::now();
    Alert { ends_at: now, timeout: false, updated_at: now, ..alert.clone() }
}

// === impl Routes ===

impl Routes {
    pub(crate) async fn start(
        targets: impl IntoIterator<Item = TargetBuilder>,
        routes: impl IntoIterator<Item = Route>,
    ) -> Self {
        Self::with(targets, routes, |_| ()).await
    }

    pub(crate) async fn with(
        targets: impl IntoIterator<Item = TargetBuilder>,
        wanted: impl IntoIterator<Item = Route>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        Self::over((Ledger::new(), Loaded::default()), Wire::default(), targets, wanted, change)
            .await
    }

    /// The same over what an earlier process left.
    pub(crate) async fn over(
        (ledger, loaded): (Ledger, Loaded),
        wire: Wire,
        targets: impl IntoIterator<Item = TargetBuilder>,
        wanted: impl IntoIterator<Item = Route>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let early = Self::unlisted_with((ledger, loaded), wire, targets, change).await;
        early.listed(wanted).await
    }

    /// A router that runs before the first lists are complete.
    pub(crate) async fn unlisted(
        left: (Ledger, Loaded),
        wire: Wire,
        targets: impl IntoIterator<Item = TargetBuilder>,
    ) -> Self {
        Self::unlisted_with(left, wire, targets, |_| ()).await
    }

    async fn unlisted_with(
        (ledger, loaded): (Ledger, Loaded),
        wire: Wire,
        targets: impl IntoIterator<Item = TargetBuilder>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let bed = Bed::over(ledger, wire, Snapshot::default());
        let mut settings = Settings {
            resolve_timeout: Duration::from_mins(5),
            webhook_max_age: Duration::from_hours(24),
            max_alerts: 1_000,
            max_per_name: 0,
            max_bytes: 64 * 1024 * 1024,
            external_url: "".into(),
        };
        change(&mut settings);
        let mut registry = Registry::new(Arc::default());
        targets.into_iter().for_each(|target| registry.apply_target(Ok(target.compiled())));
        let router = Router::new(bed.courier.clone(), restored(loaded, settings));
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (runner, stop) = (router.clone(), stop.clone());
            async move { runner.run(stop, Duration::from_secs(25)).await }
        });
        let early = Self { bed, router, registry, stop, running };
        early.quiet().await;
        early
    }

    /// The first lists are complete, with these routes.
    pub(crate) async fn listed(mut self, wanted: impl IntoIterator<Item = Route>) -> Self {
        let wanted: Vec<Route> = wanted.into_iter().collect();
        self.apply(|registry| {
            for route in wanted {
                registry.apply_route(Ok(route));
            }
            registry.targets_listed();
            registry.routes_listed();
        })
        .await;
        self
    }

    /// Changes the registry and lets the change arrive.
    pub(crate) async fn apply(&mut self, change: impl FnOnce(&mut Registry)) {
        change(&mut self.registry);
        self.bed.snapshots.send_replace(self.registry.snapshot());
        self.quiet().await;
    }

    /// Posts alerts and lets everything happen that can happen at once.
    pub(crate) async fn post(&self, alerts: Vec<Alert>) -> Result<Accepted, Refused> {
        let answer = self.router.accept(alerts, Source::V2).await;
        self.quiet().await;
        answer
    }

    pub(crate) async fn quiet(&self) {
        tokio::time::sleep(MOMENT).await;
    }

    /// What the far ends were told since the last call: target, status, name of the alert.
    pub(crate) fn told(&self) -> Vec<(String, Status, String)> {
        let mut told: Vec<_> = self
            .bed
            .wire
            .take_seen()
            .iter()
            .map(|seen| {
                let member = &seen.notification.members[0];
                let name = member.alert.label("alertname").to_owned();
                (seen.to.to_string(), seen.notification.status, name)
            })
            .collect();
        told.sort();
        told
    }

    /// Names of the targets asked since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.told().into_iter().map(|(target, ..)| target).collect()
    }

    pub(crate) fn target(&self, name: &str) -> Arc<Target> {
        self.bed.snapshots.borrow().target(&key(name)).unwrap().clone()
    }

    /// Feeds evidence about a target through the monitor, as a probe would.
    pub(crate) async fn becomes(&self, name: &str, health: HealthState) {
        let target = self.target(name);
        let sample = sample(&target, health);
        for _ in 0..3 {
            self.bed.monitor.record(&target, &sample, now());
        }
        assert_eq!(target.live.health(), health);
        self.quiet().await;
    }

    pub(crate) fn begin_stop(&self) {
        self.stop.cancel();
    }

    /// How it ended by itself.
    pub(crate) async fn ended(self) -> RouterError {
        self.running.await.unwrap().unwrap_err()
    }

    /// The process is killed; another one starts with what is durable.
    pub(crate) async fn restart(
        self,
        targets: impl IntoIterator<Item = TargetBuilder>,
        wanted: impl IntoIterator<Item = Route>,
    ) -> Self {
        self.running.abort();
        let left = self.bed.ledger.reopen();
        self.bed.wire.take_seen();
        Self::over(left, self.bed.wire.clone(), targets, wanted, |_| ()).await
    }

    pub(crate) async fn stop(self) -> Unfinished {
        self.stop.cancel();
        self.running.await.unwrap().unwrap()
    }
}

fn restored(loaded: Loaded, settings: Settings) -> State {
    let mut restoring = Restoring::new(settings, Moment::now());
    for silence in loaded.silences {
        restoring.silence(silence).unwrap();
    }
    for it in loaded.alerts {
        restoring.add(it.id, it.alert, it.told);
    }
    for (id, group) in loaded.groups {
        restoring.add_group(id, group);
    }
    restoring.finish()
}
