//! The publish engine.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::time::Instant;

use super::{
    courier::{Courier, now},
    metrics::PublishOutcome,
    notice::Notice,
    plan::plan,
    run::Run,
    stats::Totals,
};
use crate::{
    delivery::Transport,
    publish::{BoxFuture, FanOutStats, PublishError, PublishRequest, PublishResult, Publisher},
};

/// Publishes one alert to many targets in parallel. It shares each target's limits with routed
/// alerts, and touches no alert state.
#[derive(Debug)]
pub struct Engine<T> {
    courier: Arc<Courier<T>>,
    external_url: Arc<str>,
    totals: Totals,
    closed: AtomicBool,
}

// === impl Engine ===

impl<T: Transport> Engine<T> {
    /// An engine that sends through `courier`. `external_url` may be empty.
    #[must_use]
    pub fn new(courier: Arc<Courier<T>>, external_url: Arc<str>) -> Self {
        Self {
            courier,
            external_url,
            totals: Totals::new(Instant::now()),
            closed: AtomicBool::new(false),
        }
    }

    /// Refuses every further publish; those under way go on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    async fn run(&self, request: PublishRequest) -> Result<PublishResult, PublishError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(PublishError::ShuttingDown);
        }
        let PublishRequest { alert, selection, options, idempotency } = request;
        let snapshot = self.courier.snapshot();
        let metrics = self.courier.metrics();
        let plan = plan(&snapshot, &selection, &options).inspect_err(|error| {
            if matches!(error, PublishError::NotFound(_) | PublishError::Invalid(_)) {
                metrics.published(PublishOutcome::Invalid, None);
            }
        })?;
        let url = self.external_url.clone();
        let notice = Notice::new(alert, idempotency.as_ref(), url, now().wall);
        let run = Run::new(&self.courier, &self.totals, &snapshot, (plan, &notice));
        Ok(run.finish(&options).await)
    }
}

impl<T: Transport> Publisher for Engine<T> {
    fn publish(
        &self,
        request: PublishRequest,
    ) -> BoxFuture<'_, Result<PublishResult, PublishError>> {
        Box::pin(self.run(request))
    }

    fn stats(&self) -> FanOutStats {
        self.totals.read(&self.courier.snapshot(), now())
    }
}
