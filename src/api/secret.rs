//! References to Secrets and ConfigMaps of the object's own namespace.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// One key of a Secret in the namespace of this object. There is no namespace field: an object can only use
/// Secrets of its own namespace.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, KubeSchema,
)]
pub struct SecretKeyRef {
    /// Name of the Secret, in the namespace of this object, at most 253 characters.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::object_name("Secret"))]
    pub name: String,
    /// Key inside the Secret's data, at most 253 characters.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::data_key())]
    pub key: String,
}

/// One key of a ConfigMap in the namespace of this object.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, KubeSchema,
)]
pub struct ConfigMapKeyRef {
    /// Name of the ConfigMap, in the namespace of this object, at most 253 characters.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::object_name("ConfigMap"))]
    pub name: String,
    /// Key inside the ConfigMap's data, at most 253 characters.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::data_key())]
    pub key: String,
}
