//! Alerts in the JSON that Alertmanager writes: the same fields, order and escapes.

use std::sync::Arc;

use jiff::Timestamp;

use crate::alert::{Alert, push_json, v2::push_object};

/// What is said of an alert besides itself, written down once for all that have it in common.
#[derive(Debug, Default)]
pub(super) struct About {
    /// `"receivers":[…]`.
    pub(super) receivers: Vec<u8>,
    /// `"status":{…}`.
    pub(super) status: Vec<u8>,
}

/// Why nobody is told of an alert; each list is empty if that is not the reason.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    /// Ids of the silences that take it.
    pub(super) silences: Vec<String>,
    /// Fingerprints of the alerts that inhibit it.
    pub(super) sources: Vec<String>,
    /// Names of the routes that are suspended or off hours.
    pub(super) routes: Vec<String>,
}

/// One alert to be written.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) fingerprint: u64,
    pub(super) alert: Arc<Alert>,
    pub(super) about: Arc<About>,
}

// === impl About ===

impl About {
    /// `state`: `unprocessed`, `active` or `suppressed`.
    pub(super) fn new<'a>(
        receivers: impl Iterator<Item = &'a str>,
        state: &str,
        reasons: &Reasons,
    ) -> Self {
        let mut about = Self::default();
        about.receivers.extend_from_slice(b"\"receivers\":[");
        for (at, name) in receivers.enumerate() {
            about.receivers.extend_from_slice(if at > 0 { b",{" } else { b"{" });
            about.receivers.extend_from_slice(b"\"name\":");
            push_json(&mut about.receivers, name);
            about.receivers.push(b'}');
        }
        about.receivers.push(b']');
        let out = &mut about.status;
        out.extend_from_slice(b"\"status\":{\"inhibitedBy\":");
        push_list(out, &reasons.sources);
        out.extend_from_slice(b",\"mutedBy\":");
        push_list(out, &reasons.routes);
        out.extend_from_slice(b",\"silencedBy\":");
        push_list(out, &reasons.silences);
        out.extend_from_slice(b",\"state\":\"");
        out.extend_from_slice(state.as_bytes());
        out.extend_from_slice(b"\"}");
        about
    }
}

// === impl Entry ===

impl Entry {
    /// Appends the alert.
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        let Self { fingerprint, alert, about } = self;
        out.extend_from_slice(b"{\"annotations\":");
        push_object(out, &alert.annotations);
        out.extend_from_slice(b",\"endsAt\":\"");
        push_time(out, alert.ends_at);
        out.extend_from_slice(format!("\",\"fingerprint\":\"{fingerprint:016x}\",").as_bytes());
        out.extend_from_slice(&about.receivers);
        out.extend_from_slice(b",\"startsAt\":\"");
        push_time(out, alert.starts_at);
        out.extend_from_slice(b"\",");
        out.extend_from_slice(&about.status);
        out.extend_from_slice(b",\"updatedAt\":\"");
        push_time(out, alert.updated_at);
        out.push(b'"');
        if !alert.generator_url.is_empty() {
            out.extend_from_slice(b",\"generatorURL\":");
            push_json(out, &alert.generator_url);
        }
        out.extend_from_slice(b",\"labels\":");
        push_object(out, &alert.labels);
        out.push(b'}');
    }
}

fn push_list(out: &mut Vec<u8>, list: &[String]) {
    out.push(b'[');
    for (at, text) in list.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_json(out, text);
    }
    out.push(b']');
}

/// Appends a time as clients read it: milliseconds, cut off, and no year before the first.
pub(super) fn push_time(out: &mut Vec<u8>, at: Timestamp) {
    out.extend_from_slice(time(at).as_bytes());
}

/// A time as clients read it.
pub(super) fn time(at: Timestamp) -> String {
    /// `0001-01-01T00:00:00Z`: a client that reads years of four digits fails at what is earlier.
    const FIRST: i64 = -62_135_596_800;
    let first = Timestamp::from_second(FIRST).unwrap_or(Timestamp::UNIX_EPOCH);
    let at = at.max(first);
    let below = i64::from(at.subsec_nanosecond()).rem_euclid(1_000_000);
    let at = at.checked_sub(jiff::SignedDuration::from_nanos(below)).unwrap_or(at);
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_four_digits_for_the_year() {
        for (at, written) in [
            ("2026-03-01T10:15:00Z", "2026-03-01T10:15:00.000Z"),
            ("2026-03-01T10:15:00.123999999Z", "2026-03-01T10:15:00.123Z"),
            ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
            ("-000001-12-31T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(time(at.parse().unwrap()), written, "{at}");
        }
        assert_eq!(time(Timestamp::MIN), "0001-01-01T00:00:00.000Z");
        assert_eq!(time(Timestamp::MAX), "9999-12-30T22:00:00.999Z");
    }
}
