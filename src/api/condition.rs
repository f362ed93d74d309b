//! Conditions in the form of `metav1.Condition`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One fact about an object, in the form of metav1.Condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Name of the condition.
    #[schemars(length(min = 1, max = 316))]
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// Generation of the spec that the condition describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the status last changed, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// One word that names the cause.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// What happened, where, and how to fix it.
    #[schemars(length(max = 32768))]
    pub message: String,
}

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum ConditionStatus {
    /// True
    True,
    /// False
    False,
    /// Unknown
    Unknown,
}

/// The conditions that Fanfare sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// Target and route: accepted and usable.
    Ready,
    /// Target: the far end answers. Route: its targets do.
    Healthy,
    /// Target: nothing holds deliveries back.
    Delivering,
    /// Route: the spec is valid, permitted and reachable.
    Accepted,
    /// Route: every target it names exists and may be used.
    ResolvedRefs,
    /// Present only when True: waiting will not help (kstatus).
    Stalled,
}

// === impl ConditionType ===

impl ConditionType {
    /// The name in `.status.conditions[].type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Healthy => "Healthy",
            Self::Delivering => "Delivering",
            Self::Accepted => "Accepted",
            Self::ResolvedRefs => "ResolvedRefs",
            Self::Stalled => "Stalled",
        }
    }
}
