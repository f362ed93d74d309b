//! From changes to the registry: the one writer, without I/O and told the time.
//!
//! A target is compiled once everything it names was read. Until then an object that is in use goes
//! on as it was, and a new one is not shown for [`PATIENCE`].

mod target;
mod waiting;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;
use tracing::{info, warn};

use self::waiting::Waiting;
use super::{
    ledger::{Ledger, ObjectKey, older},
    material::{Materials, News},
    metrics::{Metrics, Verdict},
    source::{Change, Delta, Kind, Material, MaterialId, Meta, NamespaceDelta, Object, ReadError},
    transition::Note,
};
use crate::{
    api::{AlertRouteSpec, PublishTargetSpec, Reason, RouteKey, TargetKey},
    registry::{Moment, Namespaces, Publisher, RejectedRoute, Restored},
    routing::{Route, RouteSettings},
};

/// How long a new target waits for Secrets that can't be read before it is shown without them.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the first lists wait for Secrets before routing begins without the targets that need them:
/// what these are owed is held until theirs are read.
const FIRST_READS: Duration = Duration::from_secs(1);

/// Labels of namespaces by name.
type Labels = BTreeMap<String, BTreeMap<String, String>>;

/// Feeds the registry.
#[derive(Debug)]
pub(super) struct Compiler {
    publisher: Publisher,
    settings: RouteSettings,
    /// Namespaces that are listed one by one; empty if all are listed at once.
    scopes: Vec<Arc<str>>,
    targets: BTreeMap<TargetKey, TargetObject>,
    routes: BTreeMap<RouteKey, RouteObject>,
    /// Targets that wait for what they name.
    waiting: Waiting,
    /// Targets of which nothing was ever shown.
    unshown: BTreeSet<TargetKey>,
    selecting: BTreeSet<TargetKey>,
    namespaces: Option<Labels>,
    listed: BTreeSet<(Kind, Option<Arc<str>>)>,
    /// When every first list of targets was in.
    targets_listed: Option<Instant>,
    targets_in: bool,
    routes_in: bool,
    materials: Materials,
    ledger: Ledger,
    metrics: Metrics,
    notes: Vec<(ObjectKey, Note)>,
}

#[derive(Debug)]
struct TargetObject {
    meta: Meta,
    spec: Result<Arc<PublishTargetSpec>, String>,
    /// Health that `.status` showed when the object was first seen.
    restore: Option<Box<Restored>>,
    shown: Shown,
}

#[derive(Debug)]
struct RouteObject {
    meta: Meta,
    spec: Result<Arc<AlertRouteSpec>, String>,
}

/// What the registry shows of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    Accepted(i64),
    Rejected(i64, Reason),
}

// === impl Compiler ===

impl Compiler {
    pub(super) fn new(
        publisher: Publisher,
        settings: RouteSettings,
        scopes: Vec<Arc<str>>,
        (ledger, metrics): (Ledger, Metrics),
        now: Instant,
    ) -> Self {
        Self {
            publisher,
            settings,
            scopes,
            targets: BTreeMap::new(),
            routes: BTreeMap::new(),
            waiting: Waiting::default(),
            unshown: BTreeSet::new(),
            selecting: BTreeSet::new(),
            namespaces: None,
            listed: BTreeSet::new(),
            targets_listed: None,
            targets_in: false,
            routes_in: false,
            materials: Materials::new(now),
            ledger,
            metrics,
            notes: Vec::new(),
        }
    }

    /// The next Secret or `ConfigMap` to read; `Err` says when to ask again.
    pub(super) fn next_read(&mut self, now: Instant) -> Result<MaterialId, Option<Instant>> {
        self.materials.take_due(now)
    }

    /// Whether some target selects namespaces by label.
    pub(super) fn needs_namespaces(&self) -> bool {
        !self.selecting.is_empty()
    }

