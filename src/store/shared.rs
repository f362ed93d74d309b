//! What the committer and everybody else share.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::Thread,
    time::Instant,
};

use redb::{Database, ReadTransaction, ReadableDatabase as _};
use tokio::sync::watch;

use super::{
    Failed, Full, QueueSize, Stats,
    batch::{SetAside, Task},
    buried::OnBuried,
    claims::Claims,
    fault::{During as _, Fault},
    figures::Figures,
    gauge::Gauge,
    inbox::Inbox,
    names::Names,
    panics::guarded_and_told,
    waiting::Waiting,
    watched::Watch,
    weigh::weigh,
    writer::{Changed, Writer},
};

/// Whether writing goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// The disk failed.
    pub(super) failed: Option<Failed>,
    /// The store was closed in order.
    pub(super) closed: bool,
}

/// What the committer and everybody else share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inbox: Mutex<Inbox>,
    pub(super) progress: watch::Sender<Progress>,
    /// Everything up to this sequence number is on disk.
    pub(super) durable: AtomicU64,
    pub(super) waiting: Waiting,
    /// `None` once it is closed.
    pub(super) database: RwLock<Option<Database>>,
    pub(super) names: RwLock<Names>,
    pub(super) sizes: RwLock<HashMap<u32, QueueSize>>,
    pub(super) stats: Mutex<Stats>,
    pub(super) figures: Figures,
    pub(super) watch: Arc<Watch>,
    pub(super) pending: AtomicUsize,
    pub(super) max_pending: usize,
    committer: std::sync::OnceLock<Thread>,
    pub(super) buried: OnBuried,
    pub(super) claims: Arc<Claims>,
    pub(super) gauge: Gauge,
}

