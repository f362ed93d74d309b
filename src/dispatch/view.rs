//! What a group shows to one target: its members as they were at a flush.

use std::{cmp::Ordering, sync::Arc};

use jiff::Timestamp;

use super::AlertId;
use crate::alert::{Alert, Labels, NotificationReason as Reason, Status};

/// A member of a group at a flush.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) id: AlertId,
    pub(super) alert: Arc<Alert>,
    pub(super) status: Status,
    pub(super) incident: u32,
    pub(super) version: u32,
    pub(super) incident_start: Timestamp,
    pub(super) changed_at: Timestamp,
    /// The group does not want it any more: who was told hears of its end, nobody hears of it anew.
    pub(super) lingers: bool,
}

/// What one target is owed: shared by those that are owed the same.
#[derive(Debug)]
pub(super) struct View {
    /// Everyone present, in Alertmanager's order.
    pub(super) members: Arc<[Shown]>,
    /// Who of them does not concern this target; sorted.
    pub(super) hidden: Box<[AlertId]>,
    pub(super) status: Status,
    pub(super) reason: Reason,
    /// The same as long as members, their status and their incidents are.
    pub(super) state: u64,
    /// When the newest change of a member was accepted.
    pub(super) changed_at: Timestamp,
}

// === impl View ===

impl View {
    /// `None` if nothing is left.
    pub(super) fn new(
        members: &Arc<[Shown]>,
        hidden: Box<[AlertId]>,
        reason: Reason,
    ) -> Option<Self> {
        let (mut status, mut changed_at) = (Status::Resolved, Timestamp::MIN);
        let (mut state, mut any) = (Fnv::default(), false);
        for shown in visible(members, &hidden) {
            any = true;
            if shown.status == Status::Firing {
                status = Status::Firing;
            }
            changed_at = changed_at.max(shown.changed_at);
            state.feed(&shown.id.0.to_le_bytes());
            state.feed(&shown.incident.to_le_bytes());
            state.feed(&[u8::from(shown.status == Status::Firing)]);
        }
        let (members, state) = (members.clone(), state.0);
        any.then_some(Self { members, hidden, status, reason, state, changed_at })
    }

    /// The members that concern the target.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Shown> + Clone {
        visible(&self.members, &self.hidden)
    }
}

/// Members that are not hidden.
pub(super) fn visible<'a>(
    members: &'a [Shown],
    hidden: &'a [AlertId],
) -> impl Iterator<Item = &'a Shown> + Clone {
    members.iter().filter(|shown| hidden.binary_search(&shown.id).is_err())
}

/// Alertmanager's order: by job, by instance, then by labels. Who lacks a job or an instance comes last.
pub(super) fn order(a: &Labels, b: &Labels) -> Ordering {
    let lacking_last = |name: &str| {
        let (a, b) = (a.get(name), b.get(name));
        a.is_empty().cmp(&b.is_empty()).then_with(|| a.cmp(b))
    };
    lacking_last("job").then_with(|| lacking_last("instance")).then_with(|| before(a, b))
}

/// Fewer labels come first; then the first name decides that only one of them has (who lacks it comes first)
/// or whose values differ.
fn before(a: &Labels, b: &Labels) -> Ordering {
    let by_labels = || {
        for ((a_name, a_value), (b_name, b_value)) in a.iter().zip(b.iter()) {
            // The smaller name is the one that the other one lacks.
            let order = b_name.cmp(a_name).then_with(|| a_value.cmp(b_value));
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    };
    a.len().cmp(&b.len()).then_with(by_labels)
}

/// FNV-1a: stands on disk, so it must not change.
struct Fnv(u64);

// === impl Fnv ===

impl Default for Fnv {
    fn default() -> Self {
        Self(14_695_981_039_346_656_037)
    }
}

impl Fnv {
    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(1_099_511_628_211);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    #[test]
    fn members_stand_in_the_order_of_alertmanager() {
        let sorted = [
            labels(&[("job", "a"), ("instance", "1"), ("z", "9"), ("zz", "9")]),
            labels(&[("job", "a"), ("instance", "2")]),
            labels(&[("job", "a")]),
            labels(&[("job", "b")]),
            labels(&[("instance", "1"), ("a", "b")]),
            labels(&[("x", "1")]),
            labels(&[("a", "1"), ("c", "1")]),
            labels(&[("a", "1"), ("b", "1")]),
            labels(&[("a", "1"), ("b", "2")]),
        ];
        for (at, a) in sorted.iter().enumerate() {
            for (other, b) in sorted.iter().enumerate() {
                assert_eq!(order(a, b), at.cmp(&other), "{a:?} {b:?}");
            }
        }
    }
}
