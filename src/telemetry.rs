//! Logs and the root of the metrics.
//!
//! A leaf: rooms log through `tracing` and register their metrics themselves; this room only opens
//! the log and makes the registry that they register with.

mod process;

use std::{io::IsTerminal as _, sync::Arc};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use crate::config::LogFormat;

/// Changes the log filter while the process runs.
#[derive(Clone)]
pub struct LogLevel {
    set: Arc<dyn Fn(EnvFilter) -> bool + Send + Sync>,
}

/// The log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter does not parse.
    #[error(
        "log level {0:?} is not a level or a filter: write for example info, or info,fanfare::delivery=debug"
    )]
    Filter(String),
    /// Another log was opened before.
    #[error("open the log")]
    Init(#[from] tracing_subscriber::util::TryInitError),
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// Opens the log of the process. Lines go to standard error.
///
/// # Errors
/// The filter does not parse, or a log is open already.
pub fn open_log(format: LogFormat, level: &str) -> Result<LogLevel, Error> {
    let (filter, handle) = reload::Layer::new(parse(level)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(LogLevel { set: Arc::new(move |filter| handle.reload(filter).is_ok()) })
}

/// The root registry: every name starts with `fanfare_`. Holds build and process metrics.
#[must_use]
pub fn registry() -> Registry {
    let mut registry = Registry::with_prefix("fanfare");
    let build = Family::<Build, Gauge>::default();
    build.get_or_create_owned(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
    registry.register("build_info", "Version of the running program, always 1", build);
    registry.register_collector(Box::new(process::Process::new()));
    registry
}

/// The Kubernetes client warns at every retry, and once with the whole answer, Secrets included; what
/// matters of it the controller says itself, once. A filter that names it still turns it on.
const QUIET: &str = "kube_client=off,kube_runtime=error";

fn parse(level: &str) -> Result<EnvFilter, Error> {
    let level = level.trim();
    let refused = || Error::Filter(level.chars().take(200).collect());
    // An empty filter would silence the log. Alone, so that a broken one is not hidden by ours.
    if level.is_empty() || level.parse::<EnvFilter>().is_err() {
        return Err(refused());
    }
    format!("{QUIET},{level}").parse().map_err(|_| refused())
}
// === impl LogLevel ===

impl LogLevel {
    /// Replaces the filter.
    ///
    /// # Errors
    /// The text is not a level or a filter.
    pub fn set(&self, level: &str) -> Result<(), Error> {
        let filter = parse(level)?;
        (self.set)(filter);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_and_process_metrics_are_encoded() {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry()).unwrap();
        assert!(text.contains("fanfare_build_info{version=\""), "{text}");
        assert!(text.contains("fanfare_process_resident_memory_bytes "), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn the_kubernetes_client_is_quiet_unless_it_is_named() {
        let filter = |level| parse(level).unwrap().to_string();
        assert!(filter("debug").contains("kube_client=off"));
        assert!(filter("info,kube_client=debug").contains("kube_client=debug"));
        assert!(!filter("info,kube_client=debug").contains("kube_client=off"));
    }

    #[test]
    fn bad_filter_is_refused() {
        for filter in ["fanfare=loud", "", " \n"] {
            assert!(matches!(parse(filter), Err(Error::Filter(_))), "{filter:?}");
        }
    }
}
