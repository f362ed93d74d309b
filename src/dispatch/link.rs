//! One alert on one route: what each of the route's recipients was told about it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    GroupId, Recipient, Role, RouteId, RouteTerms, TargetId,
    lane::Place,
    mute::Mutes,
    told::{Demand, Says, Told},
};
use crate::{
    alert::Status,
    api::{RouteKey, Semantics},
};

/// One alert on one route. Kept while the route exists, even if it no longer wants the alert: the
/// resolve still goes to those told.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) route: RouteId,
    /// The route wants the alert. As it was before while the route is suspended.
    pub(super) matches: bool,
    /// Why the alert is absent on this route at present.
    pub(super) muted: Mutes,
    /// The part of the route that is told alert by alert.
    pub(super) delivery: Arc<Delivery>,
    /// One for each recipient.
    pub(super) told: Box<[Told]>,
    /// The group that the alert belongs to, on a grouped route.
    pub(super) group: Option<GroupId>,
    /// Groups that it belonged to before: whoever was told there hears of the end there.
    pub(super) drains: Vec<GroupId>,
    /// How many of these groups it has not left.
    pub(super) stays: u32,
}

/// A route and whom it reaches; the same for all its alerts.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) key: RouteKey,
    pub(super) terms: RouteTerms,
    /// What an earlier process knew: nothing may be sent before a plan replaces it.
    pub(super) provisional: bool,
    /// Sorted by target number.
    pub(super) members: Box<[Member]>,
    /// On a route with a fallback: whom it tells otherwise.
    pub(super) regulars: Regulars,
}

/// The regular targets of a route with a fallback, the part that is told in another way included.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Regulars {
    /// Those that are not suspended.
    pub(super) active: Box<[TargetId]>,
    /// All of them have every transition in a queue of their own.
    pub(super) queued: bool,
}

/// One recipient of a route.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) id: TargetId,
    pub(super) recipient: Recipient,
}

/// What [`Link::follow`] has to know about the alert.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joining {
    pub(super) says: Option<Says>,
    /// The alert was accepted by an earlier process: who is not in its log may have been told.
    pub(super) restored: bool,
    /// A silence has kept it quiet since it was new: whom the log does not list surely heard nothing.
    pub(super) silenced: bool,
    pub(super) now: Timestamp,
}

// === impl Delivery ===

impl Delivery {
    /// Puts the members in order.
    pub(super) fn new(key: RouteKey, terms: RouteTerms, mut members: Vec<Member>) -> Self {
        members.sort_by_key(|member| member.id);
        let regulars = Regulars::default();
        Self { key, terms, provisional: false, members: members.into(), regulars }
    }

    pub(super) fn find(&self, target: TargetId) -> Option<usize> {
        self.members.binary_search_by_key(&target, |member| member.id).ok()
    }

    pub(super) fn demand(&self, matches: bool) -> Demand {
        Demand { matches, repeat: self.terms.repeat_interval }
    }

    /// Whether nothing may be sent to the member now.
    pub(super) fn mutes(&self, member: &Member) -> bool {
        self.terms.suspended || self.provisional || member.recipient.suspended
    }

    /// Whether it is the member alone that can't be sent to now.
    pub(super) fn pauses(&self, member: &Member) -> bool {
        member.recipient.suspended && !self.terms.suspended && !self.provisional
    }

    /// Whether it says the same as another.
    pub(super) fn equals(&self, other: &Self) -> bool {
        self.terms == other.terms
            && self.provisional == other.provisional
            && self.members == other.members
            && self.regulars == other.regulars
    }
}

// === impl Member ===

impl Member {
    pub(super) fn needs_every(&self) -> bool {
        self.recipient.limits.semantics == Semantics::Every && !self.is_fallback()
    }

    /// It is told when nobody else could be: the latest state only.
    pub(super) fn is_fallback(&self) -> bool {
        self.recipient.role == Role::Fallback
    }
}

// === impl Link ===

impl Link {
    pub(super) fn new(route: RouteId, delivery: &Arc<Delivery>, joining: Joining) -> Self {
        let join = |member: &Member| joining.entry(member, true);
        Self {
            route,
            matches: true,
            muted: Mutes::default(),
            told: delivery.members.iter().map(join).collect(),
            delivery: delivery.clone(),
            group: None,
            drains: Vec::new(),
            stays: 0,
        }
    }

