//! One attempt with everything that follows from it; shared by publishes and routed alerts.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};
use tracing::{debug, warn};

use super::metrics::Metrics;
use crate::{
    alert::Notification,
    api::TargetKey,
    delivery::{Attempt, Failure, Transport},
    publish::ErrorType,
    registry::{Moment, Monitor, Snapshot, Target},
};

/// Pause after the second 429 in a row that does not say how long to wait.
const UNTOLD_PAUSE: Duration = Duration::from_mins(1);

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
}

/// Makes attempts and sees to it that each one is counted, judged, logged and acted on.
/// One per process, shared by engine and router.
pub struct Courier<T> {
    transport: T,
    parts: Parts,
}

/// Both clocks, now.
pub(crate) fn now() -> Moment {
    Moment { mono: Instant::now(), wall: Timestamp::now() }
}

/// The far end may know a newer credential than we do.
fn doubts_credential(attempt: &Attempt, failure: &Failure) -> bool {
    failure.error_type == ErrorType::Auth
        || matches!(attempt.status_code, Some(401 | 403 | 404 | 410))
}

// === impl Courier ===

impl<T: Transport> Courier<T> {
    /// A courier that sends through `transport`.
    #[must_use]
    pub fn new(transport: T, parts: Parts) -> Arc<Self> {
        Arc::new(Self { transport, parts })
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

    /// The registry's present picture; per-target series follow it.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        let snapshot = self.parts.snapshots.borrow().clone();
        self.parts.metrics.series.follow(&snapshot);
        snapshot
    }

    /// Makes one attempt under `permit`, which is one of the target's limit.
    /// Dropping the future cancels the attempt: then nothing is recorded but the end of it.
    pub(crate) async fn deliver(
        &self,
        target: &Arc<Target>,
        notification: &Arc<Notification>,
        permit: OwnedSemaphorePermit,
    ) -> Attempt {
        let under_way = target.live.begin();
        let attempt = self.transport.send(target, notification).await;
        // In this order: a lowered limit takes back the permit when the attempt ends.
        drop(permit);
        drop(under_way);
        self.record(target, notification, &attempt);
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
            self.parts.monitor.record(target, sample, now());
        }
        attempt.result
    }

    fn record(&self, target: &Target, notification: &Notification, attempt: &Attempt) {
        let now = now();
        let fingerprint = || match notification.members.first() {
            Some(member) => member.alert.labels.fingerprint().to_string(),
            None => String::new(),
        };
        match &attempt.result {
            Ok(()) => {
                target.live.delivered(attempt.latency, now);
                self.parts.metrics.series.read().success(&target.key, now.wall);
                debug!(fingerprint = fingerprint(), to = %target.key, "Delivered");
            }
            Err(failure) => {
                target.live.failed(attempt.latency, now);
                self.parts.metrics.series.read().failure(&target.key);
                warn!(
                    fingerprint = fingerprint(),
                    to = %target.key,
                    reason = failure.reason.as_str(),
                    error_type = failure.error_type.as_str(),
                    status_code = attempt.status_code,
                    error = failure.message,
                    "Delivery failed"
                );
                let limited =
                    failure.error_type == ErrorType::RateLimited && target.live.limited_again();
                if let Some(wait) = failure.retry_after.or(limited.then_some(UNTOLD_PAUSE)) {
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

impl<T> fmt::Debug for Courier<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").finish_non_exhaustive()
    }
}
