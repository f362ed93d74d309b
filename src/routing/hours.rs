//! When a route is active.

use jiff::Timestamp;

/// The times at which a route notifies: inside one of the active intervals (if there are any) and outside
/// all mute intervals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {}

// === impl Hours ===

impl Hours {
    /// Whether the route notifies at that moment.
    #[must_use]
    pub fn is_active(&self, _at: Timestamp) -> bool {
        true
    }

    /// The first moment after `at` at which [`Hours::is_active`] may answer otherwise; `None`: never.
    #[must_use]
    pub fn next_change(&self, _at: Timestamp) -> Option<Timestamp> {
        None
    }
}
