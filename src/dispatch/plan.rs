//! Who is told: the routes and their recipients, as dispatch needs them.

use std::{sync::Arc, time::Duration};

use super::Why;
use crate::{
    api::{QueueLimit, RouteKey, Semantics, TargetKey},
    persistent::{Map, Set},
    routing::{Grouping, Hours, InhibitRule, RouteTable},
};

/// Routes and recipients of one registry snapshot. A clone shares everything, and what is then changed in it
/// costs as much as changes: the next plan is made of the one before.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub(super) table: Arc<RouteTable>,
    pub(super) routes: Map<RouteKey, Arc<OnRoute>>,
    pub(super) kept: Set<RouteKey>,
    targets: Map<TargetKey, Arc<str>>,
    forbidden: Map<RouteKey, Set<TargetKey>>,
}

/// A route as it is told.
#[derive(Debug, PartialEq)]
pub(super) struct OnRoute {
    pub(super) terms: RouteTerms,
    pub(super) recipients: Vec<Recipient>,
}

/// What a route demands for all its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTerms {
    /// Muted: nothing is sent; what was told is kept.
    pub suspended: bool,
    /// After this time a notification is sent again while its alert fires.
    pub repeat_interval: Duration,
    /// How alerts are put together; `None`: every alert is a group of its own, told at once.
    pub grouping: Option<Arc<Grouping>>,
    /// Which alerts in the route's scope keep others quiet.
    pub inhibit: Arc<[InhibitRule]>,
    /// When the route notifies.
    pub hours: Arc<Hours>,
    /// When fallback recipients are told.
    pub fallback: Option<FallbackTerms>,
}

/// When the recipients with [`Role::Fallback`] are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallbackTerms {
    /// How long nobody else was told of a firing.
    pub after: Duration,
    /// Whether the others stay owed.
    pub mode: FallbackMode,
}

/// What a delivery at a fallback means for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackMode {
    /// It settles them until the next change.
    Instead,
    /// They stay owed.
    Also,
}

/// Why a recipient is on a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// The route names or selects it.
    #[default]
    Regular,
    /// It is told when nobody else could be.
    Fallback,
}

/// One target of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The target.
    pub target: TargetKey,
    /// UID of the target: a recreated target starts with nothing told.
    pub uid: Arc<str>,
    /// Whether it is told that an alert is over.
    pub send_resolved: bool,
    /// Suspended: what is owed is held.
    pub suspended: bool,
    /// How long and how often it is tried, and how much may wait.
    pub limits: Limits,
    /// Why it is on the route. A target that is both is a regular one.
    pub role: Role,
}

/// What a target's delivery policy means for what it is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attempts that may fail in a retryable way; `None`: as many as `max_age` allows.
    pub max_attempts: Option<u32>,
    /// After this time what still fails goes to the dead letters.
    pub max_age: Duration,
    /// How often a firing that was given up is tried all the same.
    pub unhealthy_interval: Duration,
    /// How many resolves may be owed.
    pub queue: QueueLimit,
    /// Whether it needs the latest state or every transition.
    pub semantics: Semantics,
    /// What is owed beyond the rate limit goes out as one message per route.
    pub digest: bool,
}

// === impl Plan ===

impl Plan {
    /// A plan over `table` without recipients.
    #[must_use]
    pub fn new(table: Arc<RouteTable>) -> Self {
        Self { table, ..Self::default() }
    }

    /// The same routes and recipients over another table: to be brought in line with it.
    #[must_use]
    pub fn over(&self, table: Arc<RouteTable>) -> Self {
        Self { table, ..self.clone() }
    }

    /// Adds an accepted route with everyone it reaches, suspended ones included. A suspended
    /// route must be added too: what it told before is kept only while the plan names it.
    pub fn add(&mut self, route: RouteKey, terms: RouteTerms, mut recipients: Vec<Recipient>) {
        recipients.sort_by(|a, b| a.target.cmp(&b.target));
        recipients.dedup_by(|later, kept| later.target == kept.target);
        for Recipient { target, uid, .. } in &recipients {
            self.exists(target.clone(), uid.clone());
        }
        self.routes.insert(route, Arc::new(OnRoute { terms, recipients }));
    }

    /// Says that a route exists but can't be used at present: it is muted with the recipients that it
    /// had, as if it were suspended, until a plan adds it or leaves it out.
    pub fn keep(&mut self, route: RouteKey) {
        self.kept.insert(route);
    }

    /// Forgets what was said about a route.
    pub fn forget_route(&mut self, route: &RouteKey) {
        self.routes.remove(route);
        self.kept.remove(route);
        self.forbidden.remove(route);
    }

    /// Forgets that a target exists.
    pub fn forget_target(&mut self, target: &TargetKey) {
        self.targets.remove(target);
    }

    /// Says that a target exists, whether or not a route reaches it: one that leaves a route is said
    /// to be deleted only if it does not.
    pub fn exists(&mut self, target: TargetKey, uid: Arc<str>) {
        self.targets.insert(target, uid);
    }

    /// Says that the target does not admit the route that names it (any more).
    pub fn forbid(&mut self, route: RouteKey, target: TargetKey) {
        if let Some(targets) = self.forbidden.get_mut(&route) {
            targets.insert(target);
        } else {
            self.forbidden.insert(route, [target].into_iter().collect());
        }
    }

    /// UID of the target of that name.
    pub(super) fn uid(&self, target: &TargetKey) -> Option<&Arc<str>> {
        self.targets.get(target)
    }

    /// Why `route` does not reach the recipient any more. `gone`: the route is no more.
    pub(super) fn why_left(&self, route: &RouteKey, recipient: &Recipient, gone: bool) -> Why {
        let Recipient { target, uid, .. } = recipient;
        if gone {
            Why::RouteDeleted
        } else if self.targets.get(target).is_none_or(|known| known != uid) {
            Why::TargetDeleted
        } else if self.forbidden.get(route).is_some_and(|targets| targets.contains(target)) {
            Why::NotPermitted
        } else {
            Why::TargetRemoved
        }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_attempts: None,
            max_age: Duration::from_hours(24),
            unhealthy_interval: Duration::from_secs(15),
            queue: QueueLimit::default(),
            semantics: Semantics::default(),
            digest: false,
        }
    }
}

// === impl RouteTerms ===

impl Default for RouteTerms {
    fn default() -> Self {
        Self {
            suspended: false,
            repeat_interval: Duration::from_hours(4),
            grouping: None,
            inhibit: Arc::new([]),
            hours: Arc::default(),
            fallback: None,
        }
    }
}
