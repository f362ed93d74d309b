//! The figures as tables in Markdown.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::criterion::{Measured, Unit};

/// The rows of every report below `dir`, then what other benchmarks printed there.
pub(crate) fn of_reports(dir: &Path) -> String {
    let mut text = String::new();
    for file in files(dir, "json") {
        let report =
            fs::read(&file).ok().and_then(|json| serde_json::from_slice::<Value>(&json).ok());
        if let Some(report) = report {
            text += &of_report(&report);
        }
    }
    for file in files(dir, "txt") {
        let name = file.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let printed = fs::read_to_string(&file).unwrap_or_default();
        write!(text, "## {name}\n\n```\n{}\n```\n\n", printed.trim_end()).unwrap();
    }
    text
}

/// What criterion measured: the median of one run, and for each element or byte of it.
pub(crate) fn of_criterion(measured: &[Measured]) -> String {
    if measured.is_empty() {
        return String::new();
    }
    let mut text =
        "## criterion\n\n| group | case | size | one run | of it |\n|---|---|---|---|---|\n"
            .to_owned();
    for one in measured {
        let Measured { group, case, parameter, nanoseconds, throughput, .. } = one;
        let each = match throughput {
            Some((Unit::Elements, count)) => format!("{} each", time(nanoseconds / count)),
            // Bytes in nanoseconds are gigabytes in seconds.
            Some((Unit::Bytes, bytes)) => format!("{:.0} MB/s", bytes / nanoseconds * 1e3),
            None => String::new(),
        };
        let run = time(*nanoseconds);
        writeln!(text, "| {group} | {case} | {parameter} | {run} | {each} |").unwrap();
    }
    text
}

fn of_report(report: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let machine = report["machine"].as_object();
    let facts = machine.into_iter().flatten().map(|(name, fact)| format!("{name} {}", word(fact)));
    let settings = report["settings"].as_array().into_iter().flatten();
    let settings = settings.map(|pair| format!("{}: {}", word(&pair[0]), word(&pair[1])));
    let about: Vec<String> = facts.chain(settings).collect();
    let mut text = format!(
        "## {}\n\n{}.\n\n| case | figure | value | goal | |\n|---|---|---|---|---|\n",
        word(&report["bench"]),
        about.join("; ")
    );
    for row in report["rows"].as_array().into_iter().flatten() {
        let value = row["value"].as_f64().unwrap_or(f64::NAN);
        let goal = goal(&row["goal"], value);
        let [case, figure, unit, note] =
            ["case", "figure", "unit", "note"].map(|field| word(&row[field]));
        writeln!(text, "| {case} | {figure} | {} {unit} | {goal} | {note} |", number(value))
            .unwrap();
    }
    text + "\n"
}

fn goal(goal: &Value, value: f64) -> String {
    let (sign, wanted, is_met) = match (goal["at_least"].as_f64(), goal["at_most"].as_f64()) {
        (Some(wanted), _) => ("≥", wanted, value >= wanted),
        (_, Some(wanted)) => ("≤", wanted, value <= wanted),
        _ => return String::new(),
    };
    format!("{sign} {}: {}", number(wanted), if is_met { "met" } else { "**missed**" })
}

fn files(dir: &Path, kind: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|it| it.extension() == Some(OsStr::new(kind)))
        .collect();
    files.sort();
    files
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        short if short < 1e3 => format!("{short:.1} ns"),
        short if short < 1e6 => format!("{:.2} µs", short / 1e3),
        long => format!("{:.2} ms", long / 1e6),
    }
}

/// With as many digits as a reader can use.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
