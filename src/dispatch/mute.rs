//! Why an alert is absent on a route: neither firing nor resolved, whatever it says.

/// A reason for which alerts are muted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mute {
    /// A silence takes it.
    Silenced,
    /// Another alert keeps it quiet.
    Inhibited,
    /// The route is not active at this time.
    OffHours,
    /// The route is suspended.
    Suspended,
}

/// How many alerts are muted somewhere, in the order of [`Mute::ALL`].
pub type MutedAlerts = [usize; Mute::ALL.len()];

/// The reasons for which an alert is absent on a route at present; none: it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mutes(u8);

// === impl Mute ===

impl Mute {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Silenced, Self::Inhibited, Self::OffHours, Self::Suspended];

    /// The word as it stands in metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Silenced => "silenced",
            Self::Inhibited => "inhibited",
            Self::OffHours => "off_hours",
            Self::Suspended => "suspended",
        }
    }
}

// === impl Mutes ===

impl Mutes {
    /// A silence takes it.
    pub(super) const SILENCED: Self = Self::of(Mute::Silenced);
    /// Another alert inhibits it.
    pub(super) const INHIBITED: Self = Self::of(Mute::Inhibited);
    /// The route is not active at this time.
    pub(super) const OFF_HOURS: Self = Self::of(Mute::OffHours);
    /// The route is suspended: for figures only, [`Delivery::mutes`](super::link::Delivery::mutes) decides.
    pub(super) const SUSPENDED: Self = Self::of(Mute::Suspended);

    const fn of(mute: Mute) -> Self {
        Self(1 << mute as u8)
    }

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

    /// Adds reasons.
    pub(super) fn add(&mut self, reasons: Self) {
        self.0 |= reasons.0;
    }

    /// The reason that Alertmanager would meet first.
    pub(super) fn first(self) -> Option<Mute> {
        [Mute::Inhibited, Mute::OffHours, Mute::Silenced, Mute::Suspended]
            .into_iter()
            .find(|mute| self.has(Self::of(*mute)))
    }

    /// Keeps count of the alerts that are muted when one of them turns from `before` to these reasons.
    pub(super) fn count(self, before: Self, alerts: &mut MutedAlerts) {
        for mute in Mute::ALL {
            let of = Self::of(mute);
            match (before.has(of), self.has(of)) {
                (false, true) => alerts[mute as usize] += 1,
                (true, false) => alerts[mute as usize] -= 1,
                _ => {}
            }
        }
    }
}
