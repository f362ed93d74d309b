//! Why an alert is absent on a route: neither firing nor resolved, whatever it says.

/// The reasons for which an alert is absent on a route at present; none: it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mutes(u8);

// === impl Mutes ===

impl Mutes {
    /// A silence takes it.
    pub(super) const SILENCED: Self = Self(1);
    /// Another alert inhibits it.
    pub(super) const INHIBITED: Self = Self(2);
    /// The route is not active at this time.
    pub(super) const OFF_HOURS: Self = Self(4);

    /// Whether there is any reason.
    pub(super) fn any(self) -> bool {
        self != Self::default()
    }

    /// Whether `reason` is among them.
    pub(super) fn has(self, reason: Self) -> bool {
        self.0 & reason.0 != 0
    }

    /// Sets or clears a reason.
    pub(super) fn set(&mut self, reason: Self, holds: bool) {
        if holds {
            self.0 |= reason.0;
        } else {
            self.0 &= !reason.0;
        }
    }
}
