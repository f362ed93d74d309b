//! What the registry is fed from: changes of objects, and the Secrets they name.
//!
//! Two sources speak this: a cluster ([`Cluster`](super::Cluster)) and a directory of manifests.
//! Everything after it is the same code.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::Hash,
    sync::Arc,
};

use secrecy::{ExposeSecret, SecretSlice};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ledger::{ObjectKey, Status};
use crate::api::{AlertRouteSpec, PublishTargetSpec, RouteKey, TargetKey};

/// The annotation whose change asks for a fresh look at an object and its Secrets.
pub const RECONCILE_ANNOTATION: &str = "fanfare.dev/reconcile";

/// The kinds of object that users write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `PublishTarget`
    PublishTarget,
    /// `AlertRoute`
    AlertRoute,
}

/// A spec that is watched: what differs between the two kinds.
pub trait Watched:
    DeserializeOwned + Clone + PartialEq + fmt::Debug + Send + Sync + 'static
{
    /// Names an object of this kind.
    type Key: Clone + Ord + Hash + fmt::Debug + fmt::Display + Send + Sync + 'static;
    /// The kind.
    const KIND: Kind;

    /// The key of `namespace/name`.
    fn key(namespace: &str, name: &str) -> Self::Key;

    /// The namespace of a key.
    fn namespace(key: &Self::Key) -> &str;

    /// The key among objects of both kinds.
    fn object(key: &Self::Key) -> ObjectKey;
}

/// One object as its source shows it.
#[derive(Clone, Debug)]
pub struct Object<S: Watched> {
    /// Its name.
    pub key: S::Key,
    /// What the registry needs of its metadata.
    pub meta: Meta,
    /// The spec, or why it can't be read: a message with the path of the offending field.
    pub spec: Result<Arc<S>, String>,
    /// The status as stored; empty if there is none or it can't be read.
    pub(super) status: Arc<Status>,
}

/// What the registry needs of an object's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// UID of the object: a recreated object is another one.
    pub uid: Arc<str>,
    /// Counts changes of the spec.
    pub generation: i64,
    /// Changes with every write.
    pub resource_version: String,
    /// Labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Value of [`RECONCILE_ANNOTATION`].
    pub reconcile: Option<String>,
}

/// What happened at the source.
#[derive(Debug)]
pub enum Change {
    /// To targets.
    Target(Delta<PublishTargetSpec>),
    /// To routes.
    Route(Delta<AlertRouteSpec>),
    /// To the labels of namespaces.
    Namespace(NamespaceDelta),
}

/// What happened to the objects of one kind.
#[derive(Debug)]
pub enum Delta<S: Watched> {
    /// These are all objects of the namespace, or of all namespaces if `None`.
    Listed(Option<Arc<str>>, Vec<Object<S>>),
    /// Each of these, which are all objects of the namespace or of all namespaces if `None`, was applied.
    Complete(Option<Arc<str>>, BTreeSet<S::Key>),
    /// One object was created or changed.
    Applied(Box<Object<S>>),
    /// One object was deleted.
    Deleted(S::Key),
}

/// What happened to namespaces.
#[derive(Debug)]
pub enum NamespaceDelta {
    /// These are all namespaces with their labels.
    Listed(BTreeMap<String, BTreeMap<String, String>>),
    /// One was created or changed.
    Applied(String, BTreeMap<String, String>),
    /// One was deleted.
    Deleted(String),
    /// The operator may not read them.
    Forbidden,
}

/// Secret or ConfigMap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MaterialKind {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

/// Names one Secret or ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MaterialId {
    /// Secret or ConfigMap.
    pub kind: MaterialKind,
    /// Its namespace, always that of the object that names it.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// The keys and values of one Secret or ConfigMap: wiped when dropped, never shown.
#[derive(Clone, Default)]
pub struct Material(pub BTreeMap<String, SecretSlice<u8>>);

/// Why a Secret or ConfigMap could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// There is none of that name.
    NotFound,
    /// The operator may not read it.
    Forbidden,
    /// The source gave no answer; what was read before stays in use.
    Unavailable,
}

