//! Times: arithmetic that can't overflow, and times as senders write them, as leniently as
//! Alertmanager reads them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, civil::Date};

/// A time that a sender wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Written {
    /// Missing, null, empty, or Go's zero time (0001-01-01).
    #[default]
    Unset,
    /// A moment; clamped to what a [`Timestamp`] can hold.
    At(Timestamp),
}

/// `at + by`, at most the last moment there is.
#[must_use]
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| at.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Reads a time as leniently as Alertmanager does; one that is empty is `0001-01-01T00:00:00Z`, which stands
/// for no time. `None` if it is no time.
#[must_use]
pub fn read_time(text: &str) -> Option<Timestamp> {
    Written::parse(text).map(|written| written.get().unwrap_or_else(|| clamped(GO_ZERO, 0)))
}

/// `0001-01-01T00:00:00Z` in seconds since 1970.
const GO_ZERO: i64 = -62_135_596_800;

// === impl Written ===

impl Written {
    /// Reads RFC 3339 and its laxer forms: any precision, an offset without colon, a space for the
    /// `T`, no seconds, no zone (UTC), a date alone. `None` if it is none of them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::Unset);
        }
        let mut cursor = Cursor(text.as_bytes());
        let year = cursor.digits(4)?;
        cursor.one_of(b"-")?;
        let month = cursor.digits(2)?;
        cursor.one_of(b"-")?;
        let day = cursor.digits(2)?;
        let date =
            Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()?;
        let (mut seconds, mut nanos) = (0, 0);
        if !cursor.is_empty() {
            cursor.one_of(b"T ")?;
            let hour = cursor.digits(2).filter(|hour| *hour < 24)?;
            cursor.one_of(b":")?;
            seconds = 3_600 * hour + 60 * cursor.digits(2).filter(|minute| *minute < 60)?;
            if cursor.one_of(b":").is_some() {
                seconds += cursor.digits(2).filter(|second| *second < 60)?;
                if cursor.one_of(b".,").is_some() {
                    nanos = cursor.fraction()?;
                }
            }
            seconds -= cursor.offset()?;
        }
        let unix = days_since_1970(date) * 86_400 + seconds;
        Some(if unix == GO_ZERO && nanos == 0 {
            Self::Unset
        } else {
            Self::At(clamped(unix, nanos))
        })
    }

    /// The moment, if one is set.
    pub(super) fn get(self) -> Option<Timestamp> {
        match self {
            Self::Unset => None,
            Self::At(at) => Some(at),
        }
    }
}

struct Cursor<'a>(&'a [u8]);

// === impl Cursor ===

impl Cursor<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        wanted.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = rest;
        Some(digits.iter().fold(0, |number, digit| 10 * number + i64::from(digit - b'0')))
    }

    /// Digits after the point, at least one; those below a nanosecond are cut.
    fn fraction(&mut self) -> Option<i32> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let mut nanos = 0;
        for at in 0..9 {
            nanos = 10 * nanos + digits.get(at).map_or(0, |digit| i32::from(digit - b'0'));
        }
        (count > 0).then_some(nanos)
    }

    /// `Z`, `±hh:mm`, `±hhmm` or nothing, in seconds; the text must end there.
    fn offset(&mut self) -> Option<i64> {
        let offset = match self.one_of(b"Z+-") {
            None | Some(b'Z') => 0,
            Some(sign) => {
                let hours = self.digits(2).filter(|hours| *hours <= 24)?;
                self.one_of(b":");
                let minutes = self.digits(2).filter(|minutes| *minutes < 60)?;
                let offset = 3_600 * hours + 60 * minutes;
                if sign == b'-' { -offset } else { offset }
            }
        };
        self.is_empty().then_some(offset)
    }
}

fn days_since_1970(date: Date) -> i64 {
    // Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    let (month, day) = (i64::from(date.month()), i64::from(date.day()));
    let year = i64::from(date.year()) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn clamped(seconds: i64, nanos: i32) -> Timestamp {
    Timestamp::new(seconds, nanos).unwrap_or(if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> Option<String> {
        Written::parse(text).map(|written| written.get().map_or("unset".into(), |t| t.to_string()))
    }

    #[test]
    fn times_are_read_as_leniently_as_alertmanager_reads_them() {
        for (text, expected) in [
            ("2026-03-01T10:15:00.000Z", "2026-03-01T10:15:00Z"),
            ("2026-03-01T10:15:00.123456789123Z", "2026-03-01T10:15:00.123456789Z"),
            ("2026-03-01T10:15:00+01:30", "2026-03-01T08:45:00Z"),
            ("2026-03-01T10:15:00.123-0100", "2026-03-01T11:15:00.123Z"),
            ("2026-03-01T10:15:00", "2026-03-01T10:15:00Z"),
            ("2026-03-01T10:15Z", "2026-03-01T10:15:00Z"),
            ("2026-03-01T10:15", "2026-03-01T10:15:00Z"),
            ("2026-03-01 10:15:00", "2026-03-01T10:15:00Z"),
            ("2025-01-02", "2025-01-02T00:00:00Z"),
            ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
            ("0001-01-01T00:00:00Z", "unset"),
            ("0001-01-01T01:00:00+01:00", "unset"),
            ("0001-01-01T00:00:01Z", "0001-01-01T00:00:01Z"),
            ("", "unset"),
            ("9999-12-31T23:59:59-12:00", "9999-12-30T22:00:00.999999999Z"),
            ("0000-01-01T00:00:00+24:00", "-000001-12-31T00:00:00Z"),
        ] {
            assert_eq!(printed(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "yesterday",
            "2026-3-1",
            "2026-02-29T00:00:00Z",
            "2026-13-01",
            "2026-00-01",
            "2026-03-01T24:00:00Z",
            "2026-03-01T10:15:60Z",
            "2026-03-01T10:15:00.Z",
            "2026-03-01t10:15:00z",
            "2026-03-01T10:15:00Zx",
            "2026-03-01T10:15:00+99:00",
            "2026-03-01T",
            "1772360100",
            "é",
        ] {
            assert_eq!(printed(text), None, "{text}");
        }
    }
}
