//! Percentiles over a sliding window, in bounded memory.
//!
//! Counts per logarithmic bucket (eight to each doubling, so at most 9 % off), in five slots of a
//! minute each; the oldest slot is emptied when its turn comes again.

use std::time::Duration;

use tokio::time::Instant;

const SLOTS: usize = 5;
const SLOT: Duration = Duration::from_mins(1);
const PER_OCTAVE: u32 = 8;
/// 1 µs to 2^29 µs (nine minutes); the longest allowed publish is five minutes.
const OCTAVES: u32 = 29;
const BUCKETS: usize = (OCTAVES * PER_OCTAVE) as usize;

/// Durations of the last four to five minutes.
#[derive(Debug)]
pub struct LatencyWindow {
    start: Instant,
    /// None until the first duration comes: most targets are idle most of the time.
    slots: Vec<Slot>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// Which minute since `start` the counts belong to.
    minute: u64,
    total: u32,
    /// Empty until a duration comes.
    counts: Vec<u32>,
}

// === impl LatencyWindow ===

impl LatencyWindow {
    /// An empty window.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { start: now, slots: Vec::new() }
    }

    /// Counts one duration.
    pub fn record(&mut self, latency: Duration, now: Instant) {
        let minute = self.minute(now);
        self.slots.resize_with(SLOTS, Slot::default);
        let slot = &mut self.slots[usize::try_from(minute).unwrap_or(0) % SLOTS];
        if slot.minute != minute || slot.counts.is_empty() {
            slot.minute = minute;
            slot.total = 0;
            slot.counts.clear();
            slot.counts.resize(BUCKETS, 0);
        }
        let count = &mut slot.counts[bucket(latency)];
        *count = count.saturating_add(1);
        slot.total = slot.total.saturating_add(1);
    }

    /// The durations below which the given shares (0 to 1) of the window lie; `None` if it is empty.
    #[must_use]
    pub fn quantiles<const N: usize>(
        &self,
        shares: [f64; N],
        now: Instant,
    ) -> [Option<Duration>; N] {
        let minute = self.minute(now);
        let live: Vec<&Slot> = self
            .slots
            .iter()
            .filter(|slot| slot.total > 0 && slot.minute + (SLOTS as u64) > minute)
            .collect();
        let total: u64 = live.iter().map(|slot| u64::from(slot.total)).sum();
        shares.map(|share| {
            if total == 0 {
                return None;
            }
            let wanted = rank(share, total);
            let mut seen = 0;
            (0..BUCKETS)
                .find(|&index| {
                    seen += live.iter().map(|slot| u64::from(slot.counts[index])).sum::<u64>();
                    seen >= wanted
                })
                .map(upper_bound)
        })
    }

    fn minute(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs() / SLOT.as_secs()
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank within a count, rounded on purpose"
)]
fn rank(share: f64, total: u64) -> u64 {
    ((share.clamp(0.0, 1.0) * total as f64).ceil() as u64).clamp(1, total)
}

fn bucket(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1);
    let octave = micros.ilog2();
    let offset = if octave >= 3 {
        (micros >> (octave - 3)) - u64::from(PER_OCTAVE)
    } else {
        (micros << (3 - octave)) - u64::from(PER_OCTAVE)
    };
    let index = u64::from(octave) * u64::from(PER_OCTAVE) + offset;
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

fn upper_bound(index: usize) -> Duration {
    let index = index as u64;
    let (octave, offset) = (index / u64::from(PER_OCTAVE), index % u64::from(PER_OCTAVE));
    Duration::from_micros(((u64::from(PER_OCTAVE) + offset + 1) << octave) / u64::from(PER_OCTAVE))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_window_has_no_percentiles() {
        let now = Instant::now();
        assert_eq!(LatencyWindow::new(now).quantiles([0.5], now), [None]);
    }

    #[test]
    fn old_durations_leave_the_window() {
        let start = Instant::now();
        let mut window = LatencyWindow::new(start);
        window.record(Duration::from_secs(9), start);
        let later = start + SLOT * 3;
        window.record(Duration::from_millis(1), later);
        assert!(window.quantiles([1.0], later)[0] > Some(Duration::from_secs(8)));
        let much_later = start + SLOT * 5;
        assert!(window.quantiles([1.0], much_later)[0] < Some(Duration::from_millis(2)));
        assert_eq!(window.quantiles([1.0], start + SLOT * 60), [None]);
    }

    proptest! {
        #[test]
        fn percentiles_are_near_the_exact_ones(
            mut micros in proptest::collection::vec(8_u64..400_000_000, 1..300),
            share in 0.0..=1.0_f64,
        ) {
            let now = Instant::now();
            let mut window = LatencyWindow::new(now);
            for &one in &micros {
                window.record(Duration::from_micros(one), now);
            }
            micros.sort_unstable();
            let place = usize::try_from(rank(share, micros.len() as u64)).unwrap() - 1;
            let exact = Duration::from_micros(micros[place]);
            let [found] = window.quantiles([share], now);
            let found = found.unwrap();
            prop_assert!(found >= exact && found <= exact.mul_f64(1.13), "{found:?} for {exact:?}");
        }
    }
}
