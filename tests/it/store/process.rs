//! Real files and real processes: one directory for one of them, and none of them loses anything
//! when it is killed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdout, Stdio},
    sync::Arc,
};

use fanfare::{
    dispatch::{AlertId, Fact, Queued},
    store::{self, Loaded, Op, OpenError, Redb, Store as _},
};

use super::load::Load;
use super::machine::settings;
use super::model::{read_attempts, read_queue};
use crate::support::program;

/// The directory of a child; set, the test binary is a child.
const DIR: &str = "FANFARE_STORE_CHILD";

/// Kills in a run: `FANFARE_KILLS`.
fn kills() -> u64 {
    std::env::var("FANFARE_KILLS").map_or(20, |kills| kills.parse().unwrap())
}

/// Everything that is written for one number: the same in every process.
fn facts(number: u64) -> Vec<Op> {
    let mut load = Load::at(number, jiff::Timestamp::UNIX_EPOCH);
    let alert = Fact::Alert(AlertId(number), load.alert_record(AlertId(number)));
    vec![Op::Fact(alert), Op::Fact(Fact::Enqueue(queued(number))), load.attempt()]
}

fn queued(number: u64) -> Queued {
    let mut load = Load::at(number, jiff::Timestamp::UNIX_EPOCH);
    let mut queued = load.queued();
    queued.target = fanfare::api::TargetKey::new("prod", "target");
    queued.uid = "uid".into();
    queued.limit.max_notifications = u32::MAX;
    queued
}

/// Not a test of its own: what a child process runs. Writes on from where the directory stands,
/// eight submissions at a time, and says what is on disk.
#[test]
fn child_writes_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let (store, loaded) = store::open(Path::new(&dir), settings()).unwrap();
    let mut out = std::io::stdout();
    let mut number = loaded.alerts.len() as u64;
    writeln!(out, "\nfound {number}").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // A parent that is gone reads no more: then the child ends too.
    loop {
        let seqs: Vec<_> = (0..8)
            .map(|place| {
                number += 1;
                (number, store.submit(facts(number), place < 3))
            })
            .collect();
        for (number, seq) in seqs {
            runtime.block_on(store.durable(seq)).unwrap();
            writeln!(out, "acked {number}").unwrap();
        }
    }
}

struct Writer {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

// === impl Writer ===

impl Writer {
    fn start(dir: &Path) -> Self {
        let mut child = program::command(&std::env::current_exe().unwrap())
            .args(["--exact", "store::process::child_writes_until_it_is_killed", "--nocapture"])
            .env(DIR, dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        Self { child, lines }
    }

    /// The number in the next line of the kind.
    fn next(&mut self, kind: &str) -> Option<u64> {
        self.lines.find_map(|line| line.ok()?.strip_prefix(kind)?.trim().parse().ok())
    }

    /// Kills it and answers the last number it confirmed.
    fn kill(mut self) -> Option<u64> {
        self.child.kill().unwrap();
        let mut last = None;
        while let Some(number) = self.next("acked ") {
            last = Some(number);
        }
        last
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open(dir: &Path) -> (Arc<Redb>, Loaded) {
    store::open(dir, settings()).unwrap()
}

/// Everything from 1 on, each as it was written; how many.
fn check(store: &Redb, loaded: &Loaded) -> u64 {
    assert_eq!((loaded.set_aside, &loaded.damaged), (0, &None));
    let count = loaded.alerts.len() as u64;
    let mut alerts: Vec<_> = loaded.alerts.iter().collect();
    alerts.sort_by_key(|alert| alert.id);
    let waiting = read_queue(store, &(queued(1).target, "uid".to_owned())).unwrap();
    let attempts = read_attempts(store).unwrap();
    assert_eq!((waiting.len() as u64, attempts.len() as u64), (count, count));
    let lines = alerts.iter().zip(&waiting).zip(&attempts);
    for (number, ((alert, (_, waiting)), attempt)) in (1..).zip(lines) {
        let [Op::Fact(Fact::Alert(id, record)), _, Op::Attempt(written)] = &facts(number)[..]
        else {
            unreachable!("it is written above")
        };
        assert_eq!((alert.id, &alert.alert), (*id, record));
        assert_eq!(format!("{waiting:?}"), format!("{:?}", queued(number)));
        assert_eq!(attempt, &**written);
    }
    count
}

/// Control: a child that says `acked` before it has waited for `durable` loses some.
#[test]
fn killed_writer_loses_nothing_it_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut confirmed = 0;
    for round in 1..=kills() {
        let mut writer = Writer::start(dir.path());
        let found = writer.next("found ").expect("the child starts");
        assert!(found >= confirmed, "round {round}: {found} of {confirmed}");
        for _ in 0..rng.u32(0..60) {
            confirmed = writer.next("acked ").expect("the child runs");
        }
        confirmed = writer.kill().unwrap_or(confirmed);
        if round % 5 == 0 {
            let (store, loaded) = open(dir.path());
            let count = check(&store, &loaded);
            assert!(count >= confirmed, "round {round}: {count} of {confirmed}");
            store.close();
        }
    }
    assert!(confirmed > kills(), "{confirmed}");
}

#[test]
fn directory_of_a_living_process_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::start(dir.path());
    writer.next("acked ").expect("the child runs");
    let error = store::open(dir.path(), settings()).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
    assert!(writer.next("acked ").is_some(), "the first one is not disturbed");
    writer.kill();
    open(dir.path());
}

#[test]
fn store_is_open_once_in_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = open(dir.path());
    let error = store::open(dir.path(), settings()).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error:?}");
    drop(first);
    open(dir.path());
}