/// Reads the Secrets and ConfigMaps that objects name, one at a time, by name only.
pub trait SecretSource: Send + Sync + 'static {
    /// Reads one. Must end by itself within 15 seconds.
    fn read(
        &self,
        id: &MaterialId,
    ) -> impl Future<Output = Result<Material, ReadError>> + Send + 'static;

    /// Who was refused, as a flag of `kubectl create rolebinding`: `--serviceaccount=namespace:name`
    /// or `--user=name`. `None` before the first refusal.
    fn account(&self) -> Option<Arc<str>> {
        None
    }
}

/// Reads a spec. On failure the message names the path of the offending field.
///
/// # Errors
/// The message.
pub fn parse_spec<S: Watched>(spec: &Value) -> Result<Arc<S>, String> {
    match serde_path_to_error::deserialize(spec) {
        Ok(spec) => Ok(Arc::new(spec)),
        Err(error) => {
            let path = error.path().to_string();
            let at = if path == "." { "spec".to_owned() } else { format!("spec.{path}") };
            Err(format!("{at}: {}", error.inner()))
        }
    }
}

// === impl Kind ===

impl Kind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::PublishTarget, Self::AlertRoute];

    /// The kind as it stands in manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PublishTarget => "PublishTarget",
            Self::AlertRoute => "AlertRoute",
        }
    }

    /// The resource as it stands in URLs and RBAC rules.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::PublishTarget => "publishtargets",
            Self::AlertRoute => "alertroutes",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Watched ===

impl Watched for PublishTargetSpec {
    type Key = TargetKey;
    const KIND: Kind = Kind::PublishTarget;

    fn key(namespace: &str, name: &str) -> TargetKey {
        TargetKey::new(namespace, name)
    }

    fn namespace(key: &TargetKey) -> &str {
        &key.namespace
    }

    fn object(key: &TargetKey) -> ObjectKey {
        ObjectKey::Target(key.clone())
    }
}

impl Watched for AlertRouteSpec {
    type Key = RouteKey;
    const KIND: Kind = Kind::AlertRoute;

    fn key(namespace: &str, name: &str) -> RouteKey {
        RouteKey::new(namespace, name)
    }

    fn namespace(key: &RouteKey) -> &str {
        &key.namespace
    }

    fn object(key: &RouteKey) -> ObjectKey {
        ObjectKey::Route(key.clone())
    }
}

// === impl Meta ===

impl Meta {
    /// Nothing differs but the resourceVersion: only metadata that nobody uses, or the status.
    pub(super) fn same_but_version(&self, other: &Self) -> bool {
        self.uid == other.uid
            && self.generation == other.generation
            && self.labels == other.labels
            && self.reconcile == other.reconcile
    }
}

// === impl MaterialKind ===

impl MaterialKind {
    /// The kind as it stands in manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

// === impl Material ===

impl Material {
    /// Content of one key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(ExposeSecret::expose_secret)
    }
}

impl FromIterator<(String, Vec<u8>)> for Material {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(content: I) -> Self {
        Self(content.into_iter().map(|(key, value)| (key, value.into())).collect())
    }
}

impl PartialEq for Material {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.keys().all(|key| self.get(key) == other.get(key))
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Material({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unreadable_spec_names_the_field() {
        let spec = json!({"type": "Webhook", "webhook": {"url": ["x"]}});
        let message = parse_spec::<PublishTargetSpec>(&spec).unwrap_err();
        assert!(message.starts_with("spec.webhook.url: invalid type"), "{message}");
        let message = parse_spec::<PublishTargetSpec>(&json!({"type": "Fax"})).unwrap_err();
        assert!(message.starts_with("spec.type: unknown variant `Fax`"), "{message}");
        let message = parse_spec::<PublishTargetSpec>(&Value::Null).unwrap_err();
        assert!(message.starts_with("spec: "), "{message}");
    }

    #[test]
    fn material_is_never_shown() {
        let material = Material::from_iter([("key".to_owned(), b"hunter2".to_vec())]);
        assert_eq!(format!("{material:?}"), "Material(1 keys)");
    }
}
