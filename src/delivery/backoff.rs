//! When a failed notification is tried again. Pure: randomness is an argument, and nothing here overflows.
//!
//! Full jitter draws evenly between [`FLOOR`] and the delay, so that many notifications that failed together do
//! not come back together. The floor keeps an unlucky draw from becoming a hot loop. A slow pace (a refused
//! credential, a missing route, a bad certificate, a forbidden address: what only people mend) starts at
//! [`SLOW`] and is drawn from the upper half of its delay, so that no draw makes it fast. Never is a delay of
//! ours longer than the target's `backoffMax`, nor the far end's wish longer than its `retryAfterMax`.

use std::time::Duration;

use super::{Class, Failure};
use crate::{
    api::{BackoffPolicy, Jitter, RetryPolicy},
    publish::ErrorType,
};

/// No jitter makes a delay shorter than this, unless the delay itself is.
const FLOOR: Duration = Duration::from_millis(100);
/// First delay of the slow pace, unless the target's own is longer.
const SLOW: Duration = Duration::from_secs(30);
/// Pause after the second 429 in a row that does not say how long to wait.
const UNTOLD_PAUSE: Duration = Duration::from_mins(1);
/// A wait that the far end asked for grows at random by a tenth of itself, but no more than this: targets that
/// share a limit, and were told the same moment, do not return at the same moment.
const MAX_LATENESS: Duration = Duration::from_secs(10);

/// How long to wait before the next attempt. `failures` counts the attempts that failed before this one, so
/// that the first delay is the policy's own.
#[must_use]
pub fn next_delay(
    policy: &RetryPolicy,
    failures: u32,
    class: Class,
    retry_after: Option<Duration>,
    rng: &mut fastrand::Rng,
) -> Duration {
    let slow = matches!(class, Class::RetrySlowly | Class::Rejected | Class::Gone);
    let first = if slow { policy.delay.max(SLOW) } else { policy.delay };
    let factor = match policy.backoff {
        BackoffPolicy::Exponential => 2_u32.checked_pow(failures).unwrap_or(u32::MAX),
        BackoffPolicy::Linear => failures.saturating_add(1),
    };
    let full = first.saturating_mul(factor).min(policy.max);
    let backoff = match policy.jitter {
        Jitter::None => full,
        Jitter::Full if slow => between(full / 2, full, rng),
        Jitter::Full => between(FLOOR.min(full), full, rng),
    };
    backoff.max(honoured(policy, retry_after, rng))
}

/// How long the target as a whole has to be left alone after `failure`; `None`: no longer than the one
/// notification's own delay. `again`: this was not the first 429 in a row.
#[must_use]
pub fn pause_after(
    policy: &RetryPolicy,
    failure: &Failure,
    again: bool,
    rng: &mut fastrand::Rng,
) -> Option<Duration> {
    let untold = again && failure.error_type == ErrorType::RateLimited;
    let asked = honoured(policy, failure.retry_after, rng);
    if asked > Duration::ZERO {
        Some(asked)
    } else if untold {
        Some(UNTOLD_PAUSE)
    } else {
        None
    }
}

/// What is left of the far end's wish.
fn honoured(policy: &RetryPolicy, asked: Option<Duration>, rng: &mut fastrand::Rng) -> Duration {
    let asked = asked.unwrap_or_default();
    let late = match policy.jitter {
        Jitter::None => Duration::ZERO,
        Jitter::Full => between(Duration::ZERO, (asked / 10).min(MAX_LATENESS), rng),
    };
    asked.saturating_add(late).min(policy.retry_after_max)
}

