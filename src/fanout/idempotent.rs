//! Repeats of a publish with the same `Idempotency-Key` get the first result.
//!
//! Results are kept in the store for an hour: the engine writes them before it answers, together
//! with what it queued, so that a restart changes nothing. Here is what is under way: while the first
//! request of a key runs, duplicates wait for it. If its caller leaves, its publish is cancelled like
//! any other and the next in line runs instead: targets that were reached before see the same
//! notification id again. A request that was refused leaves nothing behind, nor does one in which no
//! target was tried and nothing queued: who is told to try again later uses the same key.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use tokio::sync::watch;
use tracing::warn;

use super::{
    kept,
    metrics::{Metrics, PublishOutcome},
};
use crate::{
    publish::{
        BoxFuture, FanOutStats, Idempotency, MAX_KEY_LENGTH, PublishError, PublishRequest,
        PublishResult, Publisher,
    },
    store::Store,
};

type Outcome = Option<Arc<PublishResult>>;
type Entries = HashMap<Arc<str>, Entry>;

/// A publisher that honours `Idempotency-Key`; the publishes themselves are made by `P`, which writes
/// their results to the store.
#[derive(Debug)]
pub struct Idempotent<P> {
    inner: Arc<P>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    under_way: Mutex<Entries>,
}

#[derive(Debug)]
struct Entry {
    body: [u8; 32],
    outcome: watch::Receiver<Outcome>,
}

/// The first request of a key. When it is dropped, the key is no longer under way.
struct First<'a> {
    under_way: &'a Mutex<Entries>,
    key: Arc<str>,
    outcome: watch::Sender<Outcome>,
}

/// What a request with a key has to do.
enum Turn<'a> {
    Run(First<'a>),
    Wait(watch::Receiver<Outcome>),
    Repeat(PublishResult),
}

/// Whether the result of a publish is kept.
pub(super) fn is_kept(result: &PublishResult) -> bool {
    result.results.iter().any(|target| target.attempts > 0 || target.queued)
}

fn lock(under_way: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Idempotent ===

impl<P: Publisher> Idempotent<P> {
    /// Wraps `inner`, which writes results to `store`; requests refused here are counted in
    /// `metrics`.
    #[must_use]
    pub fn new(inner: Arc<P>, store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { inner, store, metrics, under_way: Mutex::default() }
    }

    async fn once(
        &self,
        idempotency: &Idempotency,
        request: PublishRequest,
    ) -> Result<PublishResult, PublishError> {
        loop {
            let turn = self.turn(idempotency);
            match turn.inspect_err(|_| self.metrics.published(PublishOutcome::Invalid, None))? {
                Turn::Run(first) => {
                    let result = self.inner.publish(request).await?;
                    if is_kept(&result) {
                        first.outcome.send_replace(Some(Arc::new(result.clone())));
                    }
                    return Ok(result);
                }
                Turn::Wait(mut outcome) => {
                    // An error means that the first one left without a result: whose turn is it now?
                    if let Ok(result) = outcome.wait_for(Option::is_some).await
                        && let Some(result) = result.as_ref()
                    {
                        return Ok(PublishResult::clone(result));
                    }
                }
                Turn::Repeat(result) => return Ok(result),
            }
        }
    }

    fn turn(&self, idempotency: &Idempotency) -> Result<Turn<'_>, PublishError> {
        let Idempotency { key, body } = idempotency;
        if key.is_empty() || key.len() > MAX_KEY_LENGTH {
            let message = format!("Idempotency-Key must have 1 to {MAX_KEY_LENGTH} bytes");
            return Err(PublishError::Invalid(message));
        }
        let mut entries = lock(&self.under_way);
        if let Some(entry) = entries.get(key) {
            return if entry.body == *body {
                Ok(Turn::Wait(entry.outcome.clone()))
            } else {
                Err(PublishError::KeyReused)
            };
        }
        // Who ended meanwhile is on disk before it is no longer under way.
        match self.store.idempotent(key) {
            Err(_) => return Err(PublishError::StoreFailed),
            Ok(Some(record)) if record.body != *body => return Err(PublishError::KeyReused),
            Ok(Some(record)) => {
                if let Some(result) = kept::decode(&record.result) {
                    return Ok(Turn::Repeat(result));
                }
                // The notification ids are made of the key: receivers can tell.
                warn!("A kept result can't be read: the publish runs again with the same ids");
            }
            Ok(None) => {}
        }
        let (sender, outcome) = watch::channel(None);
        entries.insert(key.clone(), Entry { body: *body, outcome });
        Ok(Turn::Run(First { under_way: &self.under_way, key: key.clone(), outcome: sender }))
    }
}

impl<P: Publisher> Publisher for Idempotent<P> {
    fn publish(
        &self,
        request: PublishRequest,
    ) -> BoxFuture<'_, Result<PublishResult, PublishError>> {
        match request.idempotency.clone() {
            None => self.inner.publish(request),
            Some(idempotency) => Box::pin(async move { self.once(&idempotency, request).await }),
        }
    }

    fn stats(&self) -> FanOutStats {
        self.inner.stats()
    }
}

// === impl First ===

impl Drop for First<'_> {
    fn drop(&mut self) {
        lock(self.under_way).remove(&self.key);
    }
}
