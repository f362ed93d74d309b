//! `PublishTarget`: where alerts go.

#![expect(
    clippy::doc_markdown,
    reason = "field documentation is printed verbatim by kubectl explain"
)]

use std::{collections::BTreeMap, fmt};

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Alertmanager, CircuitBreaker, Condition, Connection, Delivery, Duration, Flow, HealthCheck,
    Log, PagerDuty, Rootly, Slack, Webhook, rules,
};

/// Where alerts go: one receiver, its credentials, its delivery policy, its health check. Set type and the
/// object of the same name, for example type: Slack with slack: {...}; everything else is optional.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "fanfare.dev",
    version = "v1alpha1",
    kind = "PublishTarget",
    doc = "A PublishTarget is one receiver of alerts: a webhook, a Slack channel, a PagerDuty service and so on. AlertRoutes decide which alerts it gets; its status says whether it is accepted (Ready), whether the far end answers (Healthy) and whether anything holds deliveries back (Delivering).",
    namespaced,
    status = "PublishTargetStatus",
    derive = "PartialEq",
    shortname = "ptgt",
    category = "fanfare",
    selectable = ".spec.type",
    selectable = ".spec.suspend"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::member("Webhook", "webhook"),
    validation = rules::member("Slack", "slack"),
    validation = rules::member("PagerDuty", "pagerDuty"),
    validation = rules::member("Rootly", "rootly"),
    validation = rules::member("Alertmanager", "alertmanager"),
    validation = rules::rule(
        "!has(self.log) || self.type == 'Log'",
        "set log only when type is Log: remove log or change the type"
    ),
    validation = rules::digest_type(),
    validation = rules::digest_semantics(),
    validation = rules::rule(
        "!has(self.payload) || self.type == 'Webhook'",
        "payload only has an effect on type Webhook, the other types have a form of their own: remove payload"
    ),
    validation = rules::rule(
        "!has(self.connection) || self.type != 'Log'",
        "a Log target makes no connection: remove connection"
    ),
    validation = rules::rule(
        "self.type != 'Log' || !has(self.healthCheck) || !has(self.healthCheck.type) || self.healthCheck.type in ['Auto', 'None']",
        "a Log target makes no connection that could be checked: set healthCheck.type to Auto or remove it"
    ),
    validation = rules::rule(
        "!has(self.rootly) || !has(self.rootly.tokenSecretRef) || !has(self.connection) || !has(self.connection.auth) || self.connection.auth.type == 'None'",
        "set either rootly.tokenSecretRef or connection.auth, not both: each of them writes the Authorization header"
    )
)]
pub struct PublishTargetSpec {
    /// Kind of receiver: Webhook, Slack, PagerDuty, Rootly, Alertmanager or Log. The object of the same name holds
    /// its settings. Cannot be changed after creation.
    #[x_kube(validation = rules::immutable_type())]
    #[serde(rename = "type")]
    pub type_: TargetType,
    /// Settings of type Webhook: an HTTP endpoint of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Settings of type Slack: a channel, through an incoming webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<Slack>,
    /// Settings of type PagerDuty: a service, through the Events API v2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pager_duty: Option<Box<PagerDuty>>,
    /// Settings of type Rootly: an alert source of the kind "Alertmanager".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rootly: Option<Box<Rootly>>,
    /// Settings of type Alertmanager: one or more Alertmanagers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<Alertmanager>,
    /// Settings of type Log: none so far, so it may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
    /// True holds deliveries back: nothing is sent, not even a check, and the latest state is kept for later. The
    /// condition Delivering turns False and Healthy Unknown; Ready stays. Default: false.
    #[serde(default)]
    pub suspend: bool,
    /// Which routes may point here. Default: those of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_routes: Option<AllowedRoutes>,
    /// How the target is reached: headers, authentication, TLS. Default: as the target's type needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Box<Connection>>,
    /// Form of the body that a Webhook receives. Only with type Webhook. Default: Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    /// How notifications are delivered: time limit of an attempt, retries, how long they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Box<Delivery>>,
    /// Limits on the traffic to this target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Box<Flow>>,
    /// How the target is asked whether it is there. Default: a check that is safe for its type, every 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<Box<HealthCheck>>,
    /// When nothing is sent for a while because everything fails. Default: after 5 failures in a row, or when
    /// half of at least 10 attempts within 60s failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<Box<CircuitBreaker>>,
}

