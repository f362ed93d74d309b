//! From a route, the targets it reaches and their health to `.status`. Pure.

use jiff::Timestamp;

use super::{
    RejectedRoute, ResolvedRoute, RouteEntry, Snapshot, TargetEntry,
    condition::{Draft, merge, name_some},
    resolve::carries,
};
use crate::api::{
    AlertRouteStatus, ConditionStatus, ConditionType, HealthState, Reason, ResolvedTarget,
    RouteTargets, TargetKey,
};

/// Targets that status lists by name.
const MAX_LISTED: usize = 64;
/// Characters of the matcher summary.
const MAX_SUMMARY: usize = 1_024;

/// What is known of a route's targets.
#[derive(Debug, Default)]
struct Census<'a> {
    total: usize,
    healthy: usize,
    suspended: usize,
    unknown: Vec<&'a TargetKey>,
    /// Unhealthy or rejected.
    ill: Vec<&'a TargetKey>,
}

/// What `.status` of a route says now. `previous` is what it says in the cluster; an equal answer
/// needs no write.
#[must_use]
pub fn project_route(
    entry: &RouteEntry,
    snapshot: &Snapshot,
    previous: Option<&AlertRouteStatus>,
    now: Timestamp,
) -> AlertRouteStatus {
    let before = previous.map_or(&[][..], |status| &status.conditions);
    match entry {
        RouteEntry::Rejected(rejected) => AlertRouteStatus {
            observed_generation: Some(rejected.generation),
            conditions: merge(before, refused(rejected), rejected.generation, now),
            ..AlertRouteStatus::default()
        },
        RouteEntry::Accepted(resolved) => {
            let census = census(resolved);
            let accepted = accepted(resolved, snapshot);
            let refs = refs(resolved, snapshot);
            let ready = ready(resolved, snapshot, &accepted, &refs);
            let healthy = healthy(&census, &ready);
            let drafts = vec![accepted, refs, ready, healthy];
            let route = &resolved.route;
            AlertRouteStatus {
                observed_generation: Some(route.generation),
                conditions: merge(before, drafts, route.generation, now),
                targets: Some(RouteTargets {
                    total: count(census.total),
                    healthy: count(census.healthy),
                    summary: format!("{}/{}", census.healthy, census.total),
                }),
                resolved_targets: listed(resolved),
                matcher_summary: Some(route.matcher_summary.chars().take(MAX_SUMMARY).collect()),
            }
        }
    }
}

fn refused(rejected: &RejectedRoute) -> Vec<Draft> {
    let RejectedRoute { reason, message, .. } = rejected;
    let draft = |type_, status, message: &str| Draft::new(type_, status, *reason, message);
    let hint = format!("not accepted ({reason}); see condition Accepted");
    vec![
        draft(ConditionType::Accepted, ConditionStatus::False, message),
        draft(ConditionType::ResolvedRefs, ConditionStatus::Unknown, &hint),
        draft(ConditionType::Ready, ConditionStatus::False, message),
        draft(ConditionType::Healthy, ConditionStatus::Unknown, &hint),
    ]
}

fn accepted(resolved: &ResolvedRoute, snapshot: &Snapshot) -> Draft {
    let type_ = ConditionType::Accepted;
    if let Some(key) = &resolved.shadowed_by {
        let above = snapshot.route(key);
        let priority = above.map_or(0, |above| above.route.priority);
        let message = format!(
            "unreachable: final route {key} (priority {priority}) takes every alert first. Give \
             this route a higher spec.priority, or narrow the matchers of {}",
            key.name
        );
        return Draft::new(type_, ConditionStatus::False, Reason::Shadowed, message);
    }
    let message = if resolved.route.suspend {
        "accepted; muted by spec.suspend: nothing is notified until it is false"
    } else {
        "accepted"
    };
    Draft::new(type_, ConditionStatus::True, Reason::Accepted, message)
}

fn refs(resolved: &ResolvedRoute, snapshot: &Snapshot) -> Draft {
    let draft =
        |status, reason, message| Draft::new(ConditionType::ResolvedRefs, status, reason, message);
    let mut faults = unresolved(resolved, false);
    if faults.is_empty() && selects_nothing(resolved, snapshot) {
        let message = "spec.targetSelector matches no PublishTarget of this namespace: label one \
                       or correct the selector";
        faults.push((Reason::NoTargetSelected, message.to_owned()));
    }
    faults.extend(unresolved(resolved, true));
    let Some((reason, _)) = faults.first() else {
        let message = "every target exists and may be used".to_owned();
        return draft(ConditionStatus::True, Reason::Resolved, message);
    };
    let messages: Vec<&str> = faults.iter().map(|(_, message)| &**message).collect();
    draft(ConditionStatus::False, *reason, messages.join("; "))
}

