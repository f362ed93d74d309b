//! Reading the store where blocking is allowed, a few at a time.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::error::ApiError;
use crate::store::{Failed, Store};

/// Reads that run at a time: each may hold some large dead letters in memory.
const PLACES: usize = 2;
/// Time that a read may wait for its place.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time after which a read ends with what it has.
const TIME: Duration = Duration::from_secs(5);

/// Places for reads of the store. Clones share them.
#[derive(Clone, Debug)]
pub struct Reads(Arc<Semaphore>);

// === impl Reads ===

impl Default for Reads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PLACES)))
    }
}

impl Reads {
    /// Runs `read` on a thread of its own. It is given the moment at which it should end with what it
    /// has. It keeps its place to its end, even if the caller has left.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        store: &Arc<dyn Store>,
        read: impl FnOnce(&dyn Store, Instant) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, ApiError> {
        let Ok(Ok(place)) = timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await else {
            return Err(ApiError::unavailable(
                "others read dead letters and deliveries at the same time; try again later",
            ));
        };
        let store = Arc::clone(store);
        let reading = tokio::task::spawn_blocking(move || {
            let result = read(store.as_ref(), Instant::now() + TIME);
            drop(place);
            result
        });
        match reading.await {
            Ok(result) => result.map_err(|failed| ApiError::failed(&failed)),
            Err(_) => Err(ApiError::internal("reading the store ended unexpectedly; see the log")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::store::{self, Settings};

    fn store() -> Arc<dyn Store> {
        store::in_memory(Settings::for_memory(64 * 1024 * 1024)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn few_reads_run_at_a_time_and_those_who_wait_too_long_are_told() {
        let (reads, store) = (Reads::default(), store());
        let (started, starts) = mpsc::channel();
        let slow = || {
            let (reads, store, started) = (reads.clone(), Arc::clone(&store), started.clone());
            let (end, ended) = mpsc::channel::<()>();
            let read = tokio::spawn(async move {
                let read = move |_: &dyn Store, _| {
                    started.send(()).unwrap();
                    ended.recv().unwrap();
                    Ok(())
                };
                reads.run(&store, read).await
            });
            (read, end)
        };
        let mut running: Vec<_> = (0..PLACES).map(|_| slow()).collect();
        tokio::task::yield_now().await;
        for _ in 0..PLACES {
            starts.recv_timeout(Duration::from_secs(10)).unwrap();
        }
        let (waiting, _end) = slow();
        tokio::task::yield_now().await;
        tokio::time::advance(PATIENCE).await;
        let refused = waiting.await.unwrap().unwrap_err();
        assert_eq!(refused.status(), axum::http::StatusCode::SERVICE_UNAVAILABLE);
        assert!(starts.try_recv().is_err(), "it never ran");
        // A caller that leaves takes its place with it only when its read has ended.
        let (left, end) = running.remove(0);
        left.abort();
        assert_eq!(reads.0.available_permits(), 0);
        end.send(()).unwrap();
        for (read, end) in running {
            end.send(()).unwrap();
            read.await.unwrap().unwrap();
        }
        drop(reads.0.acquire_many(u32::try_from(PLACES).unwrap()).await.unwrap());
    }
}
