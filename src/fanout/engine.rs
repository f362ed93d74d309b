//! The publish engine.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    courier::Courier,
    idempotent::is_kept,
    kept,
    metrics::PublishOutcome,
    notice::Notice,
    plan::plan,
    retry,
    run::{Finished, Run},
    stats::Totals,
};
use crate::{
    clock::Moment,
    delivery::Transport,
    publish::{
        BoxFuture, FanOutStats, Idempotency, Options, PublishError, PublishRequest, PublishResult,
        Publisher,
    },
    store::{IdempotencyRecord, Op},
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
        let now = Moment::now();
        let mut plan = plan(&snapshot, &selection, &options, now.mono).inspect_err(|error| {
            if matches!(error, PublishError::NotFound(_) | PublishError::Invalid(_)) {
                metrics.published(PublishOutcome::Invalid, None);
            }
        })?;
        let url = self.external_url.clone();
        let notice = Notice::new(alert, idempotency.as_ref(), url, now.wall);
        let results = std::mem::take(&mut plan.results);
        let run =
            Run::new((&*self.courier, &self.totals), (results, &plan), (&notice, &options), now);
        let finished = run.finish().await;
        self.keep(finished, (&notice, &options), idempotency).await
    }

    /// Writes what must outlive the answer: what is queued and, in the same commit, the result for
    /// repeats of the request.
    async fn keep(
        &self,
        Finished { mut result, open, history }: Finished,
        with: (&Notice, &Options),
        idempotency: Option<Idempotency>,
    ) -> Result<PublishResult, PublishError> {
        let backlog = self.courier.backlog();
        if !open.is_empty() && backlog.store().room(0).is_err() {
            backlog.store().look_again().await;
        }
        let mut ops = retry::queue(&self.courier, (&mut result, &open), with);
        if let Some(Idempotency { key, body }) = idempotency
            && is_kept(&result)
        {
            let (at, result) = (Timestamp::now(), kept::encode(&result));
            ops.push(Op::Key(Box::new(IdempotencyRecord { key, body, at, result })));
        }
        let waits = !ops.is_empty();
        if !history.is_empty() {
            ops.push(Op::Attempts(history));
        }
        if !ops.is_empty() {
            let seq = backlog.submit(ops, !waits);
            if waits && backlog.store().durable(seq).await.is_err() {
                return Err(PublishError::StoreFailed);
            }
        }
        Ok(result)
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
        self.totals.read(&self.courier.snapshot(), Moment::now())
    }
}
