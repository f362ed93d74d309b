//! The index over compiled routes.

use std::sync::Arc;

use hashbrown::HashMap;

use super::Route;
use crate::alert::Labels;

/// All accepted routes, indexed for [`RouteTable::resolve`].
///
/// A route that demands `name="value"` can only match alerts that carry that very pair, so it is
/// filed under one such pair: the one that the fewest other routes demand. An alert is checked
/// against the routes filed under its own pairs, and against the few that demand no pair.
#[derive(Debug, Default)]
pub struct RouteTable {
    /// In evaluation order.
    pub(super) routes: Vec<Arc<Route>>,
    /// By name, then by value: places in `routes`.
    pub(super) filed: HashMap<Box<str>, HashMap<Box<str>, Vec<u32>>>,
    /// Those that demand no pair.
    pub(super) others: Vec<u32>,
}

// === impl RouteTable ===

impl RouteTable {
    /// Indexes routes. Suspended ones take part: they count for `final`.
    #[must_use]
    pub fn new(mut routes: Vec<Arc<Route>>) -> Self {
        routes.sort_by(|a, b| a.order(b));
        let mut demand: HashMap<(&str, &str), u32> = HashMap::new();
        for pair in routes.iter().flat_map(|route| pairs(route)) {
            *demand.entry(pair).or_default() += 1;
        }
        let mut filed: HashMap<Box<str>, HashMap<Box<str>, Vec<u32>>> = HashMap::new();
        let mut others = Vec::new();
        for (at, route) in (0..).zip(&routes) {
            match pairs(route).min_by_key(|pair| demand[pair]) {
                Some((name, value)) => filed
                    .entry_ref(name)
                    .or_default()
                    .entry_ref(value)
                    .or_insert_with(Vec::new)
                    .push(at),
                None => others.push(at),
            }
        }
        drop(demand);
        Self { routes, filed, others }
    }

    /// The routes that want an alert with these labels, by namespace, then priority, then name.
    /// Suspended routes are left out of the answer.
    #[must_use]
    pub fn resolve(&self, labels: &Labels) -> Vec<Arc<Route>> {
        let mut out = Vec::new();
        self.resolve_into(labels, &mut out);
        out
    }

    /// [`RouteTable::resolve`] into a vector that is emptied first; allocates nothing once it is
    /// large enough. Returns whether any route takes the alert, suspended ones included.
    pub fn resolve_into(&self, labels: &Labels, out: &mut Vec<Arc<Route>>) -> bool {
        self.resolve_all_into(labels, out);
        let taken = !out.is_empty();
        out.retain(|route| !route.suspend);
        taken
    }

    /// [`RouteTable::resolve_into`] with the suspended routes that would want the alert.
    pub fn resolve_all_into(&self, labels: &Labels, out: &mut Vec<Arc<Route>>) {
        out.clear();
        let mut consider = |at: &u32| {
            let route = &self.routes[*at as usize];
            if route.matches(labels) {
                out.push(route.clone());
            }
        };
        self.others.iter().for_each(&mut consider);
        for (name, value) in labels.iter() {
            if let Some(places) = self.filed.get(name).and_then(|values| values.get(value)) {
                places.iter().for_each(&mut consider);
            }
        }
        out.sort_unstable_by(|a, b| a.order(b));
        let mut closed: Option<Arc<str>> = None;
        out.retain(|route| {
            let open = closed.as_ref().is_none_or(|namespace| *namespace != route.key.namespace);
            if open && route.is_final {
                closed = Some(route.key.namespace.clone());
            }
            open
        });
    }

    /// All routes in evaluation order.
    #[must_use]
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }
}

/// The pairs that an alert must carry for the route to want it.
pub(super) fn pairs(route: &Route) -> impl Iterator<Item = (&str, &str)> {
    route.matchers.iter().filter_map(|matcher| matcher.equality())
}
