//! What differs between the target types: one file each, one line in [`of`].
//!
//! A vendor is pure: it compiles its part of a spec, renders, and judges answers. How to add one:
//! `docs/adding-a-target-type.md`.

mod alertmanager;
mod log;
mod pagerduty;
mod rootly;
mod slack;
mod webhook;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    classify::{Answer, Verdict, by_status},
    credentials::{Reader, Refusal},
};
use crate::{
    alert::Notification,
    api::{PublishTargetSpec, TargetType},
    registry::{Endpoint, HttpMethod, ProbePlan, Secret, Target},
};

/// What one target type does in its own way.
pub(super) trait Vendor: Sync {
    /// The type that this is.
    fn kind(&self) -> TargetType;

    /// Where to send and with which credentials, from the member of the spec.
    fn address(&self, spec: &PublishTargetSpec, reader: &Reader) -> Result<Address, Refusal>;

    /// The check behind `healthCheck.type: Auto`. It never posts an alert and never pages.
    fn auto_probe(&self) -> ProbePlan;

    /// The requests for one notification. `now` is the time of the attempt.
    fn render(&self, target: &Target, notification: &Notification, now: Timestamp) -> Rendered;

    /// What an answer means; the body first, then the code.
    fn judge(&self, answer: &Answer<'_>) -> Verdict {
        by_status(answer)
    }

    /// Whether an answer to a health check shows a living target although its code is not an expected one.
    fn alive(&self, answer: &Answer<'_>) -> bool {
        answer.status == http::StatusCode::TOO_MANY_REQUESTS
    }

    /// Whether [`Vendor::judge`] needs the body of a 2xx; if not, the status alone decides.
    fn reads_success(&self) -> bool {
        false
    }
}

/// Where a target is and who we are to it.
pub(super) struct Address {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) method: HttpMethod,
    pub(super) headers: HeaderMap,
    pub(super) body_credential: Option<Secret>,
}

/// What is sent for one notification.
pub(super) enum Rendered {
    /// HTTP requests, in this order.
    Http {
        /// Headers of each, besides the target's own.
        headers: HeaderMap,
        /// One request per body.
        bodies: Vec<Bytes>,
        /// Which endpoints get them.
        spread: Spread,
    },
    /// Nothing leaves the process.
    Inbox,
}

/// Which endpoints get a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// The first.
    First,
    /// Every one; one that accepts everything is success.
    Every,
}

/// The vendor of a type: the one place where each is registered.
pub(super) fn of(kind: TargetType) -> &'static dyn Vendor {
    match kind {
        TargetType::Webhook => &webhook::Webhook,
        TargetType::Slack => &slack::Slack,
        TargetType::PagerDuty => &pagerduty::PagerDuty,
        TargetType::Rootly => &rootly::Rootly,
        TargetType::Alertmanager => &alertmanager::Alertmanager,
        TargetType::Log => &log::Log,
    }
}

/// The bodies that an attempt at `now` posts to `target`, in this order; none if nothing is posted.
#[must_use]
pub fn bodies(target: &Target, notification: &Notification, now: Timestamp) -> Vec<Bytes> {
    match of(target.kind).render(target, notification, now) {
        Rendered::Http { bodies, .. } => bodies,
        Rendered::Inbox => Vec::new(),
    }
}

// === impl Address ===

impl Address {
    /// One endpoint that is posted to.
    fn post(endpoint: Endpoint) -> Self {
        Self {
            endpoints: vec![endpoint],
            method: HttpMethod::Post,
            headers: HeaderMap::new(),
            body_credential: None,
        }
    }
}

// === impl Rendered ===

impl Rendered {
    /// One JSON body for the first endpoint.
    fn json(body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self::Http { headers, bodies: vec![body], spread: Spread::First }
    }
}

/// `value` as JSON, which will take about `room` bytes.
fn json(value: &impl Serialize, room: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(room);
    serde_json::to_writer(&mut body, value).expect("texts, numbers and named fields always fit");
    body
}

/// The error for a union whose member is missing; the API server refuses it already.
fn member_missing(kind: TargetType, member: &str) -> Refusal {
    Refusal::spec(format!("spec.type is {kind}: set spec.{member}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_vendor() {
        for kind in TargetType::ALL {
            assert_eq!(of(kind).kind(), kind);
        }
    }
}
