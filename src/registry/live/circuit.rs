//! A target's circuit breaker, as those who deliver see it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU8, Ordering::Relaxed},
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::Live;
use crate::{
    api::{BreakerPolicy, CircuitState, Reason},
    registry::{
        CircuitSample, Depth, Moment, SampleFailure,
        breaker::{Breaker, Entry, Fault, Shown, View},
    },
};

/// Whether a delivery may be made.
#[derive(Debug)]
#[must_use]
pub enum Admission {
    /// The circuit is closed.
    Go,
    /// The circuit is half-open and this delivery is its trial: hand it to
    /// [`super::super::Monitor::attempted`] with the outcome.
    Trial(Trial),
    /// Nothing is sent now.
    Refused {
        /// When to ask again.
        until: Instant,
    },
}

/// The one place of a half-open circuit; free again when dropped.
#[derive(Debug)]
pub struct Trial {
    live: Arc<Live>,
    serial: u64,
}

/// What status shows of a circuit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CircuitView {
    /// The state.
    pub state: CircuitState,
    /// When it began; `None`: with the target.
    pub since: Option<Timestamp>,
    /// Reason of the failure that opened it.
    pub reason: Option<Reason>,
    /// Why it opened, for people; empty while closed.
    pub message: String,
}

/// What changed about a circuit.
#[derive(Debug)]
pub(in crate::registry) struct CircuitTurn {
    /// The state before.
    pub(in crate::registry) from: CircuitState,
    /// The states that it went through; the last is the present one.
    pub(in crate::registry) through: Vec<CircuitState>,
    /// When status is to show it; `None`: it need not.
    pub(in crate::registry) show: Option<Instant>,
    /// Why it opened.
    pub(in crate::registry) why: String,
}

/// The breaker, what status shows of it, and its state for those who take no lock.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    state: AtomicU8,
    /// Made when the first delivery ends: most targets are idle most of the time.
    works: Mutex<Option<Box<Works>>>,
}

#[derive(Debug, Default)]
pub(super) struct Works {
    breaker: Breaker,
    shown: Shown,
}

// === impl Live ===

impl Live {
    /// Asks whether a delivery may be made now. One atomic load while the circuit is closed.
    pub fn admit(self: &Arc<Self>, policy: &BreakerPolicy, now: Moment) -> Admission {
        if self.circuit() == CircuitState::Closed {
            return Admission::Go;
        }
        match self.circuit.with(|works| works.breaker.admit(policy, now.mono)) {
            Entry::Go => Admission::Go,
            Entry::Trial(serial) => Admission::Trial(Trial { live: Arc::clone(self), serial }),
            Entry::Refused(until) => Admission::Refused { until },
        }
    }

    /// The state of the circuit now; lock-free.
    #[must_use]
    pub fn circuit(&self) -> CircuitState {
        decode(self.circuit.state.load(Relaxed))
    }

    /// What status shows of the circuit: not every turn of it.
    #[must_use]
    pub fn circuit_view(&self, now: Instant) -> CircuitView {
        let works = self.circuit.lock();
        works.as_ref().map_or_else(CircuitView::default, |it| it.shown.view(now).clone().into())
    }

    /// When the next trial may be made; `None` while the circuit is closed.
    #[must_use]
    pub fn circuit_opens_at(&self, now: Instant) -> Option<Instant> {
        if self.circuit() == CircuitState::Closed {
            return None;
        }
        self.circuit.lock().as_ref()?.breaker.next_trial(now)
    }

    /// Takes over what `.status` showed before a restart, unless something happened since.
    pub(in crate::registry) fn restore_circuit(&self, view: CircuitView, now: Instant) {
        let view = View {
            state: view.state,
            since: view.since,
            reason: view.reason,
            message: view.message,
        };
        self.circuit.with(|works| {
            works.breaker.restore(&view, now);
            if works.breaker.view() == view {
                works.shown.restore(view);
            }
        });
    }

    /// Notes why a delivery failed; its outcome follows.
    pub(in crate::registry) fn note_failure(&self, failure: &SampleFailure, fault: Fault) {
        self.circuit.with(|works| works.breaker.note(failure, fault));
    }

    /// Whose fault the last failure was.
    pub(in crate::registry) fn last_fault(&self) -> Option<Fault> {
        self.circuit.lock().as_ref()?.breaker.last_fault()
    }

    /// Takes the outcome of an attempt, of `trial` if it was one.
    pub(in crate::registry) fn attempted(
        &self,
        (sample, trial): (CircuitSample, Option<&Trial>),
        policy: &BreakerPolicy,
        now: Moment,
        random: f64,
    ) -> Option<CircuitTurn> {
        let own = trial.filter(|trial| std::ptr::eq(&raw const *trial.live, self));
        let serial = own.map(|trial| trial.serial);
        self.turn(now, |breaker| breaker.observe((sample, serial), policy, now, random))
    }

    /// Takes a check that succeeded and began at `began`.
    pub(in crate::registry) fn probed(
        &self,
        depth: Depth,
        began: Instant,
        now: Moment,
    ) -> Option<CircuitTurn> {
        if self.circuit() == CircuitState::Closed {
            return None;
        }
        self.turn(now, |breaker| breaker.probed(depth, began, now))
    }

    fn turn(
        &self,
        now: Moment,
        change: impl FnOnce(&mut Breaker) -> Vec<CircuitState>,
    ) -> Option<CircuitTurn> {
        self.circuit.with(|Works { breaker, shown }| {
            let from = breaker.state();
            let through = change(breaker);
            if through.is_empty() {
                return None;
            }
            let view = breaker.view();
            let why = view.message.clone();
            Some(CircuitTurn { from, through, show: shown.turn(view, now.mono), why })
        })
    }
}

// === impl Circuit ===

impl Circuit {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Box<Works>>> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Works) -> T) -> T {
        let mut works = self.lock();
        let works = works.get_or_insert_default();
        let answer = change(works);
        self.state.store(encode(works.breaker.state()), Relaxed);
        answer
    }
}

// === impl Trial ===

impl Drop for Trial {
    fn drop(&mut self) {
        self.live.circuit.with(|works| works.breaker.release(self.serial));
    }
}

// === impl CircuitView ===

impl From<View> for CircuitView {
    fn from(View { state, since, reason, message }: View) -> Self {
        Self { state, since, reason, message }
    }
}

const fn encode(state: CircuitState) -> u8 {
    match state {
        CircuitState::Closed => 0,
        CircuitState::Open => 1,
        CircuitState::HalfOpen => 2,
    }
}

const fn decode(state: u8) -> CircuitState {
    match state {
        1 => CircuitState::Open,
        2 => CircuitState::HalfOpen,
        _ => CircuitState::Closed,
    }
}
