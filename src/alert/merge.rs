//! How an update changes a held alert: Alertmanager's rules.

use jiff::Timestamp;

use super::{Alert, Status};

/// The alert after `new`, received at `now`, arrived for the held `old` of the same labels.
///
/// If their times overlap, the earliest start wins, the newest annotations win, an explicit end
/// beats one set by timeout, and of two resolves the later end wins. If they do not overlap, the
/// update replaces what is held.
///
/// Source: Alertmanager 0.34 `provider/mem/mem.go` Put and `alert/alert.go` Merge.
#[must_use]
pub fn merge(old: &Alert, new: Alert, now: Timestamp) -> Alert {
    let ends_inside = new.ends_at > old.starts_at && new.ends_at < old.ends_at;
    let starts_inside = new.starts_at > old.starts_at && new.starts_at < old.ends_at;
    if !ends_inside && !starts_inside {
        return new;
    }
    let mut merged = new;
    merged.starts_at = merged.starts_at.min(old.starts_at);
    let keep_old_end = match merged.status(now) {
        Status::Resolved => old.status(now) == Status::Resolved,
        Status::Firing => !old.timeout,
    };
    if keep_old_end && old.ends_at > merged.ends_at {
        merged.ends_at = old.ends_at;
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Labels;

    const NOW: i64 = 1_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn alert(starts: i64, ends: i64, timeout: bool) -> Alert {
        Alert {
            labels: Labels::from_iter([("a", "b")]),
            annotations: Labels::empty(),
            starts_at: at(starts),
            ends_at: at(ends),
            timeout,
            generator_url: "".into(),
            updated_at: at(NOW),
        }
    }

    fn merged(old: (i64, i64, bool), new: (i64, i64, bool)) -> (i64, i64) {
        let merged = merge(&alert(old.0, old.1, old.2), alert(new.0, new.1, new.2), at(NOW));
        (merged.starts_at.as_second(), merged.ends_at.as_second())
    }

    #[test]
    fn earliest_start_wins_on_overlap() {
        assert_eq!(merged((100, 1_200, false), (150, 1_300, false)), (100, 1_300));
    }

    #[test]
    fn resolve_of_a_firing_alert_keeps_its_own_end() {
        assert_eq!(merged((100, 1_200, false), (150, 900, false)), (100, 900));
    }

    #[test]
    fn later_of_two_resolves_wins() {
        assert_eq!(merged((100, 950, false), (100, 900, false)), (100, 950));
    }

    #[test]
    fn explicit_end_beats_timeout() {
        assert_eq!(merged((100, 1_500, false), (150, 1_300, true)), (100, 1_500));
        assert_eq!(merged((100, 1_500, true), (150, 1_300, false)), (100, 1_300));
    }

    #[test]
    fn no_overlap_replaces() {
        assert_eq!(merged((100, 200, false), (300, 1_300, false)), (300, 1_300));
        assert_eq!(merged((100, 1_200, false), (100, 1_300, false)), (100, 1_300));
        assert_eq!(merged((500, 1_200, false), (100, 1_300, false)), (100, 1_300));
    }
}
