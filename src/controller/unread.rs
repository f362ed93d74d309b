//! An object as the API server sends it.

use std::{borrow::Cow, marker::PhantomData};

use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::Deserialize;
use serde_json::Value;

use super::source::{Meta, Object, RECONCILE_ANNOTATION, Watched, parse_spec};
use crate::api::{GROUP, VERSION};

/// An object of kind `S` with its spec and status unread, so that a malformed one harms only itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "")]
pub(super) struct Unread<S> {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
    #[serde(skip)]
    kind: PhantomData<fn() -> S>,
}

// === impl Unread ===

impl<S: Watched> Unread<S> {
    /// Its name.
    pub(super) fn key(&self) -> S::Key {
        S::key(
            self.metadata.namespace.as_deref().unwrap_or_default(),
            self.metadata.name.as_deref().unwrap_or_default(),
        )
    }
}

impl<S: Watched> From<Unread<S>> for Object<S> {
    fn from(object: Unread<S>) -> Self {
        let key = object.key();
        let metadata = object.metadata;
        let mut annotations = metadata.annotations.unwrap_or_default();
        Self {
            key,
            meta: Meta {
                uid: metadata.uid.unwrap_or_default().into(),
                generation: metadata.generation.unwrap_or_default(),
                resource_version: metadata.resource_version.unwrap_or_default(),
                labels: metadata.labels.unwrap_or_default(),
                reconcile: annotations.remove(RECONCILE_ANNOTATION),
            },
            spec: parse_spec(&object.spec),
            status: object.status,
        }
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
