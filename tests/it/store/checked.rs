//! A file that is read whole before it is trusted, and the header that says which commit is the last: nothing
//! that was confirmed is missing without a word.

use std::{fs, path::Path};

use fanfare::store::{self, Loaded, OpenError, Redb, Store as _};

use super::apart::in_a_process;
use super::damage::{End, first_seed, flips, offset, open_damaged, wait, written};
use super::disk::Disk;
use super::load::Load;
use super::machine::settings;
use super::model::Picture;

/// Where redb's header says which of the two commits that it describes is the last, and how both were made.
const FLAGS: usize = 9;
const LAST_IS_SECOND: u8 = 1;
/// Where the first description of a commit begins; each is so long.
const COMMITS: usize = 64;
const COMMIT: usize = 128;

/// A file that the next start does not trust.
fn put(dir: &Path, image: &[u8]) {
    fs::write(dir.join("fanfare.redb"), image).unwrap();
    fs::write(dir.join("fanfare.redb.suspect"), b"").unwrap();
}

fn picture(store: &Redb, loaded: &Loaded) -> Picture {
    Picture::of(store, loaded).unwrap().0
}

/// Control: without the check, some of these files are opened and lack a queued record or a dead letter.
#[test]
fn file_that_is_read_whole_is_right_or_moved_aside() {
    in_a_process("store::checked::file_that_is_read_whole_is_right_or_moved_aside", check_many);
}

fn check_many() {
    let first = first_seed();
    let file = written(first);
    let (mut whole, mut moved) = (0, 0);
    for seed in first..first + (flips(150) / 5).max(1) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut image = file.image.clone();
        let (at, bit) = (offset(&mut rng, &image), rng.u8(0..8));
        image[at] ^= 1 << bit;
        let dir = tempfile::tempdir().unwrap();
        let what = format!("FANFARE_SEED={seed}, bit {bit} of byte {at}");
        put(dir.path(), &image);
        let (store, loaded) = match store::open(dir.path(), settings()) {
            Ok(opened) => opened,
            Err(OpenError::UnknownVersion { .. }) => continue,
            Err(error) => panic!("{what}: {error}"),
        };
        if let Some(aside) = &loaded.damaged {
            assert_eq!(fs::metadata(aside).unwrap().len(), image.len() as u64, "{what}");
            moved += 1;
        } else {
            let found = picture(&store, &loaded);
            assert_eq!(file.picture.difference(&found), None, "{what}");
            whole += 1;
        }
    }
    assert!(whole > 0 && moved > 0, "{whole} and {moved}");
}

/// What a killed process leaves, with what was confirmed before the last commit and after it.
fn killed() -> (Vec<u8>, [Picture; 2]) {
    let disk = Disk::new(1);
    let mut load = Load::new(1);
    let (store, _) = store::open_backend(disk.open(), settings()).unwrap();
    let mut confirmed = [Picture::default(), Picture::default()];
    for _ in 0..20 {
        confirmed.swap(0, 1);
        let seq = store.submit(load.ops(&store), false);
        assert!(wait(&store, seq));
        confirmed[1] = load.ahead.clone();
    }
    (disk.image(), confirmed)
}

fn open(image: Vec<u8>) -> Result<Picture, OpenError> {
    let disk = Disk::with_image(1, image);
    let (store, loaded) = store::open_backend(disk.open(), settings())?;
    Ok(picture(&store, &loaded))
}

/// redb describes the last commit and the one before it. Where the description of the last is damaged, it could
/// go back to the one before, and what was confirmed last would be missing without a word. It does not, because
/// every commit is made in two phases. Control: commits without quick repair are made in one, and it does.
#[test]
fn nothing_goes_back_to_an_earlier_commit_because_the_last_is_damaged() {
    let test = "store::checked::nothing_goes_back_to_an_earlier_commit_because_the_last_is_damaged";
    in_a_process(test, damage_every_bit_of_the_commits);
}

fn damage_every_bit_of_the_commits() {
    let (image, [before, last]) = killed();
    assert_ne!(before, last);
    assert_eq!(last.difference(&open(image.clone()).unwrap()), None);
    let mut refused = 0;
    for at in (COMMITS..COMMITS + 2 * COMMIT).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut image = image.clone();
        image[at.0] ^= 1 << at.1;
        match open(image) {
            Ok(found) => assert_eq!(last.difference(&found), None, "{at:?}"),
            Err(OpenError::Damaged { .. } | OpenError::UnknownVersion { .. }) => refused += 1,
            Err(error) => panic!("{at:?}: {error}"),
        }
    }
    assert!(refused >= 8 * COMMIT / 2, "{refused}");
}

/// The one bit by which a file can go back in time: it is what a process leaves that was killed between the two
/// phases of a commit, which then was not confirmed. The runbook says so.
#[test]
fn one_bit_of_the_header_goes_back_by_one_commit() {
    let (image, [before, last]) = killed();
    for bit in 0..8 {
        let mut image = image.clone();
        image[FLAGS] ^= 1 << bit;
        let expected = if 1 << bit == LAST_IS_SECOND { &before } else { &last };
        match open(image) {
            Ok(found) => assert_eq!(expected.difference(&found), None, "{bit}"),
            Err(OpenError::Damaged { .. }) => assert_ne!(1 << bit, LAST_IS_SECOND),
            Err(error) => panic!("{bit}: {error}"),
        }
    }
}

/// Pages of what redb keeps for itself: at the commit it panics, and at what it drops then once more.
pub(super) fn panics_twice() -> (Vec<u8>, Picture) {
    let file = written(18_500);
    let mut image = file.image;
    let mut rng = fastrand::Rng::with_seed(18_890);
    let (at, bit) = (offset(&mut rng, &image), rng.u8(0..8));
    image[at] ^= 1 << bit;
    (image, file.picture)
}

/// Control: on a thread that unwinds at the second panic, the process is aborted.
#[test]
fn file_at_which_redb_panics_twice_is_a_refusal() {
    in_a_process("store::checked::file_at_which_redb_panics_twice_is_a_refusal", || {
        let (image, picture) = panics_twice();
        assert_eq!(open_damaged(image, &picture), Ok(End::Refused));
    });
}
