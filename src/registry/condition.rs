//! Conditions as status holds them: `lastTransitionTime` moves on a flip only.

use jiff::Timestamp;

use crate::api::{Condition, ConditionStatus, ConditionType, Reason};

/// Characters of a message: room for the command that mends it, with names of usual length.
const MAX_MESSAGE: usize = 1_024;

/// What a condition says now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Draft {
    pub(super) type_: ConditionType,
    pub(super) status: ConditionStatus,
    pub(super) reason: Reason,
    pub(super) message: String,
    /// When it became so, if that is known better than by when it is written.
    pub(super) since: Option<Timestamp>,
}

// === impl Draft ===

impl Draft {
    pub(super) fn new(
        type_: ConditionType,
        status: ConditionStatus,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self { type_, status, reason, message: message.into(), since: None }
    }

    pub(super) fn since(self, since: Option<Timestamp>) -> Self {
        Self { since, ..self }
    }
}

/// The conditions of an object: `drafts` as they are now, times as they were where nothing flipped.
/// A flip is dated by the draft, unless what was shown before is newer than that.
pub(super) fn merge(
    previous: &[Condition],
    drafts: Vec<Draft>,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let finish = |draft: Draft| {
        let old = find(previous, draft.type_);
        let last_transition_time = match old {
            Some(old) if old.status == draft.status => old.last_transition_time.clone(),
            _ => time(draft.since.filter(|since| is_later(*since, old)).unwrap_or(now)),
        };
        Condition {
            type_: draft.type_.as_str().to_owned(),
            status: draft.status,
            observed_generation: Some(generation),
            last_transition_time,
            reason: draft.reason.as_str().to_owned(),
            message: shorten(draft.message),
        }
    };
    drafts.into_iter().map(finish).collect()
}

fn is_later(since: Timestamp, old: Option<&Condition>) -> bool {
    let flipped = old.and_then(|old| old.last_transition_time.parse::<Timestamp>().ok());
    flipped.is_none_or(|flipped| since > flipped)
}

/// The condition of that type.
pub(super) fn find(conditions: &[Condition], type_: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|one| one.type_ == type_.as_str())
}

/// RFC 3339 in whole seconds, as Kubernetes writes times.
pub(super) fn time(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// The first names of a list and how many more there are.
pub(super) fn name_some<T: ToString>(names: impl ExactSizeIterator<Item = T>) -> String {
    const SHOWN: usize = 3;
    let more = names.len().saturating_sub(SHOWN);
    let shown: Vec<_> = names.take(SHOWN).map(|name| name.to_string()).collect();
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

fn shorten(message: String) -> String {
    if message.chars().count() <= MAX_MESSAGE {
        return message;
    }
    message.chars().take(MAX_MESSAGE - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(status: ConditionStatus, message: &str) -> Vec<Draft> {
        vec![Draft::new(ConditionType::Ready, status, Reason::Registered, message)]
    }

    #[test]
    fn the_time_moves_on_a_flip_only() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = merge(&[], ready(ConditionStatus::True, "one"), 1, at(10));
        let second = merge(&first, ready(ConditionStatus::True, "two"), 2, at(20));
        assert_eq!(second[0].last_transition_time, "1970-01-01T00:00:10Z");
        assert_eq!((second[0].observed_generation, &*second[0].message), (Some(2), "two"));
        let third = merge(&second, ready(ConditionStatus::False, "three"), 2, at(30));
        assert_eq!(third[0].last_transition_time, "1970-01-01T00:00:30Z");
    }

    #[test]
    fn a_flip_is_dated_by_what_flipped_unless_something_newer_was_shown() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let healthy = |status, since| {
            let draft = Draft::new(ConditionType::Healthy, status, Reason::Reachable, "");
            vec![draft.since(Some(at(since)))]
        };
        let first = merge(&[], healthy(ConditionStatus::True, 5), 1, at(10));
        assert_eq!(first[0].last_transition_time, time(at(5)));
        let unknown = merge(&first, ready(ConditionStatus::Unknown, ""), 1, at(20));
        assert_eq!(unknown[0].last_transition_time, time(at(20)));
        let suspended = vec![Condition { type_: "Healthy".into(), ..unknown[0].clone() }];
        let resumed = merge(&suspended, healthy(ConditionStatus::True, 5), 1, at(30));
        assert_eq!(resumed[0].last_transition_time, time(at(30)));
    }

    #[test]
    fn messages_are_cut_between_characters() {
        let long = "é".repeat(2 * MAX_MESSAGE);
        let message = shorten(long);
        assert_eq!(message.chars().count(), MAX_MESSAGE);
        assert!(message.ends_with("é…"));
    }

    #[test]
    fn lists_name_three() {
        assert_eq!(name_some(["a", "b"].into_iter()), "a, b");
        assert_eq!(name_some([1, 2, 3, 4, 5].iter()), "1, 2, 3 and 2 more");
    }

    #[test]
    fn times_are_whole_seconds() {
        let at = Timestamp::from_millisecond(1_999).unwrap();
        assert_eq!(time(at), "1970-01-01T00:00:01Z");
    }
}
