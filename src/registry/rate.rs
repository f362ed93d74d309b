//! How often may be sent: the generic cell rate algorithm (GCRA), one atomic word.
//!
//! The word is the moment at which everything sent so far would have been sent at the even pace. It
//! may lie ahead of now by a whole burst; ahead of that it would answer to a limit that no longer
//! holds, so it is drawn back, and a changed limit takes effect at once. Lock-free.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::api::RateLimit;

/// What was sent, in nanoseconds of the owner's clock.
#[derive(Debug, Default)]
pub(super) struct Meter(AtomicU64);

// === impl Meter ===

impl Meter {
    /// Takes one token at `now`.
    ///
    /// # Errors
    /// There is none; when the next is there.
    pub(super) fn take(&self, limit: &RateLimit, now: u64) -> Result<(), u64> {
        let step = step(limit);
        let most = now.saturating_add(step.saturating_mul(u64::from(limit.burst.max(1))));
        let mut seen = self.0.load(Relaxed);
        loop {
            let used = seen.clamp(now, most);
            let next = used.saturating_add(step);
            let (word, answer) =
                if next <= most { (next, Ok(())) } else { (used, Err(now + (next - most))) };
            match self.0.compare_exchange_weak(seen, word, Relaxed, Relaxed) {
                Ok(_) => return answer,
                Err(other) => seen = other,
            }
        }
    }

    /// Gives back a token that was taken for nothing.
    pub(super) fn put_back(&self, limit: &RateLimit) {
        let step = step(limit);
        let _ = self.0.fetch_update(Relaxed, Relaxed, |used| Some(used.saturating_sub(step)));
    }
}

/// Nanoseconds from one to the next at the even pace, rounded up: never faster than the limit.
fn step(limit: &RateLimit) -> u64 {
    let per = u64::try_from(limit.per.as_nanos()).unwrap_or(u64::MAX);
    per.div_ceil(u64::from(limit.requests.max(1))).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn limit(requests: u32, seconds: u64, burst: u32) -> RateLimit {
        RateLimit { requests, per: Duration::from_secs(seconds), burst }
    }

    /// Takes whenever there is one, from `from` until `to`; answers when.
    fn drain(meter: &Meter, limit: &RateLimit, from: u64, to: u64) -> Vec<u64> {
        let (mut now, mut taken) = (from, Vec::new());
        while now < to {
            match meter.take(limit, now) {
                Ok(()) => taken.push(now),
                Err(next) => {
                    assert!(next > now, "a wait must end");
                    now = next;
                }
            }
        }
        taken
    }

    #[test]
    fn a_burst_goes_at_once_and_then_the_pace_holds_exactly() {
        let (meter, limit) = (Meter::default(), limit(4, 1, 3));
        let taken = drain(&meter, &limit, 0, 2 * SECOND);
        let quarter = SECOND / 4;
        let even: Vec<_> = (1..8).map(|index| index * quarter).collect();
        assert_eq!(taken[..3], [0, 0, 0]);
        assert_eq!(taken[3..], even);
    }

    #[test]
    fn quiet_time_fills_up_to_the_burst_and_no_further() {
        let (meter, limit) = (Meter::default(), limit(10, 1, 5));
        drain(&meter, &limit, 0, SECOND);
        let later = 3600 * SECOND;
        assert_eq!(drain(&meter, &limit, later, later + 1).len(), 5);
    }

    #[test]
    fn uneven_paces_never_exceed_the_limit() {
        let (meter, limit) = (Meter::default(), limit(7, 60, 1));
        assert_eq!(drain(&meter, &limit, 0, 3600 * SECOND).len(), 7 * 60);
    }

    #[test]
    fn a_changed_limit_takes_effect_at_once() {
        let meter = Meter::default();
        let slow = limit(1, 3600, 2);
        assert_eq!(drain(&meter, &slow, 0, 1).len(), 2);
        let fast = limit(10, 1, 1);
        assert_eq!(meter.take(&fast, 0), Err(SECOND / 10));
        assert_eq!(drain(&meter, &fast, 1, SECOND).len(), 9);
        let now = 5 * SECOND;
        assert_eq!(meter.take(&slow, now), Ok(()));
        assert_eq!(meter.take(&slow, now), Ok(()));
        assert_eq!(meter.take(&slow, now), Err(now + 3600 * SECOND));
    }

    #[test]
    fn a_token_taken_for_nothing_comes_back() {
        let (meter, limit) = (Meter::default(), limit(1, 1, 1));
        assert_eq!(meter.take(&limit, 0), Ok(()));
        meter.put_back(&limit);
        assert_eq!(meter.take(&limit, 0), Ok(()));
        assert_eq!(meter.take(&limit, 0), Err(SECOND));
    }

    #[test]
    fn many_threads_share_the_tokens_exactly() {
        let (meter, limit) = (Meter::default(), limit(1, 1, 1_000));
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..400).filter(|_| meter.take(&limit, 0).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 1_000);
    }
}
