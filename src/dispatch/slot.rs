//! Who is owed what: the smallest unit of delivery, and how it is handed about.

/// Identifies a held alert; the same over restarts, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertId(pub u64);

/// Identifies a group with several members; a number of the same counter, the same over restarts, never
/// used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u64);

/// What notifications are about: an alert on its own, or a group. Says which in one bit: there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(u64);

/// Set in the number of a group.
const GROUP: u64 = 1 << 63;

/// Stands for a target's name inside [`State`](super::State).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub(super) u32);

/// Stands for a route's name inside [`State`](super::State).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub(super) u32);

/// One (route, alert or group, target): at most one notification of it is in flight, and one is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// The target.
    pub target: TargetId,
    /// The route.
    pub route: RouteId,
    /// The alert or group.
    pub subject: Subject,
}

/// Alerts and groups that changed, and that nobody is told of yet: hand this to
/// [`State::enqueue`](super::State::enqueue) once the facts that were taken with it are on disk. Until then
/// nothing is sent about them.
#[derive(Debug, Default)]
#[must_use = "nothing is sent about these alerts until they are enqueued"]
pub struct Owed(pub(super) Vec<Subject>);

// === impl Subject ===

impl Subject {
    /// The alert, if it is one.
    #[must_use]
    pub const fn alert(self) -> Option<AlertId> {
        if self.0 & GROUP == 0 { Some(AlertId(self.0)) } else { None }
    }

    /// The group, if it is one.
    #[must_use]
    pub const fn group(self) -> Option<GroupId> {
        if self.0 & GROUP == 0 { None } else { Some(GroupId(self.0 & !GROUP)) }
    }

    /// The number, for tables.
    pub(super) const fn number(self) -> u64 {
        self.0
    }
}

impl From<AlertId> for Subject {
    fn from(AlertId(number): AlertId) -> Self {
        Self(number & !GROUP)
    }
}

impl From<GroupId> for Subject {
    fn from(GroupId(number): GroupId) -> Self {
        Self(number | GROUP)
    }
}

// === impl Owed ===

impl Owed {
    /// Nothing changed that anyone could be owed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many alerts and groups it concerns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds what belongs to a later call.
    pub fn append(&mut self, mut later: Self) {
        self.0.append(&mut later.0);
    }

    /// Takes at most `most` of them out: for enqueuing a lot in several steps.
    pub fn take_part(&mut self, most: usize) -> Self {
        let rest = self.0.split_off(most.min(self.0.len()));
        Self(std::mem::replace(&mut self.0, rest))
    }
}
