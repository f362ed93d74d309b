//! Every reason that a condition or an event can carry.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Why a condition has its status: one word from a closed set.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $name),* }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word as it stands in `.status.conditions[].reason`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

reasons! {
    /// Nothing is known yet.
    Pending,
    /// The target is accepted and usable.
    Registered,
    /// A Secret that the target names does not exist.
    SecretNotFound,
    /// The Secret exists but lacks the key.
    SecretKeyMissing,
    /// The operator may not read the Secret.
    SecretForbidden,
    /// A `ConfigMap` that the target names does not exist.
    ConfigMapNotFound,
    /// The `ConfigMap` exists but lacks the key.
    ConfigMapKeyMissing,
    /// The operator may not read the `ConfigMap`.
    ConfigMapForbidden,
    /// The spec holds something that only the operator can see is wrong.
    InvalidSpec,
    /// A Secret's content is unusable: not a URL, not a certificate, not a key.
    InvalidCredentials,
    /// `allowedRoutes` selects namespaces by label and the operator may not read namespaces.
    NamespaceSelectorForbidden,
    /// Held back by `spec.suspend`.
    Suspended,
    /// A probe was answered as expected.
    ProbeSucceeded,
    /// A delivery was accepted.
    DeliverySucceeded,
    /// The endpoint answers; nothing more can be known without posting an alert.
    Reachable,
    /// The target answers, but slowly.
    Slow,
    /// No answer within the time limit.
    Timeout,
    /// The connection was refused, reset or unreachable.
    ConnectFailed,
    /// The host's name does not resolve.
    DNSFailed,
    /// The TLS handshake failed.
    TLSFailed,
    /// The credential was refused (401 or 403).
    AuthenticationFailed,
    /// A 4xx answer that the request itself causes.
    ClientError,
    /// A 5xx answer.
    ServerError,
    /// An answer that the protocol does not allow.
    UnexpectedAnswer,
    /// The address policy forbids the address.
    AddressBlocked,
    /// A redirect, which is never followed.
    Redirect,
    /// The far end says that it is gone for good (410).
    Gone,
    /// The far end asks for a pause (429).
    RateLimited,
    /// The first probe has not finished.
    ProbePending,
    /// `healthCheck.type` is None and nothing was delivered yet.
    ProbeDisabled,
    /// Most targets fail at once with local errors: verdicts are frozen.
    LocalNetworkFault,
    /// Deliveries kept failing: nothing is sent for a while, everything is kept.
    CircuitOpen,
    /// Deliveries get through again.
    CircuitClosed,
    /// Nothing holds deliveries back.
    NothingHeld,
    /// The route's spec is valid, permitted and reachable.
    Accepted,
    /// A matcher does not compile.
    InvalidMatcher,
    /// A time interval names a time zone that does not exist, or can't be read.
    InvalidTimeInterval,
    /// A `final` route of the namespace takes every alert first.
    Shadowed,
    /// `scope: Cluster` is not allowed in this namespace.
    ScopeNotPermitted,
    /// Every target that the route names exists and may be used.
    Resolved,
    /// A target that the route names does not exist.
    TargetNotFound,
    /// The target's `allowedRoutes` does not admit the route's namespace.
    TargetNotPermitted,
    /// The selector matches no target.
    NoTargetSelected,
    /// Every target of the route is healthy.
    AllTargetsHealthy,
    /// Some targets of the route are not healthy.
    SomeTargetsUnhealthy,
    /// No target of the route is healthy.
    NoHealthyTarget,
    /// A target left the Unhealthy state.
    Recovered,
    /// A target entered the Unhealthy state.
    Unhealthy,
    /// `spec.suspend` went back to false.
    Resumed,
    /// A Secret changed and the new content is in use.
    SecretRotated,
    /// Notifications were given up and are kept as dead letters.
    DeadLettered,
    /// A target or route went away while alerts were open at the far end: nobody closes them there.
    LeftOpen,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
