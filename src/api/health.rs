//! How a target is asked whether it is there.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, rules};

/// How a target is asked whether it is there. Real deliveries count as checks too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::degraded_below_timeout("10s"),
    validation = rules::rule(
        "!has(self.http) || (has(self.type) && self.type == 'HTTP')",
        "http only has an effect with type HTTP: set type to HTTP or remove http"
    )
)]
pub struct HealthCheck {
    /// Kind of check: Auto, HTTP, TCP or None. Auto does what is safe for the target's type; it never posts an
    /// alert and never pages (a Webhook is asked with HEAD, an Alertmanager with GET /-/ready, others for a
    /// connection). HTTP sends the request described in http. TCP opens a connection. None leaves it to the
    /// deliveries. Default: Auto.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<HealthCheckType>,
    /// Time between checks while the target is Healthy, from 1s to 1h. Default: 60s.
    #[x_kube(validation = rules::duration_between("1s", "1h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Time between checks after a failure, after a slow answer, and while the target is Degraded or Unhealthy,
    /// from 1s to 1h. Default: 15s.
    #[x_kube(validation = rules::duration_between("1s", "1h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy_interval: Option<Duration>,
    /// Time limit of one check, name resolution and TLS included, from 100ms to 60s. Default: 10s.
    #[x_kube(validation = rules::duration_between("100ms", "60s"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Failures in a row that make the target Unhealthy, from 1 to 100. Default: 3.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy_threshold: Option<i32>,
    /// Successes in a row that make an Unhealthy target Healthy again, from 1 to 100. Default: 1.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_threshold: Option<i32>,
    /// A target whose answers take at least this long is Degraded; from 1ms to 60s and shorter than timeout.
    /// Default: 5s, or half of timeout if that is shorter.
    #[x_kube(validation = rules::duration_between("1ms", "60s"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded_latency: Option<Duration>,
    /// A check is left out if a delivery succeeded this recently, from 0s (never left out) to 1h. Default: 60s.
    #[x_kube(validation = rules::duration_between("0s", "1h"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_if_delivered_within: Option<Duration>,
    /// Details of the request of an HTTP check. Only with type HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
}

/// Kinds of health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum HealthCheckType {
    /// Auto
    Auto,
    /// HTTP
    HTTP,
    /// TCP
    TCP,
    /// None
    None,
}

/// Details of an HTTP check. It goes to the host of the target's address, with the headers, authentication and
/// TLS settings of connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpCheck {
    /// Path that is asked for on the target's host, with its query if any, at most 1024 characters, beginning
    /// with /. Default: /.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::check_path())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Method of the request: GET, HEAD or OPTIONS. Default: GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<HttpCheckMethod>,
    /// Status codes that count as healthy, at most 16 entries, each a code ("204") or a range ("200-299").
    /// Default: 200-299.
    #[schemars(length(max = 16), inner(length(max = 7)))]
    #[x_kube(validation = rules::statuses(), merge_strategy = ListMerge::Set)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected_statuses: Vec<String>,
}

/// Methods of an HTTP check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum HttpCheckMethod {
    /// GET
    GET,
    /// HEAD
    HEAD,
    /// OPTIONS
    OPTIONS,
}
