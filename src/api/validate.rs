//! Validation without an API server, for `--manifests`: the same schema, the same rules, the same verdict.
//!
//! Read [`validate_target`] first. As on the server, a `null` counts as absent, defaults are filled in, then the
//! structure is checked strictly (an unknown field is refused), and only an object with a sound structure meets
//! the rules. A `status` in the file is ignored.
//!
//! Regular expressions of matchers are judged by the server's dialect (`re2`), as there; whether the engine of
//! the operator can run them too is said by the route's conditions, as in a cluster.

mod cel;
mod metadata;
mod re2;
mod structure;

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{AlertRoute, GROUP, PublishTarget, VERSION};

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, for example `spec.matchers[0].name`; empty for the object itself.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// Checks a `PublishTarget` as the API server does when it is created.
///
/// # Errors
/// Everything that is wrong with the object.
pub fn validate_target(object: &Value) -> Result<PublishTarget, Vec<Violation>> {
    validate(cel::Kind::PublishTarget, object, None)
}

/// Checks a `PublishTarget` that replaces `old`: creation's rules and those about what may change.
///
/// # Errors
/// Everything that is wrong with the object or its change.
pub fn validate_target_update(
    object: &Value,
    old: &Value,
) -> Result<PublishTarget, Vec<Violation>> {
    validate(cel::Kind::PublishTarget, object, Some(old))
}

/// Checks an `AlertRoute` as the API server does when it is created.
///
/// # Errors
/// Everything that is wrong with the object.
pub fn validate_route(object: &Value) -> Result<AlertRoute, Vec<Violation>> {
    validate(cel::Kind::AlertRoute, object, None)
}

fn validate<T: DeserializeOwned>(
    kind: cel::Kind,
    object: &Value,
    old: Option<&Value>,
) -> Result<T, Vec<Violation>> {
    let object = kind.prepare(object);
    let mut found = Vec::new();
    check_type(kind, &object, &mut found);
    metadata::check(&object["metadata"], &mut found);
    structure::check(kind.schema(), &object, &mut found);
    if found.is_empty() {
        let old = old.map(|old| kind.prepare(old));
        cel::check(kind, &object, old.as_ref(), &mut found);
    }
    if !found.is_empty() {
        return Err(found);
    }
    serde_json::from_value(object).map_err(|error| vec![Violation::new("", error.to_string())])
}

/// The object says what it is.
fn check_type(kind: cel::Kind, object: &Value, found: &mut Vec<Violation>) {
    let api_version = format!("{GROUP}/{VERSION}");
    for (field, expected) in [("apiVersion", api_version.as_str()), ("kind", kind.as_str())] {
        if object[field].as_str() != Some(expected) {
            found.push(Violation::new(field, format!("must be {expected}")));
        }
    }
}

// === impl Violation ===

impl Violation {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target(spec: &Value) -> Value {
        json!({"apiVersion": "fanfare.dev/v1alpha1", "kind": "PublishTarget",
               "metadata": {"name": "t", "namespace": "n"}, "spec": spec})
    }

    fn refusals(object: &Value) -> Vec<String> {
        validate_target(object).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn null_counts_as_absent() {
        let object = target(&json!({"type": "Log", "webhook": null, "suspend": null}));
        let target = validate_target(&object).unwrap();
        assert_eq!(target.spec.webhook, None);
        assert!(!target.spec.suspend);
    }

    #[test]
    fn status_in_the_file_is_ignored() {
        let mut object = target(&json!({"type": "Log"}));
        object["status"] = json!({"conditions": "nonsense"});
        assert_eq!(validate_target(&object).unwrap().status, None);
    }

    #[test]
    fn another_kind_is_refused() {
        let mut object = target(&json!({"type": "Log"}));
        object["kind"] = json!("Target");
        assert_eq!(refusals(&object), ["kind: must be PublishTarget"]);
    }

    #[test]
    fn nothing_panics_on_objects_of_any_shape() {
        for object in [json!(null), json!([]), json!("x"), json!({}), json!({"spec": []})] {
            assert!(!refusals(&object).is_empty(), "{object}");
        }
    }

    #[test]
    fn every_fault_of_the_structure_is_listed() {
        let object = target(&json!({"type": "Log", "colour": "red", "suspend": "yes"}));
        assert_eq!(
            refusals(&object),
            [
                r#"spec: unknown field "spec.colour""#,
                r#"spec.suspend: Invalid value: "yes": must be of type boolean"#,
            ]
        );
    }

    #[test]
    fn a_changed_type_is_refused_on_update_only() {
        let old = target(&json!({"type": "Log"}));
        let new = target(&json!({"type": "Webhook", "webhook": {"url": "http://x/"}}));
        assert!(validate_target(&new).is_ok());
        let found = validate_target_update(&new, &old).unwrap_err();
        assert_eq!(found[0].path, "spec.type");
    }
}
