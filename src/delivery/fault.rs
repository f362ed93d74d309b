//! What went wrong when there was no answer, by the types of the errors, not their texts.

use std::{error::Error as _, io};

use super::{
    Class, Failure, Told,
    classify::{Evidence, Verdict},
    connect::ConnectError,
    resolve::ResolveError,
    tls::TlsFault,
};
use crate::{api::Reason, publish::ErrorType, registry::Depth};

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No connection came about.
    Connect(ConnectError),
    /// The deadline passed before a connection stood.
    NoConnection,
    /// The connection broke before the request was handed to it.
    Unsent,
    /// The deadline passed after it did.
    NoAnswer,
    /// The connection broke.
    Broken,
    /// A connection that was used before broke before any byte of an answer: the far end had closed it.
    Stale,
    /// What came is not HTTP, or breaks its rules or our limits.
    Protocol,
}

/// The fault that ended an exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub(super) fault: Fault,
    /// The request was written once before, to a connection that turned out stale.
    pub(super) again: bool,
}

// === impl Failed ===

impl Failed {
    /// What it means for the attempt; `host` is safe to show.
    pub(super) fn verdict(self, host: &str) -> Verdict {
        let mut verdict = self.fault.verdict(host);
        if let (true, Err(failure)) = (self.again, &mut verdict.result) {
            failure.told = Told::Maybe;
        }
        verdict
    }
}

// === impl Fault ===

impl Fault {
    /// `unsent`: the connection did not begin with the request. `stale`: the connection says that it was used
    /// before and that nothing came back.
    pub(super) fn of(cause: &hyper::Error, unsent: bool, stale: bool) -> Self {
        let otherwise = if unsent { Self::Unsent } else { Self::Broken };
        if cause.is_parse() || too_long(cause) {
            return Self::Protocol;
        }
        if cause.is_timeout() {
            return Self::NoAnswer;
        }
        match cause.source().and_then(|it| it.downcast_ref::<h2::Error>()) {
            Some(http2) => Self::of_http2(http2, otherwise),
            None if stale => Self::Stale,
            None => otherwise,
        }
    }

    fn of_http2(error: &h2::Error, otherwise: Self) -> Self {
        let reason = error.reason();
        // The far end says that it has not touched the request.
        let refused = error.is_remote() && reason == Some(h2::Reason::REFUSED_STREAM);
        let leaving =
            error.is_remote() && error.is_go_away() && reason == Some(h2::Reason::NO_ERROR);
        if refused || leaving {
            Self::Stale
        } else if error.is_library() || error.get_io().is_some_and(is_too_long) {
            Self::Protocol
        } else {
            otherwise
        }
    }

    /// What it means for the attempt; `host` is safe to show.
    pub(super) fn verdict(self, host: &str) -> Verdict {
        let (error_type, reason, depth) = match self {
            Self::Connect(error) => kind(error),
            Self::NoConnection => (ErrorType::Timeout, Reason::Timeout, Depth::Connect),
            Self::NoAnswer => (ErrorType::Timeout, Reason::Timeout, Depth::Answer),
            Self::Unsent => (ErrorType::Connect, Reason::ConnectFailed, Depth::Connect),
            Self::Broken | Self::Stale => {
                (ErrorType::Connect, Reason::ConnectFailed, Depth::Answer)
            }
            Self::Protocol => (ErrorType::Unexpected, Reason::UnexpectedAnswer, Depth::Answer),
        };
        let class = match self {
            Self::Connect(error) if needs_people(error) => Class::RetrySlowly,
            _ => Class::Retry,
        };
        let told = match self {
            Self::Connect(_) | Self::NoConnection | Self::Unsent => Told::No,
            _ => Told::Maybe,
        };
        let message = match self {
            Self::Connect(ConnectError::Blocked(why)) => {
                format!("{host}: the address policy forbids its address: {why}")
            }
            _ => format!("{host}: {}", self.words()),
        };
        let local = self.local();
        let failure =
            Failure { error_type, class, reason, message, retry_after: None, told, local };
        Verdict { result: Err(failure), evidence: Evidence::Ill(depth) }
    }

