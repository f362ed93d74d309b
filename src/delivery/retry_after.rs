//! How long the far end asks to wait, in all the forms in which vendors say it.

use std::time::Duration;

use http::{HeaderMap, header::RETRY_AFTER};
use jiff::{Timestamp, civil::DateTime, fmt::rfc2822, tz::TimeZone};
use serde::Deserialize;

/// Longest wait that is passed on, so that no arithmetic on it can overflow.
const MAX: Duration = Duration::from_hours(365 * 24);
/// Header values above this are epoch seconds, below it seconds to wait.
const EPOCH: f64 = 1e9;
/// Header values above this are epoch milliseconds.
const EPOCH_MILLIS: f64 = 1e11;
/// When a window ends or how long it still lasts: Rootly, PagerDuty and the IETF draft; Discord; GitHub,
/// incident.io, Jira and Discord again; Pushover; Opsgenie.
const RESETS: [&str; 6] = [
    "ratelimit-reset",
    "x-ratelimit-reset-after",
    "x-ratelimit-reset",
    "x-rate-limit-reset",
    "x-limit-app-reset",
    "x-ratelimit-period-in-sec",
];

/// The wait that `Retry-After` asks for: never negative, never longer than a year; `None` if it says nothing that
/// can be read.
pub(super) fn by_header(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = text(headers, RETRY_AFTER.as_str())?;
    seconds(value).or_else(|| date(value, now))
}

/// The wait that a refusal for too many requests asks for: in `Retry-After`, in its body, or in the vendor's own
/// headers, in this order. Other answers are not read for the last two: many vendors tell their limits with each.
pub(super) fn of_limit(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Option<Duration> {
    let own = || RESETS.iter().find_map(|name| reset(text(headers, name)?, now));
    by_header(headers, now).or_else(|| in_body(body)).or_else(own)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Discord's `retry_after` (seconds with a fraction), Telegram's `parameters.retry_after`.
fn in_body(body: &[u8]) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Said {
        retry_after: Option<f64>,
        parameters: Option<Parameters>,
    }
    #[derive(Deserialize)]
    struct Parameters {
        retry_after: Option<f64>,
    }
    let said: Said = serde_json::from_slice(body).ok()?;
    let seconds = said.retry_after.or_else(|| said.parameters?.retry_after)?;
    Some(wait(seconds))
}

/// A number of seconds; negative is none at all.
fn seconds(text: &str) -> Option<Duration> {
    number(text).map(wait)
}

/// A moment as a number, or seconds until then, or ISO 8601.
fn reset(text: &str, now: Timestamp) -> Option<Duration> {
    match number(text) {
        Some(value) if value >= EPOCH_MILLIS => Some(wait(value / 1e3 - epoch(now))),
        Some(value) if value >= EPOCH => Some(wait(value - epoch(now))),
        Some(value) => Some(wait(value)),
        None => iso(text, now).or_else(|| date(text, now)),
    }
}

fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.len() <= 64;
    plain.then(|| text.parse().ok()).flatten()
}

fn wait(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(MAX).min(MAX)
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit into 52 bits")]
fn epoch(now: Timestamp) -> f64 {
    now.as_millisecond() as f64 / 1e3
}

/// The three forms of RFC 9110: IMF-fixdate, RFC 850, asctime.
fn date(text: &str, now: Timestamp) -> Option<Duration> {
    let civil = |format: &str| {
        DateTime::strptime(format, text).ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp())
    };
    let at = rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()
        .or_else(|| civil("%A, %d-%b-%y %H:%M:%S GMT"))
        .or_else(|| civil("%a %b %e %H:%M:%S %Y"))?;
    Some(until(at, now))
}

