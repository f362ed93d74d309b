//! Which status an object should show, and which objects a change touches.

use std::{collections::BTreeSet, sync::Arc};

use super::ledger::{ObjectKey, Seen, Status};
use crate::{
    api::{HealthState, TargetKey},
    registry::{Moment, RouteEntry, Snapshot, Target, TargetEntry, project_route, project_target},
};

/// A status, and whether it is still worth waiting for the first verdict.
#[derive(Debug)]
pub(super) struct Projected {
    pub(super) status: Status,
    pub(super) awaits_verdict: bool,
}

/// Every object of a snapshot.
pub(super) fn keys(snapshot: &Snapshot) -> impl Iterator<Item = ObjectKey> {
    let targets = snapshot.targets.keys().cloned().map(ObjectKey::Target);
    targets.chain(snapshot.routes.keys().cloned().map(ObjectKey::Route))
}

/// The routes whose status shows the state of one of `targets`.
pub(super) fn routes_reaching(
    snapshot: &Snapshot,
    targets: &BTreeSet<TargetKey>,
) -> BTreeSet<ObjectKey> {
    let routes = targets.iter().flat_map(|target| snapshot.routes_of(target));
    routes.cloned().map(ObjectKey::Route).collect()
}

/// The targets without a verdict, should they have none, that would make a status premature.
pub(super) fn depends_on<'a>(
    snapshot: &'a Snapshot,
    key: &'a ObjectKey,
) -> impl Iterator<Item = &'a TargetKey> {
    let (own, entry) = match key {
        ObjectKey::Target(target) => (Some(target), None),
        ObjectKey::Route(route) => (None, snapshot.route(route)),
    };
    let named = entry.into_iter().flat_map(|it| it.rejected.iter().chain(&it.rejected_fallback));
    own.into_iter().chain(named)
}

/// The objects whose entries differ between two snapshots, and the targets whose users do.
pub(super) fn differing(before: &Snapshot, after: &Snapshot) -> BTreeSet<ObjectKey> {
    let mut keys = BTreeSet::new();
    if !Arc::ptr_eq(&before.targets, &after.targets) {
        let changed = after.targets.iter().filter(|(key, entry)| {
            before.targets.get(*key).is_none_or(|old| !same_target(old, entry))
        });
        for (key, _) in changed {
            keys.insert(ObjectKey::Target(key.clone()));
            keys.extend(after.routes_of(key).cloned().map(ObjectKey::Route));
        }
    }
    if !Arc::ptr_eq(&before.routes, &after.routes) {
        let changed = after.routes.iter().filter(|(key, entry)| {
            before.routes.get(*key).is_none_or(|old| !same_route(old, entry))
        });
        keys.extend(changed.map(|(key, _)| ObjectKey::Route(key.clone())));
    }
    if !Arc::ptr_eq(&before.users, &after.users) {
        let used = |snapshot: &Snapshot, key: &TargetKey| snapshot.routes_of(key).count();
        let changed = after.targets.keys().filter(|key| used(before, key) != used(after, key));
        keys.extend(changed.cloned().map(ObjectKey::Target));
    }
    keys
}

fn same_target(old: &TargetEntry, new: &TargetEntry) -> bool {
    match (old, new) {
        (TargetEntry::Accepted(old), TargetEntry::Accepted(new)) => Arc::ptr_eq(old, new),
        (TargetEntry::Rejected(old), TargetEntry::Rejected(new)) => Arc::ptr_eq(old, new),
        _ => false,
    }
}

fn same_route(old: &RouteEntry, new: &RouteEntry) -> bool {
    match (old, new) {
        (RouteEntry::Accepted(old), RouteEntry::Accepted(new)) => Arc::ptr_eq(old, new),
        (RouteEntry::Rejected(old), RouteEntry::Rejected(new)) => Arc::ptr_eq(old, new),
        _ => false,
    }
}

/// What `.status` of an object says now; `None` if the registry does not hold the object as seen.
pub(super) fn project(
    snapshot: &Snapshot,
    key: &ObjectKey,
    seen: &Seen,
    now: Moment,
) -> Option<Projected> {
    match (key, &*seen.status) {
        (ObjectKey::Target(key), Status::Target(before)) => {
            let entry = snapshot.targets.get(key)?;
            let awaits_verdict = matches!(entry, TargetEntry::Accepted(target) if awaited(target));
            let status = Status::Target(project_target(entry, Some(before), now));
            let uid = match entry {
                TargetEntry::Accepted(target) => &target.uid,
                TargetEntry::Rejected(rejected) => &rejected.uid,
            };
            (*uid == seen.uid).then_some(Projected { status, awaits_verdict })
        }
        (ObjectKey::Route(key), Status::Route(before)) => {
            let entry = snapshot.routes.get(key)?;
            let (uid, awaits_verdict) = match entry {
                RouteEntry::Rejected(rejected) => (&rejected.uid, false),
                RouteEntry::Accepted(route) => {
                    let awaits = route.targets.iter().any(|reached| awaited(&reached.target));
                    (&route.route.uid, awaits)
                }
            };
            let status = Status::Route(project_route(entry, snapshot, Some(before), now.wall));
            (*uid == seen.uid).then_some(Projected { status, awaits_verdict })
        }
        _ => None,
    }
}

/// Whether a first verdict is on its way.
fn awaited(target: &Target) -> bool {
    target.live.health() == HealthState::Unknown && target.probe.is_some() && !target.suspended()
}
