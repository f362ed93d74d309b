//! Who may write: client-go's leader election as one pure decision.
//!
//! Expiry is judged by when *we* last saw the record change, on a monotonic clock, so that clocks of
//! different machines never matter. Every write is a `replace` with the record's resourceVersion:
//! two candidates can't both win.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use tokio::time::Instant;

/// How long the others must see no renewal before they take over.
pub(super) const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long after its last renewal a holder stops writing.
pub(super) const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Time between renewals, and between a candidate's looks.
pub(super) const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// Name, namespace and identity of one candidate.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Name of the process, for people.
    pub process: String,
    identity: String,
}

/// The last record a candidate saw, and when it saw it change.
#[derive(Clone, Debug)]
pub struct Observed {
    lease: Lease,
    changed: Instant,
}

/// What a candidate does next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Replace the record by this one, which carries the resourceVersion it is based on.
    Replace(Box<Lease>),
    /// Somebody else holds the lease; look again after this long.
    Wait(Duration),
}

// === impl Observed ===

impl Observed {
    /// Takes in a record that was read at `now`. The clock of the holder starts anew only if the
    /// record differs from the one seen before.
    #[must_use]
    pub fn next(previous: Option<Self>, lease: Lease, now: Instant) -> Self {
        match previous {
            Some(seen)
                if seen.lease.metadata.uid == lease.metadata.uid
                    && seen.lease.spec == lease.spec =>
            {
                Self { lease, changed: seen.changed }
            }
            _ => Self { lease, changed: now },
        }
    }

    fn holder(&self) -> &str {
        self.lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or("")
    }

    fn expires(&self) -> Instant {
        let seconds = self.lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let duration =
            seconds.and_then(|s| u64::try_from(s).ok()).map_or(LEASE_DURATION, Duration::from_secs);
        self.changed + duration
    }
}

// === impl Candidate ===

impl Candidate {
    /// A candidate for Lease `name`. Its identity is `process` with a random part, so that a process
    /// that starts again under the same name is another candidate.
    #[must_use]
    pub fn new(namespace: &str, name: &str, process: &str) -> Self {
        let identity = format!("{process}_{}", uuid::Uuid::new_v4());
        let [namespace, name, process] = [namespace, name, process].map(str::to_owned);
        Self { namespace, name, process, identity }
    }

    /// What stands in the Lease while this candidate holds it.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// What to do about the record as last seen.
    #[must_use]
    pub fn decide(&self, seen: &Observed, now: Instant, wall: Timestamp) -> Step {
        let holder = seen.holder();
        if !holder.is_empty() && holder != self.identity && now < seen.expires() {
            return Step::Wait(RETRY_PERIOD.min(seen.expires() - now));
        }
        let mut lease = seen.lease.clone();
        let before = lease.spec.unwrap_or_default();
        let ours = holder == self.identity;
        let transitions = before.lease_transitions.unwrap_or(0);
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(seconds(LEASE_DURATION)),
            acquire_time: if ours { before.acquire_time } else { Some(MicroTime(wall)) },
            renew_time: Some(MicroTime(wall)),
            lease_transitions: Some(if ours { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        });
        Step::Replace(Box::new(lease))
    }

