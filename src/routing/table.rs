//! The index over compiled routes.
//!
//! # How an alert finds its routes
//!
//! A route that demands `name="value"` can only want alerts that carry that very pair. So is one that demands
//! one value of a list: `name=~"a|b"`, and every other pattern that only few values match. Each route is filed
//! under the values of one such matcher: the one whose values the fewest other routes demand. An alert is
//! compared with the routes that are filed under its own pairs, and with those that are filed nowhere (patterns
//! without end and negations only). So the cost grows with the alert's labels, with the routes that want it or
//! share its rarest demanded pair, and with those filed nowhere; not with the number of routes.
//!
//! Pairs are known by a hash with a secret of the table's own. Two pairs with one hash share their routes:
//! each candidate is compared in full anyway.
//!
//! # What a change costs
//!
//! Everything lies in maps that share ([`crate::persistent`]): a clone is free, and adding or
//! removing a route copies, for each of its demanded pairs, the way to one leaf. Where a route is filed is
//! decided when it is added, by the demand of that moment. It is not moved when other pairs become rarer than
//! the one it is filed under, so that a change never costs more than itself: it is then still among no more
//! candidates than on the day it came.

use std::{cmp::Ordering, collections::BTreeSet, hash::BuildHasher, sync::Arc};

use hashbrown::DefaultHashBuilder;

use super::{Matcher, Route};
use crate::{
    alert::Labels,
    persistent::{Map, Set},
};

/// All accepted routes, indexed for [`RouteTable::resolve`]. Clones share what did not change.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    routes: Map<Place, Entry>,
    /// By the hash of a name and a value.
    demands: Map<u64, Demand>,
    /// Those that are filed nowhere.
    others: Set<Place>,
    suspended: Set<Place>,
    hasher: DefaultHashBuilder,
}

/// A route, sorted by [`Route::order`].
#[derive(Clone, Debug)]
struct Place(Arc<Route>);

#[derive(Clone, Debug)]
struct Entry {
    route: Arc<Route>,
    /// The matcher whose values the route is filed under, by its number; `None`: among the others.
    filed: Option<usize>,
}

/// What is known of one pair.
#[derive(Clone, Debug, Default)]
struct Demand {
    /// The routes with a matcher that it meets as one of a few.
    by: Set<Place>,
    /// Those of them that are filed under it.
    filed: Set<Place>,
}

// === impl RouteTable ===

impl RouteTable {
    /// Indexes routes. Suspended ones take part: they count for `final`.
    #[must_use]
    pub fn new(routes: Vec<Arc<Route>>) -> Self {
        let mut table = Self::default();
        for route in &routes {
            table.demand(route);
        }
        for route in routes {
            table.file(route);
        }
        table
    }

    /// Adds a route. One of the same name must have been removed before.
    pub fn insert(&mut self, route: Arc<Route>) {
        self.demand(&route);
        self.file(route);
    }

    /// Removes a route that was added.
    pub fn remove(&mut self, route: &Arc<Route>) {
        let place = Place(route.clone());
        let Some(entry) = self.routes.remove(&place) else { return };
        for (at, hash) in self.demanded(route) {
            let Some(demand) = self.demands.get_mut(&hash) else { continue };
            demand.by.remove(&place);
            if entry.filed == Some(at) {
                demand.filed.remove(&place);
            }
            if demand.by.is_empty() {
                self.demands.remove(&hash);
            }
        }
        if entry.filed.is_none() {
            self.others.remove(&place);
        }
        self.suspended.remove(&place);
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
        let mut consider = |Place(route): &Place| {
            if route.matches(labels) {
                out.push(route.clone());
            }
        };
        self.others.for_each(&mut consider);
        for (name, value) in labels.iter() {
            if let Some(demand) = self.demands.get(&self.hash(name, value)) {
                demand.filed.for_each(&mut consider);
            }
        }
        // What lies under one pair is in order already.
        if !out.is_sorted_by(|a, b| a.order(b) == Ordering::Less) {
            out.sort_unstable_by(|a, b| a.order(b));
            // Two pairs of the alert may have one hash.
            out.dedup_by(|a, b| Arc::ptr_eq(a, b));
        }
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
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.keys().map(|Place(route)| route)
    }

    /// The suspended routes in evaluation order.
    pub fn suspended(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.suspended.iter().map(|Place(route)| route)
    }

