//! Waiting for a condition: the only way a test lets time pass.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

const PAUSE: Duration = Duration::from_millis(20);

/// Asks `condition` until it holds; panics with `what` after `within`.
pub(crate) async fn wait_for<F, Fut>(what: &str, within: Duration, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    wait_for_value(what, within, || {
        let holds = condition();
        async move { holds.await.then_some(()) }
    })
    .await;
}

/// Asks for a value until there is one; panics with `what` after `within`.
pub(crate) async fn wait_for_value<T, F, Fut>(what: &str, within: Duration, mut ask: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = ask().await {
            return value;
        }
        assert!(started.elapsed() < within, "not within {within:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
