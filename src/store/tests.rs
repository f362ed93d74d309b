//! Values and helpers of the tests of this room.

mod durability;
mod files;
mod formats;
mod kept;
mod queues;

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;

use super::{Op, Redb, Settings, Store as _, batch::Task, in_memory};
use crate::{
    alert::{Alert, Labels, Member, Notification, NotificationReason, Status},
    api::{QueueLimit, TargetKey, WhenFull},
    dispatch::{
        AlertId, AlertRecord, Fact, Origin, Phase, Queued, RouteTold, Said, ToldEntry, ToldRecord,
    },
    publish::Source,
};

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn clock() -> Instant {
    super::shared::now()
}

pub(super) fn alert(name: &str) -> AlertRecord {
    AlertRecord {
        alert: Arc::new(Alert {
            labels: Labels::from_iter([("alertname", name), ("namespace", "prod")]),
            annotations: Labels::from_iter([("summary", "something is wrong")]),
            starts_at: at(1_000),
            ends_at: at(2_000),
            timeout: true,
            generator_url: "http://prometheus/graph".into(),
            updated_at: at(1_001),
        }),
        source: Source::V2,
        phase: Phase::Firing,
        incident: 1,
        incident_start: at(1_000),
        version: 1,
        changed_at: at(1_001),
        ended: at(0),
        last_end: None,
        doubt: None,
    }
}

pub(super) fn told(route: &str, targets: &[&str]) -> ToldRecord {
    let entries = targets.iter().map(|target| ToldEntry {
        target: target.parse().unwrap(),
        uid: format!("uid of {target}").into(),
        last: Some(Said { incident: 1, status: Status::Firing, version: 1 }),
        at: at(1_002),
        count: 1,
        maybe_firing: false,
        maybe_resolved: false,
        skipped: None,
        dead_lettered: None,
        resumed_at: None,
    });
    ToldRecord {
        routes: vec![RouteTold { route: route.parse().unwrap(), entries: entries.collect() }],
    }
}

pub(super) fn task() -> Task {
    Task::Op(Op::Fact(Fact::Forget(AlertId(1))))
}

/// Bounds that no test runs into by itself.
pub(super) fn settings() -> Settings {
    Settings { low_water: 0..=0, reserve_bytes: 0, ..Settings::for_memory(256 << 20) }
}

pub(super) fn memory() -> Arc<Redb> {
    in_memory(settings()).unwrap()
}

/// Waits for a future on this thread.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Submits and waits.
pub(super) fn write(store: &Redb, ops: Vec<Op>) {
    let seq = store.submit(ops, false);
    block_on(store.durable(seq)).unwrap();
}

pub(super) fn fact(fact: Fact) -> Op {
    Op::Fact(fact)
}

pub(super) fn target(name: &str) -> (TargetKey, Arc<str>) {
    (name.parse().unwrap(), format!("uid of {name}").into())
}

pub(super) fn notification(id: &str) -> Arc<Notification> {
    let alert = alert(id).alert;
    Arc::new(Notification {
        id: id.into(),
        group_key: "a/r:{}".into(),
        incident_key: "0".into(),
        receiver: "a/t".into(),
        status: Status::Firing,
        members: vec![Member { alert, status: Status::Firing }],
        group_labels: Labels::empty(),
        reason: NotificationReason::First,
        external_url: "".into(),
        at: at(1_001),
        fallback: false,
        digest: false,
    })
}

/// A notification that waits for `target`, at most `most` of them.
pub(super) fn queued(name: &str, id: &str, most: u32, when_full: WhenFull) -> Op {
    let (target, uid) = target(name);
    fact(Fact::Enqueue(Queued {
        target,
        uid,
        origin: Origin::Every("a/r".parse().unwrap()),
        notification: notification(id),
        accepted_at: at(id.len().try_into().unwrap()),
        attempts: 0,
        limit: QueueLimit { max_notifications: most, when_full },
    }))
}

/// Ids of the notifications that wait for a target.
pub(super) fn waiting(store: &Redb, name: &str) -> Vec<String> {
    let (target, uid) = target(name);
    let found = store.queued(&target, &uid, None, 1_000).unwrap();
    found.into_iter().map(|(_, queued)| queued.notification.id.to_string()).collect()
}
