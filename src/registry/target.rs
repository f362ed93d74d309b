//! A compiled target: everything that is needed to send to it, and nothing that moves.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use http::{HeaderMap, Uri};
use secrecy::{ExposeSecret, SecretString};

use super::{HealthPolicy, Live};
use crate::api::{DeliveryPolicy, PublishTargetSpec, TargetKey, TargetType};

/// A compiled target. Shared by every snapshot that holds the same generation and credentials.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub key: TargetKey,
    /// UID of the object: a recreated object is another target.
    pub uid: Arc<str>,
    /// Generation of the spec this was compiled from.
    pub generation: i64,
    /// Labels of the object, for selectors.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Type of the receiver.
    pub kind: TargetType,
    /// The spec, for what only the vendor's renderer reads (severity map, notify, payload format).
    pub spec: Arc<PublishTargetSpec>,
    /// Where to send; empty for `Log`, several for `Alertmanager`.
    pub endpoints: Box<[Endpoint]>,
    /// Method of the delivery request.
    pub method: HttpMethod,
    /// Headers of every request, authentication included; secret values are marked sensitive.
    pub headers: HeaderMap,
    /// A credential that travels in the body (PagerDuty's routing key).
    pub body_credential: Option<Secret>,
    /// Certificate authorities to trust instead of the system's.
    pub tls_roots: Option<TlsRoots>,
    /// Time limit of one attempt: DNS, connect, TLS, headers, body.
    pub timeout: Duration,
    /// Requests that may be under way at the same time.
    pub max_in_flight: usize,
    /// Retries, circuit breaker, rate limit, queue.
    pub policy: DeliveryPolicy,
    /// How health is judged.
    pub health: HealthPolicy,
    /// How the target is asked whether it is there; `None`: never.
    pub probe: Option<ProbePlan>,
    /// Namespaces whose routes may point here.
    pub allowed: Allowed,
    /// What moves: health, limits, counters. The same `Live` across spec edits that keep endpoint
    /// and credentials.
    pub live: Arc<Live>,
}

/// An address to send to. The address itself may be a credential and is never shown.
#[derive(Clone)]
pub struct Endpoint {
    uri: Uri,
    host: Arc<str>,
}

/// Method of a delivery request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// POST
    Post,
    /// PUT
    Put,
}

/// A secret text: no `Debug`, no `Display`, wiped when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

/// PEM text of certificate authorities, compared by content so that targets share connections.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TlsRoots(pub Arc<str>);

/// How a target is asked whether it is there. Never posts an alert.
#[derive(Clone, Debug, PartialEq)]
pub enum ProbePlan {
    /// TCP connect, and the TLS handshake for https.
    Connect,
    /// An HTTP request without a body.
    Http {
        /// Replaces the path and query of the endpoint; `None` keeps them.
        path: Option<String>,
        /// GET, HEAD or OPTIONS.
        method: http::Method,
        /// Inclusive ranges of status codes that count as healthy.
        expected: Vec<(u16, u16)>,
        /// Whether an expected answer proves that the credential is accepted.
        proves_credential: bool,
    },
    /// Nothing to ask: always there (`Log`).
    Always,
}

/// Namespaces whose routes may point to a target.
#[derive(Clone, Debug, PartialEq)]
pub enum Allowed {
    /// Only the target's own.
    Same,
    /// Every namespace.
    All,
    /// Namespaces that carry all these labels.
    Selector(BTreeMap<String, String>),
}

// === impl Endpoint ===

impl Endpoint {
    /// An endpoint from an absolute http or https URI without user information.
    /// `None` if it is anything else.
    #[must_use]
    pub fn new(uri: Uri) -> Option<Self> {
        let authority = uri.authority()?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        match uri.scheme_str() {
            Some("http" | "https") => {
                let host = authority.as_str().into();
                Some(Self { uri, host })
            }
            _ => None,
        }
    }

    /// The whole address: a credential for many vendors. Only the client may use it.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Host and port if one is written: safe to show.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.host)
    }
}

// === impl Secret ===

impl Secret {
    /// Wraps a secret text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The text itself; for the wire only.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

// === impl TlsRoots ===

impl fmt::Debug for TlsRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsRoots({} bytes)", self.0.len())
    }
}

// === impl Target ===

impl Target {
    /// Host of the first endpoint, as shown in status; `None` for `Log`.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.endpoints.first().map(Endpoint::host)
    }

    /// Suspended by its spec: nothing is sent.
    #[must_use]
    pub fn suspended(&self) -> bool {
        self.spec.suspend
    }
}

/// Whether two forms of one target talk to the same far end with the same credentials.
pub(super) fn same_connection(old: &Target, new: &Target) -> bool {
    let addresses = |target: &Target| target.endpoints.iter().map(|one| one.uri.clone()).collect();
    let (before, after): (Vec<Uri>, Vec<Uri>) = (addresses(old), addresses(new));
    before == after
        && old.headers == new.headers
        && old.body_credential == new.body_credential
        && old.tls_roots == new.tls_roots
}
