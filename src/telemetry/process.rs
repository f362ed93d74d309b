//! Metrics of the process, read from `/proc` at each scrape; left out where there is none.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
    registry::Unit,
};

/// Reads `/proc/self` when scraped.
#[derive(Debug)]
pub(super) struct Process {
    started: f64,
}

// === impl Process ===

impl Process {
    #[expect(clippy::disallowed_methods, reason = "the start time of the process is wall time")]
    pub(super) fn new() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: started.as_secs_f64() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge = |name, help, unit: Unit, value: f64| {
            let gauge = ConstGauge::new(value);
            let metric = encoder.encode_descriptor(name, help, Some(&unit), gauge.metric_type())?;
            gauge.encode(metric)
        };
        gauge("process_start_time", "When the process started", Unit::Seconds, self.started)?;
        if let Some(bytes) = resident_bytes() {
            gauge("process_resident_memory", "Memory in use", Unit::Bytes, bytes)?;
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            let open = u32::try_from(entries.count()).unwrap_or(u32::MAX);
            let unit = Unit::Other("fds".to_owned());
            gauge("process_open", "Open file descriptors", unit, f64::from(open))?;
        }
        Ok(())
    }
}

/// `VmRSS` of `/proc/self/status`, which is in KiB whatever the page size.
fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u32 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(f64::from(kib) * 1024.0)
}
