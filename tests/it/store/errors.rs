//! The disk fails: nothing is confirmed afterwards, nothing more is written, and a healthy disk has
//! everything that was confirmed.
//!
//! Control of all of these: a failed sync of the simulated disk loses data for good, so that a store
//! that tries again, or takes an error for success, is found out at the next start.

use std::sync::Arc;

use fanfare::store::{self, OpenError, Redb, Store as _};

use super::disk::{Disk, EIO, ENOSPC, EROFS, Fault, Kind};
use super::machine::{Machine, settings};

/// A machine whose disk holds something already.
fn machine(seed: u64) -> Machine {
    let mut machine = Machine::new(seed);
    let store = machine.start().unwrap().expect("the power is on");
    let last = (0..30).map(|_| machine.step(&store).unwrap()).last().unwrap();
    machine.wait(&store, last).unwrap();
    store.close();
    machine
}

/// More steps than a file needs to grow, however many of them come into one commit.
const STEPS: usize = 600;

/// Works until the store fails, at most for a while; whether it failed. When the fault has struck, the next who waits
/// must hear of it: not only after a second fault.
fn work_until_failed(machine: &mut Machine, store: &Redb) -> bool {
    for _ in 0..STEPS {
        if machine.step(store).is_err() {
            return true;
        }
        if machine.disk.fault_struck() {
            let seq = machine.submit(store, false);
            return machine.wait(store, seq).is_err();
        }
    }
    false
}

/// A store that failed says so to everyone and leaves the disk alone.
fn assert_dead(machine: &mut Machine, store: &Arc<Redb>, what: &str) {
    let failed = machine.block_on(store.failed());
    assert!(!failed.message.is_empty(), "{what}");
    machine.disk.heal();
    let (confirmed, before) = (store.durable_seq(), machine.disk.counts());
    for _ in 0..3 {
        let ops = machine.load.ops(store);
        let seq = store.submit(ops, false);
        assert!(seq > confirmed, "{what}");
        machine.block_on(store.durable(seq)).expect_err(what);
    }
    store.close();
    assert_eq!(store.durable_seq(), confirmed, "{what}");
    let after = machine.disk.counts();
    assert_eq!(
        (before.writes, before.syncs, before.set_lens),
        (after.writes, after.syncs, after.set_lens),
        "{what}: it writes on"
    );
}

/// The machine starts again, after the process died or the power failed too.
fn assert_whole(mut machine: Machine, what: &str) {
    if machine.load.rng.bool() {
        machine.disk.power_cut();
        machine.disk.power_on();
    } else {
        machine.disk.process_died();
        machine.disk.drop_caches();
    }
    match machine.start() {
        Ok(Some(store)) => {
            let seq = machine.step(&store).expect(what);
            machine.wait(&store, seq).expect(what);
        }
        other => panic!("{what}: {other:?}"),
    }
}

/// One fault in the middle of the work; whether it struck.
fn fault_at_work(kind: Kind, nth: u64, lasting: bool) -> bool {
    let what = format!("{kind:?} {nth}, lasting: {lasting}");
    let mut machine = machine(nth);
    let store = machine.start().unwrap().expect("the power is on");
    machine.disk.fail(Fault { kind: Some(kind), nth, errno: EIO, lasting });
    let failed = work_until_failed(&mut machine, &store);
    let struck = machine.disk.fault_struck();
    assert_eq!(failed, struck, "{what}");
    if failed {
        assert_dead(&mut machine, &store, &what);
        drop(store);
        assert_whole(machine, &what);
    }
    struck
}

#[test]
fn error_at_the_nth_sync_ends_all_writing() {
    for nth in 1..=20 {
        assert!(fault_at_work(Kind::Sync, nth, nth % 2 == 0));
    }
}

#[test]
fn error_at_the_nth_write_ends_all_writing() {
    for nth in 1..=60 {
        assert!(fault_at_work(Kind::Write, nth, nth % 2 == 0));
    }
}

#[test]
fn error_while_the_file_grows_ends_all_writing() {
    assert!(fault_at_work(Kind::SetLen, 1, false));
    assert!(fault_at_work(Kind::SetLen, 1, true));
}