/// The clock of the committer: a thread, whose time goes on where a test has stopped that of tasks.
#[expect(clippy::disallowed_methods, reason = "a thread has no runtime whose clock it could ask")]
pub(super) fn now() -> Instant {
    Instant::now()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(
        database: Database,
        (figures, watch, gauge): (Figures, Arc<Watch>, Gauge),
        writer: &Writer,
        max_pending: usize,
    ) -> Self {
        Self {
            inbox: Mutex::default(),
            progress: watch::Sender::default(),
            durable: AtomicU64::default(),
            waiting: Waiting::default(),
            database: RwLock::new(Some(database)),
            names: RwLock::new(writer.names.clone()),
            sizes: RwLock::new(writer.queues.sizes.clone()),
            stats: Mutex::default(),
            figures,
            watch,
            pending: AtomicUsize::default(),
            max_pending,
            committer: std::sync::OnceLock::new(),
            buried: OnBuried::default(),
            claims: writer.queues.claims.clone(),
            gauge,
        }
    }

    /// From now on this thread is called when there is work.
    pub(super) fn called(&self, committer: Thread) {
        let _ = self.committer.set(committer);
    }

    pub(super) fn call(&self) {
        if let Some(committer) = self.committer.get() {
            committer.unpark();
        }
    }

    pub(super) fn submit(&self, tasks: Vec<Task>, lazy: bool) -> u64 {
        let bytes = tasks.iter().map(weigh).sum();
        let (seq, call) = {
            let mut inbox = self.inbox();
            if !inbox.is_closed() {
                self.pending.fetch_add(bytes, Ordering::Relaxed);
            }
            inbox.submit(tasks, (bytes, lazy), now())
        };
        if call {
            self.call();
        }
        seq
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        lock(&self.inbox)
    }

    /// What waits is written, then the file is closed.
    pub(super) fn close(&self) {
        self.inbox().close();
        self.call();
    }

    /// Lets everybody see what a commit changed, then that it is durable.
    pub(super) fn committed(&self, writer: &Writer, changed: Changed, upto: u64, bytes: usize) {
        if !changed.names.is_empty() {
            let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
            for (number, name) in changed.names {
                names.insert(number, name);
            }
        }
        if !changed.queues.is_empty() {
            let mut sizes = self.sizes.write().unwrap_or_else(PoisonError::into_inner);
            for number in changed.queues {
                match writer.queues.sizes.get(&number) {
                    Some(size) => sizes.insert(number, *size),
                    None => sizes.remove(&number),
                };
            }
        }
        self.claims.committed();
        self.buried.tell(changed.buried);
        self.count(writer);
        self.pending.fetch_sub(bytes, Ordering::Relaxed);
        self.durable.store(upto, Ordering::Release);
        self.waiting.call(upto);
    }

    /// Where a damaged file was moved to.
    pub(super) fn damaged(&self, path: Option<PathBuf>) {
        lock(&self.stats).damaged = path;
    }

    /// Brings the figures up to date.
    pub(super) fn count(&self, writer: &Writer) {
        let mut stats = lock(&self.stats);
        stats.alerts = writer.alerts;
        stats.queued = writer.queues.sizes.values().map(|size| size.records).sum();
        stats.dead_letters = writer.letters.records;
        stats.dead_letter_bytes = writer.letters.bytes;
        stats.history_bytes = writer.history.bytes;
        stats.set_aside = writer.set_aside;
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = lock(&self.stats).clone();
        stats.file_bytes = self.watch.length();
        stats.free_bytes = self.gauge.free();
        stats.full = self.gauge.room().is_err();
        stats.pending_bytes = self.pending.load(Ordering::Relaxed) as u64;
        stats
    }

    /// Everybody learns that nothing more becomes durable, and the committer ends.
    pub(super) fn fail(&self, fault: Fault) {
        let failed = self.watch.fail(fault);
        self.inbox().fail();
        self.pending.store(0, Ordering::Relaxed);
        self.progress.send_if_modified(|progress| {
            let first = progress.failed.is_none();
            if first {
                tracing::error!(step = failed.step, error = %failed.message, "The store failed");
                progress.failed = Some(failed);
            }
            first
        });
        self.waiting.call_all();
        self.call();
    }

    /// The file is closed and all is written.
    pub(super) fn closed(&self) {
        self.progress.send_modify(|progress| progress.closed = true);
        self.waiting.call_all();
    }

    /// What became of everything up to `seq`; `None`: it waits for the disk.
    pub(super) fn verdict(&self, seq: u64) -> Option<Result<(), Failed>> {
        let progress = self.progress.borrow();
        let over = match &progress.failed {
            Some(failed) => Some(failed.clone()),
            None if progress.closed => {
                Some(Failed { step: "write", message: "the store is closed".into() })
            }
            None => None,
        };
        // Last: what was written before the end is on disk whatever ended it.
        if self.durable.load(Ordering::Acquire) >= seq { Some(Ok(())) } else { over.map(Err) }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.progress.borrow().failed.is_some()
    }

    /// Reads a snapshot of the file. Damage that redb answers with a panic is an error. Whoever can't read
    /// what is there can't do its work, so the store has failed, as when it can't write.
    pub(super) fn read<T>(
        &self,
        step: &'static str,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, Failed> {
        let found = {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            let Some(database) = database.as_ref() else {
                return Err(Failed { step, message: "the store is closed".into() });
            };
            guarded_and_told(&self.watch, step, || read(&database.begin_read().during(step)?))
        };
        found.map_err(|fault| {
            let failed = fault.clone().failed();
            self.fail(fault);
            failed
        })
    }

    /// Records that a reader could not use.
    pub(super) fn set_aside(&self, records: Vec<SetAside>) {
        if !records.is_empty() {
            self.submit(records.into_iter().map(Task::SetAside).collect(), true);
        }
    }

    /// Whether about `bytes` more may come.
    pub(super) fn room(&self, bytes: usize) -> Result<(), Full> {
        if self.pending.load(Ordering::Relaxed).saturating_add(bytes) > self.max_pending {
            return Err(Full::Behind);
        }
        if self.gauge.want_look() {
            self.call();
        }
        self.gauge.room()
    }
}
