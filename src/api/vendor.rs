//! The members of the target union: one struct per target type.

#![expect(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "field documentation is printed verbatim by kubectl explain"
)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SecretKeyRef, rules};

/// Sends each alert as JSON to an HTTP endpoint of your own. Needs exactly one of url and urlSecretRef. Any
/// 2xx answer counts as delivered; redirects are not followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::rule(
    "has(self.url) != has(self.urlSecretRef)",
    "set exactly one of url and urlSecretRef: url for an address that everybody may read, urlSecretRef for one that holds a credential"
))]
pub struct Webhook {
    /// Address that receives the alerts, http or https, at most 1024 characters. Everybody who may read this
    /// object can read it: an address that is itself a credential (Slack, Discord, Teams and the like) is
    /// refused here and belongs into urlSecretRef. User name and password belong into connection.auth.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = rules::no_user_info(), validation = rules::http_url(), validation = rules::no_credential_host())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Secret key that holds the address, when the address is itself a credential. The Secret lies in the
    /// namespace of this object; blanks and line ends around the address are ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_secret_ref: Option<SecretKeyRef>,
    /// HTTP method: POST or PUT. Default: POST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<WebhookMethod>,
}

/// HTTP method of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum WebhookMethod {
    /// POST
    POST,
    /// PUT
    PUT,
}

/// Posts to a Slack channel through an incoming webhook. The channel is the one for which the webhook was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Slack {
    /// Secret key that holds the incoming webhook's URL (https://hooks.slack.com/services/...). The Secret lies
    /// in the namespace of this object; blanks and line ends around the URL are ignored.
    #[serde(rename = "webhookURLSecretRef")]
    pub webhook_url_secret_ref: SecretKeyRef,
}

/// Opens and resolves alerts through PagerDuty's Events API v2. An alert and its resolve carry the same
/// dedup_key, so that PagerDuty closes what it opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PagerDuty {
    /// Secret key that holds the routing key (the Integration Key of an "Events API v2" integration, 32
    /// characters). The Secret lies in the namespace of this object.
    pub routing_key_secret_ref: SecretKeyRef,
    /// Base address of the Events API, to which /v2/enqueue is appended. Accounts in the EU use
    /// https://events.eu.pagerduty.com. Default: https://events.pagerduty.com.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = rules::no_user_info(), validation = rules::http_url(), validation = rules::base_url())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Maps values of the alert's severity label to PagerDuty's severities critical, error, warning and info, at
    /// most 32 entries. A value that is not listed maps to the severity of the same name; any other value,
    /// and an alert without the label, to error.
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = rules::rule(
        "self.all(k, k.size() > 0 && k.size() <= 256)",
        "keys must be values of the severity label, of 1 to 256 characters"
    ))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity_map: Option<BTreeMap<String, PagerDutySeverity>>,
}

/// PagerDuty's severities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(description = "")]
pub enum PagerDutySeverity {
    /// critical
    Critical,
    /// error
    Error,
    /// warning
    Warning,
    /// info
    Info,
}

/// Sends alerts to a Rootly alert source of the kind "Alertmanager"; Rootly resolves what is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rootly {
    /// Secret key that holds the alert source's URL
    /// (https://webhooks.rootly.com/webhooks/incoming/alertmanager_webhooks, with or without ?secret=...). The
    /// Secret lies in the namespace of this object.
    #[serde(rename = "webhookURLSecretRef")]
    pub webhook_url_secret_ref: SecretKeyRef,
    /// Secret key that holds the source's secret, sent as "Authorization: Bearer". Leave it out when the URL
    /// carries ?secret=.... Not together with connection.auth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKeyRef>,
    /// Whom Rootly pages for these alerts. Default: what the alert source's own rules say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<RootlyNotify>,
}

/// Whom Rootly should page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct RootlyNotify {
    /// Kind of the paged party: User, Group, EscalationPolicy or Service.
    #[serde(rename = "type")]
    pub type_: NotifyType,
    /// Its Rootly id, at most 128 letters, digits, '-' and '_'.
    #[schemars(length(max = 128))]
    #[x_kube(validation = rules::path_segment("the id that Rootly shows for the party"))]
    pub id: String,
}

/// Kinds of parties that Rootly can page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum NotifyType {
    /// User
    User,
    /// Group
    Group,
    /// EscalationPolicy
    EscalationPolicy,
    /// Service
    Service,
}

/// Forwards alerts to Alertmanagers (API v2). Every address gets every alert, because Alertmanagers do not
/// hand alerts on to one another; the delivery succeeds when one of them accepts it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Alertmanager {
    /// Base addresses of the Alertmanagers, 1 to 16, to which /api/v2/alerts is appended, for example
    /// http://alertmanager-0.alertmanager:9093. Name every replica, not a load balancer in front of them.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 1024)))]
    #[x_kube(
        validation = rules::all_no_user_info(),
        validation = rules::all_base_urls(),
        merge_strategy = ListMerge::Set
    )]
    pub urls: Vec<String>,
}

/// Writes alerts to the operator's log and to a bounded inbox in its memory: to try routes without any
/// receiver. Has no settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Log {}
