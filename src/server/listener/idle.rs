//! When a connection has lasted long enough without a request.
//!
//! Silent connections, HTTP/2 connections that only answer pings, and peers that never read their
//! answer would otherwise hold their places until nobody else gets one.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Time for the first request to begin.
const FIRST: Duration = Duration::from_secs(10);
/// Time from the end of a request to the beginning of the next. Its answer must be read by then.
const NEXT: Duration = Duration::from_mins(1);

/// The requests of one connection. Clones share everything.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

struct State {
    running: usize,
    /// When the connection is idle for too long, if nothing runs.
    end: Instant,
}

/// A request under way.
struct Running(Activity);

// === impl Activity ===

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { running: 0, end: Instant::now() + FIRST })))
    }

    /// Runs a request.
    pub(super) fn during<F: Future>(&self, request: F) -> impl Future<Output = F::Output> + use<F> {
        self.state().running += 1;
        let running = Running(self.clone());
        async move {
            let _running = running;
            request.await
        }
    }

    /// Resolves when no request has run for too long.
    pub(super) async fn idle(&self) {
        loop {
            let (running, end) = {
                let state = self.state();
                (state.running, state.end)
            };
            let now = Instant::now();
            match (running, end) {
                (0, end) if end <= now => return,
                (0, end) => sleep_until(end).await,
                _ => sleep_until(now + NEXT).await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Running ===

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running -= 1;
        state.end = Instant::now() + NEXT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connection_without_a_request_is_idle_at_once_and_between_requests_later() {
        let (activity, started) = (Activity::new(), Instant::now());
        activity.idle().await;
        assert_eq!(started.elapsed(), FIRST);
        activity.during(std::future::ready(())).await;
        let ended = Instant::now();
        activity.idle().await;
        assert_eq!(ended.elapsed(), NEXT);
    }

    #[tokio::test(start_paused = true)]
    async fn connection_with_a_request_is_never_idle() {
        let (activity, started) = (Activity::new(), Instant::now());
        let long = Duration::from_mins(5);
        let request = activity.during(tokio::time::sleep(long));
        tokio::join!(request, activity.idle());
        assert!(started.elapsed() >= long + NEXT, "{:?}", started.elapsed());
        let cancelled = activity.during(std::future::pending::<()>());
        drop(cancelled);
        activity.idle().await;
    }
}
