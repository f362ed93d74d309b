//! A disk that does not answer: memory stays bounded, reading goes on, nothing is confirmed.

use std::{
    future::Future as _,
    pin::pin,
    task::{Context, Poll, Waker},
};

use fanfare::{
    dispatch::{AlertId, Fact},
    store::{self, Full, Op, Redb, Settings, Store as _},
};

use super::disk::Disk;
use super::load::Load;
use super::machine::{Machine, settings};

const PENDING: usize = 256 * 1024;

fn small() -> Settings {
    Settings { max_pending: PENDING, ..settings() }
}

/// Submits while there is room, as an intake does; how many were taken.
fn fill(store: &Redb, load: &mut Load) -> u64 {
    for number in 1..100_000 {
        if let Err(full) = store.room(1_000) {
            assert_eq!(full, Full::Behind);
            return number - 1;
        }
        let id = AlertId(number);
        store.submit(vec![Op::Fact(Fact::Alert(id, load.alert_record(id)))], false);
    }
    panic!("there is room for ever: {:?}", store.stats());
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// Control: with `max_pending` out of reach, [`fill`] never ends.
#[test]
fn held_sync_sheds_instead_of_filling_memory() {
    let machine = Machine::new(1);
    let disk = Disk::new(1);
    let (store, _) = store::open_backend(disk.open(), small()).unwrap();
    let mut load = Load::new(1);
    let _held = disk.hold_syncs();
    let taken = fill(&store, &mut load);
    assert!(taken > 50, "{taken}");
    let pending = usize::try_from(store.stats().pending_bytes).unwrap();
    // What is being written and what waits; one that is too much may have been let in.
    assert!((PENDING / 4..PENDING * 2).contains(&pending), "{pending}");
    let last = store.submit(Vec::new(), false);
    let mut durable = pin!(store.durable(last));
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(durable.as_mut().poll(&mut context), Poll::Pending));
    disk.release_syncs();
    machine.block_on(durable).unwrap();
    wait_until("there is room again", || store.room(1_000).is_ok());
    assert_eq!(store.stats().alerts, taken);
}

#[test]
fn held_sync_stops_no_reader() {
    let mut machine = Machine::new(3);
    let store = machine.start().unwrap().expect("the power is on");
    let last = (0..60).map(|_| machine.step(&store).unwrap()).last().unwrap();
    machine.wait(&store, last).unwrap();
    let alerts = store.stats().alerts;
    let before = (super::model::read_attempts(&store).unwrap().len(), store.queues().len());
    let _held = machine.disk.hold_syncs();
    let seq = machine.submit(&store, false);
    wait_until("the sync has begun", || machine.disk.syncs_waiting() > 0);
    assert_eq!((super::model::read_attempts(&store).unwrap().len(), store.queues().len()), before);
    super::model::read_dead_letters(&store).unwrap();
    for (target, uid, _) in store.queues() {
        super::model::read_queue(&store, &(target, uid.to_string())).unwrap();
    }
    assert!(store.durable_seq() < seq);
    assert_eq!(store.stats().alerts, alerts, "as of the last commit");
    machine.disk.release_syncs();
    machine.block_on(store.durable(seq)).unwrap();
}

/// What arrives during one sync goes into the next. Control: a commit for each submission needs
/// hundreds.
#[test]
fn submissions_during_a_sync_share_the_next_commit() {
    let machine = Machine::new(1);
    let disk = Disk::new(1);
    let (store, _) = store::open_backend(disk.open(), settings()).unwrap();
    let mut load = Load::new(1);
    let _held = disk.hold_syncs();
    let mut last = store.durable_seq();
    for number in 1..=300 {
        let id = AlertId(number);
        last = store.submit(vec![Op::Fact(Fact::Alert(id, load.alert_record(id)))], false);
    }
    wait_until("the sync has begun", || disk.syncs_waiting() > 0);
    let before = disk.counts().syncs;
    disk.release_syncs();
    machine.block_on(store.durable(last)).unwrap();
    let syncs = disk.counts().syncs - before;
    assert!(syncs <= 12, "{syncs} syncs for 300 submissions");
}

/// Nothing waits in a gap: power that fails while the sync hangs loses what it was to confirm, and
/// nothing else.
#[test]
fn power_cut_during_a_held_sync_confirms_nothing() {
    let mut machine = Machine::new(9);
    let store = machine.start().unwrap().expect("the power is on");
    let last = (0..20).map(|_| machine.step(&store).unwrap()).last().unwrap();
    machine.wait(&store, last).unwrap();
    let _held = machine.disk.hold_syncs();
    let seq = machine.submit(&store, false);
    wait_until("the sync has begun", || machine.disk.syncs_waiting() > 0);
    machine.disk.power_cut();
    machine.block_on(store.durable(seq)).unwrap_err();
    drop(store);
    machine.disk.power_on();
    assert!(machine.start().unwrap().is_some());
}
