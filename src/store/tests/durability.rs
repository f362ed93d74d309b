//! When something is durable, and what happens when it can't be.

use std::{
    collections::BTreeSet,
    future::Future as _,
    io,
    pin::pin,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    task::{Context, Waker},
    time::Duration,
};

use redb::{StorageBackend, backends::InMemoryBackend};

use super::*;
use crate::store::{
    Full, LAZY, Loaded, Seq,
    open::{Place, open_at},
    open_backend,
    space::FileSystem,
};

/// A disk whose syncs can be held up and made to fail.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    storage: InMemoryBackend,
    held: Mutex<bool>,
    released: Condvar,
    syncing: AtomicBool,
    writes: AtomicU64,
    fails: AtomicBool,
    panics: AtomicBool,
}

impl Inner {
    fn wait(&self) {
        let held = self.held.lock().unwrap();
        drop(self.released.wait_while(held, |held| *held).unwrap());
    }
}

impl Disk {
    fn hold(&self) {
        *self.0.held.lock().unwrap() = true;
    }

    fn release(&self) {
        *self.0.held.lock().unwrap() = false;
        self.0.released.notify_all();
    }

    fn fail(&self) {
        self.0.fails.store(true, Ordering::SeqCst);
    }

    fn open(&self) -> (Arc<Redb>, Loaded) {
        open_backend(self.clone(), settings()).unwrap()
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.storage.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.storage.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.storage.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.syncing.store(true, Ordering::SeqCst);
        self.0.wait();
        self.0.syncing.store(false, Ordering::SeqCst);
        assert!(!self.0.panics.load(Ordering::SeqCst), "redb met damage");
        if self.0.fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.writes.fetch_add(1, Ordering::SeqCst);
        self.0.storage.write(offset, data)
    }
}

fn record(id: u64) -> Vec<Op> {
    vec![fact(Fact::Alert(AlertId(id), alert("a")))]
}

fn commits(store: &Redb) -> u64 {
    store.shared.figures.committed.get()
}

fn operations(store: &Redb) -> u64 {
    store.shared.figures.operations.get()
}

