//! Flags and `FANFARE_*` variables, checked once at start.
//!
//! Only `app` reads [`Config`]; every room gets a small settings struct of its own.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use ipnet::IpNet;

/// Settings of `fanfare run`.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Address for alert senders (Prometheus, Alertmanager).
    #[arg(long, env = "FANFARE_INTAKE_LISTEN", default_value = "0.0.0.0:9093")]
    pub intake_listen: SocketAddr,

    /// Address of the API. Anything but loopback needs --api-token-file.
    #[arg(long, env = "FANFARE_API_LISTEN", default_value = "127.0.0.1:9094")]
    pub api_listen: SocketAddr,

    /// Address of metrics and health checks.
    #[arg(long, env = "FANFARE_ADMIN_LISTEN", default_value = "0.0.0.0:8080")]
    pub admin_listen: SocketAddr,

    /// Directory for durable state; created if missing, locked against a second process. Absent: accepted alerts
    /// are in memory only and end with the process.
    #[arg(long, env = "FANFARE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,

    /// Namespaces to watch, comma separated or repeated. Empty: all.
    #[arg(long, env = "FANFARE_WATCH_NAMESPACE", value_delimiter = ',')]
    pub watch_namespace: Vec<String>,

    /// Namespaces whose routes may have `scope: Cluster`. With --manifests every namespace may.
    #[arg(long, env = "FANFARE_CLUSTER_ROUTE_NAMESPACES", value_delimiter = ',')]
    pub cluster_route_namespaces: Vec<String>,

    /// Label that names an alert's namespace.
    #[arg(long, env = "FANFARE_SCOPE_LABEL", default_value = "namespace")]
    pub scope_label: String,

    /// Read objects from the YAML files of this directory instead of a cluster.
    #[arg(long, env = "FANFARE_MANIFESTS")]
    pub manifests: Option<PathBuf>,

    /// Address under which people reach Fanfare; shown in payloads.
    #[arg(long, env = "FANFARE_EXTERNAL_URL", default_value = "")]
    pub external_url: String,

    /// An alert without `endsAt` counts as resolved after this time without an update.
    #[arg(long, env = "FANFARE_RESOLVE_TIMEOUT", default_value = "5m", value_parser = duration)]
    pub resolve_timeout: Duration,

    /// An alert from an Alertmanager webhook is forgotten after this time without an update.
    #[arg(long, env = "FANFARE_WEBHOOK_MAX_AGE", default_value = "168h", value_parser = duration)]
    pub webhook_max_age: Duration,

    /// Most alerts held at a time; new ones are refused beyond it (503).
    #[arg(long, env = "FANFARE_MAX_ALERTS", default_value_t = 100_000, value_parser = at_least_one)]
    pub max_alerts: usize,

    /// Most alerts of one `alertname` that fire at a time; new ones are refused beyond it (503). 0: no limit.
    #[arg(long, env = "FANFARE_ALERTS_PER_ALERTNAME_LIMIT", default_value_t = 0)]
    pub alerts_per_alertname_limit: usize,

    /// Networks that targets may be in although the defaults deny them (loopback, link-local …).
    #[arg(long, env = "FANFARE_ALLOW_CIDR", value_delimiter = ',')]
    pub allow_cidr: Vec<IpNet>,

    /// Networks that targets may never be in; wins over --allow-cidr.
    #[arg(long, env = "FANFARE_DENY_CIDR", value_delimiter = ',')]
    pub deny_cidr: Vec<IpNet>,

    /// File of bearer tokens, one a line, that may use the API.
    #[arg(long, env = "FANFARE_API_TOKEN_FILE")]
    pub api_token_file: Option<PathBuf>,

    /// File of bearer tokens, one a line, that may post alerts. Absent: anyone may.
    #[arg(long, env = "FANFARE_INTAKE_TOKEN_FILE")]
    pub intake_token_file: Option<PathBuf>,

    /// Most health checks under way at a time.
    #[arg(long, env = "FANFARE_MAX_CONCURRENT_PROBES", default_value_t = 64, value_parser = at_least_one)]
    pub max_concurrent_probes: usize,

    /// After SIGTERM, attempts under way may take this long to finish.
    #[arg(long, env = "FANFARE_SHUTDOWN_GRACE", default_value = "25s", value_parser = duration)]
    pub shutdown_grace: Duration,

    /// Form of the log.
    #[arg(long, env = "FANFARE_LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,

    /// What is logged: error, warn, info, debug, trace, or a filter such as
    /// `info,fanfare::delivery=debug`.
    #[arg(long, env = "FANFARE_LOG_LEVEL", default_value = "info")]
    pub log_level: String,

    /// Name of the Lease whose holder writes status.
    #[arg(long, env = "FANFARE_LEASE_NAME", default_value = "fanfare")]
    pub lease_name: String,

    /// Namespace of the Lease. Default: the namespace of the kubeconfig or the ServiceAccount.
    #[arg(long, env = "FANFARE_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,

    /// Name of this instance in the Lease and in events. Default: the host's name.
    #[arg(long, env = "FANFARE_POD_NAME")]
    pub pod_name: Option<String>,
}