    /// Routes that came, went or were compiled anew since `before`, in both forms. Costs as much as changed
    /// if one table came from the other.
    #[must_use]
    pub fn changes_since(&self, before: &Self) -> Vec<Arc<Route>> {
        let same = |a: &Entry, b: &Entry| Arc::ptr_eq(&a.route, &b.route);
        let changes = self.routes.changes_since(&before.routes, same).into_iter();
        changes
            .flat_map(|change| [change.before, change.after])
            .flatten()
            .map(|entry| entry.route.clone())
            .collect()
    }

    /// The routes of `namespace` that are filed under the first value that `matcher` demands.
    pub(super) fn filed_under(
        &self,
        matcher: &Matcher,
        namespace: &str,
    ) -> Option<impl Iterator<Item = &Arc<Route>>> {
        let hash = self.hash(&matcher.name, matcher.demanded()?.first()?);
        Some(of_namespace(&self.demands.get(&hash)?.filed, namespace))
    }

    /// The routes of `namespace` that are filed nowhere.
    pub(super) fn unfiled(&self, namespace: &str) -> impl Iterator<Item = &Arc<Route>> {
        of_namespace(&self.others, namespace)
    }

    /// Routes that one of `finals`, as they are or were, may hide: all that demand what it demands.
    #[must_use]
    pub fn behind(&self, finals: &[Arc<Route>]) -> Vec<Arc<Route>> {
        let mut places = BTreeSet::new();
        for route in finals {
            let namespace = &*route.key.namespace;
            match self.rarest(&self.demanded(route)) {
                (None, _) => {
                    places.insert((namespace, None));
                }
                (Some(_), hashes) => {
                    places.extend(hashes.into_iter().map(|hash| (namespace, Some(hash))));
                }
            }
        }
        let mut behind = Vec::new();
        for (namespace, hash) in places {
            match hash {
                None => {
                    let before = |Place(route): &Place| *route.key.namespace < *namespace;
                    let own = self.routes.iter_from(before).map(|(_, entry)| &entry.route);
                    behind.extend(own.take_while(|it| *it.key.namespace == *namespace).cloned());
                }
                Some(hash) => {
                    let by = self.demands.get(&hash).map(|demand| &demand.by);
                    behind
                        .extend(by.into_iter().flat_map(|by| of_namespace(by, namespace)).cloned());
                }
            }
        }
        behind
    }

    fn demand(&mut self, route: &Arc<Route>) {
        for (_, hash) in self.demanded(route) {
            if !self.demands.contains_key(&hash) {
                self.demands.insert(hash, Demand::default());
            }
            if let Some(demand) = self.demands.get_mut(&hash) {
                demand.by.insert(Place(route.clone()));
            }
        }
    }

    fn file(&mut self, route: Arc<Route>) {
        let (filed, hashes) = self.rarest(&self.demanded(&route));
        for hash in hashes {
            if let Some(demand) = self.demands.get_mut(&hash) {
                demand.filed.insert(Place(route.clone()));
            }
        }
        if filed.is_none() {
            self.others.insert(Place(route.clone()));
        }
        if route.suspend {
            self.suspended.insert(Place(route.clone()));
        }
        self.routes.insert(Place(route.clone()), Entry { route, filed });
    }

    /// The matcher whose values the fewest routes demand, and those values.
    fn rarest(&self, demanded: &[(usize, u64)]) -> (Option<usize>, Vec<u64>) {
        let of = |at: usize| demanded.iter().filter(move |(matcher, _)| *matcher == at);
        let cost = |at: &usize| -> usize {
            let demands = of(*at).filter_map(|(_, hash)| self.demands.get(hash));
            demands.map(|demand| demand.by.len()).sum()
        };
        let rarest = demanded.iter().map(|(at, _)| *at).min_by_key(cost);
        (rarest, rarest.into_iter().flat_map(of).map(|(_, hash)| *hash).collect())
    }

    /// Every value that a matcher demands, by the matcher's number.
    fn demanded(&self, route: &Route) -> Vec<(usize, u64)> {
        let all = route.matchers.iter().enumerate();
        let of = |(at, matcher): (usize, &Matcher)| {
            let values = matcher.demanded().unwrap_or_default().iter();
            values.map(|value| (at, self.hash(&matcher.name, value))).collect::<Vec<_>>()
        };
        all.flat_map(of).collect()
    }

    fn hash(&self, name: &str, value: &str) -> u64 {
        self.hasher.hash_one((name, value))
    }
}

fn of_namespace<'a>(
    places: &'a Set<Place>,
    namespace: &str,
) -> impl Iterator<Item = &'a Arc<Route>> {
    let own = places.iter_from(|Place(route)| *route.key.namespace < *namespace);
    own.map(|Place(route)| route).take_while(move |route| *route.key.namespace == *namespace)
}

// === impl Place ===

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Place {}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.order(&other.0)
    }
}
