//! The single writer: objects in, snapshots out.
//!
//! Work follows what changed, not what is there: a target is found from the routes that name it or
//! whose selector may match it, and only those are resolved again, once per snapshot.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{
    Allowed, Changes, Namespaces, RejectedRoute, RejectedTarget, ResolvedRoute, RouteEntry,
    Snapshot, Target, TargetEntry, index::Index, resolve::Directory, target::same_connection,
};
use crate::{
    api::{RouteKey, TargetKey},
    persistent::{Map, Set},
    routing::{Route, RouteTable},
};

/// Everything that was read from the cluster or the manifests. One owner applies changes and takes
/// snapshots; nothing is visible to others before [`Registry::snapshot`].
#[derive(Debug, Default)]
pub struct Registry {
    directory: Directory,
    /// The last usable form of each target object, also while it is rejected.
    usable: HashMap<TargetKey, Arc<Target>>,
    sources: HashMap<RouteKey, Source>,
    entries: Arc<Map<RouteKey, RouteEntry>>,
    users: Arc<Map<TargetKey, Set<RouteKey>>>,
    table: Arc<RouteTable>,
    index: Index,
    dirty: Dirty,
    listed: Listed,
    snapshot: Arc<Snapshot>,
    changes: Arc<Changes>,
}

/// A route as it was compiled, before it is resolved.
#[derive(Clone, Debug)]
enum Source {
    Accepted(Arc<Route>),
    Rejected(Arc<RejectedRoute>),
}

#[derive(Debug, Default)]
struct Dirty {
    /// Routes to resolve again.
    routes: BTreeSet<RouteKey>,
    /// `final` routes that came or went.
    finals: Vec<Arc<Route>>,
    anything: bool,
}

#[derive(Debug, Default)]
struct Listed {
    targets: bool,
    routes: bool,
}

// === impl Registry ===

impl Registry {
    /// An empty registry; targets whose status changes without a new snapshot are marked in `changes`.
    #[must_use]
    pub fn new(changes: Arc<Changes>) -> Self {
        Self { changes, ..Self::default() }
    }

    /// Adds or replaces a target. Live state survives unless the object was recreated or its endpoint
    /// or credentials changed. An unchanged object changes nothing.
    pub fn apply_target(&mut self, compiled: Result<Target, Box<RejectedTarget>>) {
        let (key, entry) = match compiled {
            Ok(target) => {
                let Some(target) = self.adopt(target) else { return };
                (target.key.clone(), TargetEntry::Accepted(target))
            }
            Err(rejected) => {
                let key = rejected.key.clone();
                if self.usable.get(&key).is_some_and(|usable| usable.uid != rejected.uid) {
                    self.usable.remove(&key);
                }
                if let Some(TargetEntry::Rejected(old)) = self.directory.targets.get(&key)
                    && **old == *rejected
                {
                    return;
                }
                (key, TargetEntry::Rejected(rejected.into()))
            }
        };
        let labels = Arc::clone(entry.labels());
        let old = self.directory.insert(&key, entry);
        self.touch(&key, &labels, old.as_ref());
    }

    /// Removes a target; its live state ends with it.
    pub fn remove_target(&mut self, key: &TargetKey) {
        self.usable.remove(key);
        if let Some(old) = self.directory.remove(key) {
            self.touch(key, old.labels(), None);
        }
    }

    /// Notes that every target that exists has been applied.
    pub fn targets_listed(&mut self) {
        self.dirty.anything |= !std::mem::replace(&mut self.listed.targets, true);
    }

    /// Notes that every route that exists has been applied.
    pub fn routes_listed(&mut self) {
        self.dirty.anything |= !std::mem::replace(&mut self.listed.routes, true);
    }

