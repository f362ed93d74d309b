//! The file: what a start finds, refuses, moves aside.

use std::{
    fs,
    path::{Path, PathBuf},
};

use redb::{
    Database, Key, ReadableDatabase as _, ReadableTable as _, StorageBackend as _, TableDefinition,
    backends::InMemoryBackend,
};

use super::*;
use crate::store::{
    Full, OpenError,
    envelope::{self, Kind},
    open, open_backend,
    tables::{ALERTS, FORMAT_KEY, META, NAMES, SET_ASIDE, TOLD},
};

fn file(dir: &Path) -> PathBuf {
    dir.join("fanfare.redb")
}

/// Flips a bit in the body of the n-th record of a table. Returns its key.
pub(super) fn spoil<K: Key + 'static>(
    dir: &Path,
    table: TableDefinition<'static, K, &'static [u8]>,
    nth: usize,
) -> String {
    let database = Database::open(file(dir)).unwrap();
    let txn = database.begin_write().unwrap();
    let mut table = txn.open_table(table).unwrap();
    let (key, mut record) = {
        let (key, record) = table.iter().unwrap().nth(nth).unwrap().unwrap();
        (K::as_bytes(&key.value()).as_ref().to_vec(), record.value().to_vec())
    };
    let last = record.len() - 1;
    record[last] ^= 4;
    table.insert(K::from_bytes(&key), record.as_slice()).unwrap();
    drop(table);
    txn.commit().unwrap();
    format!("{key:?}")
}

/// The records set aside.
pub(super) fn set_aside(dir: &Path, store: Arc<Redb>) -> Vec<Vec<u8>> {
    drop(store);
    let database = Database::open(file(dir)).unwrap();
    let table = database.begin_read().unwrap().open_table(SET_ASIDE).unwrap();
    table.iter().unwrap().map(|entry| entry.unwrap().1.value().to_vec()).collect()
}

fn two_alerts(dir: &Path) {
    let (store, loaded) = open(dir, settings()).unwrap();
    assert_eq!((loaded.alerts.len(), loaded.set_aside), (0, 0));
    write(
        &store,
        vec![
            fact(Fact::Alert(AlertId(1), alert("a"))),
            fact(Fact::Told(AlertId(1), told("a/r", &["a/t", "a/u"]))),
            fact(Fact::Alert(AlertId(2), alert("b"))),
            fact(Fact::Told(AlertId(2), told("a/s", &["a/t"]))),
            fact(Fact::Alert(AlertId(3), alert("c"))),
        ],
    );
    write(&store, vec![fact(Fact::Forget(AlertId(3)))]);
}

#[test]
fn facts_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    two_alerts(&dir.path().join("made/for/us"));
    let (store, loaded) = open(&dir.path().join("made/for/us"), settings()).unwrap();
    let [first, second] = loaded.alerts.as_slice() else { panic!("{loaded:?}") };
    assert_eq!((first.id, &first.alert), (AlertId(1), &alert("a")));
    assert_eq!(first.told, Some(told("a/r", &["a/t", "a/u"])));
    assert_eq!((second.id, &second.alert), (AlertId(2), &alert("b")));
    assert_eq!((loaded.set_aside, loaded.damaged), (0, None));
    assert_eq!(store.stats().alerts, 2);
}

#[test]
fn alerts_can_be_taken_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    two_alerts(dir.path());
    let stream = Settings { stream_alerts: true, ..settings() };
    let (store, loaded) = open(dir.path(), stream).unwrap();
    assert!(loaded.alerts.is_empty());
    assert_eq!(store.stats().alerts, 2);
    let mut found = Vec::new();
    assert_eq!(store.restore(&mut |restored| found.push(restored)).unwrap(), 2);
    assert_eq!((found[0].id, &found[0].alert), (AlertId(1), &alert("a")));
    assert_eq!(found[0].told, Some(told("a/r", &["a/t", "a/u"])));
    assert_eq!(found[1].told, Some(told("a/s", &["a/t"])));
}

#[test]
fn second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, _) = open(dir.path(), settings()).unwrap();
    let error = open(dir.path(), settings()).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error:?}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
}

#[test]
fn file_of_another_version_is_refused_and_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    two_alerts(dir.path());
    let database = Database::open(file(dir.path())).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(META).unwrap().insert(FORMAT_KEY, [7, 0, 0, 0].as_slice()).unwrap();
    txn.commit().unwrap();
    drop(database);
    let before = fs::read(file(dir.path())).unwrap();
    let error = open(dir.path(), settings()).unwrap_err();
    assert!(matches!(error, OpenError::UnknownVersion { found: 7, known: 3, .. }), "{error:?}");
    assert!(error.to_string().contains("a file format 7"), "{error}");
    assert_eq!(fs::read(file(dir.path())).unwrap(), before);
}

