//! How long a circuit stays open. Pure.

use std::time::Duration;

use crate::api::BreakerPolicy;

/// How far an ejection is spread around its length.
const SPREAD: f64 = 0.2;

/// How long the `count`th opening in a row lasts; `random` is in 0..1. Never longer than the cap.
pub(super) fn ejection(policy: &BreakerPolicy, count: u32, random: f64) -> Duration {
    let nominal = nominal(policy, count);
    let low = nominal.mul_f64(1.0 - SPREAD);
    let high = nominal.mul_f64(1.0 + SPREAD).min(policy.max_ejection);
    low + high.saturating_sub(low).mul_f64(random.clamp(0.0, 1.0))
}

/// Openings in a row that a time of being closed has not made up for: each takes as long to forgive
/// as it lasted.
pub(super) fn unforgiven(policy: &BreakerPolicy, openings: u32, closed: Duration) -> u32 {
    let (mut openings, mut rest) = (openings, closed);
    while openings > 0 {
        match rest.checked_sub(nominal(policy, openings)) {
            Some(less) => rest = less,
            None => break,
        }
        openings -= 1;
    }
    openings
}

fn nominal(policy: &BreakerPolicy, count: u32) -> Duration {
    let factor = 2_u32.saturating_pow(count.saturating_sub(1));
    policy.base_ejection.saturating_mul(factor).min(policy.max_ejection)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ejections_double_up_to_the_cap_and_spread() {
        let policy = BreakerPolicy::default();
        let mut random = fastrand::Rng::with_seed(3);
        for (count, nominal) in [(1, 30), (2, 60), (3, 120), (4, 240), (5, 300), (32, 300)] {
            let nominal = SECOND * nominal;
            let draws: Vec<_> = (0..200).map(|_| ejection(&policy, count, random.f64())).collect();
            let (least, most) = (*draws.iter().min().unwrap(), *draws.iter().max().unwrap());
            assert!(least >= nominal.mul_f64(0.8) && most <= policy.max_ejection);
            assert!(most <= nominal.mul_f64(1.2));
            assert!(most > least + nominal.mul_f64(0.18), "{least:?} to {most:?}");
            let mut millis: Vec<_> = draws.iter().map(Duration::subsec_millis).collect();
            millis.sort_unstable();
            millis.dedup();
            assert!(millis.len() > 150, "only {} different parts of a second", millis.len());
        }
    }

    #[test]
    fn a_time_closed_forgives_as_many_openings_as_it_is_long() {
        let policy = BreakerPolicy::default();
        for (closed, left) in [(0, 5), (299, 5), (300, 4), (540, 3), (660, 2), (720, 1), (750, 0)] {
            assert_eq!(unforgiven(&policy, 5, SECOND * closed), left, "after {closed} s");
        }
        assert_eq!(unforgiven(&policy, 32, Duration::MAX), 0);
    }
}