/// Forms of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// A setting that cannot work.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The API would be open to everyone on the network.
    #[error(
        "--api-listen {0} is reachable from other machines: give --api-token-file, or listen on 127.0.0.1 and use kubectl port-forward"
    )]
    OpenApi(IpAddr),
    /// The external URL is not one.
    #[error("--external-url {0:?} is not an http or https URL")]
    ExternalUrl(String),
    /// The label's name is empty.
    #[error("--scope-label is empty: name the label that holds an alert's namespace")]
    ScopeLabel,
    /// A duration that must not be zero.
    #[error("{0} must be longer than zero")]
    Zero(&'static str),
}

fn duration(text: &str) -> Result<Duration, crate::api::ParseDurationError> {
    text.parse::<crate::api::Duration>().map(crate::api::Duration::get)
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("not a whole number: {error}")),
    }
}

// === impl Config ===

impl Config {
    /// Checks what one flag alone cannot.
    ///
    /// # Errors
    /// [`ConfigError`] names the flag and the way out.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !self.api_listen.ip().is_loopback() && self.api_token_file.is_none() {
            return Err(ConfigError::OpenApi(self.api_listen.ip()));
        }
        if self.scope_label.is_empty() {
            return Err(ConfigError::ScopeLabel);
        }
        if self.resolve_timeout.is_zero() {
            return Err(ConfigError::Zero("--resolve-timeout"));
        }
        if self.webhook_max_age.is_zero() {
            return Err(ConfigError::Zero("--webhook-max-age"));
        }
        let web = self.external_url.is_empty()
            || url::Url::parse(&self.external_url)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if web { Ok(()) } else { Err(ConfigError::ExternalUrl(self.external_url.clone())) }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    fn parse(args: &[&str]) -> Result<Config, clap::Error> {
        Cli::try_parse_from([&["fanfare"], args].concat()).map(|cli| cli.config)
    }

    #[test]
    fn defaults_are_valid() {
        assert_eq!(parse(&[]).unwrap().check(), Ok(()));
    }

    #[test]
    fn open_api_without_tokens_is_refused() {
        let config = parse(&["--api-listen", "0.0.0.0:9094"]).unwrap();
        assert_eq!(config.check(), Err(ConfigError::OpenApi([0, 0, 0, 0].into())));
        let config =
            parse(&["--api-listen", "0.0.0.0:9094", "--api-token-file", "/tokens"]).unwrap();
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn lists_split_at_commas() {
        let config = parse(&["--watch-namespace", "a,b", "--watch-namespace", "c"]).unwrap();
        assert_eq!(config.watch_namespace, ["a", "b", "c"]);
    }

    #[test]
    fn zero_limits_and_bad_durations_are_refused() {
        assert!(parse(&["--max-alerts", "0"]).is_err());
        assert!(parse(&["--resolve-timeout", "5 minutes"]).is_err());
        let config = parse(&["--resolve-timeout", "0s"]).unwrap();
        assert_eq!(config.check(), Err(ConfigError::Zero("--resolve-timeout")));
    }

    #[test]
    fn external_url_must_be_web() {
        let config = parse(&["--external-url", "ftp://x"]).unwrap();
        assert_eq!(config.check(), Err(ConfigError::ExternalUrl("ftp://x".to_owned())));
    }
}
