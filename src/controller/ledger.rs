//! What the API server holds of each object, as last seen: by a watch event or by our own write.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{sync::Notify, time::Instant};

use super::source::{Kind, Meta, Object, Watched};
use crate::api::{AlertRouteStatus, PublishTargetStatus, RouteKey, TargetKey};

/// Names an object of either kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKey {
    /// A `PublishTarget`.
    Target(TargetKey),
    /// An `AlertRoute`.
    Route(RouteKey),
}

/// The status of an object of either kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Status {
    Target(PublishTargetStatus),
    Route(AlertRouteStatus),
}

/// One object as last seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) uid: Arc<str>,
    pub(super) resource_version: String,
    pub(super) status: Arc<Status>,
    /// When this process first saw the object.
    pub(super) first: Instant,
}

/// One object as it is kept: its status as JSON, which takes half the memory.
#[derive(Debug)]
struct Kept {
    uid: Arc<str>,
    resource_version: Box<str>,
    status: Box<[u8]>,
    first: Instant,
}

/// All objects as last seen. Cheap to clone; bounded by the number of objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<BTreeMap<ObjectKey, Kept>>,
    marks: Mutex<BTreeSet<ObjectKey>>,
    /// Targets whose first verdict waits for a Secret that was not read yet.
    unsettled: Mutex<HashSet<TargetKey>>,
    notify: Notify,
}

// === impl Ledger ===

impl Ledger {
    /// A watch showed an object. Marks it if its status is not what was last seen or written.
    pub(super) fn observe<S: Watched>(&self, object: &Object<S>, now: Instant) {
        let key = ObjectKey::of::<S>(&object.key);
        let status = object.status.packed();
        let mut seen = self.seen();
        let first = match seen.get_mut(&key) {
            Some(old) if old.uid == object.meta.uid => {
                if older(&object.meta.resource_version, &old.resource_version) {
                    return;
                }
                if old.status == status {
                    old.resource_version = (*object.meta.resource_version).into();
                    return;
                }
                old.first
            }
            _ => now,
        };
        seen.insert(key.clone(), Kept::new(&object.meta, status, first));
        drop(seen);
        self.mark(key);
    }

    /// Our own write was stored; its version counts for the next one.
    pub(super) fn written<S: Watched>(&self, object: &Object<S>) {
        let key = ObjectKey::of::<S>(&object.key);
        let mut seen = self.seen();
        if let Some(old) = seen.get_mut(&key)
            && old.uid == object.meta.uid
            && !older(&object.meta.resource_version, &old.resource_version)
        {
            *old = Kept::new(&object.meta, object.status.packed(), old.first);
        }
    }

    /// An object is gone.
    pub(super) fn gone(&self, key: &ObjectKey) {
        self.seen().remove(key);
        if let ObjectKey::Target(target) = key {
            self.unsettled_targets().remove(target);
        }
    }

    /// The object as last seen.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<Seen> {
        self.seen().get(key).map(|kept| kept.seen(key.kind()))
    }

    /// What the registry shows of a target is no verdict yet: its status stays as it is.
    pub(super) fn unsettled(&self, target: &TargetKey) {
        self.unsettled_targets().insert(target.clone());
    }

    /// There is a verdict on the target, or it is gone.
    pub(super) fn settled(&self, target: &TargetKey) {
        let was_open = self.unsettled_targets().remove(target);
        if was_open {
            self.mark(ObjectKey::Target(target.clone()));
        }
    }

    /// Whether any of these targets waits for its first verdict.
    pub(super) fn any_unsettled<'a>(
        &self,
        targets: impl IntoIterator<Item = &'a TargetKey>,
    ) -> bool {
        let unsettled = self.unsettled_targets();
        !unsettled.is_empty() && targets.into_iter().any(|target| unsettled.contains(target))
    }

    /// Asks for the object's status to be projected again.
    pub(super) fn mark(&self, key: ObjectKey) {
        self.0.marks.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        self.0.notify.notify_one();
    }

    /// Waits until something is marked and takes all of it. One reader.
    pub(super) async fn drain(&self) -> BTreeSet<ObjectKey> {
        loop {
            let notified = self.0.notify.notified();
            let taken = self.taken();
            if !taken.is_empty() {
                return taken;
            }
            notified.await;
        }
    }

    fn taken(&self) -> BTreeSet<ObjectKey> {
        std::mem::take(&mut *self.0.marks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn unsettled_targets(&self) -> MutexGuard<'_, HashSet<TargetKey>> {
        self.0.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Kept>> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether version `a` is older than `b`. Kubernetes compares them as numbers (KEP-5504); versions
/// that are none are never older.
pub(super) fn older(a: &str, b: &str) -> bool {
    match (a.parse::<u128>(), b.parse::<u128>()) {
        (Ok(a), Ok(b)) => a < b,
        _ => false,
    }
}

// === impl Kept ===

impl Kept {
    fn new(meta: &Meta, status: Box<[u8]>, first: Instant) -> Self {
        Self {
            uid: Arc::clone(&meta.uid),
            resource_version: (*meta.resource_version).into(),
            status,
            first,
        }
    }

    fn seen(&self, kind: Kind) -> Seen {
        Seen {
            uid: Arc::clone(&self.uid),
            resource_version: self.resource_version.to_string(),
            status: Arc::new(Status::unpacked(kind, &self.status)),
            first: self.first,
        }
    }
}

// === impl ObjectKey ===

impl ObjectKey {
    /// The key of an object of kind `S`.
    #[must_use]
    pub fn of<S: Watched>(key: &S::Key) -> Self {
        S::object(key)
    }

    /// The object's kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Target(_) => Kind::PublishTarget,
            Self::Route(_) => Kind::AlertRoute,
        }
    }

    /// The object's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        match self {
            Self::Target(key) => &key.namespace,
            Self::Route(key) => &key.namespace,
        }
    }

    /// The object's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Target(key) => &key.name,
            Self::Route(key) => &key.name,
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind(), self.namespace(), self.name())
    }
}

