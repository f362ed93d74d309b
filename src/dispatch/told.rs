//! What one target was told about one alert by one route, and what follows from it.

use std::time::Duration;

use jiff::Timestamp;

use super::Settled;
use crate::alert::{Status, later};

/// First pause before a failed notification is offered again by itself; doubles up to the last.
const FAILED_PAUSE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(15));
/// The same for one that the target refused for good.
const REJECTED_PAUSE: (Duration, Duration) = (Duration::from_mins(5), Duration::from_hours(4));

/// What an alert says: which of its incidents, and whether it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Says {
    pub(super) incident: u32,
    pub(super) status: Status,
}

/// Why the question comes up whether something is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// Configuration changed: offers what was not tried yet.
    Change,
    /// The sender sent the alert again, or the target recovered: offers what failed or was skipped
    /// too. Without `repeatInterval` a sender's re-send is the repeat that ends a skip.
    Again,
    /// Time passed: offers what failed and has paused long enough.
    Pause,
}

/// An entry of the notification log, held in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// What the last delivered notification said.
    last: Option<Says>,
    /// A notification that fires, or one that resolves, may have arrived after `last`.
    maybe_firing: bool,
    maybe_resolved: bool,
    /// Notifications told.
    count: u32,
    /// The attempt under way; 0 is none.
    in_flight: u32,
    /// What was tried last without being delivered.
    tried: Option<(Says, Miss)>,
    misses: u8,
    /// When `tried` is offered again by itself.
    pause_ends: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Miss {
    Failed,
    Rejected,
    Skipped,
}

// === impl Told ===

impl Told {
    /// Whether the target must hear what the alert says now. `matches`: the route still wants it.
    pub(super) fn owes(&self, says: Says, matches: bool) -> bool {
        match says.status {
            Status::Firing => matches && (self.last != Some(says) || self.maybe_resolved),
            Status::Resolved => self.open(),
        }
    }

    /// The target was told, or may have been told, of an incident whose end it has not heard.
    pub(super) fn open(&self) -> bool {
        self.maybe_firing || self.last.is_some_and(|last| last.status == Status::Firing)
    }

    /// The last delivered notification said this.
    pub(super) fn knows(&self, says: Says) -> bool {
        self.last == Some(says)
    }

    /// Whether what is owed should be handed out on this occasion.
    pub(super) fn offers(&mut self, says: Says, trigger: Trigger, now: Timestamp) -> bool {
        if self.in_flight != 0 {
            return false;
        }
        let paused = self.pause_ends.is_some_and(|end| end > now);
        let offered = match (self.tried.filter(|(tried, _)| *tried == says), trigger) {
            (None, _) => true,
            (Some(_), Trigger::Change) => false,
            (Some((_, miss)), Trigger::Again) => miss != Miss::Rejected || !paused,
            (Some(_), Trigger::Pause) => self.pause_ends.is_some() && !paused,
        };
        if offered {
            self.pause_ends = None;
        }
        offered
    }

    /// Lets everything be offered at the next occasion: target or route is no longer suspended.
    pub(super) fn retry_at_once(&mut self) {
        (self.tried, self.misses, self.pause_ends) = (None, 0, None);
    }

    /// Notes what is not sent because the route leaves resolves out: or the next firing would
    /// look like one that was told already.
    pub(super) fn absorb(&mut self, says: Says) {
        if self.in_flight == 0 && says.status == Status::Resolved && self.open() {
            self.deliver(says);
        }
    }

    pub(super) fn begin(&mut self, attempt: u32) {
        self.in_flight = attempt;
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Notifications told before.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn pause_ends(&self) -> Option<Timestamp> {
        self.pause_ends
    }

    /// Nothing was ever told or tried: the entry can go.
    pub(super) fn is_blank(&self) -> bool {
        self.in_flight == 0 && self.count == 0 && !self.maybe_firing && self.tried.is_none()
    }

    /// Whether the incident passes without the target hearing of it: it is superseded. A skip is
    /// counted as that, not as this.
    pub(super) fn misses_out(&self, incident: u32) -> bool {
        let firing = Says { incident, status: Status::Firing };
        self.in_flight == 0
            && !self.maybe_firing
            && self.last != Some(firing)
            && self.last != Some(Says { incident, status: Status::Resolved })
            && self.tried != Some((firing, Miss::Skipped))
    }

    /// Records what became of the attempt under way.
    pub(super) fn settle(&mut self, said: Says, outcome: Settled, now: Timestamp) {
        self.in_flight = 0;
        let (miss, pause) = match outcome {
            Settled::Delivered => return self.deliver(said),
            Settled::Cancelled => return,
            Settled::Skipped => (Miss::Skipped, None),
            Settled::Rejected => (Miss::Rejected, Some(REJECTED_PAUSE)),
            Settled::Failed { maybe_told } => {
                self.maybe_firing |= maybe_told && said.status == Status::Firing;
                self.maybe_resolved |= maybe_told && said.status == Status::Resolved;
                (Miss::Failed, Some(FAILED_PAUSE))
            }
        };
        if self.tried.is_none_or(|(tried, _)| tried != said) {
            self.misses = 0;
        }
        self.tried = Some((said, miss));
        self.pause_ends = pause.map(|(first, last)| {
            later(now, last.min(first * (1 << u32::from(self.misses.min(10)))))
        });
        self.misses = self.misses.saturating_add(1);
    }

    fn deliver(&mut self, said: Says) {
        self.retry_at_once();
        (self.last, self.maybe_firing, self.maybe_resolved) = (Some(said), false, false);
        self.count = self.count.saturating_add(1);
    }
}
