//! What a caller of the publish API asks for, already checked.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    alert::Alert,
    api::{TargetKey, TargetType},
};

/// Longest overall timeout of a publish.
pub const MAX_TIMEOUT: Duration = Duration::from_mins(5);
/// Most targets that one publish may work on at a time.
pub const MAX_CONCURRENT: usize = 200;
/// Longest `Idempotency-Key` in bytes.
pub const MAX_KEY_LENGTH: usize = 256;

/// One alert for a selection of targets.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// The alert.
    pub alert: Arc<Alert>,
    /// Which targets.
    pub selection: Selection,
    /// How.
    pub options: Options,
    /// Makes repeats of this request harmless; `None`: every request is its own.
    pub idempotency: Option<Idempotency>,
}

/// The `Idempotency-Key` of a request. For an hour, the same key with the same body gets the first
/// result and nothing is sent again; a duplicate that comes while the first runs waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The key as the caller sent it, at most [`MAX_KEY_LENGTH`] bytes.
    pub key: Arc<str>,
    /// SHA-256 over endpoint and body: the key may not be used again with another one.
    pub body: [u8; 32],
}

/// Which targets a publish is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// Exactly these, in this order, each once. An unknown one fails the request.
    Named(Vec<TargetKey>),
    /// Every enabled target that passes the filter, whatever its health.
    All(TargetFilter),
    /// Every enabled Healthy or Degraded target that passes the filter.
    Healthy(TargetFilter),
}

/// Narrows a selection; empty passes everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetFilter {
    /// Only targets of this namespace.
    pub namespace: Option<String>,
    /// Only targets of this type.
    pub kind: Option<TargetType>,
    /// Only targets that carry all these labels.
    pub labels: BTreeMap<String, String>,
}

/// How a publish is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What health keeps a target out.
    pub strategy: Strategy,
    /// False ignores health altogether.
    pub check_health: bool,
    /// Whether an open circuit keeps a target out.
    pub enable_circuit_breaker: bool,
    /// Overall time limit: more than zero, at most [`MAX_TIMEOUT`].
    pub timeout: Duration,
    /// Targets worked on at a time: 1 to [`MAX_CONCURRENT`].
    pub max_concurrent: usize,
    /// False: one attempt. True: what fails in a way that may pass, or can't be sent now because of an open
    /// circuit, a rate limit or a Secret that has not been read yet, is queued on disk and tried until it is
    /// delivered or given up.
    pub retry: bool,
}

/// What health keeps a target out of a publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Unhealthy targets are skipped.
    #[default]
    SkipUnhealthy,
    /// Unhealthy and Degraded targets are skipped.
    SkipUnhealthyAndDegraded,
    /// Health keeps nobody out.
    PublishToAll,
}

/// Why nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Named targets that do not exist.
    #[error("no such target: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NotFound(Vec<TargetKey>),
    /// The request contradicts itself.
    #[error("{0}")]
    Invalid(String),
    /// The `Idempotency-Key` was used within the hour with another body.
    #[error(
        "this Idempotency-Key was already used with another body; send a new key with a new request"
    )]
    KeyReused,
    /// Targets are not known yet.
    #[error("targets are not loaded yet; try again in a few seconds")]
    NotReady,
    /// The process is shutting down.
    #[error("shutting down")]
    ShuttingDown,
    /// The disk failed: what was to be kept is not safe, and the process ends.
    #[error(
        "the store failed and the process restarts; targets may have the alert; send again with the same Idempotency-Key"
    )]
    StoreFailed,
}

// === impl Selection ===

impl Selection {
    /// The strategy that holds when the request names none: what the endpoint itself promises.
    #[must_use]
    pub const fn default_strategy(&self) -> Strategy {
        match self {
            Self::All(_) => Strategy::PublishToAll,
            Self::Named(_) | Self::Healthy(_) => Strategy::SkipUnhealthy,
        }
    }
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            check_health: true,
            enable_circuit_breaker: true,
            timeout: Duration::from_secs(30),
            max_concurrent: 50,
            retry: false,
        }
    }
}