fn is_pending(store: &Redb, seq: Seq) -> bool {
    let mut durable = pin!(store.durable(seq));
    durable.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// Waits for what another thread does.
fn eventually(what: &str, check: impl Fn() -> bool) {
    let start = clock();
    while !check() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn nothing_is_durable_before_its_sync_has_returned() {
    let disk = Disk::default();
    let (store, _) = disk.open();
    disk.hold();
    let seq = store.submit(record(1), false);
    let (done, waits) = mpsc::channel();
    let waiter = {
        let store = store.clone();
        std::thread::spawn(move || {
            block_on(store.durable(seq)).unwrap();
            done.send(store.durable_seq()).unwrap();
        })
    };
    // Judged once the disk is released: a failing test must not wait for it for ever.
    let early = waits.recv_timeout(Duration::from_millis(100));
    let (pending, so_far) = (is_pending(&store, seq), store.durable_seq());
    disk.release();
    assert!(early.is_err(), "the sync still ran");
    assert!(pending && so_far < seq);
    assert_eq!(waits.recv_timeout(Duration::from_secs(10)), Ok(seq));
    waiter.join().unwrap();
}

#[test]
fn what_arrives_during_a_commit_goes_into_the_next_one_together() {
    let disk = Disk::default();
    let (store, _) = disk.open();
    disk.hold();
    let before = commits(&store);
    let first = store.submit(record(1), false);
    eventually("the first is taken", || disk.0.syncing.load(Ordering::SeqCst));
    let later: Vec<_> = (2..100).map(|id| store.submit(record(id), false)).collect();
    disk.release();
    block_on(store.durable(first)).unwrap();
    for seq in later {
        block_on(store.durable(seq)).unwrap();
    }
    assert_eq!(commits(&store) - before, 2);
}

#[test]
fn failed_sync_fails_every_waiter_and_ends_writing() {
    let disk = Disk::default();
    let (store, _) = disk.open();
    write(&store, record(1));
    disk.hold();
    let seqs: Vec<_> = (2..6).map(|id| store.submit(record(id), id == 5)).collect();
    disk.fail();
    disk.release();
    for seq in seqs {
        let failed = block_on(store.durable(seq)).unwrap_err();
        assert_eq!((failed.step, &*failed.message), ("sync the file", "the disk is gone"));
    }
    assert_eq!(block_on(store.failed()).step, "sync the file");
    assert!(block_on(store.durable(Seq(1))).is_ok(), "that was on disk before");
    let writes = disk.0.writes.load(Ordering::SeqCst);
    let late = store.submit(record(9), false);
    assert!(block_on(store.durable(late)).is_err());
    store.close();
    assert_eq!(disk.0.writes.load(Ordering::SeqCst), writes, "nothing is written any more");
}

#[test]
fn panic_below_fails_every_waiter() {
    let disk = Disk::default();
    let (store, _) = disk.open();
    disk.0.panics.store(true, Ordering::SeqCst);
    let seq = store.submit(record(1), false);
    let failed = block_on(store.durable(seq)).unwrap_err();
    assert_eq!(&*failed.message, "redb met damage");
    assert_eq!(block_on(store.failed()).message, failed.message);
    store.close();
    let filter = crate::store::DeadLetterFilter::default();
    assert!(store.dead_letters(&filter).is_err(), "the file is closed");
}

#[test]
fn no_wake_up_is_missed_among_many_submitters() {
    let store = memory();
    let submitters: Vec<_> = (0..8_u64)
        .map(|submitter| {
            let store = store.clone();
            std::thread::spawn(move || {
                for n in 0..200 {
                    let seq = store.submit(record(submitter), n % 16 == 0);
                    let wait = async {
                        tokio::time::timeout(Duration::from_secs(20), store.durable(seq)).await
                    };
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_time().build();
                    runtime.unwrap().block_on(wait).unwrap().unwrap();
                    assert!(store.durable_seq() >= seq);
                }
            })
        })
        .collect();
    for submitter in submitters {
        submitter.join().unwrap();
    }
    let (sent, commits) = (store.durable_seq().0, commits(&store));
    assert_eq!(sent, 1_600);
    assert!(commits <= sent, "{commits}");
}

#[test]
fn room_comes_and_goes_with_the_space_while_nothing_is_written() {
    let free = Arc::new(AtomicU64::new(0));
    let probe = {
        let free = free.clone();
        move || {
            let free = free.load(Ordering::SeqCst);
            Ok(FileSystem { total: 1 << 30, free, backed: 0 })
        }
    };
    let settings = Settings { low_water: 1_000..=1_000, ..settings() };
    let place = Place { probe: Some(Box::new(probe)), ..Place::nowhere() };
    let (store, _) = open_at(InMemoryBackend::new(), settings, place).unwrap();
    assert_eq!(store.room(1), Err(Full::Disk));
    free.store(1_000, Ordering::SeqCst);
    eventually("intake resumes", || store.room(1) == Ok(()));
    free.store(999, Ordering::SeqCst);
    eventually("intake stops", || store.room(1) == Err(Full::Disk));
    assert_eq!(store.stats().free_bytes, 999);
}

#[tokio::test]
async fn whoever_is_about_to_refuse_looks_again() {
    let free = Arc::new(AtomicU64::new(0));
    let seen = free.clone();
    let probe =
        move || Ok(FileSystem { total: 1 << 30, free: seen.load(Ordering::SeqCst), backed: 0 });
    let settings = Settings { low_water: 1_000..=1_000, ..settings() };
    let place = Place { probe: Some(Box::new(probe)), ..Place::nowhere() };
    let (store, _) = open_at(InMemoryBackend::new(), settings, place).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    free.store(1_000, Ordering::SeqCst);
    assert_eq!(store.room(1), Err(Full::Disk), "as last seen");
    store.look_again().await;
    assert_eq!(store.room(1), Ok(()));
}

#[test]
fn lazy_facts_cost_no_commit_of_their_own_when_company_comes() {
    let disk = Disk::default();
    let (store, _) = disk.open();
    write(&store, record(1));
    let before = commits(&store);
    let lazy = store.submit(record(2), true);
    let urgent = store.submit(record(3), false);
    block_on(store.durable(urgent)).unwrap();
    assert!(store.durable_seq() >= lazy);
    assert_eq!(commits(&store) - before, 1);
}

#[test]
fn lazy_facts_are_on_disk_soon_and_then_all_is_quiet() {
    let store = memory();
    let start = clock();
    let seq = store.submit(record(1), true);
    block_on(store.durable(seq)).unwrap();
    assert!(start.elapsed() >= LAZY, "they waited for company: {:?}", start.elapsed());
    assert!(start.elapsed() < 20 * LAZY, "{:?}", start.elapsed());
    let before = commits(&store);
    std::thread::sleep(3 * LAZY);
    assert_eq!(commits(&store), before);
}

#[test]
fn closing_writes_what_was_submitted() {
    let disk = Disk::default();
    let (store, _) = disk.open();
    store.submit(record(1), true);
    let seq = store.submit(record(2), true);
    store.close();
    store.close();
    assert!(block_on(store.durable(seq)).is_ok());
    let late = store.submit(record(3), false);
    let failed = block_on(store.durable(late)).unwrap_err();
    assert_eq!(&*failed.message, "the store is closed");
    drop(store);
    let (_, loaded) = disk.open();
    assert_eq!(loaded.alerts.len(), 2);
}

#[test]
fn dropping_the_last_handle_writes_what_was_submitted() {
    let disk = Disk::default();
    disk.open().0.submit(record(1), true);
    assert_eq!(disk.open().1.alerts.len(), 1);
}

#[test]
fn slow_disk_refuses_what_would_pile_up() {
    let disk = Disk::default();
    let settings = Settings { max_pending: 10_000, ..settings() };
    let (store, _) = open_backend(disk.clone(), settings).unwrap();
    disk.hold();
    let mut seq = Seq(0);
    while store.room(500) == Ok(()) {
        seq = store.submit(record(1), false);
    }
    let (room, pending) = (store.room(500), store.stats().pending_bytes);
    disk.release();
    assert_eq!(room, Err(Full::Behind));
    assert!(pending < 20_000, "{pending}");
    block_on(store.durable(seq)).unwrap();
    assert_eq!(store.room(500), Ok(()));
    assert_eq!(store.stats().pending_bytes, 0);
}

#[test]
fn notified_group_costs_two_operations_whatever_the_number_of_targets() {
    let store = memory();
    let targets: Vec<_> = (0..50).map(|n| format!("a/t{n}")).collect();
    let targets: Vec<_> = targets.iter().map(String::as_str).collect();
    write(&store, vec![fact(Fact::Told(AlertId(0), told("a/r", &targets)))]);
    let before = operations(&store);
    let ids: BTreeSet<u64> = (1..=100).collect();
    // Each target's outcome is a fact of its own; they arrive while the first commit runs.
    let accepted = ids.iter().map(|id| fact(Fact::Alert(AlertId(*id), alert("a"))));
    let outcomes = targets.iter().enumerate().flat_map(|(n, _)| {
        let told = told("a/r", &targets[..=n]);
        ids.iter().map(move |id| fact(Fact::Told(AlertId(*id), told.clone())))
    });
    write(&store, accepted.chain(outcomes).collect());
    assert_eq!(operations(&store) - before, 200);
}
