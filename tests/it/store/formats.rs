//! Formats of the file: what a later version wrote is refused and kept, to the byte where it was closed.
//! That files of every earlier format are read is tested where they are, in the room.

use std::{fs, path::Path};

use fanfare::store::{self, OpenError, Store as _};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::load::Load;
use super::machine::settings;

const FILE: &str = "fanfare.redb";
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const ALERTS: TableDefinition<u64, &[u8]> = TableDefinition::new("alerts");

/// Writes something of everything to `dir`.
fn write(dir: &Path) {
    let mut load = Load::new(1);
    let (store, _) = store::open(dir, settings()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for _ in 0..25 {
        let seq = store.submit(load.ops(&store), false);
        runtime.block_on(store.durable(seq)).unwrap();
    }
    store.close();
}

/// Changes a file behind the store's back, and closes it in order or leaves it as after a crash.
fn edit(dir: &Path, closed: bool, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(dir.join(FILE)).unwrap();
    let mut transaction = database.begin_write().unwrap();
    transaction.set_quick_repair(true);
    change(&transaction);
    transaction.commit().unwrap();
    let crashed = fs::read(dir.join(FILE)).unwrap();
    drop(database);
    if !closed {
        fs::write(dir.join(FILE), crashed).unwrap();
    }
}

/// The refusal of a directory in which nothing may be moved or lost.
fn refusal(dir: &Path) -> OpenError {
    let before = content(dir);
    let error = store::open(dir, settings()).unwrap_err();
    assert!(dir.join(FILE).exists(), "the file was moved");
    assert_eq!(content(dir), before);
    error
}

/// Every record of the file, as the one who wrote it finds them.
fn content(dir: &Path) -> Vec<String> {
    let copy = dir.with_extension("copy");
    fs::copy(dir.join(FILE), &copy).unwrap();
    let database = Database::open(&copy).unwrap();
    let transaction = database.begin_read().unwrap();
    let alerts = transaction.open_table(ALERTS).unwrap();
    let alerts = alerts.iter().unwrap().map(|entry| {
        let (key, value) = entry.unwrap();
        format!("{} {:?}", key.value(), value.value())
    });
    let meta = transaction.open_table(META).unwrap();
    let meta = meta.iter().unwrap().map(|entry| {
        let (key, value) = entry.unwrap();
        format!("{} {:?}", key.value(), value.value())
    });
    let all = alerts.chain(meta).collect();
    drop((transaction, database));
    fs::remove_file(copy).unwrap();
    all
}

fn write_format(transaction: &redb::WriteTransaction, format: u32) {
    let mut meta = transaction.open_table(META).unwrap();
    let before = meta.insert("format", &format.to_le_bytes()[..]).unwrap();
    assert!(before.is_some(), "the format stands elsewhere by now");
}

fn assert_names(error: &OpenError, dir: &Path, format: u32) {
    let text = error.to_string();
    assert!(matches!(error, OpenError::UnknownVersion { found, .. } if *found == format), "{text}");
    assert!(text.contains(&dir.display().to_string()), "{text}");
    assert!(text.contains(&format.to_string()), "{text}");
}

/// A newer program wrote the file and stopped in order. Control: with the version ignored, the file
/// is opened.
#[test]
fn file_of_a_later_format_is_refused_and_untouched_to_the_byte() {
    for format in [0, 4, 77, u32::MAX] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path());
        edit(dir.path(), true, |transaction| write_format(transaction, format));
        let before = fs::read(dir.path().join(FILE)).unwrap();
        assert_names(&refusal(dir.path()), dir.path(), format);
        assert!(fs::read(dir.path().join(FILE)).unwrap() == before, "the file was changed");
    }
}

/// A newer program wrote the file and was killed: redb mends what it must before it can be read, but
/// no record is touched.
#[test]
fn file_of_a_later_format_that_was_killed_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    edit(dir.path(), false, |transaction| write_format(transaction, 4));
    for _ in 0..2 {
        assert_names(&refusal(dir.path()), dir.path(), 4);
    }
    edit(dir.path(), true, |transaction| write_format(transaction, 3));
    let (_, loaded) = store::open(dir.path(), settings()).unwrap();
    assert!(!loaded.alerts.is_empty() && loaded.set_aside == 0 && loaded.damaged.is_none());
}

/// CRC-32C, bit by bit: not the store's own.
fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut sum = u32::MAX;
    for byte in parts.iter().copied().flatten() {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg());
        }
    }
    !sum
}

/// Gives one alert another format version, with a checksum that fits.
fn rewrite_one_alert(transaction: &redb::WriteTransaction, version: u8) {
    let mut alerts = transaction.open_table(ALERTS).unwrap();
    let (key, mut record) = {
        let first = alerts.first().unwrap().expect("there are alerts");
        (first.0.value(), first.1.value().to_vec())
    };
    let sum = |record: &[u8]| crc32c(&[&key.to_be_bytes(), &record[..2], &record[6..]]);
    assert_eq!(record[2..6], sum(&record).to_le_bytes(), "records look different by now");
    record[0] = version;
    let sum = sum(&record).to_le_bytes();
    record[2..6].copy_from_slice(&sum);
    alerts.insert(key, &record[..]).unwrap();
}

#[test]
fn record_of_a_later_format_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    edit(dir.path(), true, |transaction| rewrite_one_alert(transaction, 9));
    let error = refusal(dir.path());
    assert!(matches!(error, OpenError::UnknownVersion { found: 9, .. }), "{error}");
}

/// The control of the two above: the same edit with the version that is known changes nothing.
#[test]
fn file_rewritten_in_the_known_format_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let database = Database::open(dir.path().join(FILE)).unwrap();
    let transaction = database.begin_read().unwrap();
    let known = transaction.open_table(ALERTS).unwrap().first().unwrap().unwrap().1.value()[0];
    drop((transaction, database));
    edit(dir.path(), true, |transaction| rewrite_one_alert(transaction, known));
    let (_, loaded) = store::open(dir.path(), settings()).unwrap();
    assert_eq!(loaded.set_aside, 0);
}

#[test]
fn file_that_is_no_store_is_moved_aside_and_kept() {
    for content in [&b"not a database"[..], &[0; 10_000], b""] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), content).unwrap();
        let (store, loaded) = store::open(dir.path(), settings()).unwrap();
        assert!(loaded.alerts.is_empty());
        if content.is_empty() {
            // As left by a crash right after the file was made: there was nothing in it.
            assert_eq!(loaded.damaged, None);
            continue;
        }
        let moved = loaded.damaged.expect("it is named");
        assert_eq!(fs::read(&moved).unwrap(), content);
        assert!(moved.starts_with(dir.path()), "{}", moved.display());
        assert_eq!(store.stats().damaged, Some(moved));
    }
}
