//! What an answer comes to, without the request.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use super::{Attempt, classify::Answer, client::Outcome, vendor};
use crate::registry::Target;

/// What an attempt at `target` comes to if its answer, in at `now`, is this: status, headers, body. For
/// transports without a network, so that the engine can be measured with everything but the socket.
#[must_use]
pub fn judged(
    target: &Target,
    (status, headers, body): (StatusCode, &HeaderMap, &Bytes),
    now: Timestamp,
    latency: Duration,
) -> Attempt {
    let host = target.host().unwrap_or_default();
    let verdict = vendor::of(target.kind).judge(&Answer { host, status, headers, body, now });
    Outcome { verdict, status: Some(status.as_u16()), latency }.into_attempt()
}
