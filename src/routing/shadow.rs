//! Routes that can never see an alert because a `final` route takes it first.

use std::{cmp::Ordering, sync::Arc};

use super::{Matcher, Route, RouteTable};
use crate::api::RouteKey;

// === impl RouteTable ===

impl RouteTable {
    /// The first `final` route of the same namespace, evaluated before `route`, that takes every
    /// alert `route` could want. Judged by syntax: each of its matchers stands in `route` too, or
    /// accepts the one value that `route` demands of that label.
    #[must_use]
    pub fn shadowed(&self, route: &Route) -> Option<RouteKey> {
        let namespace = &route.key.namespace;
        // Whoever hides it is filed under a matcher that stands in it too, or that accepts its value.
        let filed = route.matchers.iter().filter_map(|own| self.filed_under(own, namespace));
        let first = filed
            .filter_map(|filed| first_that_hides(filed, route))
            .chain(first_that_hides(self.unfiled(namespace), route))
            .min_by(|a, b| a.order(b));
        first.map(|route| route.key.clone())
    }
}

/// `routes` are in evaluation order.
fn first_that_hides<'a>(
    routes: impl Iterator<Item = &'a Arc<Route>>,
    route: &Route,
) -> Option<&'a Arc<Route>> {
    let mut before = routes.take_while(|first| first.order(route) == Ordering::Less);
    before.find(|first| hides(first, route))
}

fn hides(first: &Route, route: &Route) -> bool {
    first.is_final && first.matchers.iter().all(|matcher| implied(matcher, route))
}

fn implied(matcher: &Matcher, route: &Route) -> bool {
    route.matchers.iter().any(|own| {
        own == matcher
            || (own.name == matcher.name
                && own.equality().is_some_and(|value| matcher.accepts(value)))
    })
}
