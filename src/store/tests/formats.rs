//! Files of every format that was ever written must be read.

use std::{fs, path::Path, sync::Arc, time::Duration};

use super::*;
use crate::{
    alert::Fingerprint,
    api::MatchType,
    publish::{ErrorType, Silence, SilenceId, SilenceMatcher},
    store::{
        AttemptRecord, DeadLetter, DeadLetterFilter, DeadReason, DeliveryFilter, IdempotencyRecord,
        Outcome,
        envelope::FORMAT,
        open,
        tables::{FORMAT_KEY, META},
    },
};

/// Beyond every time at which something is let go of.
const FUTURE: i64 = 4_102_444_800;

fn letter() -> DeadLetter {
    let (target, uid) = target("a/t");
    DeadLetter {
        at: at(FUTURE),
        target,
        uid,
        route: Some("a/r".parse().unwrap()),
        reason: DeadReason::Rejected,
        message: "answered 400".to_owned(),
        status_code: Some(400),
        attempts: 2,
        accepted_at: at(1_000),
        notification: notification("letter"),
    }
}

fn attempt() -> AttemptRecord {
    AttemptRecord {
        at: at(1_000),
        fingerprints: [7, 8].map(Fingerprint).into(),
        alerts: 2,
        alert: Some("Named".into()),
        names: ["Other", "Third"].map(Arc::from).into(),
        notification: "attempt".into(),
        status: Status::Resolved,
        target: "a/t".parse().unwrap(),
        route: Some("a/r".parse().unwrap()),
        attempt: 3,
        outcome: Outcome::Failed,
        error_type: Some(ErrorType::ServerError),
        status_code: Some(503),
        duration: Duration::from_millis(1_250),
    }
}

fn key() -> IdempotencyRecord {
    IdempotencyRecord { key: "key".into(), body: [7; 32], at: at(FUTURE), result: b"{}".to_vec() }
}

fn doubted() -> AlertRecord {
    let doubt = Some((at(1_500), alert("slower").alert));
    AlertRecord { phase: Phase::Resolved, last_end: Some(at(1_400)), doubt, ..alert("doubted") }
}

fn everything() -> Vec<Op> {
    vec![
        fact(Fact::Alert(AlertId(1), alert("a"))),
        fact(Fact::Told(AlertId(1), told("a/r", &["a/t", "b/u"]))),
        fact(Fact::Alert(AlertId(2), doubted())),
        queued("a/t", "1", 9, WhenFull::DeadLetterOldest),
        queued("a/t", "22", 9, WhenFull::DeadLetterNewest),
        Op::DeadLetter(Box::new(letter())),
        Op::Attempt(Box::new(attempt())),
        Op::Key(Box::new(key())),
    ]
}

fn sample(format: u32) -> std::path::PathBuf {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/samples");
    samples.join(format!("store-format-{format}.redb"))
}

#[test]
#[ignore = "writes the sample of the present format; run it once when the format changes"]
fn write_sample() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), settings()).unwrap();
    write(&store, everything());
    drop(store);
    assert!(!sample(FORMAT).exists(), "what was written once must not change");
    fs::copy(dir.path().join("fanfare.redb"), sample(FORMAT)).unwrap();
}

#[test]
fn every_format_that_was_written_is_read() {
    for format in 1..=FORMAT {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(sample(format), dir.path().join("fanfare.redb")).unwrap();
        let (store, loaded) = open(dir.path(), settings()).unwrap();
        assert_eq!((loaded.damaged, loaded.set_aside), (None, 0), "{format}");
        assert_eq!(loaded.alerts[0].alert, alert("a"));
        assert_eq!(loaded.alerts[0].told, Some(told("a/r", &["a/t", "b/u"])));
        assert_eq!((&loaded.alerts[1].alert, &loaded.alerts[1].told), (&doubted(), &None));
        assert_eq!(waiting(&store, "a/t"), ["1", "22"]);
        assert_eq!((store.stats().queued, store.stats().dead_letters), (2, 1));
        let filter = DeadLetterFilter { limit: 9, ..DeadLetterFilter::default() };
        let letters = store.dead_letters(&filter).unwrap();
        assert_eq!(format!("{:?}", letters.items[0].1), format!("{:?}", letter()));
        let filter = DeliveryFilter { limit: 9, ..DeliveryFilter::default() };
        let named = attempt().alert.filter(|_| format >= 2);
        let others = if format >= 3 { attempt().names } else { [].into() };
        let mut attempt = AttemptRecord { alert: named, names: others, ..attempt() };
        if format < 2 {
            (attempt.fingerprints, attempt.alerts) = ([Fingerprint(7)].into(), 1);
        }
        assert_eq!(store.deliveries(&filter).unwrap().items, [attempt]);
        assert_eq!(store.idempotent("key").unwrap(), Some(key()));
        // It has no table of silences before the first one is written.
        assert!(loaded.silences.is_empty() && store.silences().unwrap().is_empty());
        write(&store, vec![Op::Fact(Fact::Silence(silence()))]);
        drop(store);
        let (store, loaded) = open(dir.path(), settings()).unwrap();
        assert_eq!(
            (&loaded.silences, &store.silences().unwrap()),
            (&vec![silence()], &vec![silence()])
        );
        write(&store, vec![Op::Fact(Fact::ForgetSilence(silence().id))]);
        drop(store);
        assert!(open(dir.path(), settings()).unwrap().1.silences.is_empty());
    }
}

#[test]
fn a_file_of_an_earlier_format_goes_on_in_the_present_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fanfare.redb");
    fs::copy(sample(1), &path).unwrap();
    let (store, _) = open(dir.path(), settings()).unwrap();
    write(&store, vec![Op::Attempt(Box::new(attempt()))]);
    drop(store);
    let (store, _) = open(dir.path(), settings()).unwrap();
    let of = |alert: Option<&str>| {
        let alert = alert.map(Arc::from);
        let filter = DeliveryFilter { limit: 9, alert, ..DeliveryFilter::default() };
        let items = store.deliveries(&filter).unwrap().items;
        items.into_iter().map(|attempt| attempt.alert).collect::<Vec<_>>()
    };
    assert_eq!(of(None), [Some("Named".into()), None]);
    assert_eq!(of(Some("Named")), [Some("Named".into())]);
    assert_eq!(of(Some("Third")), [Some("Named".into())], "it is one of several");
    assert_eq!(of(Some("Nobody")), []);
    drop(store);
    let database = redb::Database::open(path).unwrap();
    let meta = redb::ReadableDatabase::begin_read(&database).unwrap().open_table(META).unwrap();
    let format = meta.get(FORMAT_KEY).unwrap().unwrap().value().to_vec();
    assert_eq!(format, FORMAT.to_le_bytes(), "no earlier version may read it any more");
}

fn silence() -> Arc<Silence> {
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    let (name, value) = ("alertname".into(), "a|b".into());
    Arc::new(Silence {
        id: SilenceId(uuid::Uuid::from_u128(7)),
        matchers: vec![SilenceMatcher { name, kind: MatchType::Regex, value }],
        starts_at: at,
        ends_at: at,
        updated_at: at,
        created_by: "somebody".into(),
        comment: "".into(),
        annotations: [("a".into(), "b".into())].into(),
    })
}
