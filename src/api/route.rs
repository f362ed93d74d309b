//! `AlertRoute`: which alerts go to which targets.

#![expect(
    clippy::doc_markdown,
    reason = "field documentation is printed verbatim by kubectl explain"
)]

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, Duration, Fallback, Grouping, InhibitRule, TimeInterval, rules};

/// Which alerts go to which targets: matchers pick the alerts, targets and targetSelector the receivers.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "fanfare.dev",
    version = "v1alpha1",
    kind = "AlertRoute",
    doc = "An AlertRoute says which alerts go to which PublishTargets. Every route is asked about every alert in its scope; an alert that matches several routes goes to the targets of all of them.",
    namespaced,
    status = "AlertRouteStatus",
    derive = "PartialEq",
    shortname = "aroute",
    category = "fanfare"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::rule(
    "has(self.targetSelector) || (has(self.targets) && self.targets.size() > 0)",
    "the route leads nowhere: name at least one target in targets, or pick targets by label with targetSelector"
))]
pub struct AlertRouteSpec {
    /// True mutes the route: alerts that match it are not notified through it. It still counts for final.
    /// Default: false.
    #[serde(default)]
    pub suspend: bool,
    /// Which alerts the route sees. Namespace: those whose namespace label (the operator's --scope-label) is the
    /// namespace of this route. Cluster: all alerts; allowed only in the namespaces that the operator lists in
    /// --cluster-route-namespaces. Default: Namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Order among the routes of this namespace: higher first, equal ones by name. Matters only where a route
    /// sets final. From -10000 to 10000. Default: 0.
    #[schemars(range(min = -10000, max = 10000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// True: the alerts that this route matches are not seen by later routes of the same namespace.
    /// Default: false.
    #[serde(rename = "final", default, skip_serializing_if = "Option::is_none")]
    pub final_: Option<bool>,
    /// Conditions on the alert's labels, at most 32; all must hold. Without matchers and matcherExpr the route
    /// takes every alert in its scope.
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<Matcher>,
    /// Conditions in Alertmanager's compact syntax, for example {severity="critical",team=~"a|b"}, at most 1024
    /// characters. Must hold in addition to matchers.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::not_empty(
        "must not be empty: write matchers such as {severity=\"critical\"}, or remove matcherExpr"
    ))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matcher_expr: Option<String>,
    /// Targets by name, at most 256, each named once.
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["namespace".into(), "name".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetRef>,
    /// Targets by label: every PublishTarget of this namespace that carries these labels, besides those in
    /// targets. They also hear that an alert is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_selector: Option<TargetSelector>,
    /// What happens while a target is Unhealthy. Hold: keep what it has to hear, try one notification per
    /// healthCheck.unhealthyInterval, and send the rest once one gets through. Skip: leave it out until the alert
    /// changes or repeats, and record why. Send: try anyway. When a route has two or more targets and none is
    /// healthy, all are tried whatever is set here. Default: Hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_unhealthy: Option<WhenUnhealthy>,
    /// What happens while a target is Degraded, that is slow. Send: as if it were healthy. Hold and Skip: as with
    /// whenUnhealthy. Default: Send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_degraded: Option<WhenDegraded>,
    /// How alerts are put together into one notification. Default: not at all, each alert is told on its own and
    /// at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grouping: Option<Grouping>,
    /// Time after which a target is told again about an alert that still fires, from 1m to 720h (30 days).
    /// Default: 4h.
    #[x_kube(validation = rules::duration_between("1m", "720h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_interval: Option<Duration>,
    /// Who is told when no target could be. Default: nobody; what the targets missed is told when they are back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// When the route tells anybody, at most 32 intervals: inside one of them. Outside, alerts wait; what is still
    /// so is told when the next interval begins. Default: always.
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active_time_intervals: Vec<TimeInterval>,
    /// When the route tells nobody, at most 32 intervals: inside any of them, whatever activeTimeIntervals says.
    /// What is still so is told afterwards. Default: never.
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mute_time_intervals: Vec<TimeInterval>,
    /// Alerts that keep other alerts of this route quiet, at most 16 rules. Default: none.
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inhibit: Vec<InhibitRule>,
}

/// Which alerts a route sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum Scope {
    /// Namespace
    Namespace,
    /// Cluster
    Cluster,
}

/// A condition on one label. A label that the alert lacks counts as the empty value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::regex_compiles())]
pub struct Matcher {
    /// Name of the label, 1 to 1024 characters.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::not_empty("must be the name of a label, for example severity"))]
    pub name: String,
    /// Comparison: = (equal), != (not equal), =~ (matches the regular expression) or !~ (does not match it).
    /// Default: =.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_type: Option<MatchType>,
    /// Value, or regular expression in RE2 syntax that must match the whole value; at most 1024 characters.
    #[schemars(length(max = 1024))]
    pub value: String,
}

/// Comparisons of a matcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum MatchType {
    /// equal
    #[serde(rename = "=")]
    Equal,
    /// not equal
    #[serde(rename = "!=")]
    NotEqual,
    /// matches
    #[serde(rename = "=~")]
    Regex,
    /// does not match
    #[serde(rename = "!~")]
    NotRegex,
}

/// A target by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// Name of the PublishTarget, at most 253 characters.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::object_name("PublishTarget"))]
    pub name: String,
    /// Namespace of the PublishTarget, at most 63 characters. A target in another namespace must admit this
    /// route in its allowedRoutes. Default: empty, the route's own namespace.
    #[schemars(length(max = 63))]
    #[x_kube(validation = rules::namespace_or_empty())]
    #[serde(default)]
    pub namespace: String,
    /// True: the target also hears that an alert is over. False leaves that out. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_resolved: Option<bool>,
}

/// Targets by label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetSelector {
    /// Labels that a PublishTarget of this namespace must carry with these values, at most 32. Empty: every
    /// target of this namespace.
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    #[x_kube(validation = rules::label_map())]
    pub match_labels: BTreeMap<String, String>,
}

/// What a route does while a target is unhealthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum WhenUnhealthy {
    /// Hold
    Hold,
    /// Skip
    Skip,
    /// Send
    Send,
}

/// What a route does while a target is degraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum WhenDegraded {
    /// Hold
    Hold,
    /// Skip
    Skip,
    /// Send
    Send,
}

/// What Fanfare knows about the route. Written by the operator when something changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertRouteStatus {
    /// Generation of the spec that this status describes. Lower than metadata.generation: the operator has not
    /// seen the latest change yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted: the spec is valid and permitted. ResolvedRefs: every target that it names exists and may be
    /// used. Ready: accepted, with at least one target. Healthy: its targets answer. Each with a reason, and a
    /// message that says what to do.
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Counts of the route's targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<RouteTargets>,
    /// The targets that the route reaches: the first 64 by namespace and name.
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved_targets: Vec<ResolvedTarget>,
    /// The route's matchers on one line, in Alertmanager's compact syntax.
    #[schemars(length(max = 32768))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matcher_summary: Option<String>,
}

/// Counts of a route's targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct RouteTargets {
    /// Targets that the route reaches.
    pub total: i32,
    /// Those that are Healthy or Degraded.
    pub healthy: i32,
    /// Both as one word, for example 2/3.
    #[schemars(length(max = 32))]
    pub summary: String,
}

/// A target that the route reaches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct ResolvedTarget {
    /// Namespace of the target.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Name of the target.
    #[schemars(length(max = 253))]
    pub name: String,
}