#[test]
fn intact_record_of_another_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    two_alerts(dir.path());
    let database = Database::open(file(dir.path())).unwrap();
    let txn = database.begin_write().unwrap();
    let mut record = envelope::begin(Kind::Alert);
    record.0[0] = 9;
    let record = envelope::seal(&1_u64.to_be_bytes(), record);
    txn.open_table(ALERTS).unwrap().insert(1, record.as_slice()).unwrap();
    txn.commit().unwrap();
    drop(database);
    let error = open(dir.path(), settings()).unwrap_err();
    assert!(error.to_string().contains("a record of format 9"), "{error}");
    let error = open(dir.path(), settings()).unwrap_err();
    assert!(matches!(error, OpenError::UnknownVersion { found: 9, .. }), "{error:?}");
}

#[test]
fn file_of_another_redb_is_refused_and_not_moved() {
    let dir = tempfile::tempdir().unwrap();
    two_alerts(dir.path());
    let mut bytes = fs::read(file(dir.path())).unwrap();
    (bytes[64], bytes[192]) = (4, 4);
    fs::write(file(dir.path()), &bytes).unwrap();
    let error = open(dir.path(), settings()).unwrap_err();
    assert!(matches!(error, OpenError::UnknownVersion { found: 4, known: 3, .. }), "{error:?}");
    assert_eq!(fs::read(file(dir.path())).unwrap(), bytes);
}

#[test]
fn bad_record_is_set_aside_at_a_start_and_its_neighbours_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    two_alerts(dir.path());
    spoil(dir.path(), ALERTS, 0);
    let (store, loaded) = open(dir.path(), settings()).unwrap();
    assert_eq!(loaded.alerts.len(), 1);
    assert_eq!((loaded.alerts[0].id, loaded.set_aside), (AlertId(2), 2), "and what was told of it");
    assert_eq!((store.stats().set_aside, store.stats().alerts), (2, 1));
    drop(store);
    spoil(dir.path(), TOLD, 0);
    let (store, loaded) = open(dir.path(), settings()).unwrap();
    assert_eq!((loaded.alerts.len(), loaded.set_aside), (1, 1));
    assert_eq!(loaded.alerts[0].told, None);
    assert_eq!(set_aside(dir.path(), store).len(), 3, "kept");
}

#[test]
fn names_that_nothing_refers_to_are_forgotten_at_a_start() {
    let dir = tempfile::tempdir().unwrap();
    two_alerts(dir.path());
    let names = || {
        let database = Database::open(file(dir.path())).unwrap();
        let table = database.begin_read().unwrap().open_table(NAMES).unwrap();
        table.iter().unwrap().count()
    };
    assert_eq!(names(), 4);
    let (store, _) = open(dir.path(), settings()).unwrap();
    write(&store, vec![fact(Fact::Forget(AlertId(1)))]);
    drop(store);
    let (store, loaded) = open(dir.path(), settings()).unwrap();
    assert_eq!(loaded.alerts[0].told, Some(told("a/s", &["a/t"])));
    write(&store, vec![fact(Fact::Told(AlertId(2), told("a/new", &["a/t"])))]);
    drop(store);
    assert_eq!(names(), 3, "a/s and a/t were kept, a/new came");
    let (_, loaded) = open(dir.path(), settings()).unwrap();
    assert_eq!(loaded.alerts[0].told, Some(told("a/new", &["a/t"])));
}

#[test]
fn damaged_file_is_moved_aside_and_named() {
    let dir = tempfile::tempdir().unwrap();
    for (at, with) in [(0, b'x'), (64 + 2, 0xFF), (4096 + 7, 0xFF)] {
        two_alerts(dir.path());
        let mut bytes = fs::read(file(dir.path())).unwrap();
        for byte in &mut bytes[at..at + 200] {
            *byte = with;
        }
        fs::write(file(dir.path()), &bytes).unwrap();
        let (store, loaded) = open(dir.path(), settings()).unwrap();
        let aside = loaded.damaged.clone().unwrap_or_else(|| panic!("{at}: {loaded:?}"));
        assert_eq!(fs::read(&aside).unwrap().len(), bytes.len(), "kept");
        assert_eq!(store.stats().damaged, Some(aside.clone()));
        assert!(loaded.alerts.is_empty());
        write(&store, vec![fact(Fact::Alert(AlertId(1), alert("new")))]);
        drop(store);
        let (store, loaded) = open(dir.path(), settings()).unwrap();
        assert_eq!((loaded.alerts.len(), loaded.damaged), (1, None));
        assert!(aside.exists());
        drop(store);
        fs::remove_file(file(dir.path())).unwrap();
    }
}

