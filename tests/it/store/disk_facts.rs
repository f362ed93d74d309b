//! The simulated disk itself: what it keeps, what it may lose, and how it fails.

use redb::{Builder, Database, ReadableDatabase as _, StorageBackend as _, TableDefinition};

use super::disk::{Disk, EIO, ENOSPC, EROFS, Fault, Kind};

const TABLE: TableDefinition<u64, u64> = TableDefinition::new("numbers");
const SEEDS: u64 = 200;

fn errno<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// A disk with four synced sectors of 1 and the same sectors written with 2 since.
fn half_synced(seed: u64) -> Disk {
    let disk = Disk::new(seed);
    let file = disk.open();
    file.set_len(2_048).unwrap();
    file.write(0, &[1; 2_048]).unwrap();
    file.sync_data().unwrap();
    file.write(0, &[2; 2_048]).unwrap();
    disk
}

#[test]
fn synced_data_survives_every_power_cut() {
    for seed in 0..SEEDS {
        let disk = half_synced(seed);
        disk.open().sync_data().unwrap();
        disk.power_cut();
        disk.power_on();
        assert_eq!(disk.image(), [2; 2_048], "seed {seed}");
    }
}

/// Control: without this, no power test could ever fail.
#[test]
fn unsynced_data_is_kept_lost_and_torn() {
    let (mut kept, mut lost, mut torn) = (0, 0, 0);
    for seed in 0..SEEDS {
        let disk = half_synced(seed);
        disk.power_cut();
        disk.power_on();
        let image = disk.image();
        for sector in image.chunks(512) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is torn, seed {seed}");
        }
        match image.chunks(512).filter(|sector| sector[0] == 2).count() {
            0 => lost += 1,
            4 => kept += 1,
            _ => torn += 1,
        }
    }
    assert!(kept > 10 && lost > 10 && torn > 10, "kept {kept}, lost {lost}, torn {torn}");
}

#[test]
fn younger_write_may_survive_without_the_older() {
    let reordered = (0..SEEDS).any(|seed| {
        let disk = Disk::new(seed);
        let file = disk.open();
        file.set_len(8_192).unwrap();
        file.sync_data().unwrap();
        file.write(0, &[1; 512]).unwrap();
        file.write(4_096, &[2; 512]).unwrap();
        disk.power_cut();
        disk.power_on();
        let image = disk.image();
        image[0] == 0 && image[4_096] == 2
    });
    assert!(reordered);
}

#[test]
fn length_that_was_not_synced_may_be_lost() {
    let lengths: std::collections::BTreeSet<usize> = (0..SEEDS)
        .map(|seed| {
            let disk = Disk::new(seed);
            let file = disk.open();
            file.set_len(512).unwrap();
            file.sync_data().unwrap();
            file.set_len(1_024).unwrap();
            file.write(512, &[1; 512]).unwrap();
            disk.power_cut();
            disk.power_on();
            disk.image().len()
        })
        .collect();
    assert_eq!(lengths, [512, 1_024].into());
}

#[test]
fn ignored_sync_confirms_nothing() {
    let lost = (0..SEEDS).any(|seed| {
        let disk = half_synced(seed);
        disk.ignore_syncs();
        disk.open().sync_data().unwrap();
        disk.power_cut();
        disk.power_on();
        disk.image() != [2; 2_048]
    });
    assert!(lost);
}

#[test]
fn what_a_failed_sync_lost_no_later_sync_brings_back() {
    let lost = (0..SEEDS).any(|seed| {
        let disk = half_synced(seed);
        disk.fail(Fault { kind: Some(Kind::Sync), nth: 1, errno: EIO, lasting: false });
        let file = disk.open();
        assert_eq!(errno(file.sync_data()), Some(EIO));
        assert!(disk.fault_struck());
        file.sync_data().unwrap();
        assert_eq!(disk.image(), [2; 2_048], "the page cache still shows it");
        disk.drop_caches();
        disk.image() != [2; 2_048]
    });
    assert!(lost);
}

#[test]
fn fault_strikes_the_nth_of_its_kind() {
    let disk = half_synced(1);
    let file = disk.open();
    disk.fail(Fault { kind: Some(Kind::Write), nth: 2, errno: EIO, lasting: true });
    file.write(0, &[3; 512]).unwrap();
    file.sync_data().unwrap();
    assert!(!disk.fault_struck());
    assert_eq!(errno(file.write(512, &[3; 512])), Some(EIO));
    assert_eq!(errno(file.write(512, &[3; 512])), Some(EIO));
    file.sync_data().unwrap();
    disk.heal();
    file.write(512, &[3; 512]).unwrap();
}

