//! Queues: order, limits, sizes, and what can't be used.

use super::*;
use crate::store::{Buried, DeadLetterFilter, DeadReason, QueueId, QueueSize, open};

const MANY: u32 = 1_000;
const OLDEST: WhenFull = WhenFull::DeadLetterOldest;
const NEWEST: WhenFull = WhenFull::DeadLetterNewest;

fn all_letters(store: &Redb) -> Vec<(String, DeadReason)> {
    let filter = DeadLetterFilter { limit: 1_000, ..DeadLetterFilter::default() };
    let page = store.dead_letters(&filter).unwrap();
    let letters = page.items.into_iter().rev();
    letters.map(|(_, letter)| (letter.notification.id.to_string(), letter.reason)).collect()
}

fn size(store: &Redb, name: &str) -> QueueSize {
    let queues = store.queues();
    let found = queues.iter().find(|(key, ..)| key.to_string() == name);
    found.map(|(_, _, size)| *size).unwrap_or_default()
}

fn ids(store: &Redb, name: &str) -> Vec<QueueId> {
    let (target, uid) = target(name);
    store.queued(&target, &uid, None, 100).unwrap().into_iter().map(|(id, _)| id).collect()
}

fn dequeue(name: &str, id: QueueId) -> Op {
    let (target, uid) = target(name);
    Op::Dequeue { target, uid, id }
}

#[test]
fn order_is_that_of_arrival_per_target_and_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), settings()).unwrap();
    write(&store, vec![queued("a/t", "1", MANY, OLDEST), queued("a/u", "2", MANY, OLDEST)]);
    write(&store, vec![queued("a/t", "3", MANY, OLDEST)]);
    drop(store);
    let (store, _) = open(dir.path(), settings()).unwrap();
    write(&store, vec![queued("a/t", "4", MANY, OLDEST)]);
    assert_eq!(waiting(&store, "a/t"), ["1", "3", "4"]);
    assert_eq!(waiting(&store, "a/u"), ["2"]);
    let (target, _) = target("a/t");
    let other = store.queued(&target, "another uid", None, 10).unwrap();
    assert!(other.is_empty(), "what waits for one object is not for another of its name");
}

#[test]
fn reading_goes_on_after_an_id_and_stops_at_the_limit() {
    let store = memory();
    let ops = ["1", "2", "3", "4"].map(|id| queued("a/t", id, MANY, OLDEST));
    write(&store, ops.into());
    let (target, uid) = target("a/t");
    let ids = ids(&store, "a/t");
    let page = store.queued(&target, &uid, Some(ids[0]), 2).unwrap();
    assert_eq!(page.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids[1..3]);
    write(&store, vec![dequeue("a/t", ids[1])]);
    let page = store.queued(&target, &uid, Some(ids[1]), 9).unwrap();
    assert_eq!(page.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids[2..]);
}

#[test]
fn sizes_follow_every_change_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), settings()).unwrap();
    let ops = ["1", "22", "333"].map(|id| queued("a/t", id, MANY, OLDEST));
    write(&store, ops.into());
    let full = size(&store, "a/t");
    assert_eq!((full.records, full.oldest), (3, Some(at(1))));
    let ids = ids(&store, "a/t");
    write(&store, vec![dequeue("a/t", ids[0]), dequeue("a/t", ids[0])]);
    let less = size(&store, "a/t");
    assert_eq!((less.records, less.oldest), (2, Some(at(2))));
    assert!(less.bytes < full.bytes && less.bytes > 0);
    drop(store);
    let (store, _) = open(dir.path(), settings()).unwrap();
    assert_eq!(size(&store, "a/t"), less);
    assert_eq!(store.stats().queued, 2);
    write(&store, ids.iter().map(|id| dequeue("a/t", *id)).collect());
    assert!(store.queues().is_empty(), "nothing waits, nothing is listed");
}

