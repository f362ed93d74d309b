//! One immutable picture of all configuration.

use std::{collections::BTreeMap, sync::Arc};

use super::{Allowed, HealthPolicy, Target};
use crate::{
    api::{DeliveryPolicy, HealthState, Reason, RouteKey, TargetKey, TargetType},
    persistent::{Map, Set},
    routing::{Route, RouteTable},
};

/// One immutable picture of all configuration; readers take one per batch and see nothing half-changed. It
/// shares what did not change with the one before: a new one costs as much as changed.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Counts swaps since the start.
    pub generation: u64,
    /// Both first lists are in: what is missing here does not exist.
    pub complete: bool,
    /// Every target object, usable or not.
    pub targets: Arc<Map<TargetKey, TargetEntry>>,
    /// Every route object, usable or not, with the targets it reaches.
    pub routes: Arc<Map<RouteKey, RouteEntry>>,
    /// Index over the accepted routes; suspended ones count for `final`.
    pub table: Arc<RouteTable>,
    /// For each target the routes whose status shows its state.
    pub users: Arc<Map<TargetKey, Set<RouteKey>>>,
}

/// A target object: usable or not.
#[derive(Clone, Debug)]
pub enum TargetEntry {
    /// Compiled.
    Accepted(Arc<Target>),
    /// Not usable, and why.
    Rejected(Arc<RejectedTarget>),
}

/// A target object that could not be compiled.
#[derive(Debug, PartialEq)]
pub struct RejectedTarget {
    /// Its name.
    pub key: TargetKey,
    /// UID of the object.
    pub uid: Arc<str>,
    /// Generation of the object.
    pub generation: i64,
    /// Type, if the spec could be read.
    pub kind: Option<TargetType>,
    /// Labels of the object.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Why.
    pub reason: Reason,
    /// What happened, where, and how to fix it.
    pub message: String,
    /// Namespaces whose routes may point here; `Same` if the spec can't be read.
    pub allowed: Allowed,
    /// What the spec says about delivery and health, if it could be read: what the target needs is known even
    /// while it can't be used.
    pub policies: Option<(DeliveryPolicy, HealthPolicy)>,
    /// Suspended by its spec.
    pub suspended: bool,
    /// The health that its status showed when it was first seen; `Unknown` without one.
    pub health: HealthState,
    /// Waiting will not help (kstatus' Stalled): the spec or the Secret's content is wrong.
    pub permanent: bool,
}

/// A route object: usable or not.
#[derive(Clone, Debug)]
pub enum RouteEntry {
    /// Compiled, with what it reaches.
    Accepted(Arc<ResolvedRoute>),
    /// Not usable, and why.
    Rejected(Arc<RejectedRoute>),
}

/// A route object that could not be compiled.
#[derive(Debug, PartialEq)]
pub struct RejectedRoute {
    /// Its name.
    pub key: RouteKey,
    /// UID of the object.
    pub uid: Arc<str>,
    /// Generation of the object.
    pub generation: i64,
    /// Why.
    pub reason: Reason,
    /// What happened, where, and how to fix it.
    pub message: String,
}

/// A route with the targets it reaches now.
#[derive(Debug)]
pub struct ResolvedRoute {
    /// The route.
    pub route: Arc<Route>,
    /// Accepted targets that it reaches, sorted by key, each once; suspended ones included.
    pub targets: Vec<RouteTarget>,
    /// Named targets that exist and are permitted but rejected: counted, not reached.
    pub rejected: Vec<TargetKey>,
    /// Named targets that can't be used, and why; those of the fallback too.
    pub unresolved: Vec<Unresolved>,
    /// Accepted targets of its fallback, as named, each once; none of them is among `targets` or `rejected`.
    pub fallback: Vec<RouteTarget>,
    /// Targets of its fallback that exist and are permitted but rejected.
    pub rejected_fallback: Vec<TargetKey>,
    /// The `final` route that takes every alert first, if there is one.
    pub shadowed_by: Option<RouteKey>,
}

/// One target of a route.
#[derive(Clone, Debug)]
pub struct RouteTarget {
    /// The target.
    pub target: Arc<Target>,
    /// Whether it is told that an alert is over.
    pub send_resolved: bool,
}

/// A named target that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// The name.
    pub key: TargetKey,
    /// `TargetNotFound` or `TargetNotPermitted`.
    pub reason: Reason,
    /// It is only the fallback that names it.
    pub is_fallback: bool,
}

// === impl TargetEntry ===

impl TargetEntry {
    /// The compiled target, if there is one.
    #[must_use]
    pub fn target(&self) -> Option<&Arc<Target>> {
        match self {
            Self::Accepted(target) => Some(target),
            Self::Rejected(_) => None,
        }
    }

    /// Whether both are the same form of one object.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Accepted(a), Self::Accepted(b)) => Arc::ptr_eq(a, b),
            (Self::Rejected(a), Self::Rejected(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

// === impl RejectedTarget ===

impl RejectedTarget {
    /// It can't be used only because what it names has not been read yet, as after a restart.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.reason == Reason::Pending
    }
}

// === impl RouteEntry ===

impl RouteEntry {
    /// Whether both are the same form of one object, with the same targets.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Accepted(a), Self::Accepted(b)) => Arc::ptr_eq(a, b),
            (Self::Rejected(a), Self::Rejected(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// The accepted target of that name.
    #[must_use]
    pub fn target(&self, key: &TargetKey) -> Option<&Arc<Target>> {
        self.targets.get(key)?.target()
    }

    /// The accepted route of that name, with what it reaches.
    #[must_use]
    pub fn route(&self, key: &RouteKey) -> Option<&Arc<ResolvedRoute>> {
        match self.routes.get(key) {
            Some(RouteEntry::Accepted(route)) => Some(route),
            _ => None,
        }
    }

    /// The routes whose status shows the state of `key`.
    pub fn routes_of(&self, key: &TargetKey) -> impl Iterator<Item = &RouteKey> {
        self.users.get(key).into_iter().flat_map(Set::iter)
    }
}
