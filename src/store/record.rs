//! The values that the store and its users exchange.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    alert::{Fingerprint, Notification, Status},
    api::{RouteKey, TargetKey},
    dispatch::{AlertId, AlertRecord, Fact, GroupId, GroupRecord, ToldRecord},
    publish::{ErrorType, Silence},
};

/// Place in the order of submissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seq(pub u64);

/// Identifies a record of one target's queue; grows with its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u64);

/// Identifies a dead letter; grows with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterId(pub u64);

/// One thing to write.
#[derive(Clone, Debug)]
pub enum Op {
    /// What dispatch hands out. `Enqueue` over the target's limit moves a record to the dead letters
    /// (`queue_full`) in the same commit.
    Fact(Fact),
    /// A record of a target's queue has come to its end.
    Dequeue {
        /// The target.
        target: TargetKey,
        /// Its UID.
        uid: Arc<str>,
        /// The record.
        id: QueueId,
    },
    /// Everything that waits for a target has come to its end: each goes to the dead letters.
    DropQueue {
        /// The target.
        target: TargetKey,
        /// Its UID.
        uid: Arc<str>,
        /// Why.
        reason: DeadReason,
    },
    /// A record of a target's queue failed again.
    Attempted {
        /// The target.
        target: TargetKey,
        /// Its UID.
        uid: Arc<str>,
        /// The record.
        id: QueueId,
        /// Attempts that failed so far.
        attempts: u32,
    },
    /// A notification that was given up.
    DeadLetter(Box<DeadLetter>),
    /// Dead letters that were replayed or deleted.
    DropDeadLetters(Vec<DeadLetterId>),
    /// One attempt, or an outcome without one.
    Attempt(Box<AttemptRecord>),
    /// Those of a whole publish.
    Attempts(Vec<AttemptRecord>),
    /// The result of a publish with an `Idempotency-Key`.
    Key(Box<IdempotencyRecord>),
}

/// A notification that was given up, with everything needed to send it again.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// When it was given up.
    pub at: Timestamp,
    /// The target.
    pub target: TargetKey,
    /// Its UID.
    pub uid: Arc<str>,
    /// The route; `None` for a publish.
    pub route: Option<RouteKey>,
    /// Why it was given up.
    pub reason: DeadReason,
    /// What the last attempt came to, for people; never a secret, never the answer's body.
    pub message: String,
    /// HTTP status of the last answer.
    pub status_code: Option<u16>,
    /// Attempts that were made.
    pub attempts: u32,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// What was to be sent.
    pub notification: Arc<Notification>,
}

/// Why a notification was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeadReason {
    /// The target refused it for good.
    Rejected,
    /// `delivery.maxAge` passed.
    MaxAge,
    /// `delivery.maxAttempts` failed.
    MaxAttempts,
    /// Too much waited for the target.
    QueueFull,
    /// The route was deleted; the target had been told of the problem.
    RouteDeleted,
    /// The target was deleted or recreated.
    TargetDeleted,
    /// The target was taken off the route.
    TargetRemoved,
    /// The target's `allowedRoutes` no longer admits the route.
    NotPermitted,
    /// It can't be rendered.
    Unusable,
}

/// Which dead letters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeadLetterFilter {
    /// Only those of this target.
    pub target: Option<TargetKey>,
    /// Only those given up for this reason.
    pub reason: Option<DeadReason>,
    /// Only those given up at or after this moment.
    pub since: Option<Timestamp>,
    /// Only those older than this one: where the page before ended.
    pub before: Option<DeadLetterId>,
    /// At most so many.
    pub limit: usize,
}

/// Which attempts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeliveryFilter {
    /// Only those with this alert.
    pub fingerprint: Option<Fingerprint>,
    /// Only those with an alert of this name.
    pub alert: Option<Arc<str>>,
    /// Only those at this target.
    pub target: Option<TargetKey>,
    /// Only those at or after this moment.
    pub since: Option<Timestamp>,
    /// Where the page before ended.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page begins; `None`: this is the last one.
    pub next: Option<u64>,
}

/// One attempt, or an outcome that came without one.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRecord {
    /// When it ended.
    pub at: Timestamp,
    /// Fingerprints of the alerts in it, in their order, at most [`AttemptRecord::MOST_ALERTS`]; never empty.
    pub fingerprints: Arc<[Fingerprint]>,
    /// How many alerts are in it.
    pub alerts: u32,
    /// The alert's name, see [`Notification::alert_name`]; `None`: it has none, or an earlier version wrote
    /// this.
    pub alert: Option<Arc<str>>,
    /// Names of the alerts in it where `alert` does not give them, each once, at most
    /// [`AttemptRecord::MOST_NAMES`]; empty in what an earlier version wrote.
    pub names: Arc<[Arc<str>]>,
    /// Id of the notification.
    pub notification: Arc<str>,
    /// What it said.
    pub status: Status,
    /// The target.
    pub target: TargetKey,
    /// The route; `None` for a publish.
    pub route: Option<RouteKey>,
    /// Which attempt of this notification it was, from 1; 0 for an outcome without one.
    pub attempt: u32,
    /// What came of it.
    pub outcome: Outcome,
    /// Kind of failure.
    pub error_type: Option<ErrorType>,
    /// HTTP status of the answer.
    pub status_code: Option<u16>,
    /// How long it took.
    pub duration: Duration,
}

