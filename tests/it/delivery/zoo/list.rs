//! That no fault is missing.

use std::{collections::BTreeSet, fs, path::Path};

use super::{answers, http2};

/// Faults that are about more than one attempt, and the tests of the rooms that deal with them.
const ELSEWHERE: [(u8, &str, &str); 7] = [
    (7, "tests/it/delivery/compile.rs", "d07_credentials_must_fit_where_they_go"),
    (13, "src/registry/monitor/tests.rs", "pauses_are_as_long_as_the_target_allows"),
    (13, "src/delivery/backoff.rs", "the_far_ends_wish_is_kept_and_clamped"),
    (14, "tests/it/fanout/lanes.rs", "a_second_429_without_a_time_pauses_for_a_minute"),
    (
        30,
        "tests/it/dispatch/retries.rs",
        "delays_are_kept_to_the_millisecond_and_do_not_follow_the_wall_clock",
    ),
    (32, "src/registry/freeze.rs", "freezes_when_eighty_percent_fail_and_three_at_least"),
    (34, "src/registry/breaker/tests.rs", "every_second_request_failing_opens"),
];

/// Faults that look the same whatever is spoken on the connection, because there is none, or because what was
/// received is not of the protocol.
const BEFORE_ANY_PROTOCOL: [u8; 14] = [1, 2, 3, 4, 5, 6, 7, 21, 30, 31, 32, 33, 34, 35];

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The numbers in the names of the tests of this directory and of its parent: `d01_d02_name` has two.
fn named() -> BTreeSet<u8> {
    let mut numbers = BTreeSet::new();
    for directory in ["tests/it/delivery", "tests/it/delivery/zoo"] {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            let names =
                text.lines().filter_map(|line| line.split_once("fn ")).map(|(_, name)| name);
            for name in names {
                let words = name.split('_').map_while(|word| word.strip_prefix('d')?.parse().ok());
                numbers.extend(words.filter(|number: &u8| (1..=35).contains(number)));
            }
        }
    }
    numbers
}

#[test]
fn every_fault_is_in_the_zoo() {
    let http1: BTreeSet<_> = answers::rows().iter().map(|row| row.number).collect();
    let http2: BTreeSet<_> = http2::rows().iter().map(|row| row.number).collect();
    for (number, file, test) in ELSEWHERE {
        assert!(read(file).contains(&format!("fn {test}(")), "D{number}: {file} has no {test}");
    }
    let elsewhere = ELSEWHERE.iter().map(|(number, ..)| *number);
    let known: BTreeSet<_> = named().into_iter().chain(elsewhere).collect();
    let missing = |found: &BTreeSet<u8>| -> Vec<u8> {
        (1..=35).filter(|number| !found.contains(number) && !known.contains(number)).collect()
    };
    let all: BTreeSet<_> = http1.union(&http2).copied().collect();
    assert_eq!(missing(&all), Vec::<u8>::new(), "not reproduced anywhere");
    // What has an answer is looked at over both protocols, unless only one has it.
    let only_http2 = [27, 28, 29];
    for number in (1..=35).filter(|number| !BEFORE_ANY_PROTOCOL.contains(number)) {
        assert!(http1.contains(&number) || only_http2.contains(&number), "D{number} over HTTP/1.1");
        assert!(http2.contains(&number) || known.contains(&number), "D{number} over HTTP/2");
    }
}
