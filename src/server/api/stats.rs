//! `GET /api/v1/publish/parallel/status`: what the fan-out has done and does now.

use std::{collections::BTreeMap, time::Duration};

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::result::percent;
use crate::{publish::TargetStats, registry::TargetEntry, server::Server};

pub(super) async fn status(State(server): State<Server>) -> Json<Value> {
    let totals = server.publisher.stats();
    let snapshot = server.snapshot.borrow().clone();
    let mut circuits = BTreeMap::from([("Closed", 0_u32), ("HalfOpen", 0), ("Open", 0)]);
    let mut by_state: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for entry in snapshot.targets.values() {
        if let TargetEntry::Accepted(target) = entry {
            *circuits.entry(target.live.circuit().as_str()).or_default() += 1;
        }
        let (kind, state) = match entry {
            TargetEntry::Accepted(target) if target.suspended() => {
                (target.kind.as_str(), "Suspended")
            }
            TargetEntry::Accepted(target) => (target.kind.as_str(), target.live.health().as_str()),
            TargetEntry::Rejected(target) => {
                (target.kind.map_or("Unreadable", |kind| kind.as_str()), "Rejected")
            }
        };
        *by_state.entry((kind, state)).or_default() += 1;
    }
    let mut targets: BTreeMap<&str, BTreeMap<&str, u32>> = BTreeMap::new();
    for ((kind, state), count) in by_state {
        targets.entry(kind).or_default().insert(state, count);
    }
    let attempted = usize::try_from(totals.attempted).unwrap_or(usize::MAX);
    let succeeded = usize::try_from(totals.succeeded).unwrap_or(usize::MAX);
    Json(json!({
        "publishes": totals.publishes,
        "attempted": totals.attempted,
        "succeeded": totals.succeeded,
        "failed": totals.failed,
        "skipped": totals.skipped,
        "success_rate": percent(succeeded, attempted),
        "in_flight": totals.in_flight,
        "window_seconds": totals.window.as_secs(),
        "p50_ms": millis(totals.p50),
        "p95_ms": millis(totals.p95),
        "p99_ms": millis(totals.p99),
        "targets_by_type_and_state": targets,
        "targets_by_circuit": circuits,
        "targets": totals.targets.iter().map(one).collect::<Vec<_>>(),
    }))
}

fn one(target: &TargetStats) -> Value {
    json!({
        "target_name": &*target.key.name,
        "target_namespace": &*target.key.namespace,
        "succeeded": target.succeeded,
        "failed": target.failed,
        "skipped": target.skipped,
        "in_flight": target.in_flight,
        "p50_ms": millis(target.p50),
        "p99_ms": millis(target.p99),
    })
}

/// Milliseconds with three decimals; null if nothing was measured.
pub(super) fn millis(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| {
        let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
        f64::from(micros) / 1000.0
    })
}