#[test]
fn full_disk_refuses_blocks_it_has_not_given_yet() {
    let disk = half_synced(1);
    disk.limit(8_192);
    let file = disk.open();
    file.set_len(1 << 20).unwrap();
    file.write(4_096, &[1; 4_096]).unwrap();
    assert_eq!(errno(file.write(8_192, &[1; 4_096])), Some(ENOSPC));
    assert_eq!(disk.used(), 8_192);
    file.write(0, &[1; 4_096]).unwrap();
    file.set_len(4_096).unwrap();
    file.set_len(1 << 20).unwrap();
    file.write(8_192, &[1; 4_096]).unwrap();
}

#[test]
fn read_only_disk_refuses_changes_only() {
    let disk = half_synced(1);
    disk.make_read_only();
    let file = disk.open();
    assert_eq!(errno(file.write(0, &[3; 512])), Some(EROFS));
    assert_eq!(errno(file.set_len(512)), Some(EROFS));
    file.read(0, &mut [0; 512]).unwrap();
    assert_eq!(disk.image(), [2; 2_048]);
}

#[test]
fn file_opened_before_the_power_failed_is_dead() {
    let disk = half_synced(1);
    let file = disk.open();
    disk.power_cut_at(2);
    file.write(0, &[3; 512]).unwrap();
    assert!(file.sync_data().is_err());
    assert!(!disk.is_on());
    disk.power_on();
    assert!(file.read(0, &mut [0; 512]).is_err());
    disk.open().read(0, &mut [0; 512]).unwrap();
    assert_eq!(disk.counts().reads, 1);
}

#[test]
fn held_sync_returns_when_it_is_released() {
    let disk = half_synced(1);
    let _held = disk.hold_syncs();
    let file = disk.open();
    let syncing = std::thread::spawn(move || file.sync_data());
    while disk.syncs_waiting() == 0 {
        std::thread::yield_now();
    }
    assert!(!syncing.is_finished());
    disk.release_syncs();
    syncing.join().unwrap().unwrap();
}

#[test]
fn journal_rebuilds_the_file() {
    let disk = Disk::new(1);
    disk.record();
    let file = disk.open();
    file.set_len(1_024).unwrap();
    file.write(100, &[1; 600]).unwrap();
    file.sync_data().unwrap();
    let mut rebuilt = Vec::new();
    for change in disk.journal() {
        super::disk::apply(&mut rebuilt, &change);
    }
    assert_eq!(rebuilt, disk.image());
}

fn database(disk: &Disk) -> Result<Database, redb::DatabaseError> {
    Builder::new().set_cache_size(1 << 20).create_with_backend(disk.open())
}

fn commit(database: &Database, number: u64) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    transaction.open_table(TABLE)?.insert(number, number)?;
    transaction.commit()?;
    Ok(())
}

/// Commits until the power fails at the `nth` change; whether everything committed is there afterwards.
fn redb_keeps_its_promise(disk: &Disk, nth: u64) -> bool {
    let opened = database(disk).unwrap();
    disk.power_cut_at(nth);
    let mut committed = 0;
    while commit(&opened, committed).is_ok() {
        committed += 1;
    }
    drop(opened);
    disk.power_on();
    let Ok(opened) = database(disk) else { return false };
    let transaction = opened.begin_read().unwrap();
    let Ok(table) = transaction.open_table(TABLE) else { return committed == 0 };
    (0..committed).all(|number| matches!(table.get(number), Ok(Some(_))))
}

#[test]
fn engine_loses_nothing_unless_syncs_are_ignored() {
    let mut lost = 0;
    for seed in 0..40 {
        let nth = 20 + seed * 3;
        assert!(redb_keeps_its_promise(&Disk::new(seed), nth), "seed {seed}");
        let control = Disk::new(seed);
        control.ignore_syncs();
        // A file that was written in no order at all makes redb panic now and then.
        let kept = std::panic::catch_unwind(|| redb_keeps_its_promise(&control, nth));
        lost += usize::from(!kept.unwrap_or(false));
    }
    assert!(lost > 5, "lost {lost} times of 40");
}