/// `2026-03-01T10:20:00Z`, also without seconds, as Jira writes it.
fn iso(text: &str, now: Timestamp) -> Option<Duration> {
    let at: Timestamp = text.parse().ok().or_else(|| {
        let civil = DateTime::strptime("%Y-%m-%dT%H:%MZ", text).ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp())
    })?;
    Some(until(at, now))
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO).min(MAX)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn parsed(name: &'static str, value: &str) -> Option<u64> {
        let now: Timestamp = "2026-03-01T10:15:00Z".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
        of_limit(&headers, b"", now).map(|wait| wait.as_secs())
    }

    #[test]
    fn every_form_of_retry_after_is_read() {
        let table = [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("1.5", Some(1)),
            ("-5", Some(0)),
            ("100000000000000000000", Some(MAX.as_secs())),
            ("18446744073709551616", Some(MAX.as_secs())),
            ("Sun, 01 Mar 2026 10:20:00 GMT", Some(300)),
            ("Sunday, 01-Mar-26 10:20:00 GMT", Some(300)),
            ("Sun Mar  1 10:20:00 2026", Some(300)),
            ("Sun, 01 Mar 2026 10:00:00 GMT", Some(0)),
            ("Thu, 31 Dec 9998 23:59:59 GMT", Some(MAX.as_secs())),
            ("soon", None),
            ("", None),
            ("-", None),
            ("1e9", None),
            ("NaN", None),
            ("inf", None),
            ("..", None),
            ("Sun, 99 Mar 2026 10:20:00 GMT", None),
            ("\u{e4}", None),
        ];
        for (value, expected) in table {
            assert_eq!(parsed("retry-after", value), expected, "{value:?}");
        }
    }

    #[test]
    fn vendors_own_headers_are_read() {
        let table = [
            ("ratelimit-reset", "1772360160", Some(60)),
            ("ratelimit-reset", "30", Some(30)),
            ("x-ratelimit-reset", "1772360160", Some(60)),
            ("x-ratelimit-reset", "1772360160000", Some(60)),
            ("x-ratelimit-reset", "2026-03-01T10:16Z", Some(60)),
            ("x-ratelimit-reset", "2026-03-01T10:16:00Z", Some(60)),
            ("x-limit-app-reset", "1772360100", Some(0)),
            ("x-ratelimit-reset", "1", Some(1)),
            ("x-ratelimit-reset", "1772360160.5", Some(60)),
            ("x-ratelimit-reset", "later", None),
            ("x-ratelimit-reset", "-1", Some(0)),
            ("x-ratelimit-reset", "99999999999999999999", Some(MAX.as_secs())),
            ("x-ratelimit-reset-after", "2.5", Some(2)),
            ("x-ratelimit-period-in-sec", "60", Some(60)),
            ("x-ratelimit-remaining", "60", None),
        ];
        for (name, value, expected) in table {
            assert_eq!(parsed(name, value), expected, "{name}: {value}");
        }
    }

    #[test]
    fn vendors_own_bodies_are_read() {
        let table = [
            (r#"{"retry_after": 64.57, "global": false}"#, Some(64)),
            (r#"{"ok":false,"error_code":429,"parameters":{"retry_after":35}}"#, Some(35)),
            (r#"{"retry_after": -3}"#, Some(0)),
            (r#"{"retry_after": 1e300}"#, Some(MAX.as_secs())),
            (r#"{"retry_after": "soon"}"#, None),
            (r#"{"retry_after": null}"#, None),
            (r#"{"parameters": {}}"#, None),
            ("[]", None),
            ("slow down", None),
            ("{\"retry_after\": 3", None),
            ("", None),
        ];
        let now = Timestamp::UNIX_EPOCH;
        let mut headers = HeaderMap::new();
        for (body, expected) in table {
            let told = of_limit(&headers, body.as_bytes(), now).map(|wait| wait.as_secs());
            assert_eq!(told, expected, "{body}");
        }
        headers.insert("retry-after", HeaderValue::from_static("7"));
        let told = of_limit(&headers, br#"{"retry_after": 1}"#, now).unwrap();
        assert_eq!(told.as_secs(), 7, "the header goes first");
    }

    #[test]
    fn retry_after_goes_before_the_vendors_own_headers() {
        let now: Timestamp = "2026-03-01T10:15:00Z".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("ratelimit-reset", HeaderValue::from_static("1772360160"));
        headers.insert("retry-after", HeaderValue::from_static("5"));
        assert_eq!(of_limit(&headers, b"", now), Some(Duration::from_secs(5)));
        headers.insert("retry-after", HeaderValue::from_static("garbage"));
        assert_eq!(of_limit(&headers, b"", now), Some(Duration::from_mins(1)));
        assert_eq!(by_header(&headers, now), None, "only a limit is read for them");
    }
}