    /// Of an earlier process.
    pub(super) fn provisional(route: RouteId, delivery: &Arc<Delivery>) -> Self {
        Self {
            route,
            matches: false,
            muted: Mutes::default(),
            told: Box::default(),
            delivery: delivery.clone(),
            group: None,
            drains: Vec::new(),
            stays: 0,
        }
    }

    /// Every group that the alert belongs to.
    pub(super) fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.group.into_iter().chain(self.drains.iter().copied())
    }

    /// The route's groups are gone.
    pub(super) fn forget_groups(&mut self) {
        (self.group, self.stays) = (None, 0);
        self.drains.clear();
    }

    /// Nothing has to be kept of it while its route does not want the alert.
    pub(super) fn is_idle(&self) -> bool {
        self.is_blank() && self.group.is_none() && self.drains.is_empty()
    }

    /// Follows a change of the route's recipients. Entries stay with their target as long as it
    /// has the same UID; those of recipients that left are returned, and whether anyone joined.
    pub(super) fn follow(
        &mut self,
        delivery: &Arc<Delivery>,
        joining: Joining,
    ) -> (Vec<(usize, Told)>, bool) {
        let (matches, mut joined) = (self.matches, false);
        let old = std::mem::replace(&mut self.delivery, delivery.clone());
        let released = old.stands_in() && !delivery.stands_in();
        let mut left: Vec<Option<Told>> =
            std::mem::take(&mut self.told).into_iter().map(Some).collect();
        self.told = delivery
            .members
            .iter()
            .map(|new| {
                let kept = old
                    .find(new.id)
                    .filter(|at| old.members[*at].recipient.uid == new.recipient.uid);
                let Some((at, mut told)) = kept.and_then(|at| Some((at, left[at].take()?))) else {
                    joined = true;
                    return joining.entry(new, matches);
                };
                let was_muted = !old.provisional && old.mutes(&old.members[at]);
                if was_muted && !delivery.mutes(new) {
                    told.resume(joining.now);
                }
                if released {
                    told.reopen(joining.now);
                }
                told
            })
            .collect();
        let left = left.into_iter().enumerate();
        (left.filter_map(|(at, told)| Some((at, told?))).collect(), joined)
    }

    /// The route wants the alert again: who is not told what fires is told now, as if they had just joined.
    pub(super) fn rejoin(&mut self, joining: Joining) {
        let fires = joining.says.is_some_and(|says| says.status == Status::Firing);
        for (member, told) in self.delivery.members.iter().zip(&mut self.told) {
            if told.is_blank() {
                let marks = told.marks;
                *told = joining.entry(member, true);
                told.marks = marks;
            } else if fires {
                told.resume(joining.now);
            }
        }
    }

    /// The entry of one target.
    pub(super) fn entry(&mut self, target: TargetId) -> Option<&mut Told> {
        self.delivery.find(target).map(|at| &mut self.told[at])
    }

    /// Entries with their recipients and slots.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Member, &Told)> {
        self.delivery.members.iter().zip(&self.told)
    }

    /// Whether the target was told exactly this and is not suspended.
    pub(super) fn knows(&self, target: TargetId, says: Says) -> bool {
        self.delivery.find(target).is_some_and(|at| {
            !self.delivery.members[at].recipient.suspended && self.told[at].knows(says)
        })
    }

    /// Something is under way.
    pub(super) fn in_flight(&self) -> bool {
        self.told.iter().any(|told| told.place == Place::InFlight)
    }

    /// Somebody was told, or may have been told, of an incident whose end they have not heard.
    pub(super) fn is_open(&self) -> bool {
        self.stays > 0 || self.told.iter().any(Told::open)
    }

    /// A later start asks who of its targets may know, even if the log does not name them.
    pub(super) fn is_looked_for(&self) -> bool {
        self.matches && !self.delivery.terms.suspended
    }

    /// Nothing is known about anyone.
    pub(super) fn is_blank(&self) -> bool {
        self.told.iter().all(Told::is_blank)
    }
}

// === impl Joining ===

impl Joining {
    fn entry(&self, member: &Member, wanted: bool) -> Told {
        if member.is_fallback() {
            // The log names every one that may have been told.
            Told::default()
        } else if self.restored && wanted {
            let mut told = if self.silenced { Told::deaf(self.says) } else { Told::unknown() };
            if member.needs_every() {
                // What is queued now is not given up for the age of what it is about.
                told.postpone(self.now);
            }
            told
        } else {
            Told::joining(self.says, self.now)
        }
    }
}
