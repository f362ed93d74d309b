//! What moves about a target: health, circuit, limits, counters.

mod circuit;
mod series;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::Semaphore, time::Instant};

use super::{
    HealthPolicy, HealthView, LatencyWindow, Moment, Sample, Transition, machine::Machine,
    rate::Meter,
};
use crate::api::{HealthState, RateLimit};
use circuit::Circuit;

pub(super) use circuit::CircuitTurn;
pub use circuit::{Admission, CircuitView, Trial};
pub use series::Series;

/// Live state of one target. Reads on the hot path take no lock.
#[derive(Debug)]
pub struct Live {
    born: Instant,
    limit: Arc<Semaphore>,
    limit_size: AtomicUsize,
    /// Permits to take back when they return: the limit was lowered while they were out.
    limit_debt: AtomicUsize,
    in_flight: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
    /// Wall clock in milliseconds; 0 is never.
    last_success: AtomicI64,
    last_failure: AtomicI64,
    /// Milliseconds since `born`, plus one; 0 is never.
    last_delivered: AtomicU64,
    paused_until: AtomicU64,
    /// Answered 429 since the last delivery.
    limited: AtomicBool,
    heard: AtomicU64,
    health: AtomicU8,
    namespaces_unreadable: AtomicBool,
    machine: Mutex<Machine>,
    latency: Mutex<LatencyWindow>,
    circuit: Circuit,
    rate: Meter,
    series: OnceLock<Series>,
}

/// Counts an attempt as under way until it is dropped.
#[derive(Debug)]
pub struct InFlight<'a>(&'a Live);

/// Counters of a target since it was created.
#[derive(Clone, Debug, Default)]
pub struct LiveStats {
    /// Deliveries that succeeded.
    pub succeeded: u64,
    /// Deliveries that failed.
    pub failed: u64,
    /// Times it was left out.
    pub skipped: u64,
    /// Attempts under way.
    pub in_flight: u64,
    /// Last delivery that succeeded.
    pub last_success: Option<Timestamp>,
    /// Last attempt that failed.
    pub last_failure: Option<Timestamp>,
    /// Median attempt duration in the sliding window.
    pub p50: Option<Duration>,
    /// 95th percentile.
    pub p95: Option<Duration>,
    /// 99th percentile.
    pub p99: Option<Duration>,
}

// === impl Live ===

impl Live {
    /// Live state of a new target: Unknown, nothing counted.
    #[must_use]
    pub fn new(max_in_flight: usize, now: Moment) -> Arc<Self> {
        Arc::new(Self {
            born: now.mono,
            limit: Arc::new(Semaphore::new(max_in_flight)),
            limit_size: AtomicUsize::new(max_in_flight),
            limit_debt: AtomicUsize::new(0),
            in_flight: AtomicU64::new(0),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            last_success: AtomicI64::new(0),
            last_failure: AtomicI64::new(0),
            last_delivered: AtomicU64::new(0),
            paused_until: AtomicU64::new(0),
            limited: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            health: AtomicU8::new(encode(HealthState::Unknown)),
            namespaces_unreadable: AtomicBool::new(false),
            machine: Mutex::default(),
            latency: Mutex::new(LatencyWindow::new(now.mono)),
            circuit: Circuit::default(),
            rate: Meter::default(),
            series: OnceLock::new(),
        })
    }

    /// The limit of requests under way: one permit per request.
    #[must_use]
    pub fn limit(&self) -> &Arc<Semaphore> {
        &self.limit
    }

    /// The health now; lock-free.
    #[must_use]
    pub fn health(&self) -> HealthState {
        decode(self.health.load(Relaxed))
    }

    /// What status shows, as of the last transition; `None` before the first.
    #[must_use]
    pub fn health_view(&self) -> Option<HealthView> {
        self.machine().view().cloned()
    }

    /// Feeds one sample to the health machine. A returned transition must be reported to
    /// [`super::Changes::mark`]; [`super::Monitor::record`] does both.
    pub fn observe(
        &self,
        sample: &Sample,
        policy: &HealthPolicy,
        now: Moment,
    ) -> Option<Transition> {
        self.with_machine(|machine| machine.observe(sample, policy, now))
    }

    /// Notes a failure that must not count because verdicts are frozen.
    pub(super) fn hold(&self, now: Moment) -> Option<Transition> {
        self.with_machine(|machine| machine.hold(now))
    }

    /// Takes over what `.status` showed before a restart, unless newer evidence is in.
    pub(super) fn restore_health(&self, view: HealthView) {
        self.with_machine(|machine| machine.restore(view));
    }

    /// Time until the next check, by what is known now.
    #[must_use]
    pub fn pace(&self, policy: &HealthPolicy) -> Duration {
        self.machine().pace(policy)
    }

    /// Whether the last piece of evidence was a failure.
    #[must_use]
    pub fn last_failed(&self) -> bool {
        self.machine().last_failed()
    }

