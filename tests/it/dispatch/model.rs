//! Random histories against a naive model of what is owed.
//!
//! The model is the rules, written down without queues, numbers or timers: after each step it says for every
//! (route, alert, target) whether something is owed, what came to its end without being told, and what
//! waits on disk for targets that need every transition. The state must say the same. Beside that it keeps what really reached each receiver,
//! crashes included, and judges that: nothing out of order, nothing resolved that nobody heard of,
//! nothing left open, no notification twice but after a loss of what was told.
//!
//! The environment variable `FANFARE_SEQUENCES` says how many histories are tried (250 if it is not set),
//! `FANFARE_SEED` is the number of the first (1 if it is not set).

mod editing;
mod ledger;
mod passing;
mod queue;
mod script;
mod sender;
mod sending;
mod verdict;

use std::panic::{AssertUnwindSafe, catch_unwind};

use script::Script;

/// After so many differences no more are looked for.
const ENOUGH: usize = 20;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn every_history_owes_what_the_rules_say() {
    let first = number("FANFARE_SEED").unwrap_or(1);
    let count = number("FANFARE_SEQUENCES").unwrap_or(250);
    let mut played = 0;
    let mut differ = Vec::new();
    for seed in first..first + count {
        played += 1;
        let play = AssertUnwindSafe(|| Script::new(seed).play());
        if catch_unwind(play).is_err() {
            eprintln!("again: FANFARE_SEED={seed} FANFARE_SEQUENCES=1");
            differ.push(seed);
            if differ.len() == ENOUGH {
                break;
            }
        }
    }
    eprintln!("{played} histories from seed {first}, {} with a difference", differ.len());
    assert!(differ.is_empty(), "these histories differ from the rules: {differ:?}");
}
