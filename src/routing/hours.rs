//! When a route is active.
//!
//! Alertmanager's time intervals: an interval contains a moment when each of its fields does, in the interval's
//! time zone. Time zones come from a database inside the program, so that they are there in an empty container
//! and the same everywhere.

mod interval;
mod parse;

use jiff::{SignedDuration, Timestamp};

use self::interval::Interval;
pub use self::parse::HoursError;
use crate::api::TimeInterval;

/// Moments that [`Hours::next_change`] looks at. A week of working hours has fewer than twenty.
const STEPS: usize = 256;
/// How far [`Hours::next_change`] looks.
const HORIZON: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The times at which a route notifies: inside one of the active intervals (if there are any) and outside
/// all mute intervals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    active: Box<[Interval]>,
    mute: Box<[Interval]>,
}

// === impl Hours ===

impl Hours {
    /// Compiles the intervals of a route.
    ///
    /// # Errors
    /// [`HoursError`] names the field that can't be read or the time zone that does not exist.
    pub fn compile(active: &[TimeInterval], mute: &[TimeInterval]) -> Result<Self, HoursError> {
        let compile = |field, intervals: &[TimeInterval]| {
            let of = |(at, one)| parse::interval(one).map_err(|fault| fault.at(field, at));
            intervals.iter().enumerate().map(of).collect::<Result<Box<[_]>, _>>()
        };
        Ok(Self {
            active: compile("activeTimeIntervals", active)?,
            mute: compile("muteTimeIntervals", mute)?,
        })
    }

    /// Whether the route notifies at that moment.
    #[must_use]
    pub fn is_active(&self, at: Timestamp) -> bool {
        let within = |one: &Interval| one.contains(at);
        (self.active.is_empty() || self.active.iter().any(within)) && !self.mute.iter().any(within)
    }

    /// The first moment after `at` at which [`Hours::is_active`] answers otherwise; `None`: never. The search is
    /// bounded: where nothing changes for more than a year, or only after hundreds of intervals that begin and
    /// end without an effect, the answer is a moment up to which nothing changes, and to ask again from there.
    #[must_use]
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let now = self.is_active(at);
        let end = at.checked_add(HORIZON).ok();
        let mut steady: Vec<_> = self.intervals().map(|one| one.steady_until(at)).collect();
        let mut next = steady.iter().flatten().min().copied()?;
        for _ in 0..STEPS {
            if self.is_active(next) != now || end.is_some_and(|end| next > end) {
                break;
            }
            // Only those that may have changed are asked again: one that is far off is looked for once.
            for (one, steady) in self.intervals().zip(&mut steady) {
                if steady.is_some_and(|until| until <= next) {
                    *steady = one.steady_until(next);
                }
            }
            next = steady.iter().flatten().min().copied()?;
        }
        Some(next)
    }

    fn intervals(&self) -> impl Iterator<Item = &Interval> {
        self.active.iter().chain(&self.mute)
    }
}

#[cfg(test)]
mod tests;
