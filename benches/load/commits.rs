//! The bare loop that intake is held against: one thread commits records to a redb file with the settings of
//! the store, and as many clients as there are senders hand records over and wait for their commit. What comes
//! during one commit goes into the next. No HTTP, no JSON, no alerts.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use hdrhistogram::Histogram;
use redb::{Builder, Database, Durability, ReadableDatabase as _, TableDefinition};
use tokio::{sync::oneshot, task::JoinSet};

use super::{
    machine::now,
    sink::{Times, histogram},
};

/// Where the store has its alerts.
const TABLE: TableDefinition<'_, u64, &'static [u8]> = TableDefinition::new("alerts");
/// As much as the store takes where memory is not scarce.
const CACHE: usize = 64 * 1024 * 1024;

/// What to commit.
#[derive(Clone, Debug)]
pub(crate) struct Commits {
    pub(crate) clients: usize,
    /// Records that a client hands over at a time.
    pub(crate) batch: usize,
    /// Bytes of each.
    pub(crate) size: usize,
    /// What a client hands over is one record under one key.
    pub(crate) joined: bool,
    /// Without it nothing is durable.
    pub(crate) sync: bool,
    pub(crate) time: Duration,
    /// It ends early after so many.
    pub(crate) most: u64,
}

/// How that went.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) records: u64,
    pub(crate) commits: u64,
    pub(crate) seconds: f64,
    /// From handing over to having it on disk.
    pub(crate) waits: Times,
}

/// What waits for the next commit.
#[derive(Default)]
struct Inbox {
    hands: Mutex<Vec<oneshot::Sender<()>>>,
    over: AtomicBool,
}

/// When to stop.
struct Bounds {
    end: u64,
    most: u64,
    records: AtomicU64,
}

// === impl Commits ===

impl Commits {
    /// Commits in a new file in `dir` until time or records are over.
    pub(crate) async fn run(&self, dir: &Path) -> Committed {
        let database = Builder::new().set_cache_size(CACHE).create(dir.join("bare.redb"));
        let database = database.expect("the directory is new");
        let inbox = Arc::new(Inbox::default());
        let (load, hands) = (self.clone(), inbox.clone());
        let committer = thread::spawn(move || load.commit(&database, &hands));
        let began = now();
        let end = began + u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX / 2);
        let bounds = Arc::new(Bounds { end, most: self.most, records: AtomicU64::new(0) });
        let mut clients = JoinSet::new();
        for _ in 0..self.clients {
            let committer = committer.thread().clone();
            clients.spawn(client(inbox.clone(), committer, bounds.clone(), self.batch));
        }
        let mut waits = histogram();
        for own in clients.join_all().await {
            waits.add(own).expect("equal bounds");
        }
        let seconds = Duration::from_nanos(now() - began).as_secs_f64();
        inbox.over.store(true, Ordering::Release);
        committer.thread().unpark();
        let commits = committer.join().expect("the disk has room");
        let records = bounds.records.load(Ordering::Relaxed);
        Committed { records, commits, seconds, waits: Times::of(&waits) }
    }

    /// Commits what is handed over; returns how often.
    fn commit(&self, database: &Database, inbox: &Inbox) -> u64 {
        let Self { batch, size, joined, sync, .. } = *self;
        let (keys, size) = if joined { (1, size * batch) } else { (batch, size) };
        let record = vec![b'r'; size];
        let (mut key, mut commits) = (0, 0);
        loop {
            let hands = std::mem::take(&mut *inbox.hands());
            if hands.is_empty() {
                if inbox.over.load(Ordering::Acquire) {
                    return commits;
                }
                thread::park();
                continue;
            }
            let mut txn = database.begin_write().expect("one at a time");
            txn.set_quick_repair(sync);
            if !sync {
                txn.set_durability(Durability::None).expect("there is no savepoint");
            }
            {
                let mut table = txn.open_table(TABLE).expect("it is new");
                for _ in 0..hands.len() * keys {
                    key += 1;
                    table.insert(key, &*record).expect("the disk has room");
                }
            }
            txn.commit().expect("the disk has room");
            commits += 1;
            for hand in hands {
                // It waits.
                let _ = hand.send(());
            }
        }
    }
}

/// Hands over and waits, again and again.
async fn client(
    inbox: Arc<Inbox>,
    thread: Thread,
    bounds: Arc<Bounds>,
    batch: usize,
) -> Histogram<u64> {
    let mut waits = histogram();
    loop {
        let began = now();
        if began >= bounds.end || bounds.records.load(Ordering::Relaxed) >= bounds.most {
            return waits;
        }
        let (hand, committed) = oneshot::channel();
        let first = {
            let mut hands = inbox.hands();
            hands.push(hand);
            hands.len() == 1
        };
        if first {
            thread.unpark();
        }
        committed.await.expect("the committer outlives its clients");
        waits.saturating_record(now().saturating_sub(began));
        bounds.records.fetch_add(batch as u64, Ordering::Relaxed);
    }
}

/// How many alerts a store's file holds, and the bytes of their records.
pub(crate) fn stored(file: &Path) -> (u64, u64) {
    let database = Database::open(file).expect("its program has ended");
    let table = database.begin_read().expect("it is whole").open_table(TABLE).expect("it is there");
    let rows = table.range::<u64>(..).expect("it is whole");
    rows.fold((0, 0), |(count, bytes), row| {
        (count + 1, bytes + row.expect("it is whole").1.value().len() as u64)
    })
}

// === impl Inbox ===

impl Inbox {
    fn hands(&self) -> MutexGuard<'_, Vec<oneshot::Sender<()>>> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
