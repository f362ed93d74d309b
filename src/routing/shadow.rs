//! Routes that can never see an alert because a `final` route takes it first.

use std::cmp::Ordering;

use super::{Matcher, Route, RouteTable, table::pairs};
use crate::api::RouteKey;

// === impl RouteTable ===

impl RouteTable {
    /// The first `final` route of the same namespace, evaluated before `route`, that takes every
    /// alert `route` could want. Judged by syntax: each of its matchers stands in `route` too, or
    /// accepts the one value that `route` demands of that label.
    #[must_use]
    pub fn shadowed(&self, route: &Route) -> Option<RouteKey> {
        let filed = pairs(route)
            .filter_map(|(name, value)| self.filed.get(name)?.get(value))
            .flatten()
            .chain(&self.others);
        filed
            .copied()
            .filter(|at| hides(&self.routes[*at as usize], route))
            .min()
            .map(|at| self.routes[at as usize].key.clone())
    }
}

fn hides(first: &Route, route: &Route) -> bool {
    first.is_final
        && first.key.namespace == route.key.namespace
        && first.order(route) == Ordering::Less
        && first.matchers.iter().all(|matcher| implied(matcher, route))
}

fn implied(matcher: &Matcher, route: &Route) -> bool {
    route.matchers.iter().any(|own| {
        own == matcher
            || (own.name == matcher.name
                && own.equality().is_some_and(|(_, value)| matcher.accepts(value)))
    })
}
