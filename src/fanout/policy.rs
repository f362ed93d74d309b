//! Who may be sent to now, and what dispatch has to know about routes. Pure.

use std::sync::Arc;

use crate::{
    alert::Status,
    api::{HealthState, TargetKey, WhenDegraded, WhenUnhealthy},
    dispatch::{Plan, Recipient},
    registry::{ResolvedRoute, RouteEntry, RouteTarget, Snapshot, Target, TargetEntry},
    routing::Route,
};

/// What is to be done with a notification that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send it.
    Send,
    /// Leave it out until something changes.
    Skip,
    /// Keep it owed until the target recovers: a target that was told of a problem is told of its
    /// end.
    Hold,
}

/// Decides by the route's health policy.
pub(crate) fn decide(route: &ResolvedRoute, target: &Target, status: Status) -> Verdict {
    if !left_out(&route.route, target) || nobody_is_well(route) {
        Verdict::Send
    } else if status == Status::Firing {
        Verdict::Skip
    } else {
        Verdict::Hold
    }
}

/// Whether the target's health keeps it out. Unknown is sendable. A target that is never probed is
/// too: only a delivery can tell that it is back.
fn left_out(route: &Route, target: &Target) -> bool {
    match target.live.health() {
        HealthState::Healthy | HealthState::Unknown => false,
        HealthState::Degraded => route.when_degraded == WhenDegraded::Skip,
        HealthState::Unhealthy => {
            route.when_unhealthy == WhenUnhealthy::Skip && target.probe.is_some()
        }
    }
}

/// Red everywhere usually means that we are wrong: a route of two or more targets, none of which is
/// both well and wanted, is sent to all of them.
fn nobody_is_well(route: &ResolvedRoute) -> bool {
    let well = |RouteTarget { target, .. }: &RouteTarget| {
        let health = target.live.health();
        matches!(health, HealthState::Healthy | HealthState::Degraded)
            && !target.suspended()
            && !left_out(&route.route, target)
    };
    route.targets.len() >= 2 && !route.targets.iter().any(well)
}

/// Routes and recipients as dispatch needs them. A named target that is not usable at present is
/// held like a suspended one, so that what it was told is not forgotten.
pub(crate) fn recipients(snapshot: &Snapshot) -> Plan {
    let mut plan = Plan::new(snapshot.table.clone());
    for (key, entry) in snapshot.routes.iter() {
        let RouteEntry::Accepted(resolved) = entry else { continue };
        let usable =
            resolved.targets.iter().map(|RouteTarget { target, send_resolved }| Recipient {
                target: target.key.clone(),
                uid: target.uid.clone(),
                send_resolved: *send_resolved,
                suspended: target.suspended(),
            });
        let unusable = resolved.rejected.iter().filter_map(|target| {
            Some(Recipient {
                uid: uid(snapshot, target)?,
                send_resolved: send_resolved(&resolved.route, target),
                suspended: true,
                target: target.clone(),
            })
        });
        plan.add(key.clone(), resolved.route.suspend, usable.chain(unusable).collect());
    }
    plan
}

fn uid(snapshot: &Snapshot, key: &TargetKey) -> Option<Arc<str>> {
    match snapshot.targets.get(key)? {
        TargetEntry::Accepted(target) => Some(target.uid.clone()),
        TargetEntry::Rejected(target) => Some(target.uid.clone()),
    }
}

fn send_resolved(route: &Route, key: &TargetKey) -> bool {
    route.targets.iter().find(|named| named.key == *key).is_none_or(|named| named.send_resolved)
}