/// The first `n` operations of a kind succeed and the next fails, until none is left to fail.
fn faults_at_start(kind: Kind) -> u64 {
    for nth in 1.. {
        let what = format!("{kind:?} {nth}");
        let mut machine = machine(nth);
        if machine.load.rng.bool() {
            // Not closed: there is something to recover.
            let store = machine.start().unwrap().expect("the power is on");
            for _ in 0..5 {
                machine.step(&store).unwrap();
            }
            machine.disk.power_cut();
            drop(store);
            machine.disk.power_on();
        }
        machine.disk.fail(Fault { kind: Some(kind), nth, errno: EIO, lasting: false });
        match store::open_backend(machine.disk.open(), settings()) {
            Err(OpenError::Io { message, .. }) => assert!(!message.is_empty(), "{what}"),
            Ok(_) if !machine.disk.fault_struck() => return nth - 1,
            other => panic!("{what}: {other:?}"),
        }
        assert_whole(machine, &what);
    }
    unreachable!("a start does not go on for ever")
}

/// A file that can't be read for now is not a damaged one: it must not be moved aside.
#[test]
fn error_at_the_nth_read_of_a_start_is_named() {
    assert!(faults_at_start(Kind::Read) > 5);
}

#[test]
fn error_at_the_nth_write_of_a_start_is_named() {
    assert!(faults_at_start(Kind::Write) > 0);
}

#[test]
fn error_at_the_nth_sync_of_a_start_is_named() {
    assert!(faults_at_start(Kind::Sync) > 0);
}

#[test]
fn unreadable_page_fails_the_reader_and_not_the_process() {
    let mut machine = machine(7);
    let store = machine.start().unwrap().expect("the power is on");
    let mut failed = 0;
    for nth in 1..=20 {
        machine.disk.fail(Fault { kind: Some(Kind::Read), nth, errno: EIO, lasting: false });
        failed += u32::from(store.deliveries(&all_deliveries()).is_err());
    }
    machine.disk.heal();
    let seq = store.submit(machine.load.ops(&store), false);
    let writable = machine.block_on(store.durable(seq)).is_ok();
    assert!(failed == 0 || !writable, "redb closes itself after a failed read");
    drop(store);
    machine.disk.process_died();
}

fn all_deliveries() -> store::DeliveryFilter {
    store::DeliveryFilter { limit: 1_000, ..store::DeliveryFilter::default() }
}

#[test]
fn full_disk_ends_all_writing_and_everything_is_there_once_there_is_room() {
    for seed in 1..=20 {
        let what = format!("seed {seed}");
        let mut machine = machine(seed);
        let store = machine.start().unwrap().expect("the power is on");
        machine.disk.limit(machine.disk.used() + seed * 8_192);
        while machine.step(&store).is_ok() {}
        let failed = machine.block_on(store.failed());
        assert!(failed.message.contains(&os_error(ENOSPC)), "{failed}");
        assert_dead(&mut machine, &store, &what);
        drop(store);
        assert_whole(machine, &what);
    }
}

#[test]
fn disk_that_becomes_read_only_ends_all_writing() {
    let mut machine = machine(1);
    let store = machine.start().unwrap().expect("the power is on");
    machine.disk.make_read_only();
    assert!(work_until_failed(&mut machine, &store));
    let failed = machine.block_on(store.failed());
    assert!(failed.message.contains(&os_error(EROFS)), "{failed}");
    assert_dead(&mut machine, &store, "read-only");
    drop(store);
    assert_whole(machine, "read-only");
}

#[test]
fn start_on_a_read_only_disk_is_refused_and_changes_nothing() {
    let machine = machine(1);
    let image = machine.disk.image();
    let disk = Disk::with_image(1, image.clone());
    disk.make_read_only();
    let error = store::open_backend(disk.open(), settings()).unwrap_err();
    assert!(matches!(&error, OpenError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains(&os_error(EROFS)), "{error}");
    assert_eq!(disk.image(), image);
}

fn os_error(number: i32) -> String {
    let text = std::io::Error::from_raw_os_error(number).to_string();
    text.split(" (").next().unwrap_or_default().to_owned()
}
