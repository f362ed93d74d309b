//! A damaged file: no wrong content is ever handed out, what is lost is what was hit, and the
//! process lives on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fanfare::{
    api::TargetKey,
    dispatch::Fact,
    store::{self, Op, OpenError, Store as _},
};
use futures::FutureExt as _;
use redb::TableDefinition;

use super::apart::in_a_process;
use super::disk::{Change, Disk, apply};
use super::load::Load;
use super::machine::settings;
use super::model::Picture;

const SIZES: TableDefinition<u32, &[u8]> = TableDefinition::new("queue_sizes");
const NAMES: TableDefinition<u32, &[u8]> = TableDefinition::new("names");

/// Damages of one file, before another is written.
const FILE: u64 = 500;

/// Damages in a run: `FANFARE_FLIPS`.
pub(super) fn flips(default: u64) -> u64 {
    std::env::var("FANFARE_FLIPS").map_or(default, |flips| flips.parse().unwrap())
}

/// Where to begin: `FANFARE_SEED`, as a failure names it.
pub(super) fn first_seed() -> u64 {
    std::env::var("FANFARE_SEED").map_or(1, |seed| seed.parse().unwrap())
}

pub(super) fn wait(store: &store::Redb, seq: store::Seq) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.durable(seq)).is_ok()
}

/// A file with something of everything in it, what it holds, and the changes that led to it: for
/// each of the last submissions, how many changes there were when it was confirmed.
pub(super) struct Written {
    pub(super) picture: Picture,
    pub(super) image: Vec<u8>,
    changes: Vec<Change>,
    confirmed: Vec<(usize, Picture)>,
}

pub(super) fn written(seed: u64) -> Written {
    let disk = Disk::new(seed);
    disk.record();
    let mut load = Load::new(seed);
    let (store, _) = store::open_backend(disk.open(), settings()).unwrap();
    let mut confirmed = Vec::new();
    for _ in 0..80 {
        let seq = store.submit(load.ops(&store), false);
        assert!(wait(&store, seq));
        confirmed.push((disk.journal().len(), load.ahead.clone()));
    }
    store.close();
    drop(store);
    Written { picture: load.ahead, image: disk.image(), changes: disk.journal(), confirmed }
}

/// What became of a damaged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was opened: so many things are missing.
    Opened { missing: usize },
    /// It was refused, at the start or by a reader.
    Refused,
}

/// Opens a damaged file, reads everything, writes a little and reads again.
pub(super) fn open_damaged(image: Vec<u8>, whole: &Picture) -> Result<End, String> {
    let disk = Disk::with_image(1, image);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let (store, loaded) = match store::open_backend(disk.open(), settings()) {
            Ok(opened) => opened,
            Err(OpenError::Damaged { .. } | OpenError::UnknownVersion { .. }) => {
                return Ok(End::Refused);
            }
            Err(other) => return Err(format!("refused with {other:?}")),
        };
        let read = catch_unwind(AssertUnwindSafe(|| Picture::read(&store, &loaded)));
        let (found, ids) = match read {
            Ok(Ok(read)) => read,
            // A page of a tree is hit: redb says so, or panics inside the store, which says so. Then the
            // program must learn that it can't go on.
            Ok(Err(_)) if store.failed().now_or_never().is_some() => return Ok(End::Refused),
            Ok(Err(error)) => return Err(format!("{error}, but the store has not failed")),
            Err(_) => return Err("reading panicked".to_owned()),
        };
        if !found.is_part_of(whole) {
            return Err(format!("wrong content: {}", whole.difference(&found).unwrap_or_default()));
        }
        let mut load = Load::new(9);
        (load.ids, load.ahead) = (ids, found.clone());
        for _ in 0..5 {
            let seq = store.submit(load.ops(&store), false);
            if !wait(&store, seq) {
                if store.failed().now_or_never().is_none() {
                    return Err("a write failed, but the store has not".to_owned());
                }
                break;
            }
        }
        store.close();
        Ok(End::Opened { missing: whole.len() - found.len() })
    }));
    outcome.unwrap_or_else(|_| Err("it panicked".to_owned()))
}

pub(super) fn offset(rng: &mut fastrand::Rng, image: &[u8]) -> usize {
    loop {
        let offset = rng.usize(0..image.len());
        // Most of the file is free; what is not zero is more often in use.
        if image[offset] != 0 || rng.u8(0..8) == 0 {
            return offset;
        }
    }
}

