//! Which targets a publish sends to, which it leaves out, and in which order it starts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hashbrown::HashSet;
use tokio::time::Instant;

use crate::{
    api::{CircuitState, HealthState, TargetKey, TargetType},
    publish::{
        ErrorType, MAX_CONCURRENT, MAX_TIMEOUT, Options, PublishError, Selection, SkipReason,
        Strategy, TargetFilter, TargetResult,
    },
    registry::{RejectedTarget, Snapshot, Target, TargetEntry},
};

/// What a publish is going to do. Made without I/O from one snapshot.
#[derive(Debug)]
pub struct Plan<'s> {
    /// One entry per selected target, in request order: skipped ones are final, the others say
    /// `not_attempted` until they are tried.
    pub results: Vec<TargetResult>,
    /// What to send, in starting order: Healthy, Degraded, Unknown, Unhealthy; equals in request
    /// order.
    pub sends: Vec<Planned<'s>>,
    /// Whom nothing is sent to, to count it there.
    pub skips: Vec<&'s TargetEntry>,
    /// Who can't be sent to before its Secret has been read, with its entry in [`Plan::results`].
    pub unread: Vec<(usize, &'s Arc<RejectedTarget>)>,
}

/// One target to send to.
#[derive(Clone, Copy, Debug)]
pub struct Planned<'s> {
    /// Its entry in [`Plan::results`].
    pub at: usize,
    /// The target.
    pub target: &'s Arc<Target>,
    /// Its health when the plan was made.
    pub health: HealthState,
}

/// What every decision takes into account.
struct With<'a> {
    options: &'a Options,
    now: Instant,
}

/// Decides about every selected target.
///
/// `All` and `Healthy` select among usable targets that are not suspended; a named target that is
/// suspended or unusable is skipped as `disabled`. One whose Secret has not been read yet is selected and left
/// out like a usable one, by the health that its status showed; it has failed, not attempted: the caller must see
/// that it missed out, and may have it queued.
///
/// # Errors
/// [`PublishError`] if targets are not known yet, a named one does not exist, or the request
/// contradicts itself. Then nothing may be sent.
pub fn plan<'s>(
    snapshot: &'s Snapshot,
    selection: &Selection,
    options: &Options,
    now: Instant,
) -> Result<Plan<'s>, PublishError> {
    check(selection, options)?;
    let with = &With { options, now };
    if !snapshot.complete {
        return Err(PublishError::NotReady);
    }
    let mut plan =
        Plan { results: Vec::new(), sends: Vec::new(), skips: Vec::new(), unread: Vec::new() };
    match selection {
        Selection::Named(keys) => plan.named(snapshot, keys, with)?,
        Selection::All(filter) => plan.select(snapshot, filter, with, |_| true),
        Selection::Healthy(filter) => plan.select(snapshot, filter, with, |health| {
            matches!(health, HealthState::Healthy | HealthState::Degraded)
        }),
    }
    plan.sends.sort_by_key(|send| rank(send.health));
    Ok(plan)
}

/// Whether the request makes sense by itself.
fn check(selection: &Selection, options: &Options) -> Result<(), PublishError> {
    let fault = match selection {
        _ if options.timeout.is_zero() || options.timeout > MAX_TIMEOUT => {
            format!("options.timeout must be more than 0s and at most {}s", MAX_TIMEOUT.as_secs())
        }
        _ if options.max_concurrent == 0 || options.max_concurrent > MAX_CONCURRENT => {
            format!("options.max_concurrent must be from 1 to {MAX_CONCURRENT}")
        }
        Selection::Named(keys) if keys.is_empty() => {
            "target_names is empty; name at least one target as namespace/name".into()
        }
        Selection::All(_) if options.strategy != Strategy::PublishToAll => {
            "publishing to all targets leaves no target out for its health: drop options.strategy, \
             or name the targets, or publish to the healthy ones"
                .into()
        }
        Selection::Healthy(_)
            if options.strategy == Strategy::PublishToAll || !options.check_health =>
        {
            "publishing to the healthy targets looks at health: drop options.strategy PublishToAll \
             and options.check_health false, or publish to all targets"
                .into()
        }
        _ => return Ok(()),
    };
    Err(PublishError::Invalid(fault))
}

const fn rank(health: HealthState) -> u8 {
    match health {
        HealthState::Healthy => 0,
        HealthState::Degraded => 1,
        HealthState::Unknown => 2,
        HealthState::Unhealthy => 3,
    }
}

/// What health keeps out. Unknown is sendable.
fn left_out(health: HealthState, options: &Options) -> Option<SkipReason> {
    if !options.check_health {
        return None;
    }
    match (options.strategy, health) {
        (Strategy::SkipUnhealthy | Strategy::SkipUnhealthyAndDegraded, HealthState::Unhealthy) => {
            Some(SkipReason::Unhealthy)
        }
        (Strategy::SkipUnhealthyAndDegraded, HealthState::Degraded) => Some(SkipReason::Degraded),
        _ => None,
    }
}

