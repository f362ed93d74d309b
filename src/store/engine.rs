//! The store on redb: the handle that everybody shares.

use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering, mpsc};

use jiff::Timestamp;

use super::{
    AttemptRecord, Buried, DeadLetter, DeadLetterFilter, DeadLetterId, DeliveryFilter, Failed,
    Full, IdempotencyRecord, Op, OpenError, Page, QueueId, QueueSize, Restored, Seq, Stats, Store,
    batch::{Place, SetAside, Task},
    committer::Committer,
    dead_letters,
    facts::{self, Fact, GroupFact},
    fault::Fault,
    history, keys,
    panics::{guarded_and_told, spawn},
    queue,
    records::Name,
    shared::Shared,
    silences,
};
use crate::{
    api::TargetKey,
    dispatch::{GroupId, GroupRecord, Queued},
    publish::{BoxFuture, Silence},
};

/// The store. Dropping the last handle commits what was submitted and closes the file.
#[derive(Debug)]
pub struct Redb {
    pub(super) shared: Arc<Shared>,
    /// Hears of the end of the committer.
    committer: Mutex<Option<mpsc::Receiver<()>>>,
}

// === impl Redb ===

impl Redb {
    /// Starts the thread that writes.
    pub(super) fn start(committer: Committer) -> Result<Arc<Self>, OpenError> {
        let shared = committer.shared.clone();
        let ours = shared.clone();
        // Nobody may wait for a thread that is gone or stands still, whatever ended it.
        let (end, ended) = mpsc::channel();
        let (stuck, stuck_end) = (shared.clone(), end.clone());
        let last_word = move |fault| {
            stuck.fail(fault);
            let _ = stuck_end.send(());
        };
        let run = move || {
            let ran = guarded_and_told(&ours.watch, "write", || {
                committer.run();
                Ok(())
            });
            if let Err(fault) = ran {
                ours.fail(fault);
            }
            let _ = end.send(());
        };
        let thread = spawn("store-committer", last_word, run).map_err(OpenError::Thread)?;
        shared.called(thread.thread().clone());
        Ok(Arc::new(Self { shared, committer: Mutex::new(Some(ended)) }))
    }

    /// `call` hears of records of queues that the store gives up on its own: because the queue is full, its
    /// target is gone, or they can't be read. Once per commit, target and reason. The first call of this
    /// counts.
    pub fn on_buried(&self, call: impl Fn(Buried) + Send + Sync + 'static) {
        self.shared.buried.set(Box::new(call));
    }

    /// Commits what was submitted and closes the file; blocks until that is done. Nothing becomes
    /// durable afterwards. Repeating it is harmless.
    pub fn close(&self) {
        self.shared.close();
        let ended = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            let _ = ended.recv();
        }
    }

    /// Calls `each` for every alert on disk, in the order of ids, without holding them all at once; for
    /// a start with [`super::Settings::stream_alerts`]. Returns how many there were.
    ///
    /// # Errors
    /// [`Failed`] if the disk can't be read; `each` may have been called by then. The store has failed.
    pub fn restore(&self, each: &mut dyn FnMut(Restored)) -> Result<usize, Failed> {
        let names = self.shared.names.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.read("read the alerts", |txn| {
            let (mut count, mut aside) = (0, Vec::new());
            facts::walk(txn, &|number| names.name(number), &mut |fact| {
                match fact {
                    Fact::Alert(restored, _) => {
                        each(restored);
                        count += 1;
                    }
                    Fact::Unusable(place, error) => {
                        aside.push(SetAside { place, reason: error.to_string(), record: None });
                    }
                    // Its alert was met before.
                    Fact::Orphan(_) => {}
                }
                Ok::<_, Fault>(())
            })?;
            Ok((count, aside))
        })
    }

    /// Calls `each` for every group on disk, in the order of ids; after [`Redb::restore`].
    ///
    /// # Errors
    /// [`Failed`] if the disk can't be read; `each` may have been called by then. The store has failed.
    pub fn restore_groups(&self, each: &mut dyn FnMut(GroupId, GroupRecord)) -> Result<(), Failed> {
        let names = self.shared.names.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.read("read the groups", |txn| {
            let mut aside = Vec::new();
            facts::walk_groups(txn, &|number| names.name(number), &mut |fact| {
                match fact {
                    GroupFact::Group(id, group, _) => each(id, group),
                    GroupFact::Unusable(place, error) => {
                        aside.push(SetAside { place, reason: error.to_string(), record: None });
                    }
                }
                Ok::<_, Fault>(())
            })?;
            Ok(((), aside))
        })
    }

    /// Every silence on disk; for a start with [`super::Settings::stream_alerts`].
    ///
    /// # Errors
    /// [`Failed`] if the disk can't be read. The store has failed then.
    pub fn silences(&self) -> Result<Vec<Arc<Silence>>, Failed> {
        self.read("read the silences", |txn| {
            let (mut found, mut aside) = (Vec::new(), Vec::new());
            silences::walk(txn, &mut |id, silence, _| {
                match silence {
                    Ok(silence) => found.push(Arc::new(silence)),
                    Err(error) => {
                        let (place, reason) = (Place::Silence(id), error.to_string());
                        aside.push(SetAside { place, reason, record: None });
                    }
                }
                Ok::<_, Fault>(())
            })?;
            Ok((found, aside))
        })
    }

    /// Reads with a function that also says what it could not use; that is set aside.
    fn read<T>(
        &self,
        step: &'static str,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<(T, Vec<SetAside>), Fault>,
    ) -> Result<T, Failed> {
        let (found, aside) = self.shared.read(step, read)?;
        self.shared.set_aside(aside);
        Ok(found)
    }
}

