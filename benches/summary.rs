//! What `make bench` leaves behind: `target/bench/summary.md`, a table of every figure that the benchmarks
//! wrote, and a plot for each criterion group that was measured at three sizes or more.
//!
//! It measures nothing itself. Figures of criterion are medians of `target/criterion`, those of the other
//! benchmarks come from `target/bench/*.json`, which [`report`] writes.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "it prints and stops if it can't")]

#[path = "summary/criterion.rs"]
mod criterion;
#[path = "summary/plot.rs"]
mod plot;
#[path = "summary/table.rs"]
mod table;

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use criterion::Measured;

const OUT: &str = "target/bench";

/// Sizes and nanoseconds, by case.
type Lines<'a> = BTreeMap<&'a str, Vec<(f64, f64)>>;

/// Those that can be drawn as lines over their size, by group.
fn groups(measured: &[Measured]) -> BTreeMap<&str, Lines<'_>> {
    let mut groups: BTreeMap<&str, Lines<'_>> = BTreeMap::new();
    for one in measured {
        if let Some(size) = one.size {
            let line = groups.entry(&one.group).or_default().entry(&one.case).or_default();
            line.push((size, one.nanoseconds));
        }
    }
    for lines in groups.values_mut() {
        lines.retain(|_, points| points.len() > 2);
        for points in lines.values_mut() {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
    }
    groups.retain(|_, lines| !lines.is_empty());
    groups
}

fn main() {
    let out = Path::new(OUT);
    fs::create_dir_all(out).unwrap();
    let measured = criterion::read(Path::new("target/criterion"));
    let mut text = table::of_reports(out);
    text += &table::of_criterion(&measured);
    for (group, lines) in groups(&measured) {
        let file = format!("{}.svg", group.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        plot::draw(&out.join(&file), group, &lines);
        write!(text, "\n![{group}]({file})\n").unwrap();
    }
    fs::write(out.join("summary.md"), &text).unwrap();
    print!("{text}");
}
