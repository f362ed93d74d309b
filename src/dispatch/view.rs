//! What a group shows to one target: its members as they were at a flush.

use std::{ops::Deref, sync::Arc};

use jiff::Timestamp;

use super::AlertId;
use crate::alert::{Alert, NotificationReason as Reason, Status};

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
    /// It belonged to other groups of the route before: a later start takes who was told there for one who
    /// was told nothing here.
    pub(super) elsewhere: bool,
}

/// Everyone present at a flush.
#[derive(Debug)]
pub(super) struct Roll {
    /// In Alertmanager's order.
    all: Box<[Shown]>,
    /// Where each stands, sorted by alert.
    places: Box<[u32]>,
}

/// What one target is owed: shared by those that are owed the same.
#[derive(Debug)]
pub(super) struct View {
    pub(super) members: Arc<Roll>,
    /// Who of them does not concern this target; sorted.
    pub(super) hidden: Box<[AlertId]>,
    pub(super) status: Status,
    pub(super) reason: Reason,
    /// The same as long as members, their status and their incidents are.
    pub(super) state: u64,
    /// When the newest change of a member was accepted.
    pub(super) changed_at: Timestamp,
}

// === impl Roll ===

impl Roll {
    pub(super) fn new(all: Vec<Shown>) -> Self {
        let mut places: Box<[u32]> = (0..).take(all.len()).collect();
        places.sort_unstable_by_key(|at| all[*at as usize].id);
        Self { all: all.into(), places }
    }

    fn find(&self, alert: AlertId) -> Option<&Shown> {
        let id = |at: &u32| self.all[*at as usize].id;
        let found = self.places.binary_search_by_key(&alert, id).ok()?;
        Some(&self.all[self.places[found] as usize])
    }
}

impl Deref for Roll {
    type Target = [Shown];

    fn deref(&self) -> &[Shown] {
        &self.all
    }
}

// === impl View ===

impl View {
    /// `None` if nothing is left.
    pub(super) fn new(members: &Arc<Roll>, hidden: Box<[AlertId]>, reason: Reason) -> Option<Self> {
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

    /// One of them.
    pub(super) fn find(&self, alert: AlertId) -> Option<&Shown> {
        self.members.find(alert).filter(|_| self.hidden.binary_search(&alert).is_err())
    }
}

/// Members that are not hidden.
pub(super) fn visible<'a>(
    members: &'a [Shown],
    hidden: &'a [AlertId],
) -> impl Iterator<Item = &'a Shown> + Clone {
    members.iter().filter(|shown| hidden.binary_search(&shown.id).is_err())
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
