//! Power loss: whatever was confirmed is there afterwards, and nothing half-written.

use super::machine::{Bad, Machine};

/// Power cuts in a run: `FANFARE_CUTS`.
fn cuts(default: u64) -> u64 {
    std::env::var("FANFARE_CUTS").map_or(default, |cuts| cuts.parse().unwrap())
}

/// Where to begin: `FANFARE_SEED`, as a failure names it.
fn first_seed() -> u64 {
    std::env::var("FANFARE_SEED").map_or(1, |seed| seed.parse().unwrap())
}

/// One machine that loses its power ten times, also while it starts.
fn life(seed: u64, sync: bool) -> Result<u64, Bad> {
    let mut machine = Machine::new(seed);
    if !sync {
        machine.disk.ignore_syncs();
    }
    for _ in 0..10 {
        let most = if machine.load.rng.u8(0..3) == 0 { 12 } else { 150 };
        machine.disk.power_cut_at(machine.load.rng.u64(1..most));
        if let Some(store) = machine.start()? {
            machine.work_until_cut(&store);
        }
        machine.disk.power_on();
    }
    machine.start()?;
    Ok(10)
}

/// Control: [`without_syncs_the_same_cuts_lose_what_was_confirmed`].
#[test]
fn power_cuts_lose_nothing_that_was_confirmed() {
    let (mut seed, mut cut) = (first_seed(), 0);
    while cut < cuts(2_000) {
        match life(seed, true) {
            Ok(cuts) => cut += cuts,
            Err(bad) => panic!("FANFARE_SEED={seed}: {bad}"),
        }
        seed += 1;
    }
}

#[test]
fn without_syncs_the_same_cuts_lose_what_was_confirmed() {
    let lost = (1..=20).filter(|seed| life(*seed, false).is_err()).count();
    assert!(lost >= 15, "only {lost} of 20 machines lost something");
}
