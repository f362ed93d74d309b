//! Following snapshots without falling behind, whatever their number costs.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::Snapshot;

/// Time off after each snapshot, in times of what it took to take it over.
const TIME_OFF: u32 = 4;
/// The longest time off.
const LONGEST: Duration = Duration::from_secs(1);

/// A reader that takes over each snapshot, which costs as much as changed since the one before.
///
/// Why time off: in a wave of changes a new snapshot comes every 20 ms. So that a wave costs a reader at most a
/// fifth of a core it skips what comes meanwhile, and takes over the newest after that. A lone change is never
/// kept waiting.
#[derive(Debug)]
pub struct Follower {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    rested: Instant,
}

/// The registry is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the registry is gone")]
pub struct RegistryGone;

// === impl Follower ===

impl Follower {
    /// Follows; the present snapshot is the first.
    #[must_use]
    pub fn new(mut snapshots: watch::Receiver<Arc<Snapshot>>) -> Self {
        snapshots.mark_changed();
        Self { snapshots, rested: Instant::now() }
    }

    /// Waits for a snapshot other than the last one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If there will never be one.
    pub async fn next(&mut self) -> Result<Arc<Snapshot>, RegistryGone> {
        self.snapshots.changed().await.map_err(|_| RegistryGone)?;
        // Seen again at once, should the future be dropped while it rests.
        self.snapshots.mark_changed();
        sleep_until(self.rested).await;
        Ok(Arc::clone(&self.snapshots.borrow_and_update()))
    }

    /// Taking over the last one took since `began`.
    pub fn took_since(&mut self, began: Instant) {
        self.rest(began.elapsed());
    }

    fn rest(&mut self, cost: Duration) {
        self.rested = Instant::now() + cost.saturating_mul(TIME_OFF).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(generation: u64) -> Arc<Snapshot> {
        Arc::new(Snapshot { generation, ..Snapshot::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_during_time_off_is_skipped_but_for_the_newest() {
        let (sender, receiver) = watch::channel(snapshot(1));
        let mut follower = Follower::new(receiver);
        assert_eq!(follower.next().await.unwrap().generation, 1);
        let start = Instant::now();
        follower.rest(Duration::from_millis(30));
        for generation in 2..5 {
            sender.send_replace(snapshot(generation));
            tokio::select! {
                biased;
                _ = follower.next() => panic!("it rests"),
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
        assert_eq!(follower.next().await.unwrap().generation, 4);
        assert_eq!(start.elapsed(), Duration::from_millis(120));
        sender.send_replace(snapshot(5));
        assert_eq!(follower.next().await.unwrap().generation, 5);
        assert_eq!(start.elapsed(), Duration::from_millis(120), "a cheap one needs no rest");
        drop(sender);
        assert_eq!(follower.next().await.unwrap_err(), RegistryGone);
    }
}