impl Drop for Redb {
    fn drop(&mut self) {
        self.close();
    }
}

impl Store for Redb {
    fn submit(&self, ops: Vec<Op>, lazy: bool) -> Seq {
        Seq(self.shared.submit(ops.into_iter().map(Task::Op).collect(), lazy))
    }

    fn durable(&self, seq: Seq) -> BoxFuture<'_, Result<(), Failed>> {
        if self.durable_seq() >= seq {
            return Box::pin(std::future::ready(Ok(())));
        }
        let Shared { waiting, .. } = &*self.shared;
        let called = waiting.join(seq.0, || self.shared.verdict(seq.0).is_some());
        Box::pin(async move {
            if let Some(called) = called {
                // The caller lives as long as `self`.
                let _ = called.await;
            }
            self.shared.verdict(seq.0).expect("called once it is decided")
        })
    }

    fn durable_seq(&self) -> Seq {
        Seq(self.shared.durable.load(Ordering::Acquire))
    }

    fn failed(&self) -> BoxFuture<'_, Failed> {
        let mut progress = self.shared.progress.subscribe();
        Box::pin(async move {
            let failed = progress.wait_for(|now| now.failed.is_some()).await;
            match failed.ok().and_then(|now| now.failed.clone()) {
                Some(failed) => failed,
                None => std::future::pending().await,
            }
        })
    }

    fn room(&self, bytes: usize) -> Result<(), Full> {
        self.shared.room(bytes)
    }

    fn look_again(&self) -> BoxFuture<'_, ()> {
        if self.shared.gauge.room() != Err(Full::Disk) || !self.shared.gauge.is_stale() {
            return Box::pin(std::future::ready(()));
        }
        let shared = self.shared.clone();
        // Whoever waited for a look of somebody else need not look as well.
        let look = move || !shared.gauge.is_stale() || shared.gauge.look().is_ok();
        Box::pin(async move {
            let looked = tokio::task::spawn_blocking(look).await;
            if !looked.unwrap_or(false) {
                // The committer finds the same, and ends.
                self.shared.call();
            }
        })
    }

    fn queues(&self) -> Vec<(TargetKey, Arc<str>, QueueSize)> {
        let sizes = self.shared.sizes.read().unwrap_or_else(PoisonError::into_inner);
        let names = self.shared.names.read().unwrap_or_else(PoisonError::into_inner);
        let listed = sizes.iter().filter_map(|(number, size)| match names.name(*number) {
            Some(Name::Target(target, uid)) => Some((target.clone(), uid.clone(), *size)),
            _ => None,
        });
        listed.collect()
    }

    fn queued(
        &self,
        target: &TargetKey,
        uid: &str,
        after: Option<QueueId>,
        limit: usize,
    ) -> Result<Vec<(QueueId, Queued)>, Failed> {
        let uid = Arc::from(uid);
        let name = Name::Target(target.clone(), Arc::clone(&uid));
        let number = self.shared.names.read().unwrap_or_else(PoisonError::into_inner).number(&name);
        let Some(number) = number else { return Ok(Vec::new()) };
        self.read("read a queue", |txn| queue::queued(txn, (number, target, &uid), after, limit))
    }

    fn claim(&self, target: &TargetKey, uid: &Arc<str>, id: QueueId) -> Result<bool, Failed> {
        let name = Name::Target(target.clone(), uid.clone());
        let number = self.shared.names.read().unwrap_or_else(PoisonError::into_inner).number(&name);
        let Some(key) = number.map(|number| (number, id.0)) else { return Ok(false) };
        if !self.shared.claims.claim(key) {
            return Ok(false);
        }
        let waits = self.shared.read("look for a queued record", |txn| queue::waits(txn, key));
        if !matches!(waits, Ok(true)) {
            self.shared.claims.release(key);
        }
        waits
    }

    fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
    ) -> Result<Page<(DeadLetterId, DeadLetter)>, Failed> {
        let now = Timestamp::now();
        self.read("read the dead letters", |txn| dead_letters::list(txn, filter, now))
    }

    fn dead_letters_by_id(
        &self,
        ids: &[DeadLetterId],
    ) -> Result<Vec<(DeadLetterId, DeadLetter)>, Failed> {
        self.read("read dead letters", |txn| dead_letters::by_id(txn, ids))
    }

    fn deliveries(&self, filter: &DeliveryFilter) -> Result<Page<AttemptRecord>, Failed> {
        self.read("read the delivery history", |txn| history::list(txn, filter))
    }

    fn idempotent(&self, key: &str) -> Result<Option<IdempotencyRecord>, Failed> {
        let now = Timestamp::now();
        self.read("read an idempotency key", |txn| keys::find(txn, key, now))
    }

    fn stats(&self) -> Stats {
        self.shared.stats()
    }
}
