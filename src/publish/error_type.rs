//! Why a publish to one target failed: the closed set of `error_type`.

/// Kinds of failure as they stand in results, metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorType {
    /// The time limit passed.
    Timeout,
    /// The host's name does not resolve.
    Dns,
    /// Refused, reset, unreachable.
    Connect,
    /// TLS handshake or certificate.
    Tls,
    /// 401 or 403: the credential was refused.
    Auth,
    /// 429, or the vendor's own form of it.
    RateLimited,
    /// Another 4xx, or the vendor refused the content.
    ClientError,
    /// 5xx.
    ServerError,
    /// The address policy forbids the address.
    Blocked,
    /// An answer that the protocol or the vendor does not allow, redirects included.
    Unexpected,
    /// The publish ended or the caller left while the attempt ran.
    Cancelled,
    /// Nothing was sent: the publish ended before, or the target could not take it yet.
    NotAttempted,
}

// === impl ErrorType ===

impl ErrorType {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Timeout,
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Auth,
        Self::RateLimited,
        Self::ClientError,
        Self::ServerError,
        Self::Blocked,
        Self::Unexpected,
        Self::Cancelled,
        Self::NotAttempted,
    ];

    /// The word as it stands in results, metric labels and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::RateLimited => "rate_limited",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::Blocked => "blocked",
            Self::Unexpected => "unexpected",
            Self::Cancelled => "cancelled",
            Self::NotAttempted => "not_attempted",
        }
    }
}
