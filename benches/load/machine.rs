//! The machine that made a figure, and the clock that its processes share.

use std::{fmt, fs, process::Command};

use jiff::Timestamp;
use serde::Serialize;

/// Facts without which a figure says nothing.
#[derive(Serialize)]
pub(crate) struct Machine {
    cores: usize,
    cpu: String,
    memory_bytes: u64,
    kernel: String,
    /// Load average of the last minute when the benchmark began: above zero, others worked too.
    load: String,
    commit: String,
    time: String,
}

// === impl Machine ===

impl Machine {
    pub(crate) fn read() -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            cpu: value_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            memory_bytes: kilobytes("/proc/meminfo", "MemTotal"),
            kernel: kernel.trim().to_owned(),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            commit: commit(),
            time: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, cpu, memory_bytes, kernel, load, commit, time } = self;
        let memory = memory_bytes >> 30;
        write!(
            f,
            "{cores} cores of {cpu}, {memory} GiB, Linux {kernel}, load {load}, commit {commit}, {time}"
        )
    }
}

/// Nanoseconds since 1970: the one clock that all processes of a benchmark share.
pub(crate) fn now() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).expect("it is later than 1970")
}

/// A line `name: value` of a file of /proc.
pub(crate) fn value_of(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Such a value, given in kB there, in bytes.
pub(crate) fn kilobytes(path: &str, name: &str) -> u64 {
    let value = value_of(path, name).unwrap_or_default();
    value.trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) << 10
}

/// The commit, marked when files were changed since.
fn commit() -> String {
    let output =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10"]).output();
    let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// CPU seconds that a process has used.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // In hundredths of a second, whatever the kernel's own clock.
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}
