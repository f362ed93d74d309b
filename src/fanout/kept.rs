//! How the result of a publish is kept on disk, for repeats with the same `Idempotency-Key`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    api::{TargetKey, TargetType},
    publish::{ErrorType, PublishResult, SkipReason, TargetResult},
};

/// Version of the form below; another one is not read.
const VERSION: u8 = 1;

const SKIP_REASONS: [SkipReason; 4] =
    [SkipReason::Unhealthy, SkipReason::Degraded, SkipReason::CircuitOpen, SkipReason::Disabled];

#[derive(Debug, Deserialize, Serialize)]
struct Kept {
    version: u8,
    timed_out: bool,
    micros: u64,
    results: Vec<KeptTarget>,
}

#[derive(Debug, Deserialize, Serialize)]
struct KeptTarget {
    target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<TargetType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skipped: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
    micros: u64,
    attempts: u32,
    queued: bool,
}

/// The bytes to keep.
pub(super) fn encode(result: &PublishResult) -> Vec<u8> {
    let kept = Kept {
        version: VERSION,
        timed_out: result.timed_out,
        micros: micros(result.duration),
        results: result.results.iter().map(KeptTarget::of).collect(),
    };
    serde_json::to_vec(&kept).expect("texts and numbers can always be written as JSON")
}

/// The result that was kept; `None` if another version wrote it.
pub(super) fn decode(bytes: &[u8]) -> Option<PublishResult> {
    let kept: Kept = serde_json::from_slice(bytes).ok()?;
    if kept.version != VERSION {
        return None;
    }
    Some(PublishResult {
        results: kept.results.into_iter().map(KeptTarget::into).collect::<Option<_>>()?,
        timed_out: kept.timed_out,
        duration: Duration::from_micros(kept.micros),
    })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A name that nothing has: another version's.
#[derive(Debug)]
struct UnknownName;

/// The value that has this name.
fn named<T: Copy>(
    name: Option<String>,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> Result<Option<T>, UnknownName> {
    let Some(name) = name else { return Ok(None) };
    all.iter().copied().find(|value| as_str(*value) == name).map(Some).ok_or(UnknownName)
}

// === impl KeptTarget ===

impl KeptTarget {
    fn of(result: &TargetResult) -> Self {
        Self {
            target: result.key.to_string(),
            kind: result.kind,
            skipped: result.skipped.map(|reason| reason.as_str().to_owned()),
            error_type: result.error_type.map(|kind| kind.as_str().to_owned()),
            error: result.error.clone(),
            status_code: result.status_code,
            micros: micros(result.duration),
            attempts: result.attempts,
            queued: result.queued,
        }
    }

    fn into(self) -> Option<TargetResult> {
        let key: TargetKey = self.target.parse().ok()?;
        Some(TargetResult {
            key,
            kind: self.kind,
            skipped: named(self.skipped, &SKIP_REASONS, SkipReason::as_str).ok()?,
            error_type: named(self.error_type, &ErrorType::ALL, ErrorType::as_str).ok()?,
            error: self.error,
            status_code: self.status_code,
            duration: Duration::from_micros(self.micros),
            attempts: self.attempts,
            queued: self.queued,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result() -> PublishResult {
        let target = |number: usize| TargetResult {
            key: TargetKey::new("ns", &format!("t{number}")),
            kind: (number > 0).then_some(TargetType::Slack),
            skipped: SKIP_REASONS.get(number).copied(),
            error_type: ErrorType::ALL.get(number).copied(),
            error: number.is_multiple_of(2).then(|| "what \"happened\"".into()),
            status_code: number.is_multiple_of(3).then_some(503),
            duration: Duration::from_micros(number as u64 * 1_001),
            attempts: u32::try_from(number % 2).unwrap(),
            queued: number % 2 == 1,
        };
        PublishResult {
            results: (0..=ErrorType::ALL.len()).map(target).collect(),
            timed_out: true,
            duration: Duration::from_millis(1_234),
        }
    }

    #[test]
    fn a_kept_result_reads_as_it_was() {
        let result = result();
        let read = decode(&encode(&result)).unwrap();
        assert_eq!(format!("{read:?}"), format!("{result:?}"));
    }

    #[test]
    fn another_version_and_damage_are_not_read() {
        let text = String::from_utf8(encode(&result())).unwrap();
        assert!(decode(text.replace("\"version\":1", "\"version\":2").as_bytes()).is_none());
        assert!(decode(text.replace("circuit_open", "circuit_melted").as_bytes()).is_none());
        assert!(decode(&text.as_bytes()[..text.len() / 2]).is_none());
    }
}
