//! Repeats of a publish with the same `Idempotency-Key` get the first result.
//!
//! Results live in memory for an hour, bounded in number and in size; the oldest goes first. While
//! the first request of a key runs, duplicates wait for it. If its caller leaves, its publish is
//! cancelled like any other and the next in line runs instead: targets that were reached before see
//! the same notification id again. A request that was refused leaves nothing behind, nor does one in
//! which no target was tried: who is told to try again later uses the same key.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hashbrown::HashMap;
use tokio::{sync::watch, time::Instant};

use super::metrics::{Metrics, PublishOutcome};
use crate::publish::{
    BoxFuture, FanOutStats, Idempotency, MAX_KEY_LENGTH, PublishError, PublishRequest,
    PublishResult, Publisher,
};

/// How long a result is kept.
const KEPT_FOR: Duration = Duration::from_hours(1);
/// Results kept.
const MAX_ENTRIES: usize = 10_000;
/// Entries per target in all kept results: what really costs memory.
const MAX_TARGET_RESULTS: usize = 100_000;

type Outcome = Option<Arc<PublishResult>>;

/// A publisher that honours `Idempotency-Key`; the publishes themselves are made by `P`.
#[derive(Debug)]
pub struct Idempotent<P> {
    inner: Arc<P>,
    metrics: Arc<Metrics>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Arc<str>, Entry>,
    /// Ended ones, oldest first.
    ended: VecDeque<(Instant, Arc<str>)>,
    target_results: usize,
}

#[derive(Debug)]
struct Entry {
    body: [u8; 32],
    outcome: watch::Receiver<Outcome>,
}

/// The first request of a key. Dropped before it ended, the key is free again.
struct First<'a> {
    kept: &'a Mutex<Kept>,
    key: Arc<str>,
    outcome: watch::Sender<Outcome>,
    ended: bool,
}

/// What a request with a key has to do.
enum Turn<'a> {
    Run(First<'a>),
    Wait(watch::Receiver<Outcome>),
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Idempotent ===

impl<P: Publisher> Idempotent<P> {
    /// Wraps `inner`; requests refused here are counted in `metrics`.
    #[must_use]
    pub fn new(inner: Arc<P>, metrics: Arc<Metrics>) -> Self {
        Self { inner, metrics, kept: Mutex::default() }
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
                    if result.results.iter().any(|target| target.attempts > 0) {
                        first.end(&result);
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
            }
        }
    }

    fn turn(&self, idempotency: &Idempotency) -> Result<Turn<'_>, PublishError> {
        if idempotency.key.is_empty() || idempotency.key.len() > MAX_KEY_LENGTH {
            let message = format!("Idempotency-Key must have 1 to {MAX_KEY_LENGTH} bytes");
            return Err(PublishError::Invalid(message));
        }
        let mut kept = lock(&self.kept);
        kept.forget(Instant::now());
        if let Some(entry) = kept.entries.get(&idempotency.key) {
            return if entry.body == idempotency.body {
                Ok(Turn::Wait(entry.outcome.clone()))
            } else {
                Err(PublishError::KeyReused)
            };
        }
        let (sender, outcome) = watch::channel(None);
        let key = idempotency.key.clone();
        kept.entries.insert(key.clone(), Entry { body: idempotency.body, outcome });
        Ok(Turn::Run(First { kept: &self.kept, key, outcome: sender, ended: false }))
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

// === impl Kept ===

impl Kept {
    /// Lets go of what is too old or too much.
    fn forget(&mut self, now: Instant) {
        while let Some((ended, key)) = self.ended.front() {
            let old = now.saturating_duration_since(*ended) >= KEPT_FOR;
            let many = self.ended.len() > MAX_ENTRIES || self.target_results > MAX_TARGET_RESULTS;
            if !old && !many {
                return;
            }
            if let Some(entry) = self.entries.remove(key) {
                let outcome = entry.outcome.borrow();
                self.target_results -= outcome.as_ref().map_or(0, |result| result.results.len());
            }
            self.ended.pop_front();
        }
    }
}

// === impl First ===

impl First<'_> {
    fn end(mut self, result: &PublishResult) {
        self.ended = true;
        let now = Instant::now();
        self.outcome.send_replace(Some(Arc::new(result.clone())));
        let mut kept = lock(self.kept);
        kept.target_results += result.results.len();
        kept.ended.push_back((now, self.key.clone()));
        kept.forget(now);
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        if !self.ended {
            lock(self.kept).entries.remove(&self.key);
        }
    }
}
