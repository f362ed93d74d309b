//! The custom resources exactly as users see them (`fanfare.dev/v1alpha1`).
//!
//! Field documentation here is user manual text: it becomes the description that
//! `kubectl explain` prints. Nothing in this room does I/O or knows another room.
//! Read [`PublishTargetSpec`] first, then [`AlertRouteSpec`].
#![expect(unreachable_pub, reason = "the KubeSchema derive makes hidden copies of public types")]

mod condition;
mod connection;
pub mod crd;
pub mod defaults;
mod delivery;
mod duration;
mod fallback;
mod grouping;
mod health;
mod interval;
mod key;
mod policy;
mod reason;
mod refs;
mod route;
mod rules;
mod secret;
mod target;
pub mod validate;
mod vendor;

pub use condition::{Condition, ConditionStatus, ConditionType};
pub use connection::{
    Auth, AuthType, BasicAuth, BearerAuth, Connection, Header, HeaderSource, TlsConfig,
};
pub use delivery::{CircuitBreaker, Delivery, Flow, FlowQueue, FlowRateLimit, RateUnit};
pub use duration::{Duration, ParseDurationError};
pub use fallback::{Fallback, FallbackMode};
pub use grouping::{Grouping, InhibitRule};
pub use health::{HealthCheck, HealthCheckType, HttpCheck, HttpCheckMethod};
pub use interval::{MONTHS, TimeInterval, TimeRange, WEEKDAYS};
pub use key::{ParseKeyError, RouteKey, TargetKey};
pub use policy::{
    BackoffPolicy, BreakerPolicy, DeliveryPolicy, Jitter, Overflow, QueueLimit, RateLimit,
    RetryPolicy, Semantics, WhenFull,
};
pub use reason::Reason;
pub use refs::Named;
pub use route::{
    AlertRoute, AlertRouteSpec, AlertRouteStatus, MatchType, Matcher, ResolvedTarget, RouteTargets,
    Scope, TargetRef, TargetSelector, WhenDegraded, WhenUnhealthy,
};
pub use secret::{ConfigMapKeyRef, SecretKeyRef};
pub use target::{
    AllowedNamespaces, AllowedRoutes, CircuitState, CircuitStatus, HealthState, HealthStatus,
    LastError, NamespaceSelector, NamespacesFrom, Payload, PayloadFormat, PublishTarget,
    PublishTargetSpec, PublishTargetStatus, TargetType,
};
pub use vendor::{
    Alertmanager, Log, NotifyType, PagerDuty, PagerDutySeverity, Rootly, RootlyNotify, Slack,
    Webhook, WebhookMethod,
};

/// The API group of every Fanfare resource.
pub const GROUP: &str = "fanfare.dev";
/// The one served and stored version.
pub const VERSION: &str = "v1alpha1";
