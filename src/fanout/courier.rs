//! One attempt with everything that follows from it; shared by publishes and routed alerts.

use std::{fmt, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, watch};
use tracing::{debug, warn};

use super::{backlog::Backlog, complaint::Complaints, gate::Pass, metrics::Metrics};
use crate::{
    alert::Notification,
    api::TargetKey,
    clock::Moment,
    delivery::{Attempt, Failure, Transport, pause_after},
    publish::ErrorType,
    registry::{Monitor, Snapshot, Target, Trial},
    store::Store,
};

/// Asks for the Secret of a target to be read again. Must return at once.
pub type Refresh = Arc<dyn Fn(&TargetKey) + Send + Sync>;

/// What a [`Courier`] works with besides the transport.
pub struct Parts {
    /// The registry's present picture.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Takes what attempts say about a target's health.
    pub monitor: Arc<Monitor>,
    /// The room's metrics.
    pub metrics: Arc<Metrics>,
    /// Called for a target whose credential may be outdated (401, 403, 404, 410).
    pub refresh: Refresh,
    /// Where what must survive is written.
    pub store: Arc<dyn Store>,
}

/// Makes attempts and sees to it that each one is counted, judged, logged and acted on.
/// One per process, shared by engine and router.
pub struct Courier<T> {
    transport: T,
    parts: Parts,
    backlog: Backlog,
    complaints: Complaints,
}

/// The far end may know a newer credential than we do.
fn doubts_credential(attempt: &Attempt, failure: &Failure) -> bool {
    failure.error_type == ErrorType::Auth
        || matches!(attempt.status_code, Some(401 | 403 | 404 | 410))
}

// === impl Courier ===

impl<T> Courier<T> {
    /// A courier that sends through `transport`.
    #[must_use]
    pub fn new(transport: T, parts: Parts) -> Arc<Self> {
        let backlog = Backlog::new(parts.store.clone());
        Arc::new(Self { transport, parts, backlog, complaints: Complaints::default() })
    }

    pub(crate) fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    pub(crate) fn monitor(&self) -> &Arc<Monitor> {
        &self.parts.monitor
    }

    pub(crate) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.parts.snapshots.clone()
    }

    /// Asks for the Secrets of a target to be read before others.
    pub(crate) fn refresh(&self, target: &TargetKey) {
        (self.parts.refresh)(target);
    }

    /// The registry's present picture; per-target series follow it.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        let snapshot = self.parts.snapshots.borrow().clone();
        self.parts.metrics.series.follow(&snapshot);
        snapshot
    }
}

impl<T: Transport> Courier<T> {
    /// Makes one attempt with `pass`, and sees to what follows from it. Dropping the future cancels the
    /// attempt: then nothing is recorded but the end of it.
    pub(crate) async fn deliver(
        &self,
        target: &Arc<Target>,
        notification: &Arc<Notification>,
        pass: Pass,
    ) -> Attempt {
        let Pass { permit, trial } = pass;
        let attempt = self.send(target, notification, permit).await;
        self.conclude(target, notification, (&attempt, trial), Moment::now());
        attempt
    }

    /// Makes one attempt with a permit of the target's limit. Whoever gets the answer owes it
    /// [`Courier::conclude`].
    pub(crate) async fn send<P>(
        &self,
        target: &Arc<Target>,
        notification: &Arc<Notification>,
        permit: P,
    ) -> Attempt {
        let under_way = target.live.begin();
        let attempt = self.transport.send(target, notification).await;
        // In this order: a lowered limit takes back the permit when the attempt ends.
        drop(permit);
        drop(under_way);
        attempt
    }

    /// Posts again what the target was told: evidence about its health, but no delivery.
    ///
    /// # Errors
    /// The target did not take it.
    pub(crate) async fn remind(
        &self,
        target: &Arc<Target>,
        notification: &Arc<Notification>,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), Failure> {
        let attempt = self.transport.send(target, notification).await;
        drop(permit);
        if let Some(sample) = &attempt.sample {
            self.parts.monitor.record(target, sample, Moment::now());
        }
        attempt.result
    }

    /// Counts, judges and logs an attempt that ended, and acts on it; `trial` came with its pass.
    pub(crate) fn conclude(
        &self,
        target: &Target,
        notification: &Notification,
        (attempt, trial): (&Attempt, Option<Trial>),
        now: Moment,
    ) {
        self.record(target, notification, attempt, now);
        self.parts.monitor.attempted(target, trial, attempt.circuit(), now);
    }

    fn record(&self, target: &Target, notification: &Notification, attempt: &Attempt, now: Moment) {
        let fingerprint = || match notification.members.first() {
            Some(member) => member.alert.labels.fingerprint().to_string(),
            None => String::new(),
        };
        match &attempt.result {
            Ok(()) => {
                target.live.delivered(attempt.latency, now);
                if let Some(series) = target.live.series() {
                    series.succeeded(now.wall);
                }
                debug!(fingerprint = fingerprint(), to = %target.key, "Delivered");
            }
            Err(failure) => {
                target.live.failed(attempt.latency, now);
                if let Some(series) = target.live.series() {
                    series.failure.inc();
                }
                self.complain(target, attempt, failure, now);
                debug!(fingerprint = fingerprint(), to = %target.key, "Delivery failed");
                let again =
                    failure.error_type == ErrorType::RateLimited && target.live.limited_again();
                let policy = &target.policy.retry;
                if let Some(wait) = pause_after(policy, failure, again, &mut fastrand::Rng::new()) {
                    self.parts.monitor.pause(target, wait, now);
                }
                if doubts_credential(attempt, failure) {
                    (self.parts.refresh)(&target.key);
                }
            }
        }
        if let Some(sample) = &attempt.sample {
            self.parts.monitor.record(target, sample, now);
        }
    }
}

impl<T> Courier<T> {
    /// Says in the log that deliveries fail: once a minute per target and reason.
    fn complain(&self, target: &Target, attempt: &Attempt, failure: &Failure, now: Moment) {
        if let Some(times) = self.complaints.due(&target.key, failure.reason, now.mono) {
            warn!(
                to = %target.key,
                reason = failure.reason.as_str(),
                error_type = failure.error_type.as_str(),
                status_code = attempt.status_code,
                error = failure.message,
                times,
                "Delivery failed; further failures of this kind are counted for a minute"
            );
        }
    }
}

impl<T> fmt::Debug for Courier<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").finish_non_exhaustive()
    }
}
