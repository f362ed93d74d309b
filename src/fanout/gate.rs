//! Whether something may be sent to a target now, and until when not.
//!
//! The gates in their order: suspended, the pause that the far end asked for, the circuit, a place in
//! flight, the target's own rate. Nothing is taken out of a queue before the first four are open; a
//! token of the rate is taken last, because it can't be given back.

use std::sync::Arc;

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Duration, Instant},
};

use crate::{
    api::Overflow,
    clock::Moment,
    registry::{Admission, Live, Target, Trial},
};

/// A permit and whose limit it is of.
pub(crate) type Permit = (Arc<Live>, OwnedSemaphorePermit);

/// What an attempt needs: a place in flight and, if the circuit is half open, its trial.
#[derive(Debug)]
pub(crate) struct Pass<P = OwnedSemaphorePermit> {
    pub(crate) permit: P,
    pub(crate) trial: Option<Trial>,
}

/// What a lane finds at its target's gates.
#[derive(Debug)]
pub(crate) enum Gates {
    /// Open; the rate is still to be asked.
    Open(Pass),
    /// Every place in flight is taken.
    Busy,
    /// Closed until then; `None`: until something changes.
    Closed(Option<Instant>),
}

/// Asks everything but the rate. `permit` is one that the lane has already.
pub(crate) fn pass(target: &Target, permit: Option<Permit>, now: Moment) -> Gates {
    if target.suspended() {
        return Gates::Closed(None);
    }
    if let Some(until) = target.live.paused_until(now.mono) {
        return Gates::Closed(Some(until));
    }
    let trial = match target.live.admit(&target.policy.breaker, now) {
        Admission::Go => None,
        Admission::Trial(trial) => Some(trial),
        Admission::Refused { until } => return Gates::Closed(Some(until)),
    };
    let held = permit.filter(|(live, _)| Arc::ptr_eq(live, &target.live));
    let permit = held
        .map(|(_, permit)| permit)
        .or_else(|| target.live.limit().clone().try_acquire_owned().ok());
    match permit {
        Some(permit) => Gates::Open(Pass { permit, trial }),
        None => Gates::Busy,
    }
}

/// Takes a token of the target's rate.
///
/// # Errors
/// When the next one is free.
pub(crate) fn token(target: &Target, now: Instant) -> Result<(), Instant> {
    match &target.policy.rate {
        Some(limit) => target.live.take_token(limit, now),
        None => Ok(()),
    }
}

/// Whether what the target is owed beyond its rate goes out as one message, and no other token is left.
pub(crate) fn sums_up(target: &Target, now: Instant) -> bool {
    let Some(limit) = target.policy.rate.as_ref() else { return false };
    if target.policy.overflow != Overflow::Digest {
        return false;
    }
    let left = target.live.take_token(limit, now).is_ok();
    if left {
        target.live.return_token(limit);
    }
    !left
}

/// Gives back a token that nothing was sent with.
pub(crate) fn return_token(target: &Target) {
    if let Some(limit) = &target.policy.rate {
        target.live.return_token(limit);
    }
}

/// `at` in whole seconds from `now`, for people.
pub(crate) fn seconds(at: Instant, now: Instant) -> u64 {
    let left = at.saturating_duration_since(now).max(Duration::from_millis(1));
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}