    /// Adds or replaces a route. An unchanged object changes nothing.
    pub fn apply_route(&mut self, compiled: Result<Route, Box<RejectedRoute>>) {
        let (key, source) = match compiled {
            Ok(route) => (route.key.clone(), Source::Accepted(route.into())),
            Err(rejected) => (rejected.key.clone(), Source::Rejected(rejected.into())),
        };
        if self.sources.get(&key).is_some_and(|old| old.same(&source)) {
            return;
        }
        self.withdraw(&key);
        if let Source::Accepted(route) = &source {
            self.index.insert(route);
            Arc::make_mut(&mut self.table).insert(Arc::clone(route));
            self.dirty.finals.extend(route.is_final.then(|| Arc::clone(route)));
        }
        self.sources.insert(key.clone(), source);
        self.dirty.route(key);
    }

    /// Removes a route.
    pub fn remove_route(&mut self, key: &RouteKey) {
        if self.withdraw(key) {
            self.dirty.route(key.clone());
        }
    }

    /// Forgets a route, except for what readers see; answers whether there was one.
    fn withdraw(&mut self, key: &RouteKey) -> bool {
        let old = self.sources.remove(key);
        if let Some(Source::Accepted(old)) = &old {
            self.index.remove(old);
            Arc::make_mut(&mut self.table).remove(old);
            self.dirty.finals.extend(old.is_final.then(|| Arc::clone(old)));
        }
        old.is_some()
    }

    /// Replaces what is known of the namespaces. Until this was called once, a registry with a target
    /// that selects namespaces by label does not become complete.
    pub fn set_namespaces(&mut self, namespaces: Namespaces) {
        if self.directory.namespaces == namespaces {
            return;
        }
        self.directory.namespaces = namespaces;
        let targets = Arc::clone(&self.directory.targets);
        for (key, entry) in targets.iter() {
            if matches!(entry.allowed(), Allowed::Selector(_)) {
                self.dirty.anything = true;
                self.index.naming(key, &mut self.dirty.routes);
                if let Some(target) = entry.target() {
                    self.note_readable(target);
                }
            }
        }
    }

    /// One immutable picture of everything; the same `Arc` while nothing changed.
    pub fn snapshot(&mut self) -> Arc<Snapshot> {
        let dirty = std::mem::take(&mut self.dirty);
        if !dirty.anything {
            return Arc::clone(&self.snapshot);
        }
        let mut routes = dirty.routes;
        routes.extend(self.moved_shadows(&dirty.finals));
        for key in routes {
            self.resolve(&key);
        }
        self.snapshot = Arc::new(Snapshot {
            generation: self.snapshot.generation + 1,
            complete: self.complete(),
            targets: Arc::clone(&self.directory.targets),
            routes: Arc::clone(&self.entries),
            table: Arc::clone(&self.table),
            users: Arc::clone(&self.users),
        });
        Arc::clone(&self.snapshot)
    }

    /// Once complete it stays so: what a later target waits for must not stop the intake.
    fn complete(&self) -> bool {
        if self.snapshot.complete {
            return true;
        }
        let selects = |target: &&Arc<Target>| matches!(target.allowed, Allowed::Selector(_));
        let waits = self.directory.namespaces == Namespaces::Pending
            && self.usable.values().any(|target| selects(&target));
        self.listed.targets && self.listed.routes && !waits
    }

    /// Gives a target the live state of its former self; `None` if nothing changed at all.
    fn adopt(&mut self, mut target: Target) -> Option<Arc<Target>> {
        let old = self.usable.get(&target.key).filter(|old| old.uid == target.uid);
        if let Some(old) = old.filter(|old| same_connection(old, &target)) {
            if old.max_in_flight != target.max_in_flight {
                old.live.resize(target.max_in_flight);
            }
            target.live = Arc::clone(&old.live);
            let present = self.directory.targets.get(&target.key).and_then(TargetEntry::target);
            if present.is_some_and(|present| same(present, &target)) {
                return None;
            }
        }
        self.note_readable(&target);
        let target = Arc::new(target);
        self.usable.insert(target.key.clone(), Arc::clone(&target));
        Some(target)
    }

    fn note_readable(&self, target: &Target) {
        let unreadable = matches!(target.allowed, Allowed::Selector(_))
            && self.directory.namespaces == Namespaces::Unreadable;
        if target.live.set_namespaces_unreadable(unreadable) {
            self.changes.mark(&target.key);
        }
    }

