//! The objects of the bench, as the API server takes them.

use serde_json::{Value, json};

/// Namespaces that the objects are spread over.
pub(crate) const NAMESPACES: usize = 10;
/// One target in so many names a Secret of its own.
pub(crate) const WITH_SECRET: usize = 10;

const GROUP: &str = "/apis/fanfare.dev/v1alpha1";

/// Kind of an object, as it stands in URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plural {
    Targets,
    Routes,
    Secrets,
    ConfigMaps,
}

// === impl Plural ===

impl Plural {
    /// The two kinds that the program serves.
    pub(crate) const OURS: [Self; 2] = [Self::Targets, Self::Routes];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Targets => "publishtargets",
            Self::Routes => "alertroutes",
            Self::Secrets => "secrets",
            Self::ConfigMaps => "configmaps",
        }
    }

    /// As it stands in the program's metrics.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Targets => "PublishTarget",
            Self::Routes => "AlertRoute",
            Self::Secrets => "Secret",
            Self::ConfigMaps => "ConfigMap",
        }
    }

    const fn group(self) -> &'static str {
        match self {
            Self::Targets | Self::Routes => GROUP,
            Self::Secrets | Self::ConfigMaps => "/api/v1",
        }
    }

    /// Path of all objects of a namespace.
    pub(crate) fn path(self, namespace: &str) -> String {
        format!("{}/namespaces/{namespace}/{}", self.group(), self.as_str())
    }

    /// Path of all objects everywhere.
    pub(crate) fn everywhere(self) -> String {
        format!("{}/{}", self.group(), self.as_str())
    }
}

/// The namespace of the object of this number.
pub(crate) fn namespace(index: usize) -> String {
    format!("scale-{}", index % NAMESPACES)
}

/// Its name.
pub(crate) fn name(index: usize) -> String {
    format!("team-{index:05}")
}

/// Whether this target takes its URL from a Secret.
pub(crate) fn has_secret(index: usize) -> bool {
    index.is_multiple_of(WITH_SECRET)
}

/// A webhook of its own path at one of the receiver's ports.
pub(crate) fn url(ports: &[u16], index: usize) -> String {
    format!("http://127.0.0.1:{}/hook/{}", ports[index % ports.len()], name(index))
}

pub(crate) fn target(ports: &[u16], index: usize) -> Value {
    let webhook = if has_secret(index) {
        json!({"urlSecretRef": {"name": name(index), "key": "url"}})
    } else {
        json!({"url": url(ports, index)})
    };
    json!({
        "apiVersion": "fanfare.dev/v1alpha1", "kind": "PublishTarget",
        "metadata": {"name": name(index), "labels": {"team": name(index)}},
        "spec": {"type": "Webhook", "webhook": webhook},
    })
}

pub(crate) fn secret(ports: &[u16], index: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name(index)},
        "stringData": {"url": url(ports, index)},
    })
}

pub(crate) fn route(index: usize) -> Value {
    json!({
        "apiVersion": "fanfare.dev/v1alpha1", "kind": "AlertRoute",
        "metadata": {"name": name(index)},
        "spec": {
            "matchers": [{"name": "team", "matchType": "=", "value": name(index)}],
            "targets": [{"name": name(index)}],
        },
    })
}

/// A change of the spec that keeps the target's endpoint.
pub(crate) fn target_edit() -> Value {
    json!({"spec": {"delivery": {"timeout": "7s"}}})
}

pub(crate) fn route_edit(index: usize) -> Value {
    json!({"spec": {"matchers": [
        {"name": "team", "matchType": "=", "value": name(index)},
        {"name": "severity", "matchType": "!=", "value": "none"},
    ]}})
}

/// Somebody else's Secret or `ConfigMap`, of a kibibyte.
pub(crate) fn foreign(kind: Plural, index: usize) -> Value {
    let text = "x".repeat(1_024);
    let (field, name) = match kind {
        Plural::Secrets => ("stringData", format!("foreign-secret-{index}")),
        _ => ("data", format!("foreign-map-{index}")),
    };
    json!({"apiVersion": "v1", "kind": kind.kind(), "metadata": {"name": name}, field: {"key": text}})
}