/// Damages a file many times in one way.
fn damage_many(default: u64, mut damage: impl FnMut(&mut Vec<u8>, &mut fastrand::Rng) -> String) {
    let (mut lost, mut refused) = (0, 0);
    let first = first_seed();
    let mut file = written((first / FILE * FILE).max(1));
    for seed in first..first + flips(default) {
        if seed.is_multiple_of(FILE) && seed > first {
            file = written(seed);
        }
        let mut image = file.image.clone();
        let what = damage(&mut image, &mut fastrand::Rng::with_seed(seed));
        match open_damaged(image, &file.picture) {
            Ok(End::Opened { missing }) => lost += u64::from(missing > 0),
            Ok(End::Refused) => refused += 1,
            Err(error) => panic!("FANFARE_SEED={seed}, {what}: {error}"),
        }
    }
    assert!(lost + refused > 0, "no damage hit anything");
}

/// Control: without the checksums over key and content, wrong content is found.
#[test]
fn flipped_bits_never_deliver_wrong_content() {
    in_a_process("store::damage::flipped_bits_never_deliver_wrong_content", || {
        damage_many(1_000, |image, rng| {
            let at = offset(rng, image);
            let bit = rng.u8(0..8);
            image[at] ^= 1 << bit;
            format!("bit {bit} of byte {at}")
        });
    });
}

#[test]
fn lost_sectors_never_deliver_wrong_content() {
    in_a_process("store::damage::lost_sectors_never_deliver_wrong_content", || {
        damage_many(300, |image, rng| {
            let start = offset(rng, image) / 512 * 512;
            let fill = if rng.bool() { 0 } else { rng.u8(..) };
            image[start..start + 512].fill(fill);
            format!("sector at {start} filled with {fill}")
        });
    });
}

/// A file that was cut short, as by a failed copy or a volume that lost its end.
#[test]
fn truncated_file_is_refused_or_right() {
    in_a_process("store::damage::truncated_file_is_refused_or_right", || {
        let length = written(1).image.len();
        let from = length.saturating_sub(64 * 1024);
        damage_many(200, |image, rng| {
            let length =
                if rng.u8(0..4) == 0 { rng.usize(0..length) } else { rng.usize(from..length) };
            image.truncate(length);
            format!("cut at {length}")
        });
    });
}

/// Replaces every copy of `needle`: the one in use and those in pages that are free by now.
pub(super) fn spoil(image: &mut [u8], needle: &str) {
    let needle = needle.as_bytes();
    let mut at = 0;
    while let Some(found) = image[at..].windows(needle.len()).position(|part| part == needle) {
        image[at + found + needle.len() / 2] ^= 0x10;
        at += found + needle.len();
    }
}

fn reopen(image: Vec<u8>) -> (Picture, usize, u64) {
    let disk = Disk::with_image(1, image);
    let (store, loaded) = store::open_backend(disk.open(), settings()).unwrap();
    let (picture, _) = Picture::read(&store, &loaded).unwrap();
    // Reading the queues sets aside what can't be read; that is written too.
    let seq = store.submit(Vec::new(), false);
    assert!(wait(&store, seq));
    store.close();
    drop(store);
    let (store, again) = store::open_backend(disk.open(), settings()).unwrap();
    assert_eq!(Picture::of(&store, &again).unwrap().0, picture, "it is the same at the next start");
    (picture, loaded.set_aside, store.stats().set_aside)
}

#[test]
fn spoilt_alert_is_set_aside_and_its_neighbours_go_on() {
    let file = written(3);
    assert!(file.picture.alerts.len() > 10);
    for id in file.picture.alerts.keys() {
        let mut image = file.image.clone();
        spoil(&mut image, &format!("alert {id:05}"));
        let (found, set_aside, counted) = reopen(image);
        let mut expected = file.picture.clone();
        expected.alerts.remove(id);
        assert_eq!(expected.difference(&found), None, "alert {id}");
        assert!(set_aside >= 1 && counted >= 1, "alert {id}: {set_aside}, {counted}");
    }
}

#[test]
fn spoilt_silence_is_set_aside_and_its_neighbours_go_on() {
    let file = (1..1_000).map(written).find(|file| file.picture.silences.len() > 1).unwrap();
    for id in file.picture.silences.keys() {
        let mut image = file.image.clone();
        spoil(&mut image, &format!("silence {id}"));
        let (found, set_aside, counted) = reopen(image);
        let mut expected = file.picture.clone();
        expected.silences.remove(id);
        assert_eq!(expected.difference(&found), None, "silence {id}");
        assert!(set_aside >= 1 && counted >= 1, "silence {id}: {set_aside}, {counted}");
    }
}

#[test]
fn spoilt_record_of_a_queue_is_set_aside_and_its_neighbours_go_on() {
    let file = written(4);
    let mut hit = 0;
    for (queue, waiting) in &file.picture.queues {
        for (place, record) in waiting.iter().enumerate() {
            let mut image = file.image.clone();
            spoil(&mut image, &format!("group of alert {:0>5}", &record.name[1..]));
            let (found, _, counted) = reopen(image);
            let mut expected = file.picture.clone();
            expected.queues.get_mut(queue).unwrap().remove(place);
            expected.queues.retain(|_, waiting| !waiting.is_empty());
            assert_eq!(expected.difference(&found), None, "{queue:?} {place}");
            assert!(counted >= 1, "{queue:?} {place}");
            hit += 1;
        }
    }
    assert!(hit > 5, "{hit}");
}