    /// Notes the routes that a changed target concerns.
    fn touch(
        &mut self,
        key: &TargetKey,
        labels: &BTreeMap<String, String>,
        old: Option<&TargetEntry>,
    ) {
        self.dirty.anything = true;
        let Self { index, dirty, .. } = self;
        index.naming(key, &mut dirty.routes);
        index.select(&key.namespace, labels, &mut dirty.routes);
        if let Some(old) = old.map(|old| &**old.labels()).filter(|old| *old != labels) {
            index.select(&key.namespace, old, &mut dirty.routes);
        }
    }

    /// Routes whose shadow is another than before since these `final` routes came or went.
    fn moved_shadows(&self, finals: &[Arc<Route>]) -> Vec<RouteKey> {
        let moved = |route: &Arc<Route>| match self.entries.get(&route.key) {
            Some(RouteEntry::Accepted(old)) => old.shadowed_by != self.shadow(route),
            // It is new, and resolved anyway.
            _ => false,
        };
        let behind = self.table.behind(finals).into_iter().filter(moved);
        behind.map(|route| route.key.clone()).collect()
    }

    fn shadow(&self, route: &Route) -> Option<RouteKey> {
        let possible = self.index.has_final(&route.key.namespace);
        possible.then(|| self.table.shadowed(route)).flatten()
    }

    fn resolve(&mut self, key: &RouteKey) {
        let entry = self.sources.get(key).map(|source| match source {
            Source::Rejected(rejected) => RouteEntry::Rejected(Arc::clone(rejected)),
            Source::Accepted(route) => {
                let shadow = self.shadow(route);
                RouteEntry::Accepted(Arc::new(self.directory.resolve(route, shadow)))
            }
        });
        let now = entry.as_ref().map(reached).unwrap_or_default();
        let entries = Arc::make_mut(&mut self.entries);
        let old = match entry {
            Some(entry) => entries.insert(key.clone(), entry),
            None => entries.remove(key),
        };
        let before = old.as_ref().map(reached).unwrap_or_default();
        if before != now {
            self.move_user(key, &before, &now);
        }
    }

    fn move_user(
        &mut self,
        route: &RouteKey,
        before: &BTreeSet<TargetKey>,
        now: &BTreeSet<TargetKey>,
    ) {
        let users = Arc::make_mut(&mut self.users);
        for target in before.difference(now) {
            if let Some(routes) = users.get_mut(target) {
                routes.remove(route);
                if routes.is_empty() {
                    users.remove(target);
                }
            }
        }
        for target in now.difference(before) {
            if let Some(routes) = users.get_mut(target) {
                routes.insert(route.clone());
            } else {
                let routes = Set::from_iter([route.clone()]);
                users.insert(target.clone(), routes);
            }
        }
    }
}

/// The targets whose state a route's status shows.
fn reached(entry: &RouteEntry) -> BTreeSet<TargetKey> {
    let reached = |route: &Arc<ResolvedRoute>| {
        let accepted = route.targets.iter().map(|one| &one.target.key);
        accepted.chain(&route.rejected).cloned().collect()
    };
    match entry {
        RouteEntry::Accepted(route) => reached(route),
        RouteEntry::Rejected(_) => BTreeSet::new(),
    }
}

/// Whether two forms of one object with the same connection are the same altogether.
fn same(old: &Target, new: &Target) -> bool {
    old.generation == new.generation
        && old.labels == new.labels
        && old.spec == new.spec
        && old.method == new.method
        && old.timeout == new.timeout
        && old.max_in_flight == new.max_in_flight
        && old.health == new.health
        && old.probe == new.probe
        && old.allowed == new.allowed
}

// === impl Source ===

impl Source {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Accepted(old), Self::Accepted(new)) => {
                old.uid == new.uid && old.generation == new.generation && old.spec == new.spec
            }
            (Self::Rejected(old), Self::Rejected(new)) => old == new,
            _ => false,
        }
    }
}

// === impl Dirty ===

impl Dirty {
    fn route(&mut self, key: RouteKey) {
        self.routes.insert(key);
        self.anything = true;
    }
}

#[cfg(test)]
mod tests;