#[test]
fn attempts_are_kept_with_the_record() {
    let store = memory();
    write(&store, vec![queued("a/t", "1", MANY, OLDEST)]);
    let (target, uid) = target("a/t");
    let id = ids(&store, "a/t")[0];
    let attempted =
        |id| Op::Attempted { target: target.clone(), uid: uid.clone(), id, attempts: 3 };
    write(&store, vec![attempted(id), attempted(QueueId(99))]);
    let found = store.queued(&target, &uid, None, 10).unwrap();
    assert_eq!((found.len(), found[0].1.attempts), (1, 3));
}

#[test]
fn oldest_gives_way_in_the_same_commit() {
    let store = memory();
    let ops = ["1", "2", "3", "4"].map(|id| queued("a/t", id, 2, OLDEST));
    write(&store, ops.into());
    assert_eq!(waiting(&store, "a/t"), ["3", "4"]);
    let full = DeadReason::QueueFull;
    assert_eq!(all_letters(&store), [("1".to_owned(), full), ("2".to_owned(), full)]);
    assert_eq!(size(&store, "a/t").records, 2);
}

#[test]
fn newest_gives_way_if_so_wanted() {
    let store = memory();
    let ops = ["1", "2", "3"].map(|id| queued("a/t", id, 2, NEWEST));
    write(&store, ops.into());
    assert_eq!(waiting(&store, "a/t"), ["1", "2"]);
    assert_eq!(all_letters(&store), [("3".to_owned(), DeadReason::QueueFull)]);
}

#[test]
fn dropped_queue_goes_to_the_dead_letters_whole() {
    let store = memory();
    let ops = ["1", "2"].map(|id| queued("a/t", id, MANY, OLDEST));
    write(&store, ops.into());
    write(&store, vec![queued("a/u", "3", MANY, OLDEST)]);
    let (key, uid) = target("a/t");
    write(&store, vec![Op::DropQueue { target: key, uid, reason: DeadReason::TargetDeleted }]);
    let gone = DeadReason::TargetDeleted;
    assert_eq!(all_letters(&store), [("1".to_owned(), gone), ("2".to_owned(), gone)]);
    assert_eq!(waiting(&store, "a/t"), [""; 0]);
    assert_eq!(waiting(&store, "a/u"), ["3"]);
}

#[test]
fn what_is_being_sent_is_not_dropped_with_its_queue() {
    let store = memory();
    write(&store, ["1", "2", "3"].map(|id| queued("a/t", id, MANY, OLDEST)).into());
    let (key, uid) = target("a/t");
    let sent = ids(&store, "a/t")[1];
    assert!(store.claim(&key, &uid, sent).unwrap());
    let gone = DeadReason::TargetDeleted;
    let drop = Op::DropQueue { target: key.clone(), uid: uid.clone(), reason: gone };
    write(&store, vec![drop]);
    assert_eq!(all_letters(&store), [("1".to_owned(), gone), ("3".to_owned(), gone)]);
    assert_eq!(waiting(&store, "a/t"), ["2"]);
    write(&store, vec![Op::Dequeue { target: key, uid, id: sent }]);
    assert!(store.queues().is_empty());
}

#[test]
fn record_that_can_not_be_used_is_set_aside_and_its_neighbours_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), settings()).unwrap();
    let ops = ["1", "2", "3"].map(|id| queued("a/t", id, MANY, OLDEST));
    write(&store, ops.into());
    drop(store);
    let key = files::spoil(dir.path(), crate::store::tables::QUEUE, 1);
    let (store, _) = open(dir.path(), settings()).unwrap();
    assert_eq!(waiting(&store, "a/t"), ["1", "3"]);
    assert_eq!(waiting(&store, "a/t"), ["1", "3"], "reported twice");
    block_on(store.durable(store.submit(Vec::new(), false))).unwrap();
    assert_eq!((store.stats().set_aside, size(&store, "a/t").records), (1, 2));
    drop(store);
    let (store, _) = open(dir.path(), settings()).unwrap();
    assert_eq!((store.stats().set_aside, size(&store, "a/t").records), (1, 2));
    assert_eq!(files::set_aside(dir.path(), store).len(), 1, "{key:?} is kept");
}

