//! Who is told when nobody else could be.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, TargetRef, rules};

/// Targets that are told when none of the route's other targets could be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    /// Targets by name, 1 to 16, each named once. A target that the route reaches anyway is no fallback.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["namespace".into(), "name".into()]))]
    pub targets: Vec<TargetRef>,
    /// How long an alert must have been told to nobody before the fallback is told, from 0s to 24h. Where the
    /// circuit of every other target is open, or every other target is suspended, it is told at once.
    /// Default: 2m.
    #[x_kube(validation = rules::duration_between("0s", "24h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Duration>,
    /// What the other targets hear once the fallback was told. Instead: nothing, until the alert changes. Also:
    /// what they missed, as soon as they can be told. Default: Instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FallbackMode>,
}

/// What the other targets hear once a fallback was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum FallbackMode {
    /// Instead
    #[default]
    Instead,
    /// Also
    Also,
}