/// What is wrong with the targets that the route names, or those that its fallback does.
fn unresolved(resolved: &ResolvedRoute, is_fallback: bool) -> Vec<(Reason, String)> {
    let of = |reason| {
        let unresolved = resolved.unresolved.iter();
        let found = unresolved.filter(|one| one.reason == reason && one.is_fallback == is_fallback);
        found.map(|one| &one.key).collect::<Vec<_>>()
    };
    let (whose, field) = if is_fallback {
        ("the fallback: ", "spec.fallback.targets")
    } else {
        ("", "spec.targets")
    };
    let namespace = &resolved.route.key.namespace;
    let mut faults = Vec::new();
    let missing = of(Reason::TargetNotFound);
    if !missing.is_empty() {
        let names = name_some(missing.iter().map(|key| &key.name));
        let message = format!(
            "{whose}no PublishTarget {names} in namespace {namespace}: create it or correct {field}"
        );
        faults.push((Reason::TargetNotFound, message));
    }
    let refused = of(Reason::TargetNotPermitted);
    if !refused.is_empty() {
        let names = name_some(refused.iter());
        let message = format!(
            "{whose}not permitted to use {names}: its owner must admit namespace {namespace} in \
             spec.allowedRoutes.namespaces"
        );
        faults.push((Reason::TargetNotPermitted, message));
    }
    faults
}

fn selects_nothing(resolved: &ResolvedRoute, snapshot: &Snapshot) -> bool {
    let Some(wanted) = &resolved.route.selector else { return false };
    let own = &resolved.route.key.namespace;
    let accepted = resolved.targets.iter().map(|one| (&one.target.key, &one.target.labels));
    let rejected =
        resolved.rejected.iter().filter_map(|key| Some((key, snapshot.targets.get(key)?.labels())));
    !accepted.chain(rejected).any(|(key, labels)| key.namespace == *own && carries(labels, wanted))
}

fn ready(resolved: &ResolvedRoute, snapshot: &Snapshot, accepted: &Draft, refs: &Draft) -> Draft {
    let no = |reason, message: String| {
        Draft::new(ConditionType::Ready, ConditionStatus::False, reason, message)
    };
    if accepted.status != ConditionStatus::True {
        return no(accepted.reason, accepted.message.clone());
    }
    if !resolved.targets.is_empty() {
        let (type_, yes) = (ConditionType::Ready, ConditionStatus::True);
        return Draft::new(type_, yes, Reason::Accepted, "accepted, and reaches targets");
    }
    let first = resolved.rejected.first();
    match first.and_then(|key| snapshot.targets.get(key)) {
        Some(TargetEntry::Rejected(rejected)) => {
            let names = name_some(resolved.rejected.iter());
            let message =
                format!("no usable target; not registered: {names} ({})", rejected.reason);
            no(rejected.reason, message)
        }
        _ => no(refs.reason, refs.message.clone()),
    }
}

fn healthy(census: &Census<'_>, ready: &Draft) -> Draft {
    let Census { total, healthy, suspended, unknown, ill } = census;
    let counts = format!("{healthy} of {total} targets healthy");
    let asleep = if *suspended > 0 { format!(", {suspended} suspended") } else { String::new() };
    let (status, reason, message) = if *total == 0 {
        let hint = format!("no targets ({}); see condition Ready", ready.reason);
        (ConditionStatus::Unknown, ready.reason, hint)
    } else if total == suspended {
        (ConditionStatus::Unknown, Reason::Suspended, "every target is suspended".to_owned())
    } else if !ill.is_empty() {
        let names = name_some(ill.iter());
        let message = format!("{counts}{asleep}; not: {names}");
        let reason = if *healthy == 0 && unknown.is_empty() {
            Reason::NoHealthyTarget
        } else {
            Reason::SomeTargetsUnhealthy
        };
        (ConditionStatus::False, reason, message)
    } else if !unknown.is_empty() {
        let names = name_some(unknown.iter());
        let message = format!("{counts}{asleep}; not known yet: {names}");
        (ConditionStatus::Unknown, Reason::ProbePending, message)
    } else {
        (ConditionStatus::True, Reason::AllTargetsHealthy, format!("{counts}{asleep}"))
    };
    Draft::new(ConditionType::Healthy, status, reason, message)
}

fn census(resolved: &ResolvedRoute) -> Census<'_> {
    let mut census = Census {
        total: resolved.targets.len() + resolved.rejected.len(),
        ill: resolved.rejected.iter().collect(),
        ..Census::default()
    };
    for one in &resolved.targets {
        let target = &one.target;
        match target.live.health() {
            _ if target.suspended() => census.suspended += 1,
            HealthState::Healthy | HealthState::Degraded => census.healthy += 1,
            HealthState::Unknown => census.unknown.push(&target.key),
            HealthState::Unhealthy => census.ill.push(&target.key),
        }
    }
    census
}

fn listed(resolved: &ResolvedRoute) -> Vec<ResolvedTarget> {
    let keys = resolved.targets.iter().take(MAX_LISTED).map(|one| &one.target.key);
    keys.map(|key| ResolvedTarget {
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
    })
    .collect()
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
