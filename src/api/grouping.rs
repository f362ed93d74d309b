//! How a route puts alerts together, and which alerts keep others quiet.

#![expect(
    clippy::doc_markdown,
    reason = "field documentation is printed verbatim by kubectl explain"
)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, Matcher, rules};

/// How alerts are put together into one notification: Alertmanager's group_by, group_wait and group_interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grouping {
    /// Labels, at most 16: alerts that agree in all of them are told together. An empty list puts all alerts of
    /// the route into one notification; "..." alone stands for all labels, so that each alert is told on its own.
    #[schemars(length(max = 16), inner(length(max = 1024)))]
    #[x_kube(
        validation = rules::rule(
            "self.all(l, l.size() > 0)",
            "every entry must be the name of a label, for example alertname"
        ),
        validation = rules::rule(
            "!('...' in self) || self.size() == 1",
            "\"...\" stands for all labels: write it alone, or name the labels without it"
        ),
        merge_strategy = ListMerge::Set
    )]
    pub by: Vec<String>,
    /// How long a new group waits for more alerts before it is told, from 0s to 24h. A group whose alert began
    /// longer ago than that is told at once. Default: 30s.
    #[x_kube(validation = rules::duration_between("0s", "24h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
    /// How long a group that was told waits before it is told what changed since, from 1s to 720h (30 days).
    /// Default: 5m.
    #[x_kube(validation = rules::duration_between("1s", "720h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
}

/// Alerts that keep others quiet: while an alert fires that matches source, those that match target and agree with
/// it in the labels of equal are not told. An alert that matches both is not kept quiet by another that does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct InhibitRule {
    /// Conditions on the labels of the alerts that keep others quiet, 1 to 32; all must hold. Only alerts in the
    /// route's scope count, whether or not the route's own matchers take them.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub source: Vec<Matcher>,
    /// Conditions on the labels of the alerts that are kept quiet, 1 to 32; all must hold.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub target: Vec<Matcher>,
    /// Labels in which both must have the same value, at most 16; a label that is missing counts as empty.
    /// Default: none, every source keeps every target quiet.
    #[schemars(length(max = 16), inner(length(max = 1024)))]
    #[x_kube(
        validation = rules::rule(
            "self.all(l, l.size() > 0)",
            "every entry must be the name of a label, for example cluster"
        ),
        merge_strategy = ListMerge::Set
    )]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equal: Vec<String>,
}
