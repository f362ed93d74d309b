//! One moment on both clocks. A leaf.

use jiff::Timestamp;
use tokio::time::Instant;

/// One moment on both clocks: monotonic for intervals, wall for what people read and what is
/// compared with times that senders write.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Monotonic.
    pub mono: Instant,
    /// Wall clock.
    pub wall: Timestamp,
}

// === impl Moment ===

impl Moment {
    /// Both clocks, now.
    #[must_use]
    pub fn now() -> Self {
        Self { mono: Instant::now(), wall: Timestamp::now() }
    }
}
