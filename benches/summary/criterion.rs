//! What criterion measured.

use std::{fs, path::Path};

use serde_json::Value;

/// One benchmark of criterion.
pub(crate) struct Measured {
    pub(crate) group: String,
    pub(crate) case: String,
    /// What it was run with, as a number, where it is one.
    pub(crate) size: Option<f64>,
    /// The same as text.
    pub(crate) parameter: String,
    /// Median of one run.
    pub(crate) nanoseconds: f64,
    /// Bytes or elements that one run goes through.
    pub(crate) throughput: Option<(Unit, f64)>,
}

/// What a throughput counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Elements,
}

/// Every benchmark below `dir`, by group, case and size. Empty if there is none.
pub(crate) fn read(dir: &Path) -> Vec<Measured> {
    let mut found = Vec::new();
    collect(dir, &mut found);
    found.sort_by(|a, b| {
        let by_size = a.size.unwrap_or(0.0).total_cmp(&b.size.unwrap_or(0.0));
        (&a.group, &a.case).cmp(&(&b.group, &b.case)).then(by_size)
    });
    found
}

fn collect(dir: &Path, found: &mut Vec<Measured>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|it| it.is_dir()) {
        if path.ends_with("new") {
            found.extend(one(&path));
        } else {
            collect(&path, found);
        }
    }
}

fn one(dir: &Path) -> Option<Measured> {
    let json = |name: &str| -> Option<Value> {
        serde_json::from_slice(&fs::read(dir.join(name)).ok()?).ok()
    };
    let (about, estimates) = (json("benchmark.json")?, json("estimates.json")?);
    let text = |field: &str| about[field].as_str().unwrap_or_default().to_owned();
    let parameter = text("value_str");
    let counted = |name: &str| about["throughput"][name].as_f64();
    let throughput = counted("Bytes")
        .map(|bytes| (Unit::Bytes, bytes))
        .or_else(|| counted("Elements").map(|elements| (Unit::Elements, elements)));
    Some(Measured {
        group: text("group_id"),
        case: text("function_id"),
        size: parameter.parse().ok(),
        parameter,
        nanoseconds: estimates["median"]["point_estimate"].as_f64()?,
        throughput,
    })
}
