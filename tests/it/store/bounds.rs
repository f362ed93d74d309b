//! Whatever comes in, the file and what is kept stay within their bounds.

use fanfare::{
    api::WhenFull,
    dispatch::Fact,
    store::{self, Full, Op, Redb, Seq, Settings, Store as _},
};
use jiff::{SignedDuration, Timestamp};

use super::disk::Disk;
use super::load::Load;
use super::machine::settings;
use super::model::{read_attempts, read_dead_letters};

const KIB: u64 = 1024;

fn wait(store: &Redb, seq: Seq) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.durable(seq)).unwrap();
}

fn write(store: &Redb, ops: Vec<Op>) {
    wait(store, store.submit(ops, false));
}

/// A record for one target that holds any number of them.
fn enqueue(load: &mut Load) -> Op {
    let mut queued = load.queued();
    queued.target = fanfare::api::TargetKey::new("prod", "dead");
    queued.uid = "uid".into();
    queued.limit.max_notifications = u32::MAX;
    Op::Fact(Fact::Enqueue(queued))
}

/// All targets are dead and alerts come without end. Control: without `queue_bytes` there is room for
/// ever.
#[test]
fn queues_shed_before_the_file_outgrows_its_limit() {
    let disk = Disk::new(1);
    let limit = 512 * KIB;
    let settings = Settings { queue_bytes: limit, ..settings() };
    let (store, _) = store::open_backend(disk.open(), settings).unwrap();
    let mut load = Load::new(1);
    let mut taken = 0;
    let full = loop {
        match store.room(2_000) {
            Ok(()) => write(&store, vec![enqueue(&mut load)]),
            Err(full) => break full,
        }
        taken += 1;
        assert!(taken < 5_000, "there is room for ever");
    };
    assert_eq!(full, Full::Records);
    let [(target, uid, size)] = &store.queues()[..] else { panic!("one target has a queue") };
    assert_eq!(size.records, taken);
    assert!((limit / 2..=limit * 2).contains(&size.bytes), "{size:?}");
    assert!((disk.image().len() as u64) < limit * 8, "{}", disk.image().len());
    let all = store.queued(target, uid, None, usize::MAX).unwrap();
    let half = all.iter().take(all.len() / 2);
    let ops = half.map(|(id, _)| Op::Dequeue { target: target.clone(), uid: uid.clone(), id: *id });
    write(&store, ops.collect());
    assert_eq!(store.room(2_000), Ok(()), "what was delivered makes room");
}

/// A file system that is nearly full takes no new alerts, but what is delivered is still written down.
/// Control: the same directory with a mark that its free space exceeds.
#[test]
fn nearly_full_file_system_refuses_the_new_and_records_the_old() {
    let dir = tempfile::tempdir().unwrap();
    let mut load = Load::new(1);
    for (low_water, room) in [(0, Ok(())), (u64::MAX, Err(Full::Disk)), (0, Ok(()))] {
        let settings =
            Settings { low_water: low_water..=low_water, reserve_bytes: 0, ..settings() };
        let (store, _) = store::open(dir.path(), settings).unwrap();
        assert_eq!(store.room(1), room);
        assert_eq!(store.stats().full, room.is_err());
        write(&store, vec![load.attempt(), load.dead_letter()]);
        store.close();
    }
    let (store, _) = store::open(dir.path(), settings()).unwrap();
    assert_eq!(read_attempts(&store).unwrap().len(), 3);
}

/// Control: without the budget, all of them are kept.
#[test]
fn oldest_dead_letters_go_when_their_budget_is_used_up() {
    let disk = Disk::new(1);
    let budget = 64 * KIB;
    let settings = Settings { dead_letter_bytes: budget, ..settings() };
    let (store, _) = store::open_backend(disk.open(), settings).unwrap();
    let mut load = Load::new(1);
    let mut written = Vec::new();
    for _ in 0..400 {
        let Op::DeadLetter(letter) = load.dead_letter() else { unreachable!("it makes one") };
        written.push(letter.notification.id.to_string());
        write(&store, vec![Op::DeadLetter(letter)]);
        assert!(store.stats().dead_letter_bytes <= budget, "{:?}", store.stats());
    }
    let kept: Vec<_> = read_dead_letters(&store)
        .unwrap()
        .iter()
        .map(|(_, one)| one.notification.id.to_string())
        .collect();
    assert!((20..400).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept, written[400 - kept.len()..], "the newest, without a gap");
}

