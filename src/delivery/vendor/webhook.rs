//! Webhook: an endpoint of the user's own.
//!
//! `Native` has the form that Standard Webhooks recommends: `type`, `timestamp`, `data`. `PrometheusV4` is what
//! Alertmanager sends. Both carry `webhook-id`, the same over every retry, by which a receiver drops repeats.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use jiff::Timestamp;

use super::{Address, Reader, Refusal, Rendered, Spread, Vendor, member_missing};
use crate::{
    alert::{Notification, webhook},
    api::{PayloadFormat, PublishTargetSpec, TargetType, WebhookMethod},
    delivery::credentials::{endpoint, parse_url},
    registry::{HttpMethod, ProbePlan, Target},
};

mod native;

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
            PayloadFormat::Native => native::render(notification).into(),
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
