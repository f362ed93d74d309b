//! Load on the real program: `cargo bench --bench load -- CELL…` with the cells `intake`, `delivery`, `isolation`,
//! `memory`, `peers` and `scale`. `FANFARE_QUICK=1` makes each a smoke run of seconds.
//!
//! The kit, in `benches/load/`, is plain blocking code around child processes:
//! - `program::Program` starts the real release binary (`BENCH_PROGRAM`: another one) on real files and tells its
//!   addresses, memory, CPU time and metrics. Manifests are text.
//! - `sink::Sinks` are M receivers in a child process, HTTP/1.1 or HTTP/2, plain or TLS: `clear(alerts)` before a run,
//!   `wait(pairs, patience)` after it, then `Got::assert_exactly_once`, `times(&poster.starts())` for latencies.
//! - `post::Poster` is a child process with N clients: `run(&Load)` posts alerts that carry their number in a label
//!   (`Z<number>Z`), flat out or at a pace (open loop), and tells `Posted`; when each alert's post began and was
//!   answered lies in files by number. Alerts of one program need numbers or a `Load::run` that are new.
//! - `bare::Bare` is a bare hyper client loop against the same receivers: what the machine allows.
//! - `commits::Commits` is a bare loop that commits to redb as the store does: what the disk allows.
//! - `child::Child` is such a child process: this executable with a hidden first argument; orders and answers are
//!   JSON lines. A role is a line in `main` below.
//! - `report::Report` collects figures with their goals and writes `target/bench/<cell>.json` and a table.
//!
//! A cell is a file with `pub(crate) fn run()` and one line in `CELLS`. It checks that all came exactly as often as
//! expected before it adds a figure, and it is bounded in time. All processes share one clock, `machine::now`.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it prints figures, which are far from the limits of their types, and stops if it can't"
)]

#[path = "load/bare.rs"]
mod bare;
#[path = "load/child.rs"]
#[expect(dead_code, reason = "each cell uses a part of it")]
mod child;
#[path = "load/commits.rs"]
mod commits;
#[path = "load/delivery.rs"]
mod delivery;
#[path = "load/intake.rs"]
mod intake;
#[path = "load/isolation.rs"]
mod isolation;
#[path = "load/machine.rs"]
mod machine;
#[path = "load/memory.rs"]
mod memory;
#[path = "load/peers.rs"]
mod peers;
#[path = "load/post.rs"]
#[expect(dead_code, reason = "each cell uses a part of it")]
mod post;
#[path = "load/program.rs"]
mod program;
#[path = "load/report.rs"]
mod report;
#[path = "load/scale.rs"]
mod scale;
#[path = "load/sink.rs"]
mod sink;

#[path = "../tests/it"]
mod it {
    #[expect(dead_code, reason = "the tests use more of it")]
    pub(crate) mod support;
}

/// What can be measured.
const CELLS: &[(&str, fn())] = &[
    ("intake", intake::run),
    ("delivery", delivery::run),
    ("isolation", isolation::run),
    ("memory", memory::run),
    ("peers", peers::run),
    ("scale", scale::run),
];

fn main() {
    // Cargo adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.first().map(String::as_str) {
        Some("sink") => return sink::main(),
        Some("post") => return post::main(),
        Some("bare") => return bare::main(),
        Some(scale::probed::ROLE) => return scale::probed::serve(),
        _ => {}
    }
    for word in &words {
        let known: Vec<_> = CELLS.iter().map(|(name, _)| *name).collect();
        assert!(known.contains(&word.as_str()), "no cell {word}: there are {}", known.join(", "));
    }
    for (name, run) in CELLS {
        if words.is_empty() || words.iter().any(|word| word == name) {
            println!("-- {name}");
            run();
        }
    }
}

/// Whether a smoke run was asked for.
fn is_quick() -> bool {
    std::env::var("FANFARE_QUICK").is_ok_and(|value| value == "1")
}