    /// Whether our own side may be at fault. A name that does not exist is an answer, and so the target's fault.
    fn local(self) -> bool {
        match self {
            Self::Connect(ConnectError::Resolve(why)) => why == ResolveError::Failed,
            Self::Connect(ConnectError::Tcp { local, .. }) => local,
            Self::Connect(ConnectError::NoRoots) => true,
            _ => false,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Connect(error) => words(error),
            Self::NoConnection => "no connection within the time limit",
            Self::NoAnswer => "no answer within the time limit",
            Self::Unsent => "the connection was closed before the request was sent",
            Self::Broken | Self::Stale => {
                "the connection was closed before an answer came; look at the receiver's log"
            }
            Self::Protocol => {
                "what came back is not a valid HTTP answer; check scheme and port of the address"
            }
        }
    }
}

/// Whether nothing changes before somebody changes it: trying often is of no use.
fn needs_people(error: ConnectError) -> bool {
    match error {
        ConnectError::Host | ConnectError::Blocked(_) | ConnectError::NoRoots => true,
        ConnectError::Resolve(why) => why == ResolveError::NotFound,
        ConnectError::Tls(why) => why != TlsFault::Other,
        ConnectError::Tcp { .. } | ConnectError::TcpTimeout | ConnectError::TlsTimeout => false,
    }
}

/// Our own limit ended the answer ([`super::stream`]).
fn too_long(cause: &hyper::Error) -> bool {
    cause.source().and_then(|it| it.downcast_ref::<io::Error>()).is_some_and(is_too_long)
}

fn is_too_long(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::FileTooLarge
}

fn kind(error: ConnectError) -> (ErrorType, Reason, Depth) {
    let (error_type, reason) = match error {
        ConnectError::Host | ConnectError::Resolve(_) => (ErrorType::Dns, Reason::DNSFailed),
        ConnectError::Blocked(_) => (ErrorType::Blocked, Reason::AddressBlocked),
        ConnectError::Tcp { local: true, kind } if exhausted(kind) => {
            (ErrorType::Connect, Reason::LocalNetworkFault)
        }
        ConnectError::Tcp { .. } => (ErrorType::Connect, Reason::ConnectFailed),
        ConnectError::TcpTimeout | ConnectError::TlsTimeout => {
            (ErrorType::Timeout, Reason::Timeout)
        }
        ConnectError::Tls(_) | ConnectError::NoRoots => (ErrorType::Tls, Reason::TLSFailed),
    };
    (error_type, reason, Depth::Connect)
}

/// Not a word about the target: our side has no socket to spare.
fn exhausted(kind: io::ErrorKind) -> bool {
    !matches!(kind, io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown)
}

fn words(error: ConnectError) -> &'static str {
    match error {
        ConnectError::Host => "the address has no usable host name",
        ConnectError::Resolve(ResolveError::NotFound) => {
            "the host's name does not exist; check the address, and that the Service exists"
        }
        ConnectError::Resolve(ResolveError::Failed) => {
            "the host's name could not be resolved: the name server gave no answer"
        }
        ConnectError::Blocked(_) => "the address policy forbids its address",
        ConnectError::Tcp { kind: io::ErrorKind::ConnectionRefused, .. } => {
            "connection refused; nothing listens on this port"
        }
        ConnectError::Tcp { kind: io::ErrorKind::ConnectionReset, .. } => {
            "the connection was reset"
        }
        ConnectError::Tcp { kind: io::ErrorKind::HostUnreachable, .. } => "the host is unreachable",
        ConnectError::Tcp {
            kind: io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown,
            ..
        } => "no route to the network; look at Fanfare's own network and NetworkPolicies",
        ConnectError::Tcp { local: true, .. } => {
            "Fanfare's own side has no socket to spare (file descriptors, ports or memory)"
        }
        ConnectError::Tcp { .. } => "the connection failed",
        ConnectError::TcpTimeout => {
            "the connect was not answered; a firewall or NetworkPolicy may drop it"
        }
        ConnectError::TlsTimeout => "the TLS handshake was not finished in time",
        ConnectError::Tls(why) => why.words(),
        ConnectError::NoRoots => {
            "the system has no certificate authorities; set spec.connection.tls.caSecretRef or install them"
        }
    }
}
