//! Random sequences of operations and restarts against the plain model of what a store holds.

use fanfare::store::{
    DeadLetter, DeadLetterFilter, DeadLetterId, DeadReason, DeliveryFilter, Loaded, Redb,
    Store as _,
};

use super::machine::Machine;
use super::model::{Picture, read_attempts, read_dead_letters};

/// Sequences in a run: `FANFARE_SEQUENCES`.
fn sequences(default: u64) -> u64 {
    std::env::var("FANFARE_SEQUENCES").map_or(default, |sequences| sequences.parse().unwrap())
}

/// Control: a store that coalesces over a `Forget`, takes the newest for the oldest, or gives an id
/// twice differs from the model within a few sequences.
#[test]
fn random_sequences_leave_what_the_model_says() {
    for seed in 1..=sequences(60) {
        let mut machine = Machine::new(seed);
        for round in 0..4 {
            let what = format!("seed {seed}, round {round}");
            let store = match machine.start() {
                Ok(Some(store)) => store,
                other => panic!("{what}: {other:?}"),
            };
            for _ in 0..machine.load.rng.u32(1..25) {
                machine.step(&store).unwrap();
            }
            let last = machine.submit(&store, false);
            machine.wait(&store, last).unwrap();
            assert_live(&machine, &store, &what);
            assert_filters(&mut machine, &store, &what);
            if machine.load.rng.bool() {
                store.close();
            }
            drop(store);
            if machine.load.rng.bool() {
                machine.disk.process_died();
            }
        }
    }
}

/// What a running store shows is the model, too.
fn assert_live(machine: &Machine, store: &Redb, what: &str) {
    let (silences, mut groups) = (store.silences().unwrap(), Vec::new());
    store.restore_groups(&mut |id, group| groups.push((id, group))).unwrap();
    let loaded = Loaded { silences, groups, ..Loaded::default() };
    let (mut found, _) = Picture::read(store, &loaded).unwrap();
    let expected = &machine.load.ahead;
    assert_eq!(store.stats().alerts, expected.alerts.len() as u64, "{what}");
    found.alerts.clone_from(&expected.alerts);
    assert_eq!(expected.difference(&found), None, "{what}");
}

/// Every filter answers what the whole list holds, page by page.
fn assert_filters(machine: &mut Machine, store: &Redb, what: &str) {
    let rng = &mut machine.load.rng;
    let mut letters = read_dead_letters(store).unwrap();
    letters.reverse();
    let (_, some) = rng.choice(&letters).cloned().unzip();
    let some: Option<&DeadLetter> = some.as_ref();
    let filter = DeadLetterFilter {
        target: some.map(|letter| letter.target.clone()).filter(|_| rng.bool()),
        reason: rng.bool().then(|| *rng.choice(&DeadReason::ALL).unwrap()),
        since: some.map(|letter| letter.at).filter(|_| rng.bool()),
        before: None,
        limit: rng.usize(1..5),
    };
    let wanted: Vec<DeadLetterId> = letters
        .iter()
        .filter(|(_, letter)| {
            filter.target.as_ref().is_none_or(|target| *target == letter.target)
                && filter.reason.is_none_or(|reason| reason == letter.reason)
                && filter.since.is_none_or(|since| letter.at >= since)
        })
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(pages_of_letters(store, filter.clone()), wanted, "{what}: {filter:?}");
    let by_id = store.dead_letters_by_id(&wanted).unwrap();
    assert_eq!(by_id.iter().map(|(id, _)| *id).collect::<Vec<_>>(), wanted, "{what}");
    let missing = DeadLetterId(u64::MAX);
    assert!(store.dead_letters_by_id(&[missing]).unwrap().is_empty(), "{what}");

    let mut attempts = read_attempts(store).unwrap();
    attempts.reverse();
    let some = rng.choice(&attempts);
    let filter = DeliveryFilter {
        fingerprint: some
            .and_then(|attempt| attempt.fingerprints.last().copied())
            .filter(|_| rng.bool()),
        alert: some.and_then(|attempt| attempt.alert.clone()).filter(|_| rng.bool()),
        target: some.map(|attempt| attempt.target.clone()).filter(|_| rng.bool()),
        since: some.map(|attempt| attempt.at).filter(|_| rng.bool()),
        before: None,
        limit: rng.usize(1..5),
    };
    attempts.retain(|attempt| {
        filter.fingerprint.is_none_or(|fingerprint| attempt.fingerprints.contains(&fingerprint))
            && filter.alert.as_ref().is_none_or(|alert| attempt.names(alert))
            && filter.target.as_ref().is_none_or(|target| *target == attempt.target)
            && filter.since.is_none_or(|since| attempt.at >= since)
    });
    let mut found = Vec::new();
    let mut page = filter.clone();
    loop {
        let answer = store.deliveries(&page).unwrap();
        assert!(answer.items.len() <= filter.limit, "{what}");
        found.extend(answer.items);
        page.before = answer.next;
        if page.before.is_none() {
            break;
        }
    }
    assert_eq!(found, attempts, "{what}: {filter:?}");
}

fn pages_of_letters(store: &Redb, mut filter: DeadLetterFilter) -> Vec<DeadLetterId> {
    let mut found = Vec::new();
    loop {
        let page = store.dead_letters(&filter).unwrap();
        assert!(page.items.len() <= filter.limit);
        found.extend(page.items.iter().map(|(id, _)| *id));
        filter.before = page.next.map(DeadLetterId);
        if filter.before.is_none() {
            return found;
        }
    }
}