    /// The record of a first holder.
    #[must_use]
    pub fn first(&self, wall: Timestamp) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(seconds(LEASE_DURATION)),
                acquire_time: Some(MicroTime(wall)),
                renew_time: Some(MicroTime(wall)),
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            }),
        }
    }

    /// The record that lets the next candidate take over at once; `None` if it isn't ours.
    #[must_use]
    pub fn released(&self, seen: &Observed, wall: Timestamp) -> Option<Lease> {
        if seen.holder() != self.identity {
            return None;
        }
        let mut lease = seen.lease.clone();
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(wall));
        spec.acquire_time = Some(MicroTime(wall));
        Some(lease)
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(identity: &str) -> Candidate {
        Candidate { identity: identity.into(), ..Candidate::new("ops", "fanfare", identity) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn replaced(step: Step) -> LeaseSpec {
        match step {
            Step::Replace(lease) => lease.spec.unwrap(),
            Step::Wait(wait) => panic!("waits {wait:?}"),
        }
    }

    #[test]
    fn a_live_holder_is_left_alone_until_it_was_silent_for_the_whole_duration() {
        let start = Instant::now();
        let seen = Observed::next(None, candidate("a").first(at(0)), start);
        let b = candidate("b");
        assert!(matches!(b.decide(&seen, start, at(0)), Step::Wait(RETRY_PERIOD)));
        let late = start + Duration::from_millis(14_500);
        let Step::Wait(wait) = b.decide(&seen, late, at(0)) else { panic!("took over too early") };
        assert_eq!(wait, Duration::from_millis(500));
        let spec = replaced(b.decide(&seen, start + LEASE_DURATION, at(90)));
        assert_eq!(spec.holder_identity.as_deref(), Some("b"));
        assert_eq!(spec.lease_transitions, Some(1));
        assert_eq!(spec.acquire_time, Some(MicroTime(at(90))));
    }

    #[test]
    fn a_renewal_starts_the_wait_anew_whatever_its_wall_clock_says() {
        let start = Instant::now();
        let a = candidate("a");
        let seen = Observed::next(None, a.first(at(1_000_000)), start);
        let renewed = match a.decide(&seen, start, at(5)) {
            Step::Replace(lease) => *lease,
            Step::Wait(_) => panic!("the holder waits for itself"),
        };
        let later = start + Duration::from_secs(14);
        let seen = Observed::next(Some(seen), renewed.clone(), later);
        assert!(matches!(
            candidate("b").decide(&seen, later + Duration::from_secs(10), at(9_999_999)),
            Step::Wait(_)
        ));
        let unchanged = Observed::next(Some(seen), renewed, later + Duration::from_secs(14));
        let step = candidate("b").decide(&unchanged, later + LEASE_DURATION, at(0));
        assert_eq!(replaced(step).holder_identity.as_deref(), Some("b"));
    }

    #[test]
    fn a_process_that_starts_again_under_its_name_is_another_candidate() {
        let [before, after] = [(); 2].map(|()| Candidate::new("ops", "fanfare", "fanfare-0"));
        let start = Instant::now();
        let seen = Observed::next(None, before.first(at(0)), start);
        assert!(matches!(after.decide(&seen, start, at(0)), Step::Wait(_)));
    }

    #[test]
    fn a_renewal_keeps_acquire_time_and_transitions() {
        let start = Instant::now();
        let a = candidate("a");
        let seen = Observed::next(None, a.first(at(7)), start);
        let spec = replaced(a.decide(&seen, start, at(9)));
        assert_eq!(spec.acquire_time, Some(MicroTime(at(7))));
        assert_eq!(spec.renew_time, Some(MicroTime(at(9))));
        assert_eq!(spec.lease_transitions, Some(0));
    }

    #[test]
    fn a_released_lease_is_taken_at_once_and_only_its_holder_releases_it() {
        let start = Instant::now();
        let a = candidate("a");
        let seen = Observed::next(None, a.first(at(0)), start);
        assert!(candidate("b").released(&seen, at(1)).is_none());
        let free = a.released(&seen, at(1)).unwrap();
        let seen = Observed::next(Some(seen), free, start);
        let spec = replaced(candidate("b").decide(&seen, start, at(1)));
        assert_eq!(spec.holder_identity.as_deref(), Some("b"));
    }

    #[test]
    fn a_lease_made_by_hand_without_a_holder_is_taken() {
        let start = Instant::now();
        let bare = Lease { metadata: ObjectMeta::default(), spec: None };
        let spec =
            replaced(candidate("b").decide(&Observed::next(None, bare, start), start, at(0)));
        assert_eq!(spec.holder_identity.as_deref(), Some("b"));
    }
}
