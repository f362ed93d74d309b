//! Alertmanager's API v2: the array of alerts that Prometheus posts, in and out.
//!
//! Answers are those of Alertmanager 0.34, with these differences: bodies are bounded
//! ([`Limits`]), a `null` in the array is refused instead of crashing, and an empty time is unset.

use std::{borrow::Cow, fmt, time::Duration};

use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};

use super::{
    Alert, Labels, Limits, Member, ParseError, Status,
    quote::{push_json, push_pairs, push_quoted},
    time::later,
    uri::is_request_uri,
    wire::{Raw, raw},
};

/// What reading depends on besides the body.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `--resolve-timeout`: the life of an alert that is sent without an end.
    pub resolve_timeout: Duration,
    /// What a body may hold.
    pub limits: Limits,
}

/// What a body held. Good alerts are taken even if others are not.
#[derive(Debug, Default)]
pub struct Batch {
    /// The good ones, in the order of the body.
    pub alerts: Vec<Alert>,
    /// The others.
    pub invalid: Vec<Invalid>,
}

/// An alert that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Its place in the body, from 0.
    pub index: usize,
    /// Why, in Alertmanager's words where it has any.
    pub message: String,
}

struct Reader<'s> {
    now: Timestamp,
    settings: &'s Settings,
    batch: Batch,
    /// The first thing that is wrong with the body as a whole.
    failure: Option<ParseError>,
}

/// Reads the body of `POST /api/v2/alerts`. Only the first JSON value counts, as in Alertmanager.
///
/// # Errors
/// [`ParseError`] when nothing of the body may be taken.
pub fn parse(body: &[u8], now: Timestamp, settings: &Settings) -> Result<Batch, ParseError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(ParseError::Missing);
    }
    with_text(body, |text| {
        let mut reader = Reader { now, settings, batch: Batch::default(), failure: None };
        let read = (&mut reader).deserialize(&mut serde_json::Deserializer::from_str(text));
        match (read, reader.failure) {
            (Ok(()), None) => Ok(reader.batch),
            (Ok(()), Some(failure)) | (Err(_), Some(failure @ ParseError::TooManyAlerts(_))) => {
                Err(failure)
            }
            (Err(error), _) => Err(ParseError::Malformed(error.to_string())),
        }
    })
}

/// The body of a post to another Alertmanager, as Prometheus writes it. Members that fire end at
/// `firing_until`; resolved ones carry their own end.
#[must_use]
pub fn render(members: &[Member], firing_until: Timestamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 * members.len() + 2);
    out.push(b'[');
    for (at, Member { alert, status }) in members.iter().enumerate() {
        out.extend_from_slice(if at > 0 { b",{" } else { b"{" });
        if !alert.annotations.is_empty() {
            out.extend_from_slice(b"\"annotations\":");
            push_object(&mut out, &alert.annotations);
            out.push(b',');
        }
        let ends_at = if *status == Status::Firing { firing_until } else { alert.ends_at };
        out.extend_from_slice(
            format!("\"endsAt\":\"{ends_at:.3}\",\"startsAt\":\"{:.3}\"", alert.starts_at)
                .as_bytes(),
        );
        if !alert.generator_url.is_empty() {
            out.extend_from_slice(b",\"generatorURL\":");
            push_json(&mut out, &alert.generator_url);
        }
        out.extend_from_slice(b",\"labels\":");
        push_object(&mut out, &alert.labels);
        out.push(b'}');
    }
    out.push(b']');
    out
}

/// Appends a label set as a JSON object.
pub fn push_object(out: &mut Vec<u8>, labels: &Labels) {
    push_pairs(out, labels.iter());
}

/// Reads `body` as text, with what Go's decoder does to text that is not UTF-8: a replacement
/// character for each broken byte, and for each half of a surrogate pair.
pub(super) fn with_text<T>(
    body: &[u8],
    read: impl Fn(&str) -> Result<T, ParseError>,
) -> Result<T, ParseError> {
    // Finding out that all is well is several times faster than mending it on the way.
    let text = str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed);
    read(&text).or_else(|error| match without_lone_surrogates(&text) {
        Cow::Owned(text) => read(&text),
        Cow::Borrowed(_) => Err(error),
    })
}

fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| {
        let escape = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(escape, 16).ok().filter(|unit| (0xd800..0xe000).contains(unit))
    };
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = text[at..].find('\\') {
        at += found;
        match (unit(at), unit(at + 6)) {
            (Some(0xd800..0xdc00), Some(0xdc00..)) => at += 12,
            (Some(_), _) => {
                out.push_str(&text[copied..at]);
                out.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            // What follows the backslash is not its start, whatever it is.
            (None, _) => at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

// === impl Batch ===

impl Batch {
    /// The answer's body when some alerts were refused: a JSON string, their messages one a line.
    #[must_use]
    pub fn error_body(&self) -> Option<String> {
        if self.invalid.is_empty() {
            return None;
        }
        let messages: Vec<&str> = self.invalid.iter().map(|one| one.message.as_str()).collect();
        Some(serde_json::Value::from(messages.join("\n")).to_string())
    }
}

// === impl Reader ===

impl<'de> DeserializeSeed<'de> for &mut Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of alerts")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Limits { alerts, depth, .. } = self.settings.limits;
        let mut index = 0;
        while let Some(raw) = seq.next_element_seed(raw(depth.saturating_sub(2)))? {
            if index == alerts {
                self.failure = Some(ParseError::TooManyAlerts(alerts));
                return Err(serde::de::Error::custom("too many alerts"));
            }
            self.add(index, raw);
            index += 1;
        }
        Ok(())
    }
}

impl Reader<'_> {
    fn add(&mut self, index: usize, raw: Raw<'_>) {
        if self.failure.is_some() {
            return;
        }
        if !raw.generator_url.is_empty() && !is_request_uri(&raw.generator_url) {
            let mut quoted = String::new();
            push_quoted(&mut quoted, &raw.generator_url.chars().take(200).collect::<String>());
            self.failure = Some(ParseError::NotUri(index, quoted));
        } else if raw.labels.is_none() {
            self.failure = Some(ParseError::LabelsMissing(index));
        } else {
            match self.alert(raw) {
                Ok(alert) => self.batch.alerts.push(alert),
                Err(message) => self.batch.invalid.push(Invalid { index, message }),
            }
        }
    }

    fn alert(&self, raw: Raw<'_>) -> Result<Alert, String> {
        let Settings { resolve_timeout, limits } = self.settings;
        let ends_at = raw.ends_at.get();
        let starts_at = raw.starts_at.get().or(ends_at).unwrap_or(self.now);
        let timeout = ends_at.is_none();
        let ends_at = ends_at.unwrap_or_else(|| later(self.now, *resolve_timeout));
        if ends_at < starts_at {
            return Err("start time must be before end time".into());
        }
        let labels: Labels = raw.labels.unwrap_or_default().into_iter().collect();
        let annotations: Labels = raw.annotations.unwrap_or_default().into_iter().collect();
        if let Some(problem) = limits.check(&labels, &annotations) {
            return Err(problem);
        }
        if raw.generator_url.len() > limits.annotation {
            return Err(format!("generatorURL is longer than {} bytes", limits.annotation));
        }
        let generator_url = raw.generator_url.into();
        let updated_at = self.now;
        Ok(Alert { labels, annotations, starts_at, ends_at, timeout, generator_url, updated_at })
    }
}
