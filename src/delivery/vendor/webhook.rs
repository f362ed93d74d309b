//! Webhook: an endpoint of the user's own.
//!
//! `Native` has the form that Standard Webhooks recommends: `type`, `timestamp`, `data`. `PrometheusV4` is what
//! Alertmanager sends. Both carry `webhook-id`, the same over every retry, by which a receiver drops repeats.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Address, Reader, Refusal, Rendered, Spread, Vendor, member_missing};
use crate::{
    alert::{Member, Notification, Status, webhook},
    api::{PayloadFormat, PublishTargetSpec, TargetType, WebhookMethod},
    delivery::{
        credentials::{endpoint, parse_url},
        text,
    },
    registry::{HttpMethod, ProbePlan, Target},
};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");

/// See the module.
pub(super) struct Webhook;

impl Vendor for Webhook {
    fn kind(&self) -> TargetType {
        TargetType::Webhook
    }

    fn address(&self, spec: &PublishTargetSpec, reader: &Reader) -> Result<Address, Refusal> {
        let member = spec.webhook.as_ref();
        let member = member.ok_or_else(|| member_missing(self.kind(), "webhook"))?;
        let url = match (&member.url, &member.url_secret_ref) {
            (_, Some(from)) => reader.address(from)?,
            (Some(url), None) => parse_url(url).map_err(|wrong| {
                Refusal::spec(format!("spec.webhook.url is not a usable URL: {wrong}"))
            })?,
            (None, None) => {
                return Err(Refusal::spec("set spec.webhook.url or spec.webhook.urlSecretRef"));
            }
        };
        let method = match member.method() {
            WebhookMethod::POST => HttpMethod::Post,
            WebhookMethod::PUT => HttpMethod::Put,
        };
        Ok(Address { method, ..Address::post(endpoint(url)?) })
    }

    /// Any answer below 500 shows that something listens there, a 405 too; what a HEAD is answered says little
    /// about a POST.
    fn auto_probe(&self) -> ProbePlan {
        ProbePlan::Http {
            path: None,
            method: http::Method::HEAD,
            expected: vec![(100, 499)],
            proves_credential: false,
        }
    }

    fn render(&self, target: &Target, notification: &Notification, now: Timestamp) -> Rendered {
        let body = match target.spec.payload_format() {
            PayloadFormat::Native => native(notification).to_string().into(),
            PayloadFormat::PrometheusV4 => webhook::render(notification).into(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::from_str(&notification.id) {
            headers.insert(WEBHOOK_ID, id);
        }
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(now.as_second()));
        Rendered::Http { headers, bodies: vec![body], spread: Spread::First }
    }
}

/// The native body. Fields are only ever added; `fallback` and `digest` are there only where they are true. What
/// would make it larger than receivers take is left out and counted in `truncatedAlerts`, the resolved ones
/// first.
fn native(notification: &Notification) -> Value {
    let members = &notification.members;
    let alerts = alerts(notification);
    let left_out = members.len() - alerts.len();
    let mut body = json!({
        "type": format!("alert.{}", notification.status.as_str()),
        "timestamp": text::time(notification.at),
        "data": {
            "id": &*notification.id,
            "status": notification.status.as_str(),
            "reason": notification.reason.as_str(),
            "receiver": &*notification.receiver,
            "groupKey": &*notification.group_key,
            "incidentKey": &*notification.incident_key,
            "groupLabels": text::object(notification.group_labels.iter()),
            "commonLabels": text::object(text::common(members, |alert| &alert.labels)),
            "commonAnnotations": text::object(text::common(members, |alert| &alert.annotations)),
            "externalURL": &*notification.external_url,
            "alerts": alerts,
        },
    });
    for (name, holds) in [("fallback", notification.fallback), ("digest", notification.digest)] {
        if holds {
            body["data"][name] = true.into();
        }
    }
    if left_out > 0 {
        body["data"]["truncatedAlerts"] = left_out.into();
    }
    body
}

/// The members as far as there is room for them, but at least one.
fn alerts(notification: &Notification) -> Vec<Value> {
    let all = fitting(notification.members.iter());
    if all.len() == notification.members.len() {
        return all;
    }
    fitting(notification.firing().chain(notification.resolved()))
}

fn fitting<'a>(members: impl Iterator<Item = &'a Member>) -> Vec<Value> {
    let mut bytes = 0;
    let fits = |one: &(usize, Value)| {
        bytes += one.1.to_string().len() + 1;
        one.0 == 0 || bytes <= webhook::MOST_BYTES
    };
    let members = members.take(webhook::MOST_MEMBERS).map(alert).enumerate();
    members.take_while(fits).map(|(_, alert)| alert).collect()
}

fn alert(member: &Member) -> Value {
    let alert = &member.alert;
    let ends_at = match member.status {
        Status::Firing => Value::Null,
        Status::Resolved => text::time(alert.ends_at).into(),
    };
    json!({
        "fingerprint": alert.labels.fingerprint().to_string(),
        "status": member.status.as_str(),
        "labels": text::object(alert.labels.iter()),
        "annotations": text::object(alert.annotations.iter()),
        "startsAt": text::time(alert.starts_at),
        "endsAt": ends_at,
        "generatorURL": &*alert.generator_url,
    })
}
