//! Moments, small.

use jiff::Timestamp;

/// A moment in milliseconds, never zero: half the size of a timestamp, and an option of it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Millis(std::num::NonZeroI64);

// === impl Millis ===

impl From<Timestamp> for Millis {
    fn from(at: Timestamp) -> Self {
        Self(std::num::NonZeroI64::new(at.as_millisecond()).unwrap_or(std::num::NonZeroI64::MIN))
    }
}

impl From<Millis> for Timestamp {
    fn from(Millis(at): Millis) -> Self {
        Self::from_millisecond(at.get()).unwrap_or(Self::UNIX_EPOCH)
    }
}
