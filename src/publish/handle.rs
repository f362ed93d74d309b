//! The handles that the HTTP server calls; `app` connects them to engine and router.

use std::{future::Future, pin::Pin, sync::Arc};

use jiff::Timestamp;

use super::{
    FanOutStats, PublishError, PublishRequest, PublishResult, Silence, SilenceDraft, SilenceError,
    SilenceId,
};
use crate::{alert::Alert, api::TargetKey};

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
    /// Of these, how many because as many of their `alertname` fire as may.
    pub crowded: usize,
}

/// Why nothing of a batch was taken: the sender should try again later (503).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Routes and targets are not known yet.
    #[error("routes and targets are not loaded yet; send again in a few seconds")]
    NotReady,
    /// `--max-alerts` or the memory for alerts is used up and the batch holds only new alerts.
    #[error(
        "the limit of alerts held (--max-alerts, or a third of the memory limit) is reached; send again later"
    )]
    TooManyAlerts,
    /// As many alerts of one `alertname` fire as may, and the batch holds only new ones of it.
    #[error(
        "as many alerts of one alertname fire as may (--alerts-per-alertname-limit): find out why the rule gives so many, or raise the limit"
    )]
    TooManyOfName,
    /// The process is shutting down.
    #[error("shutting down; send again to the next instance")]
    ShuttingDown,
    /// The file system of `--data-dir` has too little space left.
    #[error(
        "the disk of --data-dir is nearly full: new alerts are taken again when there is space; enlarge the volume, and send again later"
    )]
    DiskFull,
    /// The store holds as much as it may.
    #[error(
        "the store holds as much as it may: something waits for targets that do not answer; send again later"
    )]
    StoreFull,
    /// The disk is slower than what comes in.
    #[error("the disk of --data-dir can't keep up; send again later")]
    Behind,
    /// The disk failed: nothing is durable any more and the process ends.
    #[error(
        "the disk of --data-dir failed and this process is ending; look at its log and disk, and send again to the next instance"
    )]
    StoreFailed,
}

/// Sends dead letters again, and says what waits.
pub trait Replay: Send + Sync {
    /// Takes these dead letters out of the dead letters and back to work, at most
    /// [`MAX_REPLAY`] of them. Resolves once that is on disk; what the targets answer is in the
    /// history. One result per id, in the order of the ids.
    ///
    /// # Errors
    /// [`ReplayError`] when nothing was replayed.
    fn replay(&self, ids: Vec<u64>) -> BoxFuture<'_, Result<Vec<Replayed>, ReplayError>>;

    /// What waits for each target now; targets for which nothing waits are left out.
    fn waiting(&self) -> Vec<(TargetKey, Waiting)>;
}

/// What waits for one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Notifications that are owed: alerts whose latest state the target was not told.
    pub owed: usize,
    /// Records in its queue on disk: `semantics: Every`, publishes with `retry`, replays.
    pub queued: usize,
    /// When the oldest of both was accepted.
    pub oldest: Option<Timestamp>,
}

/// Most dead letters that one request may replay.
pub const MAX_REPLAY: usize = 1_000;

/// What became of one dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Its id.
    pub id: u64,
    /// What became of it.
    pub outcome: ReplayOutcome,
}

/// What became of one dead letter that was to be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplayOutcome {
    /// The alert is still owed to the target: its present state is tried at once.
    Owed,
    /// It waits in the target's queue as it is, with the same notification id.
    Queued,
    /// There is no such dead letter (any more).
    NotFound,
    /// The target does not exist; the dead letter is kept.
    UnknownTarget,
}

/// Why nothing was replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// More ids than one request may name.
    #[error("at most {MAX_REPLAY} dead letters can be replayed by one request; send several")]
    TooMany,
    /// Targets are not known yet.
    #[error("targets are not loaded yet; try again in a few seconds")]
    NotReady,
    /// The process is shutting down.
    #[error("shutting down; try again in a few seconds")]
    ShuttingDown,
    /// The disk is nearly full, or slower than what comes in.
    #[error("the disk is nearly full or can't keep up; try again later")]
    Full,
    /// The disk failed: the process ends.
    #[error("the store failed and the process restarts; try again in a few seconds")]
    StoreFailed,
}

/// Reads and writes silences.
pub trait Silences: Send + Sync {
    /// Every silence, expired ones included, in no particular order.
    fn list(&self) -> Vec<Arc<Silence>>;

    /// One silence.
    fn get(&self, id: SilenceId) -> Option<Arc<Silence>>;

    /// Makes a silence, or edits one: with the same conditions and times that rewrite no history it
    /// keeps its id; otherwise it ends and a new one begins. Resolves once that is on disk, with the id; what
    /// is owed has followed by then.
    ///
    /// # Errors
    /// [`SilenceError`] when nothing was changed.
    fn set(&self, draft: SilenceDraft) -> BoxFuture<'_, Result<SilenceId, SilenceError>>;

    /// Ends a silence now; one that is over stays as it is. Resolves once that is on disk.
    ///
    /// # Errors
    /// [`SilenceError`] when nothing was changed.
    fn expire(&self, id: SilenceId) -> BoxFuture<'_, Result<(), SilenceError>>;
}

// === impl Accepted ===

impl Accepted {
    /// Why some were refused.
    #[must_use]
    pub const fn refusal(&self) -> Refused {
        if self.crowded == self.refused { Refused::TooManyOfName } else { Refused::TooManyAlerts }
    }
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

// === impl ReplayOutcome ===

impl ReplayOutcome {
    /// The word as it stands in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owed => "owed",
            Self::Queued => "queued",
            Self::NotFound => "not_found",
            Self::UnknownTarget => "unknown_target",
        }
    }
}
