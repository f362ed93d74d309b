//! What is kept for a while: dead letters, history, idempotency keys.

use std::time::Duration;

use jiff::{SignedDuration, ToSpan as _};

use super::*;
use crate::{
    alert::Fingerprint,
    publish::ErrorType,
    store::{
        AttemptRecord, DeadLetter, DeadLetterFilter, DeadReason, DeliveryFilter, IdempotencyRecord,
        Outcome, open,
    },
};

fn ago(duration: Duration) -> Timestamp {
    Timestamp::now() - SignedDuration::try_from(duration).unwrap()
}

fn letter(name: &str, id: &str, reason: DeadReason, at: Timestamp) -> Op {
    let (target, uid) = target(name);
    Op::DeadLetter(Box::new(DeadLetter {
        at,
        target,
        uid,
        route: Some("a/r".parse().unwrap()),
        reason,
        message: "answered 400".to_owned(),
        status_code: Some(400),
        attempts: 1,
        accepted_at: at,
        notification: notification(id),
    }))
}

fn letters(store: &Redb, filter: DeadLetterFilter) -> Vec<String> {
    let limit = if filter.limit == 0 { 1_000 } else { filter.limit };
    let page = store.dead_letters(&DeadLetterFilter { limit, ..filter }).unwrap();
    page.items.iter().map(|(_, letter)| letter.notification.id.to_string()).collect()
}

fn attempt(name: &str, second: i64, fingerprint: u64) -> Op {
    attempt_about(name, second, &[fingerprint])
}

fn attempt_about(name: &str, second: i64, fingerprints: &[u64]) -> Op {
    Op::Attempt(Box::new(AttemptRecord {
        at: at(second),
        fingerprints: fingerprints.iter().copied().map(Fingerprint).collect(),
        alerts: 1,
        names: [].into(),
        alert: None,
        notification: format!("n{second}").into(),
        status: Status::Firing,
        target: name.parse().unwrap(),
        route: None,
        attempt: 1,
        outcome: Outcome::Failed,
        error_type: Some(ErrorType::Timeout),
        status_code: None,
        duration: Duration::from_millis(20),
    }))
}

/// All pages of `limit` each.
fn deliveries(store: &Redb, filter: &DeliveryFilter) -> (Vec<i64>, usize) {
    let (mut seconds, mut pages, mut filter) = (Vec::new(), 0, filter.clone());
    loop {
        let page = store.deliveries(&filter).unwrap();
        pages += 1;
        seconds.extend(page.items.iter().map(|attempt| attempt.at.as_second()));
        match page.next {
            Some(next) => filter.before = Some(next),
            None => return (seconds, pages),
        }
    }
}

#[test]
fn dead_letters_come_newest_first_filtered_and_in_pages() {
    let store = memory();
    let (hour, minute) = (ago(Duration::from_hours(1)), ago(Duration::from_mins(1)));
    write(
        &store,
        vec![
            letter("a/t", "1", DeadReason::Rejected, hour),
            letter("a/u", "2", DeadReason::Rejected, hour),
            letter("a/t", "3", DeadReason::MaxAge, minute),
        ],
    );
    let all = DeadLetterFilter::default;
    assert_eq!(letters(&store, all()), ["3", "2", "1"]);
    let of_target = DeadLetterFilter { target: Some("a/t".parse().unwrap()), ..all() };
    assert_eq!(letters(&store, of_target), ["3", "1"]);
    let of_reason = DeadLetterFilter { reason: Some(DeadReason::Rejected), ..all() };
    assert_eq!(letters(&store, of_reason), ["2", "1"]);
    assert_eq!(letters(&store, DeadLetterFilter { since: Some(minute), ..all() }), ["3"]);
    let page = store.dead_letters(&DeadLetterFilter { limit: 2, ..all() }).unwrap();
    let before = page.next.map(crate::store::DeadLetterId);
    assert_eq!(before, Some(page.items[1].0));
    assert_eq!(letters(&store, DeadLetterFilter { before, ..all() }), ["1"]);
    let page = store.dead_letters(&DeadLetterFilter { limit: 3, ..all() }).unwrap();
    assert_eq!((page.items.len(), page.next), (3, None), "no empty page follows");
}

#[test]
fn dead_letters_are_found_and_dropped_by_id() {
    let store = memory();
    let now = Timestamp::now();
    write(&store, ["1", "2"].map(|id| letter("a/t", id, DeadReason::MaxAge, now)).into());
    let filter = DeadLetterFilter { limit: 9, ..DeadLetterFilter::default() };
    let ids: Vec<_> =
        store.dead_letters(&filter).unwrap().items.iter().map(|(id, _)| *id).collect();
    write(&store, vec![Op::DropDeadLetters(vec![ids[0], ids[0]])]);
    let found = store.dead_letters_by_id(&ids).unwrap();
    assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids[1..]);
    assert_eq!(store.stats().dead_letters, 1);
    write(&store, vec![Op::DropDeadLetters(ids)]);
    assert_eq!((store.stats().dead_letters, store.stats().dead_letter_bytes), (0, 0));
}

