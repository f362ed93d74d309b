//! The facts on disk: alerts, notification log of alerts and of groups, silences, queue, dead letters, history,
//! idempotency keys.
//!
//! Everything that must survive `kill -9` and power loss goes through one trait, [`Store`]. Facts are
//! handed over in order with [`Store::submit`], which returns at once; [`Store::durable`] resolves once they
//! are on disk. A fact that is not waited for (an outcome) is on disk with the next commit, at
//! most [`LAZY`] later: losing it in a crash means telling a target again with the same id.

mod batch;
mod buried;
mod claims;
mod codec;
mod committer;
mod crc32c;
mod dead_letters;
mod engine;
mod envelope;
mod error;
mod facts;
mod fault;
mod figures;
mod file;
mod gauge;
mod history;
mod inbox;
mod keys;
mod load;
mod memory;
mod metrics;
mod names;
mod open;
mod opening;
mod panics;
mod queue;
mod record;
mod records;
mod set_aside;
mod settings;
mod shared;
mod silences;
mod space;
mod tables;
#[cfg(test)]
mod tests;
mod waiting;
mod watched;
mod weigh;
mod writer;

use std::{sync::Arc, time::Duration};

pub use buried::Buried;
pub use engine::Redb;
pub use error::OpenError;
pub use file::open;
pub use metrics::Metrics;
pub use open::{in_memory, open_backend};
pub use record::{
    AttemptRecord, DeadLetter, DeadLetterFilter, DeadLetterId, DeadReason, DeliveryFilter, Failed,
    Full, IdempotencyRecord, Loaded, Op, Outcome, Page, QueueId, QueueSize, Restored, Seq, Stats,
};
pub use settings::Settings;

use crate::{api::TargetKey, dispatch::Queued, publish::BoxFuture};

/// How long a fact that nobody waits for may wait for company.
pub const LAZY: Duration = Duration::from_millis(50);

/// Durable facts. Clones of the handle share everything.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Hands facts over; returns at once. They become durable together, after everything that was
    /// submitted before. `lazy`: nobody waits; they may wait up to [`LAZY`] for company.
    fn submit(&self, ops: Vec<Op>, lazy: bool) -> Seq;

    /// Resolves once everything up to `seq` is on disk.
    ///
    /// # Errors
    /// [`Failed`] once the disk has failed: then nothing is durable any more and the process ends.
    fn durable(&self, seq: Seq) -> BoxFuture<'_, Result<(), Failed>>;

    /// The last sequence number that is on disk; lock-free.
    fn durable_seq(&self) -> Seq;

    /// Resolves when the disk fails, or when a reader meets damage. The process must end then: the next
    /// start reads the whole file before it trusts it.
    fn failed(&self) -> BoxFuture<'_, Failed>;

    /// Whether new facts of about `bytes` may be accepted now.
    ///
    /// # Errors
    /// [`Full`] says why not: the sender should try again later (503).
    fn room(&self, bytes: usize) -> Result<(), Full>;

    /// Looks at the disk's space once more if new facts are refused for want of it and the last look was
    /// not just now. For whoever is about to refuse: the disk may have recovered since.
    fn look_again(&self) -> BoxFuture<'_, ()>;

    /// What waits for each target, as of the last commit.
    fn queues(&self) -> Vec<(TargetKey, Arc<str>, QueueSize)>;

    /// The next records that wait for a target, in order, after `after`, at most `limit`.
    /// Reads the disk: a few microseconds each.
    ///
    /// # Errors
    /// [`Failed`] if the disk can't be read: the store has failed then. A record that can't be used is set
    /// aside and left out.
    fn queued(
        &self,
        target: &TargetKey,
        uid: &str,
        after: Option<QueueId>,
        limit: usize,
    ) -> Result<Vec<(QueueId, Queued)>, Failed>;

    /// Says that a record that was read is about to be sent. From then on it is not the one that goes when
    /// the queue is full, until [`Op::Dequeue`] or [`Op::Attempted`] says what came of it. Answers whether
    /// it still waits: one that does not must not be sent. Reads the disk.
    ///
    /// # Errors
    /// [`Failed`] if the disk can't be read.
    fn claim(&self, target: &TargetKey, uid: &Arc<str>, id: QueueId) -> Result<bool, Failed>;

    /// Dead letters, newest first. Reads the disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`Failed`] if the disk can't be read.
    fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
    ) -> Result<Page<(DeadLetterId, DeadLetter)>, Failed>;

    /// Dead letters by id; those that do not exist are left out.
    ///
    /// # Errors
    /// [`Failed`] if the disk can't be read.
    fn dead_letters_by_id(
        &self,
        ids: &[DeadLetterId],
    ) -> Result<Vec<(DeadLetterId, DeadLetter)>, Failed>;

    /// Attempts, newest first. Reads the disk: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`Failed`] if the disk can't be read.
    fn deliveries(&self, filter: &DeliveryFilter) -> Result<Page<AttemptRecord>, Failed>;

    /// What an `Idempotency-Key` was used for within the hour.
    ///
    /// # Errors
    /// [`Failed`] if the disk can't be read.
    fn idempotent(&self, key: &str) -> Result<Option<IdempotencyRecord>, Failed>;

    /// Figures for metrics and readiness.
    fn stats(&self) -> Stats;
}