#[test]
fn dropping_a_queue_sets_aside_what_can_not_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), settings()).unwrap();
    write(&store, ["1", "2"].map(|id| queued("a/t", id, MANY, OLDEST)).into());
    drop(store);
    files::spoil(dir.path(), crate::store::tables::QUEUE, 0);
    let (store, _) = open(dir.path(), settings()).unwrap();
    let (key, uid) = target("a/t");
    write(&store, vec![Op::DropQueue { target: key, uid, reason: DeadReason::TargetDeleted }]);
    assert_eq!(all_letters(&store), [("2".to_owned(), DeadReason::TargetDeleted)]);
    assert_eq!((store.stats().set_aside, store.queues().len()), (1, 0));
}

#[test]
fn what_the_store_buries_on_its_own_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), settings()).unwrap();
    write(&store, ["1", "2", "3", "4"].map(|id| queued("a/t", id, MANY, OLDEST)).into());
    drop(store);
    files::spoil(dir.path(), crate::store::tables::QUEUE, 0);
    let (store, _) = open(dir.path(), settings()).unwrap();
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = told.clone();
    store.on_buried(move |buried| heard.lock().unwrap().push(buried));
    write(&store, vec![queued("a/t", "5", 2, OLDEST)]);
    let (key, uid) = target("a/t");
    let gone = DeadReason::TargetDeleted;
    write(&store, vec![Op::DropQueue { target: key.clone(), uid, reason: gone }]);
    let buried = |reason, count, alert: &str| Buried {
        target: key.clone(),
        reason,
        count,
        alert: alert.to_owned(),
    };
    let expected = [
        buried(None, 1, ""),
        buried(Some(DeadReason::QueueFull), 2, "3"),
        buried(Some(gone), 2, "5"),
    ];
    assert_eq!(*told.lock().unwrap(), expected);
}

#[test]
fn what_is_being_sent_does_not_give_way() {
    let store = memory();
    write(&store, ["1", "2", "3"].map(|id| queued("a/t", id, 3, OLDEST)).into());
    let (target, uid) = target("a/t");
    let ids = ids(&store, "a/t");
    assert!(store.claim(&target, &uid, ids[0]).unwrap());
    write(&store, vec![queued("a/t", "4", 3, OLDEST)]);
    assert_eq!(waiting(&store, "a/t"), ["1", "3", "4"]);
    assert!(!store.claim(&target, &uid, ids[1]).unwrap(), "it gave way");
    let id = ids[0];
    let attempted = Op::Attempted { target: target.clone(), uid: uid.clone(), id, attempts: 1 };
    write(&store, vec![attempted, queued("a/t", "5", 3, OLDEST)]);
    assert_eq!(waiting(&store, "a/t"), ["3", "4", "5"], "it waits again");
    let full = DeadReason::QueueFull;
    assert_eq!(all_letters(&store), [("2".to_owned(), full), ("1".to_owned(), full)]);
}

#[test]
fn delivered_record_is_none_of_the_dead_letters() {
    let store = memory();
    write(&store, vec![queued("a/t", "1", 1, OLDEST)]);
    let (target, uid) = target("a/t");
    let id = ids(&store, "a/t")[0];
    assert!(store.claim(&target, &uid, id).unwrap());
    // What comes before its end is beyond the limit, but by no more than one.
    write(&store, vec![queued("a/t", "2", 1, OLDEST), queued("a/t", "3", 1, OLDEST)]);
    write(&store, vec![queued("a/t", "4", 1, OLDEST), dequeue("a/t", id)]);
    let full = DeadReason::QueueFull;
    assert_eq!(all_letters(&store), [("2".to_owned(), full), ("3".to_owned(), full)]);
    assert_eq!(waiting(&store, "a/t"), ["4"]);
}
