//! Which status an object should show, and which objects a change touches.

use std::{collections::BTreeSet, time::Duration};

use super::ledger::{ObjectKey, Seen, Status};
use crate::{
    api::{HealthState, Reason, TargetKey},
    registry::{
        Moment, ResolvedRoute, RouteEntry, Snapshot, Target, TargetEntry, project_route,
        project_target,
    },
};

/// How long a first status waits for a first verdict.
const FIRST_VERDICT: Duration = Duration::from_secs(2);
/// How long the first status of a route waits for targets that are not there: who creates both at once, in any
/// order, sees no failure that is none.
const FIRST_TARGETS: Duration = Duration::from_secs(1);

/// A status, and how long after the object was first seen it is worth waiting for a better one.
#[derive(Debug)]
pub(super) struct Projected {
    pub(super) status: Status,
    pub(super) patience: Duration,
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

/// The objects whose status may differ between two snapshots: whose entries do. A route that reaches a target has
/// another one whenever the target has.
pub(super) fn differing(before: &Snapshot, after: &Snapshot) -> BTreeSet<ObjectKey> {
    let mut keys = BTreeSet::new();
    for change in after.targets.changes_since(&before.targets, TargetEntry::is) {
        if change.after.is_some() {
            keys.insert(ObjectKey::Target(change.key.clone()));
        }
    }
    for change in after.routes.changes_since(&before.routes, RouteEntry::is) {
        if change.after.is_some() {
            keys.insert(ObjectKey::Route(change.key.clone()));
        }
    }
    keys
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
            let patience = match entry {
                TargetEntry::Accepted(target) if awaited(target) => FIRST_VERDICT,
                _ => Duration::ZERO,
            };
            let status = Status::Target(project_target(entry, Some(before), now));
            let uid = match entry {
                TargetEntry::Accepted(target) => &target.uid,
                TargetEntry::Rejected(rejected) => &rejected.uid,
            };
            (*uid == seen.uid).then_some(Projected { status, patience })
        }
        (ObjectKey::Route(key), Status::Route(before)) => {
            let entry = snapshot.routes.get(key)?;
            let (uid, patience) = match entry {
                RouteEntry::Rejected(rejected) => (&rejected.uid, Duration::ZERO),
                RouteEntry::Accepted(route) => (&route.route.uid, patience(route)),
            };
            let status = Status::Route(project_route(entry, snapshot, Some(before), now.wall));
            (*uid == seen.uid).then_some(Projected { status, patience })
        }
        _ => None,
    }
}

fn patience(route: &ResolvedRoute) -> Duration {
    if route.targets.iter().any(|reached| awaited(&reached.target)) {
        FIRST_VERDICT
    } else if route.unresolved.iter().any(|one| one.reason == Reason::TargetNotFound) {
        FIRST_TARGETS
    } else {
        Duration::ZERO
    }
}

/// Whether a first verdict is on its way.
fn awaited(target: &Target) -> bool {
    target.live.health() == HealthState::Unknown && target.probe.is_some() && !target.suspended()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{
        Registry,
        fixture::{route, target},
    };

    fn registry() -> Registry {
        let mut registry = Registry::default();
        for name in ["a/one", "a/two"] {
            registry.apply_target(Ok(target(name).healthy().build()));
            registry.apply_route(Ok(route(name).to(name).build()));
        }
        registry
    }

    fn keys_of(name: &str) -> [ObjectKey; 2] {
        [ObjectKey::Target(name.parse().unwrap()), ObjectKey::Route(name.parse().unwrap())]
    }

    #[test]
    fn a_change_concerns_the_object_and_the_routes_that_show_it() {
        let mut registry = registry();
        let before = registry.snapshot();
        assert_eq!(differing(&Snapshot::default(), &before).len(), 4);
        assert!(differing(&before, &before).is_empty());
        registry.apply_target(Ok(target("a/two").with(|it| it.generation = 2).build()));
        let after = registry.snapshot();
        assert_eq!(differing(&before, &after), BTreeSet::from(keys_of("a/two")));
        registry.remove_target(&"a/two".parse().unwrap());
        let [_, route] = keys_of("a/two");
        assert_eq!(differing(&after, &registry.snapshot()), BTreeSet::from([route]));
    }

    #[test]
    fn a_new_route_gives_its_targets_a_moment_to_come() {
        let mut registry = registry();
        registry.apply_route(Ok(route("a/early").to("a/one").to("a/late").build()));
        let wait = |registry: &mut Registry, name: &str| {
            patience(registry.snapshot().route(&name.parse().unwrap()).unwrap())
        };
        assert_eq!(wait(&mut registry, "a/one"), Duration::ZERO);
        assert_eq!(wait(&mut registry, "a/early"), FIRST_TARGETS);
        registry.apply_target(Ok(target("a/late").build()));
        assert_eq!(wait(&mut registry, "a/early"), FIRST_VERDICT);
    }
}
