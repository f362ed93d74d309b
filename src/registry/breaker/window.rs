//! Outcomes of the last while, in buckets of time. Pure; told the time.

use std::time::Duration;

use tokio::time::Instant;

/// Buckets that the window is divided into: what is forgotten is forgotten a tenth at a time.
const BUCKETS: usize = 10;

/// Successes and failures within the window.
#[derive(Debug, Default)]
pub(super) struct Window {
    length: Duration,
    /// When the newest bucket began; `None` while nothing is in.
    begun: Option<Instant>,
    newest: usize,
    buckets: [Bucket; BUCKETS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    well: u32,
    failed: u32,
}

// === impl Window ===

impl Window {
    /// Counts one outcome. Another length than before begins anew.
    pub(super) fn note(&mut self, failed: bool, length: Duration, now: Instant) {
        if self.length != length {
            *self = Self { length, ..Self::default() };
        }
        self.turn(now);
        let bucket = &mut self.buckets[self.newest];
        let count = if failed { &mut bucket.failed } else { &mut bucket.well };
        *count = count.saturating_add(1);
    }

    /// Failures and all outcomes in the window, as of the last one noted.
    pub(super) fn counts(&self) -> (u64, u64) {
        let sum = |count: fn(&Bucket) -> u32| -> u64 {
            self.buckets.iter().map(|bucket| u64::from(count(bucket))).sum()
        };
        let failed = sum(|bucket| bucket.failed);
        (failed, failed + sum(|bucket| bucket.well))
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Makes the newest bucket the one that `now` belongs to.
    fn turn(&mut self, now: Instant) {
        let Some(begun) = self.begun else {
            self.begun = Some(now);
            return;
        };
        // Nearly always: where many deliveries are made, dividing would be most of the work.
        if now.saturating_duration_since(begun) * 10 < self.length {
            return;
        }
        let width = (self.length / 10).max(Duration::from_millis(1));
        let passed = now.saturating_duration_since(begun).as_nanos() / width.as_nanos();
        if passed >= BUCKETS as u128 {
            *self = Self { length: self.length, begun: Some(now), ..Self::default() };
            return;
        }
        let passed = u32::try_from(passed).unwrap_or(0);
        for _ in 0..passed {
            self.newest = (self.newest + 1) % BUCKETS;
            self.buckets[self.newest] = Bucket::default();
        }
        self.begun = Some(begun + width * passed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn outcomes_leave_after_the_window() {
        let start = Instant::now();
        let mut window = Window::default();
        for second in 0..180 {
            let now = start + Duration::from_secs(second);
            window.note(second % 2 == 0, MINUTE, now);
            let (failed, all) = window.counts();
            assert!(all <= 60, "{all} in a minute");
            assert!(second < 60 || all > 54, "{all} in nine buckets and a part of one");
            assert!(failed.abs_diff(all - failed) <= 1);
        }
    }

    #[test]
    fn a_quiet_window_is_empty() {
        let start = Instant::now();
        let mut window = Window::default();
        window.note(true, MINUTE, start);
        window.note(false, MINUTE, start + MINUTE);
        assert_eq!(window.counts(), (0, 1));
    }

    #[test]
    fn another_length_begins_anew() {
        let start = Instant::now();
        let mut window = Window::default();
        window.note(true, MINUTE, start);
        window.note(true, MINUTE * 2, start);
        assert_eq!(window.counts(), (1, 1));
    }
}
