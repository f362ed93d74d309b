//! Metrics of the probes.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{
    api::{Reason, TargetType},
    registry::Sample,
};

const RESULTS: [&str; 11] = [
    "success",
    "timeout",
    "dns",
    "connect",
    "tls",
    "auth",
    "rate_limited",
    "client_error",
    "server_error",
    "blocked",
    "unexpected",
];
const BUCKETS: [f64; 10] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Metrics of the probe room.
#[derive(Clone, Debug)]
pub struct Metrics {
    probes: Family<Labels<2>, Counter>,
    duration: Family<Labels<1>, Histogram, fn() -> Histogram>,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        Self { probes: Family::default(), duration: Family::new_with_constructor(histogram) }
    }
}

impl Metrics {
    /// Registers the room's metrics, every series at zero.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for kind in TargetType::ALL {
            drop(metrics.duration.get_or_create(&[("type", kind.as_str())]));
            for result in RESULTS {
                drop(metrics.probes.get_or_create(&labels(kind, result)));
            }
        }
        registry.register("probes", "Health checks by result", metrics.probes.clone());
        registry.register_with_unit(
            "probe_duration",
            "Time that health checks took",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        metrics
    }

    pub(super) fn probed(&self, kind: TargetType, sample: &Sample, took: Duration) {
        let result =
            sample.verdict.as_ref().map_or_else(|failure| word(failure.reason), |_| "success");
        self.probes.get_or_create(&labels(kind, result)).inc();
        self.duration.get_or_create(&[("type", kind.as_str())]).observe(took.as_secs_f64());
    }
}

const fn labels(kind: TargetType, result: &'static str) -> Labels<2> {
    [("type", kind.as_str()), ("result", result)]
}

const fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Timeout => "timeout",
        Reason::DNSFailed => "dns",
        Reason::ConnectFailed | Reason::LocalNetworkFault => "connect",
        Reason::TLSFailed => "tls",
        Reason::AuthenticationFailed => "auth",
        Reason::RateLimited => "rate_limited",
        Reason::ClientError | Reason::Gone => "client_error",
        Reason::ServerError => "server_error",
        Reason::AddressBlocked => "blocked",
        _ => "unexpected",
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn every_series_exists_at_zero() {
        let mut registry = Registry::with_prefix("fanfare");
        Metrics::register(&mut registry);
        let mut output = String::new();
        text::encode(&mut output, &registry).unwrap();
        for kind in TargetType::ALL {
            for result in RESULTS {
                let line =
                    format!("fanfare_probes_total{{type=\"{kind}\",result=\"{result}\"}} 0\n");
                assert!(output.contains(&line), "{line}");
            }
            let line = format!("fanfare_probe_duration_seconds_count{{type=\"{kind}\"}} 0\n");
            assert!(output.contains(&line), "{line}");
        }
    }

    #[test]
    fn every_reason_has_a_known_result() {
        assert!(Reason::ALL.iter().all(|reason| RESULTS.contains(&word(*reason))));
    }
}