#[test]
fn spoilt_dead_letter_is_set_aside_and_its_neighbours_stay() {
    let file = (1..1_000).map(written).find(|file| file.picture.dead.len() > 5).unwrap();
    for name in file.picture.dead.keys() {
        let mut image = file.image.clone();
        spoil(&mut image, &format!("group of alert {:0>5}", &name[1..]));
        let (found, _, counted) = reopen(image);
        let mut expected = file.picture.clone();
        expected.dead.remove(name);
        assert_eq!(expected.difference(&found), None, "{name}");
        assert!(counted >= 1, "{name}");
    }
}

/// Changes a file behind the store's back.
fn edit(image: Vec<u8>, change: impl FnOnce(&redb::WriteTransaction)) -> Vec<u8> {
    let disk = Disk::with_image(1, image);
    let database = redb::Builder::new().create_with_backend(disk.open()).unwrap();
    let mut transaction = database.begin_write().unwrap();
    transaction.set_quick_repair(true);
    change(&transaction);
    transaction.commit().unwrap();
    drop(database);
    disk.image()
}

/// What only sums up other records costs nothing but a count. Control: a store that trusts the sizes
/// does not find the queues.
#[test]
fn lost_sizes_of_queues_cost_no_record() {
    let file = written(4);
    assert!(file.picture.queues.len() > 2);
    let image = edit(file.image, |transaction| {
        let mut sizes = transaction.open_table(SIZES).unwrap();
        sizes.retain(|_, _| false).unwrap();
    });
    let disk = Disk::with_image(1, image);
    for _ in 0..2 {
        let (store, loaded) = store::open_backend(disk.open(), settings()).unwrap();
        let (found, _) = Picture::of(&store, &loaded).unwrap();
        assert_eq!(file.picture.difference(&found), None);
    }
}

/// Records refer to their target by a number. When the name behind a number is lost, the number must
/// not become another target's, which would be sent what is not for it. Control: a store that counts
/// on from the highest name it can read gives the number away.
#[test]
fn queue_whose_name_is_lost_goes_to_nobody_else() {
    let file = written(4);
    let image = edit(file.image, |transaction| {
        let mut names = transaction.open_table(NAMES).unwrap();
        names.retain(|_, _| false).unwrap();
    });
    let disk = Disk::with_image(1, image);
    let mut load = Load::new(5);
    for round in 0..3 {
        let (store, _) = store::open_backend(disk.open(), settings()).unwrap();
        let mut added = Vec::new();
        for target in 0..20 {
            let mut queued = load.queued();
            queued.target = TargetKey::new("prod", &format!("new-{round}-{target}"));
            added.push((queued.target.clone(), queued.uid.clone(), queued.notification.id.clone()));
            let seq = store.submit(vec![Op::Fact(Fact::Enqueue(queued))], false);
            assert!(wait(&store, seq));
        }
        for (target, uid, name) in added {
            let waiting = store.queued(&target, &uid, None, 10).unwrap();
            let waiting: Vec<_> =
                waiting.iter().map(|(_, one)| one.notification.id.clone()).collect();
            assert_eq!(waiting, [name], "{target}");
        }
    }
}

/// Whatever part of the last writes reached the file, to the byte: what was confirmed before is
/// there. Control: [`super::power`]'s, and each of these images is a file that some crash leaves.
#[test]
fn every_prefix_of_the_writes_opens_with_what_was_confirmed() {
    let file = written(6);
    let bytes = |change: &Change| match change {
        Change::Write { data, .. } => data.len(),
        Change::SetLen(_) => 1,
    };
    let total: usize = file.changes.iter().map(bytes).sum();
    let mut rng = fastrand::Rng::with_seed(6);
    for _ in 0..flips(300) {
        let mut left = rng.usize(total - 64 * 1024..total);
        let mut image = Vec::new();
        let mut whole = 0;
        for change in &file.changes {
            if left < bytes(change) {
                if let Change::Write { offset, data } = change {
                    let data = data[..left].to_vec();
                    apply(&mut image, &Change::Write { offset: *offset, data });
                }
                break;
            }
            left -= bytes(change);
            whole += 1;
            apply(&mut image, change);
        }
        let disk = Disk::with_image(1, image);
        let (store, loaded) = store::open_backend(disk.open(), settings()).unwrap();
        let (found, _) = Picture::of(&store, &loaded).unwrap();
        let confirmed = file.confirmed.iter().filter(|(changes, _)| *changes <= whole).count();
        let after = &file.confirmed[confirmed.saturating_sub(1)..];
        assert!(
            after.iter().any(|(_, picture)| *picture == found),
            "{whole} changes, {left} bytes"
        );
    }
}
