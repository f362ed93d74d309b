//! Who is told: the routes and their recipients, as dispatch needs them.

use std::{collections::HashMap, sync::Arc};

use crate::{
    api::{RouteKey, TargetKey},
    routing::RouteTable,
};

/// Routes and recipients; built from one registry snapshot, never changed.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) table: Arc<RouteTable>,
    pub(super) routes: HashMap<RouteKey, Delivery>,
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
}

/// What a route does with the alerts it matches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Delivery {
    pub(super) suspended: bool,
    /// Sorted by target.
    pub(super) recipients: Arc<[Recipient]>,
}

// === impl Plan ===

impl Plan {
    /// A plan over `table` without recipients.
    #[must_use]
    pub fn new(table: Arc<RouteTable>) -> Self {
        Self { table, routes: HashMap::new() }
    }

    /// Adds an accepted route with everyone it reaches, suspended ones included. A suspended
    /// route must be added too: what it told before is kept only while the plan names it.
    pub fn add(&mut self, route: RouteKey, suspended: bool, mut recipients: Vec<Recipient>) {
        recipients.sort_by(|a, b| a.target.cmp(&b.target));
        recipients.dedup_by(|later, kept| later.target == kept.target);
        self.routes.insert(route, Delivery { suspended, recipients: recipients.into() });
    }
}
