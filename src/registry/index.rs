//! From targets to the routes that a change of them concerns.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    api::{RouteKey, TargetKey},
    persistent::Set,
    routing::Route,
};

/// A namespace and the first label of a selector.
type Place = (Arc<str>, Option<(String, String)>);

/// From targets to the routes that a change of them concerns.
#[derive(Debug, Default)]
pub(super) struct Index {
    named: HashMap<TargetKey, Set<RouteKey>>,
    /// By namespace and the first label of the selector; `None` selects everything.
    selecting: HashMap<Place, Set<RouteKey>>,
    /// How many `final` routes a namespace has.
    finals: HashMap<Arc<str>, usize>,
}

// === impl Index ===

impl Index {
    pub(super) fn insert(&mut self, route: &Route) {
        for named in route.named() {
            self.named.entry(named.key.clone()).or_default().insert(route.key.clone());
        }
        if let Some(place) = place(route) {
            self.selecting.entry(place).or_default().insert(route.key.clone());
        }
        if route.is_final {
            *self.finals.entry(Arc::clone(&route.key.namespace)).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, route: &Route) {
        for named in route.named() {
            if let Some(routes) = self.named.get_mut(&named.key) {
                routes.remove(&route.key);
                if routes.is_empty() {
                    self.named.remove(&named.key);
                }
            }
        }
        if let Some(place) = place(route)
            && let Some(routes) = self.selecting.get_mut(&place)
        {
            routes.remove(&route.key);
            if routes.is_empty() {
                self.selecting.remove(&place);
            }
        }
        if route.is_final
            && let Some(finals) = self.finals.get_mut(&route.key.namespace)
        {
            *finals -= 1;
            if *finals == 0 {
                self.finals.remove(&route.key.namespace);
            }
        }
    }

    /// Whether any route of `namespace` can shadow another.
    pub(super) fn has_final(&self, namespace: &str) -> bool {
        self.finals.contains_key(namespace)
    }

    /// Adds the routes that name `target`.
    pub(super) fn naming(&self, target: &TargetKey, routes: &mut BTreeSet<RouteKey>) {
        routes.extend(self.named.get(target).into_iter().flat_map(Set::iter).cloned());
    }

    /// Adds the routes of `namespace` whose selector may match `labels`.
    pub(super) fn select(
        &self,
        namespace: &Arc<str>,
        labels: &BTreeMap<String, String>,
        routes: &mut BTreeSet<RouteKey>,
    ) {
        let pairs = labels.iter().map(|(name, value)| Some((name.clone(), value.clone())));
        for pair in pairs.chain([None]) {
            let found = self.selecting.get(&(Arc::clone(namespace), pair));
            routes.extend(found.into_iter().flat_map(Set::iter).cloned());
        }
    }
}

fn place(route: &Route) -> Option<Place> {
    let first = route.selector.as_ref()?.iter().next();
    let pair = first.map(|(name, value)| (name.clone(), value.clone()));
    Some((Arc::clone(&route.key.namespace), pair))
}
