//! An engine, its targets and what is published to them.

use std::{sync::Arc, time::Duration};

use fanfare::{
    alert::{Alert, Labels},
    fanout::{Courier, Engine, Metrics, Parts},
    publish::{Options, PublishRequest, Selection, Strategy, TargetFilter},
    registry::{self, Monitor},
};
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::{
    builder::{TargetBuilder, key, snapshot, target},
    null::{Nowhere, Null},
};

pub(crate) fn name(number: usize) -> String {
    format!("bench/t{number:04}")
}

pub(crate) fn alert() -> Arc<Alert> {
    let now = Timestamp::now();
    let labels =
        ["alertname", "namespace", "severity", "pod", "container", "instance", "job", "team"];
    Arc::new(Alert {
        labels: Labels::from_iter(labels.map(|name| (name, "some-value-of-usual-length"))),
        annotations: Labels::from_iter([("summary", "something is wrong somewhere")]),
        starts_at: now,
        ends_at: now + Duration::from_hours(1),
        timeout: false,
        generator_url: "http://prometheus/graph".into(),
        updated_at: now,
    })
}

/// Targets of which the first `unhealthy` are left out.
pub(crate) fn targets(count: usize, unhealthy: usize) -> Vec<TargetBuilder> {
    let built = |number| {
        let built = target(&name(number));
        if number < unhealthy { built.unhealthy() } else { built }
    };
    (0..count).map(built).collect()
}

pub(crate) fn degraded(count: usize) -> Vec<TargetBuilder> {
    (0..count).map(|number| target(&name(number)).degraded()).collect()
}

pub(crate) fn engine(transport: Null, targets: Vec<TargetBuilder>) -> Engine<Null> {
    let targets = targets.into_iter().map(TargetBuilder::build).collect();
    let (_, snapshots) = watch::channel(Arc::new(snapshot(1, targets)));
    let parts = Parts {
        snapshots,
        monitor: Monitor::new(Arc::default(), registry::Metrics::default()),
        metrics: Metrics::register(&mut Registry::default()),
        refresh: Arc::new(|_| {}),
        store: Arc::new(Nowhere::default()),
    };
    Engine::new(Courier::new(transport, parts), "".into())
}

/// A publish to the first `count` targets by their names.
pub(crate) fn request(count: usize) -> PublishRequest {
    PublishRequest {
        alert: alert(),
        selection: Selection::Named((0..count).map(|number| key(&name(number))).collect()),
        options: Options { max_concurrent: 200, ..Options::default() },
        idempotency: None,
    }
}

/// A publish to whatever is healthy, and not to what is degraded.
pub(crate) fn to_the_best() -> PublishRequest {
    PublishRequest {
        selection: Selection::Healthy(TargetFilter::default()),
        options: Options { strategy: Strategy::SkipUnhealthyAndDegraded, ..Options::default() },
        ..request(0)
    }
}
