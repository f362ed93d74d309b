//! Which alerts a change of configuration concerns, and how it reaches them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{held::Held, link::Link, plan::Delivery};
use crate::{
    api::RouteKey,
    routing::{Route, RouteTable},
};

/// Beyond so many changed routes every alert is looked at: that is cheaper.
const FEW: usize = 64;

pub(super) type Deliveries = HashMap<RouteKey, Delivery>;

/// The difference between two plans.
#[derive(Debug)]
pub(super) struct Edit<'a> {
    /// Routes whose recipients changed.
    deliveries: HashSet<&'a RouteKey>,
    /// Routes that came, went or were compiled anew. Only alerts that one of them wants, before or
    /// after, can be routed otherwise than before, `final` included.
    routes: Vec<&'a Arc<Route>>,
}

// === impl Edit ===

impl<'a> Edit<'a> {
    pub(super) fn between(
        (old_table, old): (&'a RouteTable, &'a Deliveries),
        (new_table, new): (&'a RouteTable, &'a Deliveries),
    ) -> Self {
        let differs = |key: &&RouteKey| old.get(*key) != new.get(*key);
        let deliveries: HashSet<_> = old.keys().chain(new.keys()).filter(differs).collect();
        let by_key = |table: &'a RouteTable| -> HashMap<&'a RouteKey, &'a Arc<Route>> {
            table.routes().iter().map(|route| (&route.key, route)).collect()
        };
        let (before, after) = (by_key(old_table), by_key(new_table));
        let same = |a: &Arc<Route>, in_other: Option<&&Arc<Route>>| {
            in_other.is_some_and(|b| Arc::ptr_eq(a, b)) && !deliveries.contains(&a.key)
        };
        let gone = before.values().filter(|route| !same(route, after.get(&route.key)));
        let come = after.values().filter(|route| !same(route, before.get(&route.key)));
        let routes = gone.chain(come).copied().collect();
        Self { deliveries, routes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.routes.is_empty()
    }

    /// Whether the alert may be routed, or told, otherwise than before.
    pub(super) fn concerns(&self, held: &Held) -> bool {
        self.routes.len() > FEW
            || held.links.iter().any(|link| self.deliveries.contains(&link.route))
            || self.routes.iter().any(|route| route.matches(&held.alert.labels))
    }
}

/// Brings an alert's links in line with the routes that exist and those that want it.
pub(super) fn connect(held: &mut Held, deliveries: &Deliveries, wanting: &[Arc<Route>]) {
    held.links.retain_mut(|link| {
        let matches = wanting.iter().any(|route| route.key == link.route);
        let Some(delivery) = deliveries.get(&link.route) else { return false };
        link.follow(delivery, matches);
        matches || !link.is_blank()
    });
    for route in wanting {
        if let Some(delivery) = deliveries.get(&route.key)
            && held.links.iter().all(|link| link.route != route.key)
        {
            held.links.push(Link::new(route.key.clone(), delivery));
        }
    }
}
