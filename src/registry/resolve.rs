//! Which targets does one route reach? Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Allowed, ResolvedRoute, RouteTarget, TargetEntry, Unresolved};
use crate::{
    api::{Reason, RouteKey, TargetKey},
    persistent::{Map, Set},
    routing::{Route, TargetName},
};

/// What is known of the namespaces' labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Namespaces {
    /// Not listed yet.
    #[default]
    Pending,
    /// The operator may not read namespaces: `allowedRoutes` by label admits nobody.
    Unreadable,
    /// Every namespace with its labels.
    Listed(BTreeMap<String, BTreeMap<String, String>>),
}

type LabelKey = (Arc<str>, String, String);

/// The targets, found by name and by label.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// Every target object.
    pub(super) targets: Arc<Map<TargetKey, TargetEntry>>,
    labels: HashMap<LabelKey, Set<TargetKey>>,
    pub(super) namespaces: Namespaces,
}

// === impl Namespaces ===

impl Namespaces {
    /// Whether routes of `namespace` may point to a target of `owner` that allows `allowed`.
    fn permit(&self, namespace: &str, owner: &str, allowed: &Allowed) -> bool {
        namespace == owner
            || match (allowed, self) {
                (Allowed::All, _) => true,
                (Allowed::Selector(wanted), Self::Listed(all)) => {
                    all.get(namespace).is_some_and(|labels| carries(labels, wanted))
                }
                (Allowed::Same | Allowed::Selector(_), _) => false,
            }
    }
}

/// Whether `labels` hold everything that is `wanted`.
pub(super) fn carries(
    labels: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}

// === impl TargetEntry ===

impl TargetEntry {
    /// Labels of the object.
    #[must_use]
    pub fn labels(&self) -> &Arc<BTreeMap<String, String>> {
        match self {
            Self::Accepted(target) => &target.labels,
            Self::Rejected(rejected) => &rejected.labels,
        }
    }

    pub(super) fn allowed(&self) -> &Allowed {
        match self {
            Self::Accepted(target) => &target.allowed,
            Self::Rejected(rejected) => &rejected.allowed,
        }
    }
}

// === impl Directory ===

impl Directory {
    /// Adds or replaces a target; answers what was there.
    pub(super) fn insert(&mut self, key: &TargetKey, entry: TargetEntry) -> Option<TargetEntry> {
        let labels = Arc::clone(entry.labels());
        let old = Arc::make_mut(&mut self.targets).insert(key.clone(), entry);
        if old.as_ref().is_none_or(|old| *old.labels() != labels) {
            if let Some(old) = &old {
                self.unindex(key, old.labels());
            }
            for (name, value) in labels.iter() {
                self.labels
                    .entry((Arc::clone(&key.namespace), name.clone(), value.clone()))
                    .or_default()
                    .insert(key.clone());
            }
        }
        old
    }

    /// Removes a target; answers what was there.
    pub(super) fn remove(&mut self, key: &TargetKey) -> Option<TargetEntry> {
        let old = Arc::make_mut(&mut self.targets).remove(key)?;
        self.unindex(key, old.labels());
        Some(old)
    }

    fn unindex(&mut self, key: &TargetKey, labels: &BTreeMap<String, String>) {
        for (name, value) in labels {
            let place = (Arc::clone(&key.namespace), name.clone(), value.clone());
            if let Some(keys) = self.labels.get_mut(&place) {
                keys.remove(key);
                if keys.is_empty() {
                    self.labels.remove(&place);
                }
            }
        }
    }

    /// What `route` reaches.
    pub(super) fn resolve(&self, route: &Arc<Route>, shadow: Option<RouteKey>) -> ResolvedRoute {
        let mut reached: BTreeMap<TargetKey, RouteTarget> = BTreeMap::new();
        let mut rejected = BTreeSet::new();
        let mut unresolved: Vec<Unresolved> = Vec::new();
        let own = &route.key.namespace;
        let mut missing = |key: &TargetKey, reason, is_fallback| {
            if unresolved.iter().all(|one| one.key != *key) {
                unresolved.push(Unresolved { key: key.clone(), reason, is_fallback });
            }
        };
        let mut reach = |key: &TargetKey, entry: &TargetEntry, send_resolved| match entry {
            TargetEntry::Accepted(target) => {
                let target = Arc::clone(target);
                reached.entry(key.clone()).or_insert(RouteTarget { target, send_resolved });
            }
            TargetEntry::Rejected(_) => {
                rejected.insert(key.clone());
            }
        };
        for named in &route.targets {
            match self.permitted(own, &named.key) {
                Ok(entry) => reach(&named.key, entry, named.send_resolved),
                Err(reason) => missing(&named.key, reason, false),
            }
        }
        if let Some(wanted) = &route.selector {
            self.select(own, wanted, |key, entry| reach(key, entry, true));
        }
        let mut fallback = Vec::new();
        let mut rejected_fallback = Vec::new();
        for TargetName { key, send_resolved } in
            route.fallback.iter().flat_map(|fallback| &fallback.targets)
        {
            if reached.contains_key(key) || rejected.contains(key) {
                continue;
            }
            match self.permitted(own, key) {
                Ok(TargetEntry::Accepted(target)) => {
                    let (target, send_resolved) = (Arc::clone(target), *send_resolved);
                    fallback.push(RouteTarget { target, send_resolved });
                }
                Ok(TargetEntry::Rejected(_)) => rejected_fallback.push(key.clone()),
                Err(reason) => missing(key, reason, true),
            }
        }
        ResolvedRoute {
            route: Arc::clone(route),
            targets: reached.into_values().collect(),
            rejected: rejected.into_iter().collect(),
            unresolved,
            fallback,
            rejected_fallback,
            shadowed_by: shadow,
        }
    }

    /// The target of that name if routes of `namespace` may use it, or the reason why not.
    fn permitted(&self, namespace: &Arc<str>, key: &TargetKey) -> Result<&TargetEntry, Reason> {
        match self.targets.get(key) {
            Some(entry) if self.namespaces.permit(namespace, &key.namespace, entry.allowed()) => {
                Ok(entry)
            }
            None if key.namespace == *namespace => Err(Reason::TargetNotFound),
            _ => Err(Reason::TargetNotPermitted),
        }
    }

    fn select(
        &self,
        namespace: &Arc<str>,
        wanted: &BTreeMap<String, String>,
        mut found: impl FnMut(&TargetKey, &TargetEntry),
    ) {
        let place = |(name, value): (&String, &String)| {
            (Arc::clone(namespace), name.clone(), value.clone())
        };
        if wanted.is_empty() {
            let own = self.targets.iter_from(|key| key.namespace < *namespace);
            own.take_while(|(key, _)| key.namespace == *namespace)
                .for_each(|(key, entry)| found(key, entry));
            return;
        }
        let Some(postings): Option<Vec<_>> =
            wanted.iter().map(|pair| self.labels.get(&place(pair))).collect()
        else {
            return;
        };
        let shortest = postings.iter().min_by_key(|keys| keys.len()).into_iter();
        for key in shortest.flat_map(|keys| keys.iter()) {
            if let Some(entry) = self.targets.get(key)
                && carries(entry.labels(), wanted)
            {
                found(key, entry);
            }
        }
    }
}
