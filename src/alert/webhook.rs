//! Alertmanager's webhook v4, in (Fanfare behind an existing Alertmanager or Grafana) and out.

use std::fmt;

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{
    Alert, Labels, Limits, Member, Notification, ParseError, Status, common,
    order::Place,
    quote::{push_fingerprint, push_json, push_pairs, quote_meta},
    v2::{Batch, Invalid, with_text},
    wire::{Raw, Skip, Text, raw},
};

/// Members and bytes of members in one body: as much as Fanfare takes itself in one post.
pub const MOST_MEMBERS: usize = 10_000;
/// See [`MOST_MEMBERS`].
pub const MOST_BYTES: usize = 4 * 1024 * 1024 - 128 * 1024;
/// Go's zero time: the end of an alert that fires.
const ZERO: &[u8] = b"0001-01-01T00:00:00Z";
/// RFC 3339 in UTC, with as many digits as there are.
const TIMES: DateTimePrinter = DateTimePrinter::new();

struct Reader<'s> {
    now: Timestamp,
    limits: &'s Limits,
    batch: Batch,
    too_many: bool,
}

struct Members<'r, 's>(&'r mut Reader<'s>);

/// Reads a webhook v4 body, Grafana's superset included: one alert per member. A member that fires
/// ends at [`Timestamp::MAX`] with `timeout` set: nothing but a resolve ends it.
///
/// # Errors
/// [`ParseError`] when nothing of the body may be taken.
pub fn parse(body: &[u8], now: Timestamp, limits: &Limits) -> Result<Batch, ParseError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(ParseError::Missing);
    }
    with_text(body, |text| {
        let mut reader = Reader { now, limits, batch: Batch::default(), too_many: false };
        match (&mut reader).deserialize(&mut serde_json::Deserializer::from_str(text)) {
            Ok(()) => Ok(reader.batch),
            Err(_) if reader.too_many => Err(ParseError::TooManyAlerts(limits.alerts)),
            Err(error) => Err(ParseError::Malformed(error.to_string())),
        }
    })
}

/// The body that Alertmanager 0.34 would post: its field order, its quoting, its order of alerts,
/// and a line feed at the end. A field `fallback` or `digest` follows only where it is true. What would make it
/// larger than receivers take is left out and counted in `truncatedAlerts`, the resolved ones first.
#[must_use]
pub fn render(notification: &Notification) -> Vec<u8> {
    let mut members: Vec<&Member> = notification.members.iter().collect();
    members.sort_by_cached_key(|member| Place::of(&member.alert.labels));
    let mut out = Vec::with_capacity(notification.room().min(MOST_BYTES + 1_024));
    out.extend_from_slice(b"{\"receiver\":");
    push_json(&mut out, &quote_meta(&notification.receiver));
    push_field(&mut out, "status", notification.status.as_str());
    out.extend_from_slice(b",\"alerts\":[");
    let begin = out.len();
    let mut shown = push_members(&mut out, &members);
    if shown < members.len() {
        out.truncate(begin);
        members.sort_by_key(|member| member.status != Status::Firing);
        shown = push_members(&mut out, &members);
    }
    out.push(b']');
    push_field(&mut out, "notification_reason", notification.reason.as_str());
    out.extend_from_slice(b",\"groupLabels\":");
    push_pairs(&mut out, notification.group_labels.iter());
    out.extend_from_slice(b",\"commonLabels\":");
    push_pairs(&mut out, common(&notification.members, |alert| &alert.labels));
    out.extend_from_slice(b",\"commonAnnotations\":");
    push_pairs(&mut out, common(&notification.members, |alert| &alert.annotations));
    out.extend_from_slice(b",\"routeLabels\":{}");
    push_field(&mut out, "externalURL", &notification.external_url);
    out.extend_from_slice(b",\"version\":\"4\"");
    push_field(&mut out, "groupKey", &notification.group_key);
    out.extend_from_slice(b",\"truncatedAlerts\":");
    out.extend_from_slice((members.len() - shown).to_string().as_bytes());
    for (name, holds) in [("fallback", notification.fallback), ("digest", notification.digest)] {
        if holds {
            out.extend_from_slice(format!(",\"{name}\":true").as_bytes());
        }
    }
    out.extend_from_slice(b"}\n");
    out
}

