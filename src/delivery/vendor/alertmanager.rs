//! Alertmanager: every replica gets every alert, since gossip does not carry alerts.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Address, Answer, Reader, Refusal, Rendered, Spread, Vendor, Verdict, member_missing};
use crate::{
    alert::{Member, Notification, Status, later},
    api::{PublishTargetSpec, TargetType},
    delivery::{
        Told,
        classify::by_status,
        credentials::{endpoint, extend_path, parse_url},
        text,
    },
    registry::{HttpMethod, ProbePlan, Target},
};

/// Alerts in one POST.
const BATCH: usize = 256;
/// How long a firing alert lasts downstream without being refreshed.
const LIFE: Duration = Duration::from_hours(1);

/// See the module.
pub(super) struct Alertmanager;

impl Vendor for Alertmanager {
    fn kind(&self) -> TargetType {
        TargetType::Alertmanager
    }

    fn address(&self, spec: &PublishTargetSpec, _: &Reader) -> Result<Address, Refusal> {
        let member = spec.alertmanager.as_ref();
        let member = member.ok_or_else(|| member_missing(self.kind(), "alertmanager"))?;
        let mut endpoints = Vec::with_capacity(member.urls.len());
        for (at, text) in member.urls.iter().enumerate() {
            let mut url = parse_url(text).map_err(|wrong| {
                Refusal::spec(format!("spec.alertmanager.urls[{at}] is not a usable URL: {wrong}"))
            })?;
            url.set_query(None);
            extend_path(&mut url, &["api", "v2", "alerts"]);
            endpoints.push(endpoint(url)?);
        }
        if endpoints.is_empty() {
            return Err(Refusal::spec("spec.alertmanager.urls is empty; add an address"));
        }
        Ok(Address {
            endpoints,
            method: HttpMethod::Post,
            headers: HeaderMap::new(),
            body_credential: None,
        })
    }

    /// Relative to `…/api/v2/alerts`, so that a path prefix stays.
    fn auto_probe(&self) -> ProbePlan {
        ProbePlan::Http {
            path: Some("../../-/ready".to_owned()),
            method: http::Method::GET,
            expected: vec![(200, 299)],
            proves_credential: false,
        }
    }

    fn render(&self, _: &Target, notification: &Notification, now: Timestamp) -> Rendered {
        let bodies = notification.members.chunks(BATCH).map(|members| {
            let alerts: Vec<_> = members.iter().map(|member| alert(member, now)).collect();
            Bytes::from(Value::from(alerts).to_string())
        });
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Rendered::Http { headers, bodies: bodies.collect(), spread: Spread::Every }
    }

    /// A 400 names the invalid alerts of the batch; the valid ones were stored all the same.
    fn judge(&self, answer: &Answer<'_>) -> Verdict {
        let mut verdict = by_status(answer);
        if let (400, Err(failure)) = (answer.status.as_u16(), &mut verdict.result) {
            failure.told = Told::Maybe;
        }
        verdict
    }

    /// At its limit of concurrent GETs it answers 503, and is well.
    fn alive(&self, answer: &Answer<'_>) -> bool {
        answer.status.as_u16() == 429
            || answer.status.as_u16() == 503
                && answer.body.starts_with(b"Limit of concurrent GET requests reached")
    }
}

/// One alert as Prometheus posts it. Alertmanager refuses an `endsAt` before `startsAt`.
fn alert(member: &Member, now: Timestamp) -> Value {
    let alert = &member.alert;
    let (starts_at, ends_at) = match member.status {
        Status::Firing => (alert.starts_at, later(now, LIFE).max(alert.starts_at)),
        Status::Resolved => (alert.starts_at.min(alert.ends_at), alert.ends_at),
    };
    let mut fields = Map::new();
    fields.insert("labels".to_owned(), text::object(alert.labels.iter()));
    fields.insert("annotations".to_owned(), text::object(alert.annotations.iter()));
    fields.insert("startsAt".to_owned(), json!(text::time(starts_at)));
    fields.insert("endsAt".to_owned(), json!(text::time(ends_at)));
    if let Some(link) = text::link(&alert.generator_url) {
        fields.insert("generatorURL".to_owned(), link.into());
    }
    Value::Object(fields)
}