#[test]
fn dead_letters_are_kept_seven_days() {
    let (store, _) = store::open_backend(Disk::new(1).open(), settings()).unwrap();
    let mut load = Load::new(1);
    for days in [8, 6, 0] {
        let Op::DeadLetter(mut letter) = load.dead_letter() else { unreachable!("it makes one") };
        letter.at = Timestamp::now() - SignedDuration::from_hours(days * 24);
        write(&store, vec![Op::DeadLetter(letter)]);
    }
    assert_eq!(read_dead_letters(&store).unwrap().len(), 2);
}

/// Control: without the budget, all of them are kept.
#[test]
fn oldest_attempts_go_when_their_budget_is_used_up() {
    let disk = Disk::new(1);
    let budget = 32 * KIB;
    let settings = Settings { history_bytes: budget, ..settings() };
    let (store, _) = store::open_backend(disk.open(), settings).unwrap();
    let mut load = Load::new(1);
    let mut written = Vec::new();
    for _ in 0..600 {
        let Op::Attempt(attempt) = load.attempt() else { unreachable!("it makes one") };
        written.push((*attempt).clone());
        write(&store, vec![Op::Attempt(attempt)]);
    }
    assert!(store.stats().history_bytes <= budget + 4 * KIB, "{:?}", store.stats());
    let kept = read_attempts(&store).unwrap();
    assert!((50..600).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept, written[600 - kept.len()..], "the newest, without a gap");
}

#[test]
fn idempotency_keys_are_kept_an_hour() {
    let (store, _) = store::open_backend(Disk::new(1).open(), settings()).unwrap();
    let mut load = Load::new(1);
    for (key, minutes) in [("old", 61), ("young", 59)] {
        let Op::Key(mut record) = load.publish() else { unreachable!("it makes one") };
        record.key = key.into();
        record.at = Timestamp::now() - SignedDuration::from_mins(minutes);
        write(&store, vec![Op::Key(record)]);
    }
    assert_eq!(store.idempotent("old").unwrap(), None);
    assert!(store.idempotent("young").unwrap().is_some());
}

/// What is freed is used again. Control: a store that frees nothing grows without end.
#[test]
fn file_does_not_grow_when_as_much_goes_as_comes() {
    let disk = Disk::new(1);
    let settings = Settings { history_bytes: 64 * KIB, dead_letter_bytes: 64 * KIB, ..settings() };
    let (store, _) = store::open_backend(disk.open(), settings).unwrap();
    let mut load = Load::new(1);
    let mut early = 0;
    for round in 0..900 {
        write(&store, vec![enqueue(&mut load), load.attempt(), load.dead_letter()]);
        for (target, uid, _) in store.queues() {
            for (id, _) in store.queued(&target, &uid, None, 10).unwrap() {
                let (target, uid) = (target.clone(), uid.clone());
                write(&store, vec![Op::Dequeue { target, uid, id }]);
            }
        }
        if round == 300 {
            early = disk.image().len();
        }
    }
    assert!(disk.image().len() <= early * 2, "{early} bytes became {}", disk.image().len());
}

/// A target that can't keep up gives up its oldest, or refuses the newest: in the same commit.
#[test]
fn queue_over_its_limit_gives_up_one_to_the_dead_letters() {
    for (when_full, kept) in
        [(WhenFull::DeadLetterOldest, [2, 3]), (WhenFull::DeadLetterNewest, [0, 1])]
    {
        let (store, _) = store::open_backend(Disk::new(1).open(), settings()).unwrap();
        let mut load = Load::new(1);
        let mut names = Vec::new();
        for _ in 0..4 {
            let Op::Fact(Fact::Enqueue(mut queued)) = enqueue(&mut load) else {
                unreachable!("it makes one")
            };
            queued.limit.max_notifications = 2;
            queued.limit.when_full = when_full;
            names.push(queued.notification.id.clone());
            write(&store, vec![Op::Fact(Fact::Enqueue(queued))]);
        }
        let [(target, uid, _)] = &store.queues()[..] else { panic!("one target has a queue") };
        let waiting = store.queued(target, uid, None, 10).unwrap();
        let waiting: Vec<_> = waiting.iter().map(|(_, one)| one.notification.id.clone()).collect();
        assert_eq!(waiting, kept.map(|place| names[place].clone()), "{when_full:?}");
        let letters = read_dead_letters(&store).unwrap();
        assert_eq!(letters.len(), 2);
        assert!(letters.iter().all(|(_, one)| one.reason == store::DeadReason::QueueFull));
    }
}