    /// Counts an attempt as under way.
    pub fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self)
    }

    /// Counts a delivery that the target accepted.
    pub fn delivered(&self, latency: Duration, now: Moment) {
        self.succeeded.fetch_add(1, Relaxed);
        self.last_success.store(now.wall.as_millisecond(), Relaxed);
        self.last_delivered.store(self.offset(now.mono), Relaxed);
        self.limited.store(false, Relaxed);
        self.record_latency(latency, now);
    }

    /// Counts an attempt that failed.
    pub fn failed(&self, latency: Duration, now: Moment) {
        self.failed.fetch_add(1, Relaxed);
        self.last_failure.store(now.wall.as_millisecond(), Relaxed);
        self.record_latency(latency, now);
    }

    /// Notes that the far end takes no more for now (429). Answers whether it had said so
    /// before, with no delivery in between.
    pub fn limited_again(&self) -> bool {
        self.limited.swap(true, Relaxed)
    }

    /// Counts that the target was left out.
    pub fn skipped(&self) {
        self.skipped.fetch_add(1, Relaxed);
    }

    /// Whether a delivery succeeded at most `within` ago.
    #[must_use]
    pub fn delivered_within(&self, within: Duration, now: Instant) -> bool {
        self.moment(&self.last_delivered)
            .is_some_and(|at| now.saturating_duration_since(at) < within)
    }

    /// The counters and percentiles now.
    #[must_use]
    pub fn stats(&self, now: Moment) -> LiveStats {
        let latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        let [p50, p95, p99] = latency.quantiles([0.5, 0.95, 0.99], now.mono);
        let time = |millis: &AtomicI64| match millis.load(Relaxed) {
            0 => None,
            millis => Timestamp::from_millisecond(millis).ok(),
        };
        LiveStats {
            succeeded: self.succeeded.load(Relaxed),
            failed: self.failed.load(Relaxed),
            skipped: self.skipped.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            last_success: time(&self.last_success),
            last_failure: time(&self.last_failure),
            p50,
            p95,
            p99,
        }
    }

    /// Pauses the target for `wait`; a shorter pause never ends a longer one. Answers the end of the
    /// pause, and whether it was not paused before.
    pub(super) fn pause(&self, wait: Duration, now: Instant) -> (Instant, bool) {
        let was = self.paused_until(now).is_some();
        self.paused_until.fetch_max(self.offset(now + wait), Relaxed);
        (self.paused_until(now).unwrap_or(now), !was)
    }

    /// When the pause that the far end asked for ends; `None` if there is none.
    #[must_use]
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.moment(&self.paused_until).filter(|until| *until > now)
    }

    /// Takes one token of the target's rate limit, which lanes and publishes share. A changed limit
    /// counts at once.
    ///
    /// # Errors
    /// There is none; when the next one is there.
    pub fn take_token(&self, limit: &RateLimit, now: Instant) -> Result<(), Instant> {
        let since = |at: Instant| at.saturating_duration_since(self.born).as_nanos();
        let now = u64::try_from(since(now)).unwrap_or(u64::MAX >> 1);
        self.rate.take(limit, now).map_err(|next| self.born + Duration::from_nanos(next))
    }

    /// Gives back a token that nothing was sent with.
    pub fn return_token(&self, limit: &RateLimit) {
        self.rate.put_back(limit);
    }

    /// Whether `allowedRoutes` can't be honoured because namespaces are not readable.
    #[must_use]
    pub fn namespaces_unreadable(&self) -> bool {
        self.namespaces_unreadable.load(Relaxed)
    }

    /// Answers whether this was a change.
    pub(super) fn set_namespaces_unreadable(&self, unreadable: bool) -> bool {
        self.namespaces_unreadable.swap(unreadable, Relaxed) != unreadable
    }

    /// Changes the limit of requests under way; those that are under way finish.
    pub(super) fn resize(&self, max_in_flight: usize) {
        let old = self.limit_size.swap(max_in_flight, Relaxed);
        if max_in_flight < old {
            self.limit_debt.fetch_add(old - max_in_flight, Relaxed);
            self.settle_limit();
        } else if max_in_flight > old {
            let grown = max_in_flight - old;
            let forgiven = self.take_debt(grown);
            self.limit.add_permits(grown - forgiven);
        }
    }

    /// Whether the freeze detector should hear of the target again: the kind of evidence changed or
    /// five seconds passed.
    pub(super) fn is_news(&self, failing: bool, now: Instant) -> bool {
        const EVERY: u64 = 5_000;
        let mark = (self.offset(now) << 1) | u64::from(failing);
        let last = self.heard.load(Relaxed);
        let news = last == 0 || last & 1 != mark & 1 || (mark >> 1).abs_diff(last >> 1) >= EVERY;
        if news {
            self.heard.store(mark, Relaxed);
        }
        news
    }

    fn settle_limit(&self) {
        let debt = self.take_debt(usize::MAX);
        let rest = debt - self.limit.forget_permits(debt);
        self.limit_debt.fetch_add(rest, Relaxed);
    }

    fn take_debt(&self, most: usize) -> usize {
        let take = |debt: usize| debt.checked_sub(debt.min(most));
        let debt = self.limit_debt.fetch_update(Relaxed, Relaxed, take).unwrap_or(0);
        debt.min(most)
    }

    fn record_latency(&self, latency: Duration, now: Moment) {
        let mut window = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        window.record(latency, now.mono);
    }

    fn with_machine<T>(&self, change: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.machine();
        let answer = change(&mut machine);
        self.health.store(encode(machine.state()), Relaxed);
        answer
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offset(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.born).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX >> 2) + 1
    }

    fn moment(&self, offset: &AtomicU64) -> Option<Instant> {
        match offset.load(Relaxed) {
            0 => None,
            offset => Some(self.born + Duration::from_millis(offset - 1)),
        }
    }
}

// === impl InFlight ===

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
        if self.0.limit_debt.load(Relaxed) > 0 {
            self.0.settle_limit();
        }
    }
}

const fn encode(state: HealthState) -> u8 {
    match state {
        HealthState::Unknown => 0,
        HealthState::Healthy => 1,
        HealthState::Degraded => 2,
        HealthState::Unhealthy => 3,
    }
}

const fn decode(state: u8) -> HealthState {
    match state {
        1 => HealthState::Healthy,
        2 => HealthState::Degraded,
        3 => HealthState::Unhealthy,
        _ => HealthState::Unknown,
    }
}

#[cfg(test)]
mod tests;