#[test]
fn dead_letters_go_after_a_week() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), settings()).unwrap();
    let (old, young) = (ago(Duration::from_hours(7 * 24 + 1)), ago(Duration::from_hours(6 * 24)));
    write(&store, vec![letter("a/t", "old", DeadReason::MaxAge, old)]);
    assert_eq!(store.stats().dead_letters, 0, "in the commit that adds");
    write(&store, vec![letter("a/t", "young", DeadReason::MaxAge, young)]);
    assert_eq!(letters(&store, DeadLetterFilter::default()), ["young"]);
}

#[test]
fn dead_letters_keep_within_their_bytes_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { dead_letter_bytes: 3_000, ..settings() };
    let now = Timestamp::now();
    for id in 0..20 {
        let (store, _) = open(dir.path(), settings.clone()).unwrap();
        write(&store, vec![letter("a/t", &id.to_string(), DeadReason::MaxAge, now)]);
        let stats = store.stats();
        assert!(stats.dead_letter_bytes <= 3_000 && stats.dead_letter_bytes > 0, "{stats:?}");
        let kept = letters(&store, DeadLetterFilter::default());
        assert_eq!(kept[0], id.to_string());
        assert_eq!(kept.len() as u64, stats.dead_letters);
    }
}

#[test]
fn history_comes_newest_first_filtered_and_in_pages() {
    let store = memory();
    write(&store, (1..=3).map(|n| attempt("a/t", n, 7)).collect());
    write(&store, vec![attempt("a/u", 4, 8), attempt_about("a/t", 5, &[9, 8, 5])]);
    let filter = |limit| DeliveryFilter { limit, ..DeliveryFilter::default() };
    for (limit, pages) in [(1, 5), (2, 3), (5, 1), (100, 1)] {
        assert_eq!(deliveries(&store, &filter(limit)), (vec![5, 4, 3, 2, 1], pages));
    }
    let of_target = DeliveryFilter { target: Some("a/t".parse().unwrap()), ..filter(2) };
    assert_eq!(deliveries(&store, &of_target).0, [5, 3, 2, 1]);
    let of_alert = DeliveryFilter { fingerprint: Some(Fingerprint(7)), ..filter(2) };
    assert_eq!(deliveries(&store, &of_alert).0, [3, 2, 1]);
    let in_a_group = DeliveryFilter { fingerprint: Some(Fingerprint(8)), ..filter(2) };
    assert_eq!(deliveries(&store, &in_a_group).0, [5, 4]);
    let since = DeliveryFilter { since: Some(at(3)), ..filter(2) };
    assert_eq!(deliveries(&store, &since).0, [5, 4, 3]);
}

#[test]
fn history_keeps_within_its_bytes_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { history_bytes: 1_000, ..settings() };
    let (store, _) = open(dir.path(), settings.clone()).unwrap();
    for n in 1..=50 {
        write(&store, vec![attempt("a/t", n, 7)]);
    }
    drop(store);
    let (store, _) = open(dir.path(), settings).unwrap();
    write(&store, vec![attempt("a/t", 51, 7)]);
    let filter = DeliveryFilter { limit: 3, ..DeliveryFilter::default() };
    let (seconds, _) = deliveries(&store, &filter);
    assert!(seconds.len() > 2 && seconds.len() < 30, "{seconds:?}");
    assert_eq!(seconds[..2], [51, 50]);
    assert!(store.stats().history_bytes <= 1_000);
}

#[test]
fn key_is_known_for_an_hour_and_its_newest_use_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), settings()).unwrap();
    let key = |key: &str, at: Timestamp, body: u8| {
        let result = vec![body];
        Op::Key(Box::new(IdempotencyRecord { key: key.into(), body: [body; 32], at, result }))
    };
    let now = Timestamp::now();
    let old = now - 61.minutes();
    write(&store, vec![key("old", old, 1), key("again", old, 2)]);
    assert_eq!(store.idempotent("old").unwrap(), None);
    write(&store, vec![key("again", now, 3)]);
    assert_eq!(store.idempotent("again").unwrap().unwrap().result, [3]);
    drop(store);
    let (store, _) = open(dir.path(), settings()).unwrap();
    assert_eq!(store.idempotent("again").unwrap().unwrap().body, [3; 32]);
    assert_eq!(store.idempotent("other").unwrap(), None);
}

#[test]
fn keys_keep_within_their_bytes() {
    let store = in_memory(Settings { key_bytes: 10_000, ..settings() }).unwrap();
    let at = Timestamp::now();
    for n in 0..30 {
        let (key, result) = (n.to_string().into(), vec![0; 1_000]);
        write(
            &store,
            vec![Op::Key(Box::new(IdempotencyRecord { key, body: [0; 32], at, result }))],
        );
    }
    let kept = (0..30).filter(|n| store.idempotent(&n.to_string()).unwrap().is_some());
    assert_eq!(kept.collect::<Vec<_>>(), (21..30).collect::<Vec<_>>());
}