    /// When [`Compiler::overdue`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let first_reads = self.targets_listed.filter(|_| !self.targets_in);
        let first_reads = first_reads.map(|listed| listed + FIRST_READS);
        first_reads.into_iter().chain(self.waiting.next_deadline()).min()
    }

    /// Shows readers what changed. Answers the events to tell.
    pub(super) fn publish(&mut self) -> Vec<(ObjectKey, Note)> {
        self.publisher.publish();
        std::mem::take(&mut self.notes)
    }

    /// Somebody has a reason to believe that the target's Secrets changed.
    pub(super) fn refresh(&mut self, target: &TargetKey, now: Instant) {
        self.materials.refresh(target, now);
    }

    /// Takes in a change of an object.
    pub(super) fn take(&mut self, change: Change, now: Moment) {
        match change {
            Change::Target(Delta::Applied(object)) => self.apply_target(*object, now),
            Change::Target(Delta::Deleted(key)) => self.delete_target(&key),
            Change::Target(Delta::Listed(scope, objects)) => {
                let kept = objects.iter().map(|object| object.key.clone()).collect();
                self.keep_targets(scope.as_ref(), &kept);
                for object in objects {
                    self.apply_target(object, now);
                }
                self.listed.insert((Kind::PublishTarget, scope));
            }
            Change::Target(Delta::Complete(scope, kept)) => {
                self.keep_targets(scope.as_ref(), &kept);
                self.listed.insert((Kind::PublishTarget, scope));
            }
            Change::Route(Delta::Applied(object)) => self.apply_route(*object, now),
            Change::Route(Delta::Deleted(key)) => self.delete_route(&key),
            Change::Route(Delta::Listed(scope, objects)) => {
                let kept = objects.iter().map(|object| object.key.clone()).collect();
                self.keep_routes(scope.as_ref(), &kept);
                for object in objects {
                    self.apply_route(object, now);
                }
                self.listed.insert((Kind::AlertRoute, scope));
            }
            Change::Route(Delta::Complete(scope, kept)) => {
                self.keep_routes(scope.as_ref(), &kept);
                self.listed.insert((Kind::AlertRoute, scope));
            }
            Change::Namespace(delta) => self.take_namespaces(delta),
        }
        self.note_listed(now);
    }

    /// What is not in a list is gone.
    fn keep_targets(&mut self, scope: Option<&Arc<str>>, kept: &BTreeSet<TargetKey>) {
        let of_scope = |key: &&TargetKey| within(scope, &key.namespace);
        let gone = self.targets.keys().filter(of_scope).filter(|key| !kept.contains(*key));
        for key in gone.cloned().collect::<Vec<_>>() {
            self.delete_target(&key);
        }
    }

    fn keep_routes(&mut self, scope: Option<&Arc<str>>, kept: &BTreeSet<RouteKey>) {
        let of_scope = |key: &&RouteKey| within(scope, &key.namespace);
        let gone = self.routes.keys().filter(of_scope).filter(|key| !kept.contains(*key));
        for key in gone.cloned().collect::<Vec<_>>() {
            self.delete_route(&key);
        }
    }

    /// Whom the API server refused: for the command that mends it.
    pub(super) fn known_as(&mut self, account: Option<Arc<str>>) {
        self.materials.account = account;
    }

    /// Takes in what a read of a Secret or `ConfigMap` found.
    pub(super) fn arrived(
        &mut self,
        id: &MaterialId,
        result: Result<Material, ReadError>,
        now: Moment,
        random: f64,
    ) {
        let (news, outcome) = self.materials.arrived(id, result, now.mono, random);
        self.metrics.secret_read(outcome);
        for News { target, rotated } in news {
            self.compile_target(&target, rotated, now);
        }
        let users = self.materials.users(id).filter(|target| self.waiting.contains(target));
        for target in users.cloned().collect::<Vec<_>>() {
            self.compile_target(&target, false, now);
        }
        self.note_listed(now);
    }

    /// Shows the targets that have waited long enough.
    pub(super) fn overdue(&mut self, now: Moment) {
        for target in self.waiting.overdue(now.mono) {
            self.compile_target(&target, false, now);
        }
        self.note_listed(now);
    }

    fn apply_route(&mut self, object: Object<AlertRouteSpec>, now: Moment) {
        self.ledger.observe(&object, now.mono);
        let Object { key, meta, spec, status: _ } = object;
        if let Some(known) = self.routes.get_mut(&key).filter(|known| known.meta.uid == meta.uid) {
            if older(&meta.resource_version, &known.meta.resource_version) {
                return;
            }
            if known.spec == spec && known.meta.same_but_version(&meta) {
                known.meta = meta;
                return;
            }
        }
        let rejected = |reason, message| {
            Box::new(RejectedRoute {
                key: key.clone(),
                uid: Arc::clone(&meta.uid),
                generation: meta.generation,
                reason,
                message,
            })
        };
        let compiled = match &spec {
            Err(message) => {
                Err(rejected(Reason::InvalidSpec, unreadable(Kind::AlertRoute, message)))
            }
            Ok(spec) => Route::compile(
                key.clone(),
                Arc::clone(&meta.uid),
                meta.generation,
                Arc::clone(spec),
                &self.settings,
            )
            .map_err(|wrong| rejected(wrong.reason, wrong.message)),
        };
        let verdict = match &compiled {
            Ok(route) => Shown::Accepted(route.generation),
            Err(rejected) => Shown::Rejected(rejected.generation, rejected.reason),
        };
        let message = compiled.as_ref().err().map(|rejected| rejected.message.as_str());
        verdict.tell(&ObjectKey::Route(key.clone()), message);
        self.metrics.reconciled(Kind::AlertRoute, verdict.verdict());
        self.publisher.registry().apply_route(compiled);
        self.routes.insert(key, RouteObject { meta, spec });
    }

    fn delete_route(&mut self, key: &RouteKey) {
        self.ledger.gone(&ObjectKey::Route(key.clone()));
        if self.routes.remove(key).is_some() {
            self.publisher.registry().remove_route(key);
            self.metrics.reconciled(Kind::AlertRoute, Verdict::Deleted);
            info!(route = %key, "Route deleted");
        }
    }

    fn take_namespaces(&mut self, delta: NamespaceDelta) {
        match delta {
            NamespaceDelta::Listed(all) => self.namespaces = Some(all),
            NamespaceDelta::Applied(name, labels) => {
                self.namespaces.get_or_insert_default().insert(name, labels);
            }
            NamespaceDelta::Deleted(name) => {
                self.namespaces.get_or_insert_default().remove(&name);
            }
            // What was read before the right was lost stays in use.
            NamespaceDelta::Forbidden => {}
        }
        let known = self.namespaces.clone().map_or(Namespaces::Unreadable, Namespaces::Listed);
        self.publisher.registry().set_namespaces(known);
    }

    /// Tells the registry once that all objects of a kind are in.
    fn note_listed(&mut self, now: Moment) {
        if !self.targets_in && self.all_listed(Kind::PublishTarget) {
            let listed = *self.targets_listed.get_or_insert(now.mono);
            if self.unshown.is_empty() || now.mono >= listed + FIRST_READS {
                self.show_unread(now);
                self.targets_in = true;
                self.publisher.registry().targets_listed();
            }
        }
        if !self.routes_in && self.all_listed(Kind::AlertRoute) {
            self.routes_in = true;
            self.publisher.registry().routes_listed();
        }
    }

    fn all_listed(&self, kind: Kind) -> bool {
        if self.scopes.is_empty() {
            return self.listed.contains(&(kind, None));
        }
        self.scopes.iter().all(|scope| self.listed.contains(&(kind, Some(Arc::clone(scope)))))
    }
}

fn within(scope: Option<&Arc<str>>, namespace: &Arc<str>) -> bool {
    scope.is_none_or(|scope| scope == namespace)
}

fn unreadable(kind: Kind, message: &str) -> String {
    let mut message: String = message.chars().take(512).collect();
    message.push_str("; correct the object and apply it again: kubectl explain ");
    message.push_str(&kind.as_str().to_lowercase());
    message.push_str(".spec");
    message
}

// === impl Shown ===

impl Shown {
    fn verdict(self) -> Verdict {
        match self {
            Self::Accepted(_) => Verdict::Accepted,
            Self::Nothing | Self::Rejected(..) => Verdict::Rejected,
        }
    }

    /// Logs the verdict: once per change.
    fn tell(self, object: &ObjectKey, message: Option<&str>) {
        match self {
            Self::Accepted(generation) => info!(object = %object, generation, "Accepted"),
            Self::Rejected(generation, reason) => {
                warn!(object = %object, generation, reason = reason.as_str(), message, "Rejected");
            }
            Self::Nothing => {}
        }
    }
}

#[cfg(test)]
mod tests;
