//! Follows the disk: what was accepted may be sent once it is durable. It belongs to nobody's request,
//! so that a sender who leaves takes nothing with it.

use super::desk::Shared;
use crate::store::Failed;

// === impl Shared ===

impl<T> Shared<T> {
    /// Releases what becomes durable, until the disk fails.
    pub(super) async fn follow(&self) -> Failed {
        loop {
            let news = (self.submitted.notified(), self.backlog().submitted.notified());
            let Some(seq) = self.next_pending() else {
                tokio::select! {
                    () = news.0 => {}
                    () = news.1 => {}
                }
                continue;
            };
            if let Err(failed) = self.backlog().store().durable(seq).await {
                return failed;
            }
            // A large batch gives the lock back in between.
            while !self.release_part(&mut self.desk()) {
                tokio::task::yield_now().await;
            }
            let durable = self.backlog().store().durable_seq();
            for key in self.backlog().take_pending(durable) {
                self.lanes.wake(&key);
            }
        }
    }
}