#[test]
fn flipped_bits_never_give_a_wrong_record() {
    let dir = tempfile::tempdir().unwrap();
    two_alerts(dir.path());
    let whole = fs::read(file(dir.path())).unwrap();
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..300 {
        let mut bytes = whole.clone();
        let bit = random.usize(..8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        let storage = InMemoryBackend::new();
        storage.set_len(bytes.len() as u64).unwrap();
        storage.write(0, &bytes).unwrap();
        let loaded = match open_backend(storage, settings()) {
            Ok((_, loaded)) => loaded,
            Err(OpenError::UnknownVersion { .. } | OpenError::Damaged { .. }) => continue,
            Err(error) => panic!("{bit}: {error}"),
        };
        for found in loaded.alerts {
            let name = if found.id == AlertId(1) { "a" } else { "b" };
            assert_eq!(found.alert, alert(name), "{bit}");
        }
    }
}

#[test]
fn suspect_file_is_read_whole_before_it_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), settings()).unwrap();
    let ops = ["1", "2", "3"].map(|id| queued("a/t", id, 9, WhenFull::DeadLetterOldest));
    write(&store, ops.into());
    drop(store);
    // Where a start does not look: in the text of a queued notification.
    let mut bytes = fs::read(file(dir.path())).unwrap();
    let body = bytes
        .windows(9)
        .rposition(|window| window == b"is wrong\x02")
        .or_else(|| bytes.windows(8).rposition(|window| window == b"is wrong"));
    bytes[body.unwrap()] ^= 1;
    fs::write(file(dir.path()), &bytes).unwrap();
    let (_, loaded) = open(dir.path(), settings()).unwrap();
    assert_eq!(loaded.damaged, None, "one bad record is no bad file");
    fs::write(dir.path().join("fanfare.redb.suspect"), b"").unwrap();
    fs::write(file(dir.path()), &bytes).unwrap();
    let (_, loaded) = open(dir.path(), settings()).unwrap();
    assert!(loaded.damaged.is_some());
    assert!(!dir.path().join("fanfare.redb.suspect").exists());
}

#[test]
fn half_made_file_is_no_store_and_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("fanfare.redb.new"), b"cut short").unwrap();
    let (_, loaded) = open(dir.path(), settings()).unwrap();
    assert_eq!(loaded.damaged, None);
    assert!(!dir.path().join("fanfare.redb.new").exists());
}

#[test]
fn nearly_full_disk_refuses_new_facts_and_takes_outcomes() {
    let dir = tempfile::tempdir().unwrap();
    let full = Settings { low_water: u64::MAX..=u64::MAX, ..settings() };
    let (store, _) = open(dir.path(), full).unwrap();
    assert_eq!(store.room(1), Err(Full::Disk));
    assert!(store.stats().full && store.stats().free_bytes > 0);
    write(&store, vec![fact(Fact::Told(AlertId(1), told("a/r", &["a/t"])))]);
    drop(store);
    let (store, _) = open(dir.path(), settings()).unwrap();
    assert_eq!((store.room(1), store.stats().full), (Ok(()), false));
}

#[test]
fn deleted_or_replaced_file_fails_the_store() {
    for replaced in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        two_alerts(dir.path());
        let (store, _) = open(dir.path(), settings()).unwrap();
        fs::rename(file(dir.path()), dir.path().join("moved")).unwrap();
        if replaced {
            fs::copy(dir.path().join("moved"), file(dir.path())).unwrap();
        }
        let step = loop {
            let _ = store.room(1);
            let seq = store.submit(vec![fact(Fact::Alert(AlertId(3), alert("c")))], false);
            if let Err(failed) = block_on(store.durable(seq)) {
                break failed.step;
            }
        };
        assert_eq!(step, "find the file", "replaced: {replaced}");
    }
}

#[test]
fn reserve_is_taken_where_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let reserve = Settings { reserve_bytes: 1 << 20, ..settings() };
    let (_store, _) = open(dir.path(), reserve).unwrap();
    assert_eq!(fs::metadata(dir.path().join("fanfare.reserve")).unwrap().len(), 1 << 20);
}

#[test]
fn directory_in_the_place_of_the_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(file(dir.path())).unwrap();
    let error = open(dir.path(), settings()).unwrap_err();
    assert!(error.to_string().contains("fanfare.redb is a directory"), "{error}");
    assert!(matches!(error, OpenError::NoFile { .. }), "{error:?}");
}

#[test]
fn damaged_storage_that_is_no_file_is_refused() {
    let storage = InMemoryBackend::new();
    storage.set_len(10_000).unwrap();
    let error = open_backend(storage, settings()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}
