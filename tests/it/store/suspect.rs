//! A reader that meets a damaged page: the program must not work on without it. The store fails as when it
//! can't write, and the next start reads the whole file before it trusts any of it.

use std::{fs, path::Path, sync::Arc};

use fanfare::store::{self, DeadLetterFilter, Op, Redb, Store as _};

use super::load::Load;
use super::machine::settings;
use super::model::read_dead_letters;

const FILE: &str = "fanfare.redb";
const SUSPECT: &str = "fanfare.redb.suspect";
const PAGE: usize = 4096;

/// Writes dead letters that take many pages; returns the group of one in the middle, whose
/// page no start reads.
async fn write(dir: &Path) -> String {
    let mut load = Load::new(1);
    let (store, _) = store::open(dir, settings()).unwrap();
    let letters: Vec<Op> = (0..100).map(|_| load.dead_letter()).collect();
    let Op::DeadLetter(middle) = &letters[50] else { unreachable!("it makes one") };
    let group = middle.notification.group_key.to_string();
    for letter in letters {
        store.durable(store.submit(vec![letter], false)).await.unwrap();
    }
    store.close();
    group
}

/// Makes every page in which `needle` stands one of a kind that does not exist.
fn spoil_pages(file: &Path, needle: &str) {
    let mut image = fs::read(file).unwrap();
    let mut hit = 0;
    for page in image.chunks_mut(PAGE) {
        if page.windows(needle.len()).any(|part| part == needle.as_bytes()) {
            page[0] = 0xee;
            hit += 1;
        }
    }
    assert!(hit > 0, "{needle} stands nowhere");
    fs::write(file, image).unwrap();
}

/// Opens the file and reads the dead letters, which must fail.
fn fail(dir: &Path) -> Arc<Redb> {
    let (store, loaded) = store::open(dir, settings()).unwrap();
    assert_eq!(loaded.damaged, None, "a start does not read this page");
    let newest = DeadLetterFilter { limit: 1, ..DeadLetterFilter::default() };
    store.dead_letters(&newest).expect("other pages are readable");
    read_dead_letters(&store).unwrap_err();
    store
}

/// Control: a store whose readers only return the error works on, and `failed` never resolves.
#[tokio::test]
async fn damage_met_by_a_reader_ends_the_store_and_the_next_start_moves_the_file_aside() {
    let dir = tempfile::tempdir().unwrap();
    let group = write(dir.path()).await;
    spoil_pages(&dir.path().join(FILE), &group);
    let store = fail(dir.path());
    assert!(dir.path().join(SUSPECT).exists(), "the next start must know");
    let failed = store.failed().await;
    assert_eq!(failed.step, "read the dead letters");
    let seq = store.submit(vec![Load::new(2).attempt()], false);
    store.durable(seq).await.unwrap_err();
    // The committer lets go of the file, so that nobody has to wait for the last handle.
    store.close();
    let before = fs::read(dir.path().join(FILE)).unwrap();
    let (second, loaded) = store::open(dir.path(), settings()).unwrap();
    let moved = loaded.damaged.expect("the file is moved aside");
    assert!(fs::read(moved).unwrap() == before, "the damaged file was changed");
    assert!(!dir.path().join(SUSPECT).exists(), "the new file is not suspect");
    let seq = second.submit(vec![Load::new(2).attempt()], false);
    second.durable(seq).await.unwrap();
}

/// The system gave wrong bytes once, the file is good: it is checked, kept and no longer suspect.
#[tokio::test]
async fn suspect_file_that_turns_out_whole_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let group = write(dir.path()).await;
    let file = dir.path().join(FILE);
    let whole = fs::read(&file).unwrap();
    spoil_pages(&file, &group);
    fail(dir.path()).close();
    fs::write(&file, whole).unwrap();
    let (store, loaded) = store::open(dir.path(), settings()).unwrap();
    assert_eq!((loaded.damaged, loaded.set_aside), (None, 0));
    assert_eq!(read_dead_letters(&store).unwrap().len(), 100);
    assert!(!dir.path().join(SUSPECT).exists());
}

/// A record that can't be decoded in a page that can be read is set aside, and that is all.
#[tokio::test]
async fn record_that_can_not_be_decoded_does_not_make_the_file_suspect() {
    let dir = tempfile::tempdir().unwrap();
    let group = write(dir.path()).await;
    let file = dir.path().join(FILE);
    let mut image = fs::read(&file).unwrap();
    super::damage::spoil(&mut image, &group);
    fs::write(&file, image).unwrap();
    let (store, loaded) = store::open(dir.path(), settings()).unwrap();
    assert_eq!(loaded.damaged, None);
    assert_eq!(read_dead_letters(&store).unwrap().len(), 99);
    let seq = store.submit(Vec::new(), false);
    store.durable(seq).await.unwrap();
    assert_eq!(store.stats().set_aside, 1);
    assert!(!dir.path().join(SUSPECT).exists());
}
