//! `GET /api/v1/targets` and `/routes`: the objects as Fanfare sees them now.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::stats::millis;
use crate::{
    api::{RouteKey, TargetKey, TargetType},
    publish::Waiting,
    registry::{Moment, RouteEntry, Snapshot, TargetEntry, project_route, project_target},
    server::{Server, error::ApiError},
};

pub(super) async fn targets(State(server): State<Server>) -> Json<Value> {
    let snapshot = server.snapshot.borrow().clone();
    let now = now();
    let waiting: BTreeMap<_, _> = server.replay.waiting().into_iter().collect();
    let items: Vec<_> = snapshot
        .targets
        .iter()
        .map(|(key, entry)| show_target(key, entry, waiting.get(key), now))
        .collect();
    Json(json!({ "items": items }))
}

pub(super) async fn target(
    State(server): State<Server>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let snapshot = server.snapshot.borrow().clone();
    let key = TargetKey::new(&namespace, &name);
    match snapshot.targets.get(&key) {
        Some(entry) => {
            let waiting = server.replay.waiting();
            let waiting = waiting.iter().find(|(target, _)| *target == key);
            Ok(Json(show_target(&key, entry, waiting.map(|(_, waiting)| waiting), now())))
        }
        None => {
            Err(ApiError::not_found(format!("no target {key}; GET /api/v1/targets lists them")))
        }
    }
}

pub(super) async fn routes(State(server): State<Server>) -> Json<Value> {
    let snapshot = server.snapshot.borrow().clone();
    let now = now();
    let items: Vec<_> =
        snapshot.routes.iter().map(|(key, entry)| show_route(key, entry, &snapshot, now)).collect();
    Json(json!({ "items": items }))
}

pub(super) async fn route(
    State(server): State<Server>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let snapshot = server.snapshot.borrow().clone();
    let key = RouteKey::new(&namespace, &name);
    match snapshot.routes.get(&key) {
        Some(entry) => Ok(Json(show_route(&key, entry, &snapshot, now()))),
        None => Err(ApiError::not_found(format!("no route {key}; GET /api/v1/routes lists them"))),
    }
}

fn now() -> Moment {
    Moment { mono: Instant::now(), wall: Timestamp::now() }
}

fn show_target(
    key: &TargetKey,
    entry: &TargetEntry,
    waiting: Option<&Waiting>,
    now: Moment,
) -> Value {
    let waiting = waiting.copied().unwrap_or_default();
    let (generation, labels, kind) = match entry {
        TargetEntry::Accepted(target) => (target.generation, &target.labels, Some(target.kind)),
        TargetEntry::Rejected(target) => (target.generation, &target.labels, target.kind),
    };
    let mut shown = json!({
        "namespace": &*key.namespace,
        "name": &*key.name,
        "type": kind.map(TargetType::as_str),
        "generation": generation,
        "labels": &**labels,
        "waiting": {
            "owed": waiting.owed,
            "queued": waiting.queued,
            "oldest_accepted_at": waiting.oldest,
        },
        "status": timeless(json!(project_target(entry, None, now))),
    });
    if let TargetEntry::Accepted(target) = entry {
        let stats = target.live.stats(now);
        shown["spec"] = json!(*target.spec);
        shown["effective"] = json!(target.spec.effective());
        shown["counts"] = json!({
            "succeeded": stats.succeeded,
            "failed": stats.failed,
            "skipped": stats.skipped,
            "in_flight": stats.in_flight,
        });
        let trial = target.live.circuit_opens_at(now.mono);
        let wait = trial.map(|trial| trial.saturating_duration_since(now.mono));
        shown["circuit"] = json!({
            "state": target.live.circuit(),
            "message": target.live.circuit_view(now.mono).message,
            "next_trial_at": wait.and_then(|wait| now.wall.checked_add(wait).ok()),
        });
        shown["last_success"] = json!(stats.last_success);
        shown["last_failure"] = json!(stats.last_failure);
        shown["p50_ms"] = json!(millis(stats.p50));
        shown["p99_ms"] = json!(millis(stats.p99));
    }
    shown
}

/// Without the times of transition, which only `.status` in the cluster knows; a target's health has
/// `since`.
fn timeless(mut status: Value) -> Value {
    let conditions = status.get_mut("conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        if let Some(condition) = condition.as_object_mut() {
            condition.remove("lastTransitionTime");
        }
    }
    status
}

fn show_route(key: &RouteKey, entry: &RouteEntry, snapshot: &Snapshot, now: Moment) -> Value {
    let mut shown = json!({
        "namespace": &*key.namespace,
        "name": &*key.name,
        "status": timeless(json!(project_route(entry, snapshot, None, now.wall))),
    });
    if let RouteEntry::Accepted(resolved) = entry {
        let route = &resolved.route;
        shown["generation"] = json!(route.generation);
        shown["spec"] = json!(*route.spec);
        shown["effective"] = json!(route.spec.effective());
        shown["hours"] = json!({
            "active": route.hours.is_active(now.wall),
            "until": route.hours.next_change(now.wall),
        });
    }
    shown
}
