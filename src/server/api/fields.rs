//! What conditions and pages look like in queries and bodies.

use jiff::Timestamp;

use crate::{
    alert::Fingerprint,
    api::{self, TargetKey},
    publish::MAX_REPLAY,
    server::error::ApiError,
    store::{DeadLetterId, DeadReason},
};

/// Most entries of a page, and most dead letters that one request works on.
pub(super) const MAX_LIMIT: usize = MAX_REPLAY;
/// Entries of a page when the request does not say.
pub(super) const PAGE: usize = 100;

/// The lists that are read in pages. A cursor belongs to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    DeadLetters,
    Deliveries,
    Replay,
}

/// The start of a text, for messages.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

pub(super) fn target(text: &str) -> Result<TargetKey, ApiError> {
    text.parse().map_err(|_| {
        ApiError::invalid(format!(
            "target {:?} is not namespace/name, for example target=prod/slack; GET /api/v1/targets lists them",
            shown(text)
        ))
    })
}

pub(super) fn reason(text: &str) -> Result<DeadReason, ApiError> {
    DeadReason::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or_else(|| {
        let all: Vec<_> = DeadReason::ALL.iter().map(|reason| reason.as_str()).collect();
        ApiError::invalid(format!(
            "no such reason: {:?}; there are {}",
            shown(text),
            all.join(", ")
        ))
    })
}

/// An RFC 3339 time, or a duration back from `now`.
pub(super) fn since(text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    if let Ok(back) = text.parse::<api::Duration>() {
        return Ok(now.checked_sub(back.get()).unwrap_or(Timestamp::MIN));
    }
    // A plus sign in a query is a space.
    text.replace(' ', "+").parse().map_err(|_| {
        ApiError::invalid(format!(
            "since {:?} is neither a duration back from now (30m, 1h, 48h) nor a time in RFC 3339 (2026-03-01T10:15:00Z)",
            shown(text)
        ))
    })
}

pub(super) fn limit(text: &str) -> Result<usize, ApiError> {
    text.parse().map_err(|_| out_of_range(text)).and_then(bounded)
}

pub(super) fn bounded(limit: usize) -> Result<usize, ApiError> {
    if (1..=MAX_LIMIT).contains(&limit) { Ok(limit) } else { Err(out_of_range(&limit.to_string())) }
}

fn out_of_range(text: &str) -> ApiError {
    ApiError::invalid(format!(
        "limit {:?} is not a number from 1 to {MAX_LIMIT}; follow next_cursor for more",
        shown(text)
    ))
}

pub(super) fn fingerprint(text: &str) -> Result<Fingerprint, ApiError> {
    let hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| hex).map(Fingerprint).ok_or_else(|| {
        ApiError::invalid(format!(
            "fingerprint {:?} is not 16 hex digits, as webhook payloads and GET /api/v1/inbox show it; labels={{...}} takes the alert's labels instead",
            shown(text)
        ))
    })
}

/// Ids are texts in JSON: they may be larger than what readers of numbers can hold.
pub(super) fn id(text: &str) -> Result<DeadLetterId, ApiError> {
    number(text).map(DeadLetterId).ok_or_else(|| {
        ApiError::invalid(format!(
            "{:?} is not the id of a dead letter; GET /api/v1/deadletters lists them",
            shown(text)
        ))
    })
}

/// Digits only: no sign, no leading zero.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

// === impl List ===

impl List {
    const fn prefix(self) -> &'static str {
        match self {
            Self::DeadLetters => "l",
            Self::Deliveries => "d",
            Self::Replay => "r",
        }
    }

    pub(super) fn cursor(self, at: u64) -> String {
        format!("{}{at}", self.prefix())
    }

    pub(super) fn read_cursor(self, text: &str) -> Result<u64, ApiError> {
        text.strip_prefix(self.prefix()).and_then(number).ok_or_else(|| {
            ApiError::invalid(format!(
                "cursor {:?} is not from this list: take next_cursor of the page before, or leave it out to begin at the start",
                shown(text)
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn since_is_a_time_or_a_time_ago() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let hour = now - Duration::from_hours(1);
        for text in ["1h", "60m", "2026-03-01T11:00:00Z", "2026-03-01T12:00:00 01:00"] {
            assert_eq!(since(text, now).unwrap(), hour, "{text}");
        }
        assert_eq!(since("99999h99999h99999h99999h", Timestamp::MIN).unwrap(), Timestamp::MIN);
        for text in ["yesterday", "1d", "-1h", "1h ", "2026-03-01", "1740826800"] {
            assert!(since(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn cursors_belong_to_one_list() {
        let cursor = List::DeadLetters.cursor(u64::MAX);
        assert_eq!(List::DeadLetters.read_cursor(&cursor).unwrap(), u64::MAX);
        assert!(List::Deliveries.read_cursor(&cursor).is_err());
        for text in ["", "l", "l-1", "l+1", "l01", "l18446744073709551616", "1", "l1 "] {
            assert!(List::DeadLetters.read_cursor(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_have_one_form() {
        assert_eq!(limit("1000").unwrap(), 1_000);
        for text in ["0", "1001", "-1", "ten", "", "99999999999999999999"] {
            assert!(limit(text).is_err(), "{text}");
        }
        assert_eq!(fingerprint("00000000000000ff").unwrap(), Fingerprint(255));
        for text in ["ff", "+0000000000000ff", "00000000000000fg", "00000000000000ffff"] {
            assert!(fingerprint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_reason_is_read_as_it_is_written() {
        for known in DeadReason::ALL {
            assert_eq!(reason(known.as_str()).unwrap(), known);
        }
        assert!(reason("Rejected").is_err());
    }
}
