//! The part of `metadata` that users write.

use serde_json::Value;

use super::Violation;

const FIELDS: [&str; 13] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "finalizers",
    "ownerReferences",
    "managedFields",
];

/// Checks names, labels and annotations.
pub(super) fn check(metadata: &Value, found: &mut Vec<Violation>) {
    let Value::Object(fields) = metadata else {
        found.push(Violation::new("metadata", "Required value: must hold name"));
        return;
    };
    for name in fields.keys() {
        if !FIELDS.contains(&name.as_str()) {
            let message = format!("unknown field \"metadata.{name}\"");
            found.push(Violation::new("metadata", message));
        }
    }
    match metadata.get("name").map(Value::as_str) {
        None => found.push(Violation::new("metadata.name", "Required value")),
        Some(name) if name.is_some_and(is_object_name) => {}
        Some(_) => found.push(Violation::new(
            "metadata.name",
            "must be at most 253 lower case letters, digits, '-' and '.', beginning and ending with a letter or digit",
        )),
    }
    if let Some(namespace) = metadata.get("namespace")
        && !namespace.as_str().is_some_and(is_label_name)
    {
        found.push(Violation::new(
            "metadata.namespace",
            "must be at most 63 lower case letters, digits and '-', beginning and ending with a letter or digit",
        ));
    }
    check_map(metadata, "labels", found);
    check_map(metadata, "annotations", found);
}

/// Labels and annotations map text to text; labels are short.
fn check_map(metadata: &Value, field: &str, found: &mut Vec<Violation>) {
    let path = format!("metadata.{field}");
    match metadata.get(field) {
        None => {}
        Some(Value::Object(entries)) => {
            for (key, value) in entries {
                let is_sound = match value.as_str() {
                    Some(value) => field != "labels" || value.len() <= 63,
                    None => false,
                };
                if key.is_empty() || !is_sound {
                    let message = "must be text (quote numbers, true and false), in labels of at most 63 characters";
                    found.push(Violation::new(format!("{path}.{key}"), message));
                }
            }
        }
        Some(_) => found.push(Violation::new(path, "must map names to text")),
    }
}

/// A DNS-1123 label.
fn is_label_name(text: &str) -> bool {
    let is_edge = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && is_edge(bytes.first())
        && is_edge(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

/// A DNS-1123 subdomain.
fn is_object_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label_name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(metadata: &Value) -> Vec<String> {
        let mut found = Vec::new();
        check(metadata, &mut found);
        found.into_iter().map(|violation| violation.path).collect()
    }

    #[test]
    fn names_and_labels_are_checked() {
        let sound = json!({"name": "a.b-1", "namespace": "ns", "labels": {"tier": "chat"}});
        assert!(faults(&sound).is_empty());
        let bad = json!({"name": "A", "namespace": "a.b", "labels": {"n": 1}, "colour": "red"});
        assert_eq!(
            faults(&bad),
            ["metadata", "metadata.name", "metadata.namespace", "metadata.labels.n"]
        );
        assert_eq!(faults(&json!({})), ["metadata.name"]);
        assert_eq!(faults(&json!(null)), ["metadata"]);
    }
}