/// An even draw, both ends included.
fn between(low: Duration, high: Duration, rng: &mut fastrand::Rng) -> Duration {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(rng.u64(nanos(low)..=nanos(high)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{api::Reason, delivery::Told};

    const MAX: Duration = Duration::MAX;

    fn policy(backoff: BackoffPolicy, jitter: Jitter) -> RetryPolicy {
        RetryPolicy { backoff, jitter, ..RetryPolicy::default() }
    }

    fn delay(policy: &RetryPolicy, failures: u32) -> Duration {
        next_delay(policy, failures, Class::Retry, None, &mut fastrand::Rng::with_seed(7))
    }

    fn limited(retry_after: Option<Duration>) -> Failure {
        Failure {
            error_type: ErrorType::RateLimited,
            class: Class::RetryAfter,
            reason: Reason::RateLimited,
            message: String::new(),
            retry_after,
            told: Told::No,
            local: false,
        }
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn exponential_doubles_up_to_the_cap() {
        let policy = policy(BackoffPolicy::Exponential, Jitter::None);
        let millis: Vec<_> = (0..11).map(|n| delay(&policy, n).as_millis()).collect();
        let doubled = [500, 1000, 2000, 4000, 8000, 16000, 32000, 64000, 128_000, 256_000, 300_000];
        assert_eq!(millis, doubled);
        assert_eq!(delay(&policy, u32::MAX), secs(300));
    }

    #[test]
    fn linear_grows_by_the_same_step_up_to_the_cap() {
        let policy = policy(BackoffPolicy::Linear, Jitter::None);
        let millis: Vec<_> = (0..4).map(|n| delay(&policy, n).as_millis()).collect();
        assert_eq!(millis, [500, 1000, 1500, 2000]);
        assert_eq!(delay(&policy, 599), secs(300));
        assert_eq!(delay(&policy, u32::MAX), secs(300));
    }

    #[test]
    fn the_slow_pace_starts_at_half_a_minute_and_keeps_the_cap() {
        let even = policy(BackoffPolicy::Exponential, Jitter::None);
        let slow = |policy: &RetryPolicy, failures| {
            next_delay(policy, failures, Class::RetrySlowly, None, &mut fastrand::Rng::with_seed(7))
        };
        let pace: Vec<_> = (0..6).map(|n| slow(&even, n).as_secs()).collect();
        assert_eq!(pace, [30, 60, 120, 240, 300, 300]);
        let drawn = policy(BackoffPolicy::Exponential, Jitter::Full);
        assert!((0..100).all(|_| slow(&drawn, 0) >= secs(15)));
        let patient = RetryPolicy { delay: secs(120), ..even.clone() };
        assert_eq!(slow(&patient, 0), secs(120), "never faster than the target's own delay");
        let hasty = RetryPolicy { max: secs(2), ..even };
        assert_eq!(slow(&hasty, 0), secs(2), "the target's own cap holds");
    }

    #[test]
    fn full_jitter_fills_the_whole_range_evenly() {
        let policy = policy(BackoffPolicy::Exponential, Jitter::Full);
        let mut rng = fastrand::Rng::with_seed(1);
        let mut tenths = [0_u32; 10];
        let draws = 10_000;
        for _ in 0..draws {
            let share = next_delay(&policy, 6, Class::Retry, None, &mut rng).as_secs_f64() / 32.0;
            #[expect(clippy::cast_possible_truncation, reason = "below ten")]
            #[expect(clippy::cast_sign_loss, reason = "not negative")]
            let slot = (share * 10.0) as usize;
            tenths[slot.min(9)] += 1;
        }
        assert!(tenths.iter().all(|count| (850..=1150).contains(count)), "{tenths:?}");
    }

    #[test]
    fn the_far_ends_wish_is_kept_and_clamped() {
        let policy = policy(BackoffPolicy::Exponential, Jitter::None);
        let after = |policy: &RetryPolicy, wish| {
            let mut rng = fastrand::Rng::with_seed(7);
            next_delay(policy, 3, Class::RetryAfter, wish, &mut rng)
        };
        assert_eq!(after(&policy, Some(secs(30))), secs(30));
        assert_eq!(after(&policy, Some(secs(1))), secs(4), "never faster than the backoff");
        assert_eq!(after(&policy, Some(Duration::ZERO)), secs(4));
        assert_eq!(after(&policy, Some(secs(3600))), secs(900));
        assert_eq!(after(&policy, Some(MAX)), secs(900));
        let deaf = RetryPolicy { retry_after_max: Duration::ZERO, ..policy };
        assert_eq!(after(&deaf, Some(secs(30))), secs(4), "0s: ignored");
    }

    #[test]
    fn a_429_pauses_the_target_for_as_long_as_it_says_or_a_minute_from_the_second_on() {
        let policy = RetryPolicy { jitter: Jitter::None, ..RetryPolicy::default() };
        let paused = |policy: &RetryPolicy, failure: &Failure, again| {
            pause_after(policy, failure, again, &mut fastrand::Rng::with_seed(7))
        };
        assert_eq!(paused(&policy, &limited(None), false), None);
        assert_eq!(paused(&policy, &limited(None), true), Some(secs(60)));
        assert_eq!(paused(&policy, &limited(Some(secs(7))), false), Some(secs(7)));
        assert_eq!(paused(&policy, &limited(Some(secs(7))), true), Some(secs(7)));
        assert_eq!(paused(&policy, &limited(Some(MAX)), false), Some(secs(900)));
        assert_eq!(paused(&policy, &limited(Some(Duration::ZERO)), true), Some(secs(60)));
        let deaf = RetryPolicy { retry_after_max: Duration::ZERO, ..policy.clone() };
        assert_eq!(paused(&deaf, &limited(Some(secs(7))), false), None, "0s: ignored");
        assert_eq!(paused(&deaf, &limited(Some(secs(7))), true), Some(secs(60)));
        let failed = Failure { error_type: ErrorType::ServerError, ..limited(None) };
        assert_eq!(paused(&policy, &failed, true), None, "only a 429 has the floor");
        let busy = Failure { retry_after: Some(secs(3)), ..failed };
        assert_eq!(paused(&policy, &busy, false), Some(secs(3)), "a 503 may ask, too");
    }

    fn any_duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            Just(Duration::ZERO),
            Just(Duration::MAX),
            (0_u64..100_000_000).prop_map(Duration::from_millis),
            (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(s, n)| Duration::new(s, n)),
        ]
    }

    fn any_policy() -> impl Strategy<Value = RetryPolicy> {
        let kinds = (
            prop_oneof![Just(BackoffPolicy::Exponential), Just(BackoffPolicy::Linear)],
            prop_oneof![Just(Jitter::Full), Just(Jitter::None)],
        );
        (kinds, any_duration(), any_duration(), any_duration()).prop_map(
            |((backoff, jitter), delay, max, retry_after_max)| RetryPolicy {
                backoff,
                delay,
                max,
                jitter,
                retry_after_max,
                ..RetryPolicy::default()
            },
        )
    }

    fn any_class() -> impl Strategy<Value = Class> {
        use Class::{Gone, Rejected, Retry, RetryAfter, RetrySlowly};
        proptest::sample::select(vec![Retry, RetryAfter, RetrySlowly, Rejected, Gone])
    }

    proptest! {
        #[test]
        fn nothing_overflows_and_no_bound_is_passed(
            policy in any_policy(),
            failures in prop_oneof![0_u32..40, Just(u32::MAX), any::<u32>()],
            class in any_class(),
            asked in proptest::option::of(any_duration()),
            seed in any::<u64>(),
        ) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let delay = next_delay(&policy, failures, class, asked, &mut rng);
            prop_assert!(delay <= policy.max.max(policy.retry_after_max));
            prop_assert!(delay >= FLOOR.min(policy.delay).min(policy.max));
            if let Some(asked) = asked {
                prop_assert!(delay >= asked.min(policy.retry_after_max));
            }
            let without = RetryPolicy { jitter: Jitter::None, ..policy.clone() };
            let steady = next_delay(&without, failures, class, None, &mut rng);
            let drawn = next_delay(&policy, failures, class, None, &mut rng);
            prop_assert!(drawn <= steady, "jitter only shortens");
            let later = next_delay(&without, failures.saturating_add(1), class, None, &mut rng);
            prop_assert!(later >= steady, "never faster after one more failure");
        }
    }
}