/// What an open circuit keeps out before a trial is due. Who wants it sent later is not skipped.
fn circuit(target: &Target, With { options, now }: &With<'_>) -> Option<SkipReason> {
    let ignored = !options.enable_circuit_breaker || options.retry;
    if ignored || target.live.circuit() == CircuitState::Closed {
        return None;
    }
    let waits = target.live.circuit_opens_at(*now).is_some_and(|at| at > *now);
    waits.then_some(SkipReason::CircuitOpen)
}

fn passes(
    filter: &TargetFilter,
    key: &TargetKey,
    kind: Option<TargetType>,
    labels: &BTreeMap<String, String>,
) -> bool {
    filter.namespace.as_ref().is_none_or(|namespace| **namespace == *key.namespace)
        && filter.kind.is_none_or(|wanted| kind == Some(wanted))
        && filter.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
}

fn unread(RejectedTarget { message, .. }: &RejectedTarget, retry: bool) -> String {
    let fix = if retry { "" } else { "; send again in a moment, or with options.retry" };
    format!("the target can't be used yet: {message}{fix}")
}

fn nothing_done(key: &TargetKey, kind: Option<TargetType>) -> TargetResult {
    TargetResult {
        key: key.clone(),
        kind,
        skipped: None,
        error_type: None,
        error: None,
        status_code: None,
        duration: Duration::ZERO,
        attempts: 0,
        queued: false,
    }
}

// === impl Plan ===

impl<'s> Plan<'s> {
    fn named(
        &mut self,
        snapshot: &'s Snapshot,
        keys: &[TargetKey],
        with: &With<'_>,
    ) -> Result<(), PublishError> {
        // By the place of what was found: cheaper than by name.
        let mut seen = HashSet::with_capacity(keys.len());
        let (mut missing, mut unknown) = (HashSet::new(), Vec::new());
        self.results.reserve_exact(keys.len());
        self.sends.reserve_exact(keys.len());
        for key in keys {
            let Some(entry) = snapshot.targets.get(key) else {
                if missing.insert(key) {
                    unknown.push(key.clone());
                }
                continue;
            };
            if !seen.insert(std::ptr::from_ref(entry).addr()) {
                continue;
            }
            match entry {
                TargetEntry::Accepted(target) => {
                    self.add((entry, target), target.live.health(), with);
                }
                TargetEntry::Rejected(rejected) if rejected.is_unread() => {
                    self.wait(entry, rejected, with);
                }
                TargetEntry::Rejected(rejected) => {
                    self.skip(entry, (&rejected.key, rejected.kind), SkipReason::Disabled);
                }
            }
        }
        if unknown.is_empty() { Ok(()) } else { Err(PublishError::NotFound(unknown)) }
    }

    fn select(
        &mut self,
        snapshot: &'s Snapshot,
        filter: &TargetFilter,
        with: &With<'_>,
        wanted: impl Fn(HealthState) -> bool,
    ) {
        self.results.reserve(snapshot.targets.len());
        for entry in snapshot.targets.values() {
            match entry {
                TargetEntry::Accepted(target) => {
                    // Read once: what is decided and what is reported must not differ.
                    let health = target.live.health();
                    let is_meant = !target.suspended() && wanted(health);
                    if is_meant && passes(filter, &target.key, Some(target.kind), &target.labels) {
                        self.add((entry, target), health, with);
                    }
                }
                TargetEntry::Rejected(it) if it.is_unread() => {
                    let is_meant = !it.suspended && wanted(it.health);
                    if is_meant && passes(filter, &it.key, it.kind, &it.labels) {
                        self.wait(entry, it, with);
                    }
                }
                TargetEntry::Rejected(_) => {}
            }
        }
    }

    fn add(
        &mut self,
        (entry, target): (&'s TargetEntry, &'s Arc<Target>),
        health: HealthState,
        with: &With<'_>,
    ) {
        let skipped = if target.suspended() {
            Some(SkipReason::Disabled)
        } else {
            left_out(health, with.options).or_else(|| circuit(target, with))
        };
        if let Some(reason) = skipped {
            self.skip(entry, (&target.key, Some(target.kind)), reason);
            return;
        }
        self.sends.push(Planned { at: self.results.len(), target, health });
        self.results.push(TargetResult {
            error_type: Some(ErrorType::NotAttempted),
            ..nothing_done(&target.key, Some(target.kind))
        });
    }

    /// Its Secret has not been read yet.
    fn wait(&mut self, entry: &'s TargetEntry, target: &'s Arc<RejectedTarget>, with: &With<'_>) {
        let skipped = if target.suspended {
            Some(SkipReason::Disabled)
        } else {
            left_out(target.health, with.options)
        };
        if let Some(reason) = skipped {
            self.skip(entry, (&target.key, target.kind), reason);
            return;
        }
        self.unread.push((self.results.len(), target));
        self.results.push(TargetResult {
            error_type: Some(ErrorType::NotAttempted),
            error: Some(unread(target, with.options.retry)),
            ..nothing_done(&target.key, target.kind)
        });
    }

    fn skip(
        &mut self,
        entry: &'s TargetEntry,
        (key, kind): (&TargetKey, Option<TargetType>),
        reason: SkipReason,
    ) {
        self.skips.push(entry);
        self.results.push(TargetResult { skipped: Some(reason), ..nothing_done(key, kind) });
    }
}
