//! A token bucket, told the time.

use std::time::Duration;

use tokio::time::Instant;

/// Lets `rate` takes per second through on average and `burst` at once.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

// === impl Bucket ===

impl Bucket {
    /// A full bucket.
    pub(super) fn new(rate: f64, burst: f64, now: Instant) -> Self {
        Self { rate, burst, tokens: burst, at: now }
    }

    /// Takes one token, or says how long until there is one.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.burst);
        self.at = self.at.max(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let missing = Duration::from_secs_f64((1.0 - self.tokens) / self.rate);
        Err(missing.max(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_passes_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(200.0, 1000.0, start);
        for _ in 0..1000 {
            bucket.take(start).unwrap();
        }
        assert_eq!(bucket.take(start), Err(Duration::from_millis(5)));
        let later = start + Duration::from_millis(100);
        let passed = (0..100).filter(|_| bucket.take(later).is_ok()).count();
        assert!((19..=20).contains(&passed), "{passed}");
    }

    #[test]
    fn an_idle_bucket_never_holds_more_than_its_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, 2.0, start);
        let later = start + Duration::from_hours(1);
        assert_eq!((0..10).filter(|_| bucket.take(later).is_ok()).count(), 2);
    }
}
