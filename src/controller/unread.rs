//! An object as the API server sends it.
//!
//! Only what is used is kept, and only while one object is read does it exist as JSON: a list of 10,000 objects
//! with their managed fields, specs and statuses as trees takes ten times the memory of what they say.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::Deserialize;
use serde_json::Value;

use super::{
    ledger::Status,
    source::{Meta, Object, Watched, parse_spec},
};
use crate::api::{GROUP, VERSION};

/// An object of kind `S` whose spec may be malformed, which harms only itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "", from = "Wire")]
pub(super) struct Unread<S: Watched> {
    /// What the watcher needs.
    metadata: ObjectMeta,
    object: Object<S>,
}

#[derive(Deserialize)]
struct Wire {
    metadata: Metadata,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    generation: i64,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Default, Deserialize)]
struct Annotations {
    /// [`super::RECONCILE_ANNOTATION`]
    #[serde(rename = "fanfare.dev/reconcile")]
    reconcile: Option<String>,
}

// === impl Unread ===

impl<S: Watched> Unread<S> {
    /// Its name.
    pub(super) fn key(&self) -> S::Key {
        self.object.key.clone()
    }
}

impl<S: Watched> From<Wire> for Unread<S> {
    fn from(Wire { metadata, spec, status }: Wire) -> Self {
        let Metadata { name, namespace, uid, generation, resource_version, labels, annotations } =
            metadata;
        let object = Object {
            key: S::key(&namespace, &name),
            meta: Meta {
                uid: uid.into(),
                generation,
                resource_version: resource_version.clone(),
                labels: labels.into(),
                reconcile: annotations.reconcile,
            },
            spec: parse_spec(&spec),
            status: Arc::new(Status::read(S::KIND, &status)),
        };
        let metadata = ObjectMeta {
            name: Some(name),
            namespace: Some(namespace),
            resource_version: Some(resource_version),
            ..ObjectMeta::default()
        };
        Self { metadata, object }
    }
}

impl<S: Watched> From<Unread<S>> for Object<S> {
    fn from(unread: Unread<S>) -> Self {
        unread.object
    }
}

impl<S: Watched> Resource for Unread<S> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        S::KIND.as_str().into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        S::KIND.plural().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{api::PublishTargetSpec, controller::RECONCILE_ANNOTATION};

    #[test]
    fn what_is_used_of_an_object_is_read_and_the_rest_is_not_kept() {
        let wire = json!({
            "apiVersion": "fanfare.dev/v1alpha1", "kind": "PublishTarget",
            "metadata": {
                "name": "slack", "namespace": "sre", "uid": "u1", "generation": 3, "resourceVersion": "17",
                "labels": {"tier": "chat"}, "annotations": {RECONCILE_ANNOTATION: "now", "else": "x"},
                "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:type": {}}}}],
            },
            "spec": {"type": "Log"},
            "status": {"observedGeneration": 2},
        });
        let unread: Unread<PublishTargetSpec> = serde_json::from_value(wire).unwrap();
        assert_eq!(unread.meta().resource_version.as_deref(), Some("17"));
        assert_eq!(unread.meta().managed_fields, None);
        let object = Object::from(unread);
        assert_eq!((object.meta.generation, object.meta.reconcile.as_deref()), (3, Some("now")));
        assert_eq!(object.meta.labels["tier"], "chat");
        assert!(object.spec.is_ok());
        assert_eq!(object.status.observed_generation(), Some(2));
    }
}
