//! Who may be sent to by health, and what dispatch has to know about routes. Pure.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::{
    api::{
        self, DeliveryPolicy, HealthState, Overflow, Reason, Semantics, TargetKey, WhenDegraded,
        WhenUnhealthy,
    },
    dispatch::{FallbackMode, FallbackTerms, Limits, Plan, Recipient, Role, RouteTerms, Verdict},
    registry::{
        HealthPolicy, ResolvedRoute, RouteEntry, RouteTarget, Snapshot, Target, TargetEntry,
    },
    routing::Route,
};

/// The limits of targets as their specs said when they could last be read, with the UID that they are of:
/// a target whose Secret is missing has its semantics all the same.
pub(crate) type LastLimits = HashMap<TargetKey, (Arc<str>, Limits)>;

/// Decides by the route's health policy.
pub(crate) fn decide(route: &ResolvedRoute, target: &Target) -> Verdict {
    match by_health(&route.route, target) {
        Verdict::Send => Verdict::Send,
        _ if nobody_is_well(route) => Verdict::Send,
        verdict => verdict,
    }
}

/// What the target's health means on the route. Unknown is sendable. A target that is never probed is
/// never skipped: only a delivery can tell that it is back.
fn by_health(route: &Route, target: &Target) -> Verdict {
    match target.live.health() {
        HealthState::Healthy | HealthState::Unknown => Verdict::Send,
        HealthState::Degraded => match route.when_degraded {
            WhenDegraded::Send => Verdict::Send,
            WhenDegraded::Hold => Verdict::Hold,
            WhenDegraded::Skip => Verdict::Skip,
        },
        HealthState::Unhealthy => match route.when_unhealthy {
            WhenUnhealthy::Send => Verdict::Send,
            WhenUnhealthy::Hold => Verdict::Hold,
            WhenUnhealthy::Skip if target.probe.is_none() => Verdict::Send,
            WhenUnhealthy::Skip => Verdict::Skip,
        },
    }
}

/// Red everywhere usually means that we are wrong: a route of two or more targets, none of which is
/// both well and wanted, is sent to all of them.
fn nobody_is_well(route: &ResolvedRoute) -> bool {
    let well = |RouteTarget { target, .. }: &RouteTarget| {
        let health = target.live.health();
        matches!(health, HealthState::Healthy | HealthState::Degraded)
            && !target.suspended()
            && by_health(&route.route, target) == Verdict::Send
    };
    route.targets.len() >= 2 && !route.targets.iter().any(well)
}

/// Routes and recipients as dispatch needs them: those of `plan`, which was made from `before`, brought in line
/// with `after`. A named target that is not usable at present is held like a suspended one, so that what it was
/// told is not forgotten; so is a route that is not accepted at present.
pub(crate) fn recipients(
    plan: &Plan,
    (before, after): (&Snapshot, &Snapshot),
    last: &mut LastLimits,
) -> Plan {
    let mut plan = plan.over(after.table.clone());
    for change in after.targets.changes_since(&before.targets, TargetEntry::is) {
        let key = change.key;
        let Some(entry) = change.after else {
            plan.forget_target(key);
            last.remove(key);
            continue;
        };
        plan.exists(key.clone(), uid(entry).clone());
        let known = match entry {
            TargetEntry::Accepted(target) => Some((&target.policy, &target.health)),
            TargetEntry::Rejected(target) => {
                target.policies.as_ref().map(|(policy, health)| (policy, health))
            }
        };
        if let Some(known) = known {
            last.insert(key.clone(), (uid(entry).clone(), limits(known)));
        } else if last.get(key).is_some_and(|(uid_then, _)| uid(entry) != uid_then) {
            last.remove(key);
        }
    }
    // A route is resolved anew whenever something of a target changed that it names or selects.
    for change in after.routes.changes_since(&before.routes, RouteEntry::is) {
        let key = change.key;
        plan.forget_route(key);
        match change.after {
            None => {}
            Some(RouteEntry::Rejected(_)) => plan.keep(key.clone()),
            Some(RouteEntry::Accepted(resolved)) => {
                plan.add(key.clone(), terms(&resolved.route), of_route(resolved, after, last));
                for unresolved in &resolved.unresolved {
                    if unresolved.reason == Reason::TargetNotPermitted {
                        plan.forbid(key.clone(), unresolved.key.clone());
                    }
                }
            }
        }
    }
    plan
}

/// Everyone that the route tells, regular ones first.
fn of_route(resolved: &ResolvedRoute, snapshot: &Snapshot, last: &LastLimits) -> Vec<Recipient> {
    let usable = |role| {
        move |RouteTarget { target, send_resolved }: &RouteTarget| Recipient {
            target: target.key.clone(),
            uid: target.uid.clone(),
            send_resolved: *send_resolved,
            suspended: target.suspended(),
            limits: limits((&target.policy, &target.health)),
            role,
        }
    };
    let unusable = |role| {
        move |target: &TargetKey| {
            Some(Recipient {
                uid: uid(snapshot.targets.get(target)?).clone(),
                send_resolved: send_resolved(&resolved.route, target),
                suspended: true,
                limits: last.get(target).map_or_else(Limits::default, |(_, limits)| *limits),
                target: target.clone(),
                role,
            })
        }
    };
    let regular = resolved.targets.iter().map(usable(Role::Regular));
    let rejected = resolved.rejected.iter().filter_map(unusable(Role::Regular));
    let fallback = resolved.fallback.iter().map(usable(Role::Fallback));
    let rejected_fallback = resolved.rejected_fallback.iter().filter_map(unusable(Role::Fallback));
    regular.chain(rejected).chain(fallback).chain(rejected_fallback).collect()
}

/// What the route demands for all its recipients.
fn terms(route: &Route) -> RouteTerms {
    RouteTerms {
        suspended: route.suspend,
        repeat_interval: route.repeat_interval,
        grouping: route.grouping.clone(),
        inhibit: Arc::clone(&route.inhibit),
        hours: Arc::clone(&route.hours),
        fallback: route.fallback.as_ref().map(|fallback| FallbackTerms {
            after: fallback.after,
            mode: match fallback.mode {
                api::FallbackMode::Instead => FallbackMode::Instead,
                api::FallbackMode::Also => FallbackMode::Also,
            },
        }),
    }
}

/// What the target's delivery policy means for what it is owed.
fn limits((policy, health): (&DeliveryPolicy, &HealthPolicy)) -> Limits {
    Limits {
        max_attempts: policy.retry.max_attempts,
        max_age: policy.retry.max_age,
        unhealthy_interval: health.unhealthy_interval,
        queue: policy.queue,
        semantics: policy.semantics,
        digest: policy.overflow == Overflow::Digest && policy.semantics == Semantics::Latest,
    }
}

/// UID of the object.
pub(crate) fn uid(entry: &TargetEntry) -> &Arc<str> {
    match entry {
        TargetEntry::Accepted(target) => &target.uid,
        TargetEntry::Rejected(target) => &target.uid,
    }
}

fn send_resolved(route: &Route, key: &TargetKey) -> bool {
    route.named().find(|named| named.key == *key).is_none_or(|named| named.send_resolved)
}

#[cfg(test)]
mod tests;