/// Kinds of receiver.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[schemars(description = "")]
pub enum TargetType {
    /// Webhook
    Webhook,
    /// Slack
    Slack,
    /// PagerDuty
    PagerDuty,
    /// Rootly
    Rootly,
    /// Alertmanager
    Alertmanager,
    /// Log
    Log,
}

/// Which routes may point to this target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct AllowedRoutes {
    /// Namespaces whose routes may point here. A route of another namespace gets the condition
    /// ResolvedRefs=False, reason TargetNotPermitted, whether this target exists or not.
    pub namespaces: AllowedNamespaces,
}

/// Namespaces whose routes may point to this target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::rule(
    "(self.from == 'Selector') == has(self.selector)",
    "set selector exactly when from is Selector: add selector.matchLabels, or remove selector or change from"
))]
pub struct AllowedNamespaces {
    /// Same: routes of this namespace. All: routes of every namespace. Selector: routes of the namespaces whose
    /// labels match selector.
    pub from: NamespacesFrom,
    /// Labels that the route's namespace must carry. Only with from: Selector. The operator needs to read
    /// Namespaces for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<NamespaceSelector>,
}

/// Which namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum NamespacesFrom {
    /// Same
    Same,
    /// All
    All,
    /// Selector
    Selector,
}

/// Labels of namespaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels that must all be present with these values, 1 to 32.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    #[x_kube(validation = rules::label_map())]
    pub match_labels: BTreeMap<String, String>,
}

/// Form of the body that a Webhook target receives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Payload {
    /// Native: Fanfare's own JSON, one alert in one request. PrometheusV4: the body that Alertmanager's
    /// webhook receiver sends, for endpoints written for it.
    pub format: PayloadFormat,
}

/// Body formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum PayloadFormat {
    /// Native
    Native,
    /// PrometheusV4
    PrometheusV4,
}

/// What Fanfare knows about the target. Written by the operator when something changes, not with every check
/// or delivery; metrics and the operator's API have the counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishTargetStatus {
    /// Generation of the spec that this status describes. Lower than metadata.generation: the operator has not
    /// seen the latest change yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready: the target is accepted and usable. Healthy: the far end answers. Delivering: nothing holds
    /// deliveries back. Each with a reason, and a message that says what to do.
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Host that the target points to. Never the whole address, because that may be a credential.
    #[schemars(length(max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Health as of its last transition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthStatus>,
    /// State of the circuit breaker as of its last transition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit: Option<CircuitStatus>,
    /// The last failure, as of the last transition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

/// State of a target's circuit breaker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CircuitStatus {
    /// Closed (deliveries are sent), Open (nothing is sent, everything is kept) or HalfOpen (one delivery is
    /// tried).
    pub state: CircuitState,
    /// When this state began, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// State of a circuit breaker.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[schemars(description = "")]
pub enum CircuitState {
    /// Closed
    #[default]
    Closed,
    /// Open
    Open,
    /// HalfOpen
    HalfOpen,
}

/// Health of a target as of its last transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthStatus {
    /// Healthy, Degraded (answers, but slowly), Unhealthy or Unknown.
    pub state: HealthState,
    /// When this state began, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why: the reason of the condition Healthy at that time.
    #[schemars(length(max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Failures in a row that led to this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_failures: Option<i32>,
    /// Time that the deciding check or delivery took, for example 182ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Duration>,
}

/// Health of a target.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[schemars(description = "")]
pub enum HealthState {
    /// Healthy
    Healthy,
    /// Degraded
    Degraded,
    /// Unhealthy
    Unhealthy,
    /// Unknown
    #[default]
    Unknown,
}

/// The last failure of a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// When, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// Why, in the words of the condition Healthy's reason.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// HTTP status of the answer, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<i32>,
}

// === impl TargetType ===

impl TargetType {
    /// Every type, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Webhook, Self::Slack, Self::PagerDuty, Self::Rootly, Self::Alertmanager, Self::Log];

    /// The name as users write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "Webhook",
            Self::Slack => "Slack",
            Self::PagerDuty => "PagerDuty",
            Self::Rootly => "Rootly",
            Self::Alertmanager => "Alertmanager",
            Self::Log => "Log",
        }
    }
}

impl fmt::Display for TargetType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl CircuitState ===

impl CircuitState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The name as it stands in `.status.circuit.state`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "Closed",
            Self::Open => "Open",
            Self::HalfOpen => "HalfOpen",
        }
    }
}

// === impl HealthState ===

impl HealthState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Unknown];

    /// The name as it stands in `.status.health.state`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
            Self::Unhealthy => "Unhealthy",
            Self::Unknown => "Unknown",
        }
    }
}