/// Appends as many as there is room for, but at least one; says how many.
fn push_members(out: &mut Vec<u8>, members: &[&Member]) -> usize {
    let begin = out.len();
    for (at, member) in members.iter().enumerate() {
        let before = out.len();
        if at > 0 {
            out.push(b',');
        }
        push_member(out, member);
        if at > 0 && (at == MOST_MEMBERS || out.len() - begin > MOST_BYTES) {
            out.truncate(before);
            return at;
        }
    }
    members.len()
}

fn push_member(out: &mut Vec<u8>, Member { alert, status }: &Member) {
    out.extend_from_slice(b"{\"status\":\"");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b"\",\"labels\":");
    push_pairs(out, alert.labels.iter());
    out.extend_from_slice(b",\"annotations\":");
    push_pairs(out, alert.annotations.iter());
    out.extend_from_slice(b",\"startsAt\":\"");
    push_time(out, alert.starts_at);
    out.extend_from_slice(b"\",\"endsAt\":\"");
    match status {
        Status::Firing => out.extend_from_slice(ZERO),
        Status::Resolved => push_time(out, alert.ends_at),
    }
    out.push(b'"');
    push_field(out, "generatorURL", &alert.generator_url);
    out.extend_from_slice(b",\"fingerprint\":\"");
    push_fingerprint(out, alert.labels.fingerprint());
    out.extend_from_slice(b"\"}");
}

fn push_time(out: &mut Vec<u8>, at: Timestamp) {
    TIMES.print_timestamp(&at, out).expect("a vector takes all that is written");
}

fn push_field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    push_json(out, value);
}

// === impl Reader ===

impl<'de> DeserializeSeed<'de> for &mut Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a webhook body of Alertmanager or Grafana (an object with `alerts`)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = false;
        while let Some(Text(key)) = map.next_key()? {
            if key.eq_ignore_ascii_case("alerts") && !seen {
                map.next_value_seed(Members(self))?;
                seen = true;
            } else {
                map.next_value_seed(Skip(self.limits.depth.saturating_sub(1)))?;
            }
        }
        if seen {
            Ok(())
        } else {
            Err(A::Error::custom("`alerts` is missing: not a webhook body of Alertmanager"))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Members<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of alerts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self(reader) = self;
        let mut index = 0;
        while let Some(raw) = seq.next_element_seed(raw(reader.limits.depth.saturating_sub(3)))? {
            if index == reader.limits.alerts {
                reader.too_many = true;
                return Err(A::Error::custom("too many alerts"));
            }
            match reader.alert(raw) {
                Ok(alert) => reader.batch.alerts.push(alert),
                Err(message) => reader.batch.invalid.push(Invalid { index, message }),
            }
            index += 1;
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// The status decides; the sender's clock does not: a resolve that ends in the future ends now.
    fn alert(&self, raw: Raw<'_>) -> Result<Alert, String> {
        let status = raw.status.as_deref().unwrap_or_default();
        let ended = raw.ends_at.get().filter(|end| *end <= self.now);
        let resolved = match status {
            _ if status.eq_ignore_ascii_case("firing") => false,
            _ if status.eq_ignore_ascii_case("resolved") => true,
            "" => ended.is_some(),
            _ => {
                return Err(format!("invalid status: {:?} is neither firing nor resolved", {
                    status.chars().take(40).collect::<String>()
                }));
            }
        };
        let labels: Labels = raw.labels.unwrap_or_default().into_iter().collect();
        let annotations: Labels = raw.annotations.unwrap_or_default().into_iter().collect();
        if let Some(problem) = self.limits.check(&labels, &annotations) {
            return Err(problem);
        }
        if raw.generator_url.len() > self.limits.annotation {
            return Err(format!("generatorURL is longer than {} bytes", self.limits.annotation));
        }
        let ends_at = if resolved { ended.unwrap_or(self.now) } else { Timestamp::MAX };
        Ok(Alert {
            labels,
            annotations,
            starts_at: raw.starts_at.get().unwrap_or(self.now).min(ends_at),
            ends_at,
            timeout: !resolved,
            generator_url: raw.generator_url.into(),
            updated_at: self.now,
        })
    }
}
