//! Alertmanager: every replica gets every alert, since gossip does not carry alerts.

use std::{rc::Rc, time::Duration};

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::{
    Address, Answer, Reader, Refusal, Rendered, Spread, Vendor, Verdict, json, member_missing,
};
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
        let room = notification.room() / notification.members.len().max(1);
        let bodies = notification.members.chunks(BATCH).map(|members| {
            let mut links = Links::default();
            let alerts: Vec<_> = members.iter().map(|it| alert(it, &mut links, now)).collect();
            json(&alerts, room * members.len()).into()
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

/// One alert as Prometheus posts it, its fields in order of their names.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    annotations: text::Object<'a>,
    ends_at: text::Time,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<Link>,
    labels: text::Object<'a>,
    starts_at: text::Time,
}

/// A link; clones share it.
#[derive(Clone)]
struct Link(Rc<str>);

/// The last link that was looked at: alerts of one rule have the same.
#[derive(Default)]
struct Links<'a> {
    written: &'a str,
    read: Option<Link>,
}

/// Alertmanager refuses an `endsAt` before `startsAt`.
fn alert<'a>(
    Member { alert, status }: &'a Member,
    links: &mut Links<'a>,
    now: Timestamp,
) -> Alert<'a> {
    let (starts_at, ends_at) = match status {
        Status::Firing => (alert.starts_at, later(now, LIFE).max(alert.starts_at)),
        Status::Resolved => (alert.starts_at.min(alert.ends_at), alert.ends_at),
    };
    Alert {
        annotations: text::Object(&alert.annotations),
        ends_at: text::Time(ends_at),
        generator_url: links.read(&alert.generator_url),
        labels: text::Object(&alert.labels),
        starts_at: text::Time(starts_at),
    }
}

// === impl Link ===

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

// === impl Links ===

impl<'a> Links<'a> {
    fn read(&mut self, written: &'a str) -> Option<Link> {
        if self.written != written {
            self.written = written;
            self.read = text::link(written).map(|link| Link(link.into()));
        }
        self.read.clone()
    }
}