// === impl Status ===

impl Status {
    /// Reads a stored status; one that can't be read is as good as none.
    pub(super) fn read(kind: Kind, stored: &Value) -> Self {
        match kind {
            Kind::PublishTarget => {
                Self::Target(PublishTargetStatus::deserialize(stored).unwrap_or_default())
            }
            Kind::AlertRoute => {
                Self::Route(AlertRouteStatus::deserialize(stored).unwrap_or_default())
            }
        }
    }

    fn packed(&self) -> Box<[u8]> {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    fn unpacked(kind: Kind, packed: &[u8]) -> Self {
        match kind {
            Kind::PublishTarget => Self::Target(serde_json::from_slice(packed).unwrap_or_default()),
            Kind::AlertRoute => Self::Route(serde_json::from_slice(packed).unwrap_or_default()),
        }
    }

    /// The generation that it describes; `None` if it was never written.
    pub(super) const fn observed_generation(&self) -> Option<i64> {
        match self {
            Self::Target(status) => status.observed_generation,
            Self::Route(status) => status.observed_generation,
        }
    }

    /// Its conditions.
    pub(super) fn conditions(&self) -> &[crate::api::Condition] {
        match self {
            Self::Target(status) => &status.conditions,
            Self::Route(status) => &status.conditions,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{api::PublishTargetSpec, controller::parse_spec};

    fn object(uid: &str, version: &str, state: &str) -> Object<PublishTargetSpec> {
        Object {
            key: TargetKey::new("sre", "slack"),
            meta: Meta { uid: uid.into(), resource_version: version.into(), ..Meta::default() },
            spec: parse_spec(&json!({"type": "Log"})),
            status: Arc::new(Status::read(
                Kind::PublishTarget,
                &json!({"health": {"state": state}}),
            )),
        }
    }

    fn key() -> ObjectKey {
        ObjectKey::Target(TargetKey::new("sre", "slack"))
    }

    fn marked(ledger: &Ledger) -> bool {
        !std::mem::take(&mut *ledger.0.marks.lock().unwrap()).is_empty()
    }

    fn version(ledger: &Ledger) -> String {
        ledger.get(&key()).unwrap().resource_version
    }

    #[test]
    fn a_late_event_does_not_undo_what_our_write_returned() {
        let ledger = Ledger::default();
        ledger.observe(&object("u1", "9", "Unknown"), Instant::now());
        assert!(marked(&ledger));
        ledger.written(&object("u1", "11", "Healthy"));
        ledger.observe(&object("u1", "10", "Unknown"), Instant::now());
        assert_eq!(version(&ledger), "11");
        ledger.observe(&object("u1", "11", "Healthy"), Instant::now());
        assert!(!marked(&ledger), "the echo of our own write is no news");
    }

    #[test]
    fn a_status_changed_by_others_is_marked() {
        let ledger = Ledger::default();
        ledger.observe(&object("u1", "9", "Healthy"), Instant::now());
        assert!(marked(&ledger));
        ledger.observe(&object("u1", "10", "Healthy"), Instant::now());
        assert!(!marked(&ledger));
        assert_eq!(version(&ledger), "10");
        ledger.observe(&object("u1", "12", "Unhealthy"), Instant::now());
        assert!(marked(&ledger));
    }

    #[test]
    fn a_verdict_marks_the_target_that_waited_for_it() {
        let (ledger, target) = (Ledger::default(), TargetKey::new("sre", "slack"));
        ledger.settled(&target);
        assert!(!marked(&ledger), "it did not wait");
        ledger.unsettled(&target);
        assert!(ledger.any_unsettled([&target]) && !marked(&ledger));
        ledger.settled(&target);
        assert!(!ledger.any_unsettled([&target]) && marked(&ledger));
    }

    #[test]
    fn a_recreated_object_starts_anew_and_an_old_write_does_not_count_for_it() {
        let ledger = Ledger::default();
        ledger.observe(&object("u1", "9", "Healthy"), Instant::now());
        ledger.observe(&object("u2", "20", "Unknown"), Instant::now());
        ledger.written(&object("u1", "21", "Healthy"));
        assert_eq!(version(&ledger), "20");
        ledger.gone(&key());
        assert!(ledger.get(&key()).is_none());
    }
}