impl AttemptRecord {
    /// Alerts that are named by their fingerprints; those beyond are only counted.
    pub const MOST_ALERTS: usize = 1_000;
    /// Names that are kept of the alerts of one notification.
    pub const MOST_NAMES: usize = 100;

    /// Whether an alert of this name is known to be in it.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.alert.as_deref() == Some(name) || self.names.iter().any(|one| **one == *name)
    }
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The target took it.
    Delivered,
    /// It failed in a way that may pass.
    Failed,
    /// The target refused it for good.
    Rejected,
    /// It was given up.
    Expired,
    /// It was overtaken by a newer state before it was told.
    Superseded,
    /// It was taken back.
    Cancelled,
    /// It was left out on purpose.
    Skipped,
}

/// The result of a publish, kept for an hour.
#[derive(Clone, Debug, PartialEq)]
pub struct IdempotencyRecord {
    /// The key.
    pub key: Arc<str>,
    /// SHA-256 over endpoint and body.
    pub body: [u8; 32],
    /// When it ended.
    pub at: Timestamp,
    /// The result, as its owner encodes it.
    pub result: Vec<u8>,
}

/// How much waits for a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueSize {
    /// Records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest was accepted.
    pub oldest: Option<Timestamp>,
}

/// What a start finds.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Every alert, with what was told about it.
    pub alerts: Vec<Restored>,
    /// Every group of which somebody was told.
    pub groups: Vec<(GroupId, GroupRecord)>,
    /// Every silence.
    pub silences: Vec<Arc<Silence>>,
    /// Records that could not be read and were set aside.
    pub set_aside: usize,
    /// Where a damaged file was moved to; then everything else is empty.
    pub damaged: Option<std::path::PathBuf>,
}

/// One alert as found at a start.
#[derive(Debug)]
pub struct Restored {
    /// Its id.
    pub id: AlertId,
    /// Its state.
    pub alert: AlertRecord,
    /// What was told about it.
    pub told: Option<ToldRecord>,
}

/// Figures of the store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes free on its file system.
    pub free_bytes: u64,
    /// New facts are refused for want of space.
    pub full: bool,
    /// Alerts on disk.
    pub alerts: u64,
    /// Records in queues.
    pub queued: u64,
    /// Dead letters kept.
    pub dead_letters: u64,
    /// Their bytes.
    pub dead_letter_bytes: u64,
    /// Bytes of the history.
    pub history_bytes: u64,
    /// Records set aside.
    pub set_aside: u64,
    /// A damaged file was moved aside at the start.
    pub damaged: Option<std::path::PathBuf>,
    /// Bytes that wait to be written.
    pub pending_bytes: u64,
}

/// The disk failed: nothing more is durable.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the store failed while it tried to {step}: {message}")]
pub struct Failed {
    /// What was being done.
    pub step: &'static str,
    /// What the system said.
    pub message: Arc<str>,
}

/// Nothing new is accepted for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The file system has too little space left.
    #[error("the disk is nearly full; send again later")]
    Disk,
    /// The store's own limit is reached.
    #[error("the store is full; send again later")]
    Records,
    /// The disk is slower than what comes in.
    #[error("the disk can't keep up; send again later")]
    Behind,
}

// === impl DeadReason ===

impl DeadReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Rejected,
        Self::MaxAge,
        Self::MaxAttempts,
        Self::QueueFull,
        Self::RouteDeleted,
        Self::TargetDeleted,
        Self::TargetRemoved,
        Self::NotPermitted,
        Self::Unusable,
    ];

    /// The word as it stands in the API and in metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::MaxAge => "max_age",
            Self::MaxAttempts => "max_attempts",
            Self::QueueFull => "queue_full",
            Self::RouteDeleted => "route_deleted",
            Self::TargetDeleted => "target_deleted",
            Self::TargetRemoved => "target_removed",
            Self::NotPermitted => "not_permitted",
            Self::Unusable => "unusable",
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Delivered,
        Self::Failed,
        Self::Rejected,
        Self::Expired,
        Self::Superseded,
        Self::Cancelled,
        Self::Skipped,
    ];

    /// The word as it stands in the API and in metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}
