//! The two handles that the HTTP server calls; `app` connects them to the engine.

use std::{future::Future, pin::Pin};

use super::{FanOutStats, PublishError, PublishRequest, PublishResult};
use crate::alert::Alert;

/// A boxed future, so that handles can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Publishes one alert to many targets and waits for the results.
pub trait Publisher: Send + Sync {
    /// Publishes; resolves when every target has a result or the overall timeout passed.
    /// Dropping the future cancels what still runs and counts the publish as `cancelled`.
    ///
    /// # Errors
    /// [`PublishError`] when nothing was sent because the request itself is wrong.
    fn publish(
        &self,
        request: PublishRequest,
    ) -> BoxFuture<'_, Result<PublishResult, PublishError>>;

    /// Statistics since the start and percentiles over the sliding window.
    fn stats(&self) -> FanOutStats;
}

/// Takes alerts in for routing.
pub trait Intake: Send + Sync {
    /// Takes a batch in, in the order of the batch. Returns once the alerts are safe (on disk when
    /// there is a store): only then may the sender get a 2xx.
    fn accept(
        &self,
        alerts: Vec<Alert>,
        source: Source,
    ) -> BoxFuture<'_, Result<Accepted, Refused>>;
}

/// Which wire form a batch came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// `POST /api/v2/alerts`: expires by `endsAt` or `--resolve-timeout`.
    V2,
    /// `POST /api/v1/webhook`: never expires by timeout.
    Webhook,
}

/// What became of an accepted batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Alerts taken in, re-sent ones included.
    pub alerts: usize,
    /// Of these, how many match no route.
    pub unrouted: usize,
    /// New alerts that a limit refused; the others of the batch were taken.
    pub refused: usize,
}

/// Why nothing of a batch was taken: the sender should try again later (503).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Routes and targets are not known yet and nothing durable exists.
    #[error("routes and targets are not loaded yet; send again in a few seconds")]
    NotReady,
    /// `--max-alerts` or the memory for alerts is used up and the batch holds only new alerts.
    #[error(
        "the limit of alerts held (--max-alerts, or a third of the memory limit) is reached; send again later"
    )]
    TooManyAlerts,
    /// The process is shutting down.
    #[error("shutting down; send again to the next instance")]
    ShuttingDown,
}

// === impl Source ===

impl Source {
    /// Metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::Webhook => "webhook",
        }
    }
}
