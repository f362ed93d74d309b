//! What status shows of a circuit: not every turn of it. Pure; told the time.
//!
//! A failed trial changes nothing that is shown, a half-open moment is not shown at all, and a
//! circuit that flaps costs at most a write a minute: two changes may follow one another at once (it
//! opened, it closed), then one in two minutes leaves room for the next. What was undone before it
//! could be shown never is.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::api::{CircuitState, Reason};

/// Two changes in this time, no more.
const PERIOD: Duration = Duration::from_mins(2);
/// A half-open state that is shorter is not shown.
const MOMENT: Duration = Duration::from_secs(5);

/// The state of a circuit, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::registry) struct View {
    pub(in crate::registry) state: CircuitState,
    /// `None`: since the beginning.
    pub(in crate::registry) since: Option<Timestamp>,
    /// Reason of the failure that opened it.
    pub(in crate::registry) reason: Option<Reason>,
    /// Why it opened; empty while it is closed.
    pub(in crate::registry) message: String,
}

/// What is shown, and what will be.
#[derive(Debug, Default)]
pub(in crate::registry) struct Shown {
    view: View,
    next: Option<(Instant, View)>,
    /// When the last two changes were shown, the newer one first.
    changed: [Option<Instant>; 2],
}

// === impl Shown ===

impl Shown {
    /// What is shown at `now`.
    pub(in crate::registry) fn view(&self, now: Instant) -> &View {
        self.due(now).map_or(&self.view, |(_, view)| view)
    }

    /// Takes over what was shown before a restart.
    pub(in crate::registry) fn restore(&mut self, view: View) {
        *self = Self { view, ..Self::default() };
    }

    /// The circuit is in this state now. Answers when that is to be shown; `None` if it is.
    pub(in crate::registry) fn turn(&mut self, view: View, now: Instant) -> Option<Instant> {
        if let Some((when, view)) = self.due(now).cloned() {
            self.show(view, when);
        }
        if view == self.view {
            self.next = None;
            return None;
        }
        let moment =
            if view.state == CircuitState::HalfOpen { MOMENT } else { Duration::default() };
        let allowed = self.changed[1].map_or(now, |before| before + PERIOD);
        let planned = match &self.next {
            Some((when, planned)) if planned.state == view.state => *when,
            _ => now + moment,
        };
        let when = planned.max(allowed);
        if when <= now {
            self.show(view, now);
        } else {
            self.next = Some((when, view));
        }
        Some(when)
    }

    fn due(&self, now: Instant) -> Option<&(Instant, View)> {
        self.next.as_ref().filter(|(when, _)| *when <= now)
    }

    fn show(&mut self, view: View, when: Instant) {
        self.view = view;
        self.next = None;
        self.changed = [Some(when), self.changed[0]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(state: CircuitState) -> View {
        View { state, ..View::default() }
    }

    fn turn(shown: &mut Shown, state: CircuitState, now: Instant) -> Option<Instant> {
        shown.turn(view(state), now)
    }

    #[test]
    fn an_outage_is_shown_when_it_begins_and_when_it_ends() {
        let now = Instant::now();
        let mut shown = Shown::default();
        assert_eq!(turn(&mut shown, CircuitState::Open, now), Some(now));
        let later = now + Duration::from_secs(1);
        assert_eq!(turn(&mut shown, CircuitState::Closed, later), Some(later));
        assert_eq!(shown.view(later).state, CircuitState::Closed);
    }

    #[test]
    fn half_open_moments_are_not_shown_and_lasting_ones_are() {
        let now = Instant::now();
        let mut shown = Shown::default();
        turn(&mut shown, CircuitState::Open, now);
        let half = now + Duration::from_secs(30);
        assert_eq!(turn(&mut shown, CircuitState::HalfOpen, half), Some(half + MOMENT));
        assert_eq!(turn(&mut shown, CircuitState::Open, half + Duration::from_secs(1)), None);
        assert_eq!(shown.view(half + MOMENT).state, CircuitState::Open);
        let half = now + PERIOD;
        turn(&mut shown, CircuitState::HalfOpen, half);
        turn(&mut shown, CircuitState::HalfOpen, half + MOMENT / 2);
        assert_eq!(shown.view(half + MOMENT / 2).state, CircuitState::Open);
        assert_eq!(shown.view(half + MOMENT).state, CircuitState::HalfOpen);
    }

    #[test]
    fn a_flapping_circuit_changes_at_most_once_a_minute() {
        let start = Instant::now();
        let mut shown = Shown::default();
        let (mut changes, mut last) = (0, CircuitState::Closed);
        let minutes = 30;
        for second in 0..minutes * 60 {
            let now = start + Duration::from_secs(second);
            let state = if second / 7 % 2 == 0 { CircuitState::Open } else { CircuitState::Closed };
            if second % 7 == 0 {
                turn(&mut shown, state, now);
            }
            let state = shown.view(now).state;
            changes += u64::from(state != last);
            last = state;
        }
        assert!((minutes / 2..=minutes + 1).contains(&changes), "{changes} changes");
    }

    #[test]
    fn the_end_is_shown_in_time_however_often_it_flapped() {
        let start = Instant::now();
        let mut shown = Shown::default();
        let mut now = start;
        for _ in 0..10 {
            turn(&mut shown, CircuitState::Open, now);
            turn(&mut shown, CircuitState::Closed, now + Duration::from_millis(1));
            now += Duration::from_secs(1);
        }
        turn(&mut shown, CircuitState::Open, now);
        let when = turn(&mut shown, CircuitState::Closed, now);
        assert_eq!(shown.view(when.unwrap_or(now)).state, CircuitState::Closed);
        assert!(when.is_none_or(|when| when <= now + PERIOD));
    }
}
