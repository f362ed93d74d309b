//! What a benchmark found: rows of figures with the machine that made them, as a table and as JSON in
//! `target/bench/<bench>.json`.

use std::{fs, path::Path};

use serde::Serialize;

use super::machine::Machine;

/// Where every benchmark leaves its results, from the package's root.
pub(crate) const DIRECTORY: &str = "target/bench";

/// The figures of one benchmark.
#[derive(Serialize)]
pub(crate) struct Report {
    bench: String,
    machine: Machine,
    /// What a reader must know to repeat it, by name.
    settings: Vec<(String, String)>,
    rows: Vec<Row>,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) bench: String,
    /// What was measured: `M=10 flat out`.
    pub(crate) case: String,
    /// What of it: `notifications per second`.
    pub(crate) figure: String,
    pub(crate) unit: String,
    pub(crate) value: f64,
    pub(crate) goal: Option<Goal>,
    /// What else was seen, such as the other half of a pair.
    pub(crate) note: String,
}

/// What a figure should reach.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

// === impl Goal ===

impl Goal {
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(goal) => value >= goal,
            Self::AtMost(goal) => value <= goal,
        }
    }

    fn text(self, value: f64) -> String {
        let verdict = if self.is_met(value) { "met" } else { "MISSED" };
        match self {
            Self::AtLeast(goal) => format!(">= {}: {verdict}", number(goal)),
            Self::AtMost(goal) => format!("<= {}: {verdict}", number(goal)),
        }
    }
}

// === impl Report ===

impl Report {
    pub(crate) fn new(bench: &str) -> Self {
        let (bench, machine) = (bench.to_owned(), Machine::read());
        Self { bench, machine, settings: Vec::new(), rows: Vec::new() }
    }

    /// States a setting; a later one of the same name replaces it.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.into()));
    }

    /// Adds a figure, named `what = (case, figure, unit)`.
    pub(crate) fn add(
        &mut self,
        what: (&str, &str, &str),
        value: f64,
        goal: Option<Goal>,
        note: impl Into<String>,
    ) {
        let (case, figure, unit) = what;
        let row = Row {
            bench: self.bench.clone(),
            case: case.to_owned(),
            figure: figure.to_owned(),
            unit: unit.to_owned(),
            value,
            goal,
            note: note.into(),
        };
        println!("{}", line(&row));
        self.rows.push(row);
    }

    /// Prints what the rows were made with, and writes all as JSON.
    pub(crate) fn finish(self) {
        print!("{}", self.made_with());
        let path = Path::new(DIRECTORY).join(format!("{}.json", self.bench));
        fs::create_dir_all(DIRECTORY).expect("target can be written");
        let text = serde_json::to_string_pretty(&self).expect("a report is plain data");
        fs::write(&path, text + "\n").expect("target can be written");
        println!("written to {}", path.display());
    }

    fn made_with(&self) -> String {
        let Self { bench, machine, settings, .. } = self;
        let settings: String =
            settings.iter().flat_map(|(name, value)| ["  ", name, ": ", value, "\n"]).collect();
        format!("{bench}: {machine}\n{settings}")
    }
}

fn line(row: &Row) -> String {
    let Row { case, figure, unit, value, goal, note, .. } = row;
    let goal = goal.map(|goal| format!(" (goal {})", goal.text(*value))).unwrap_or_default();
    let note = if note.is_empty() { String::new() } else { format!("; {note}") };
    format!("{case:<28} {figure:<34} {:>12} {unit}{goal}{note}", number(*value))
}

/// With as many digits as a reader can use.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
