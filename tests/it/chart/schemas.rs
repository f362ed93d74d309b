//! Strict JSON schemas for kubeconform, made of what the API server publishes: its default ones are on the internet.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Bed, SETS, parse};
use crate::support::program::stdout_of;

#[test]
fn kubeconform_accepts_every_value_set() {
    let Some(bed) = Bed::server() else { return };
    let dir = tempfile::tempdir().unwrap();
    let rendered = SETS.map(|set| (set, bed.template(set, &[])));
    let mut kinds = BTreeSet::new();
    for (_, yaml) in &rendered {
        for object in parse(yaml) {
            kinds.insert((word(&object["apiVersion"]), word(&object["kind"])));
        }
    }
    for (version, kind) in &kinds {
        write_schema(bed, dir.path(), version, kind);
    }
    for (set, yaml) in rendered {
        let file = dir.path().join(format!("{set}.yaml"));
        fs::write(&file, yaml).unwrap();
        stdout_of(&kubeconform(bed, dir.path(), &file));
    }
}

#[test]
fn kubeconform_refuses_an_unknown_field_and_a_wrong_type() {
    let Some(bed) = Bed::server() else { return };
    let dir = tempfile::tempdir().unwrap();
    write_schema(bed, dir.path(), "apps/v1", "StatefulSet");
    let yaml = bed.template("default", &["-s", "templates/statefulset.yaml"]);
    for (from, to) in
        [("enableServiceLinks:", "enableServiceLink:"), ("replicas: 1", "replicas: x")]
    {
        let file = dir.path().join("broken.yaml");
        assert!(yaml.contains(from), "{yaml}");
        fs::write(&file, yaml.replace(from, to)).unwrap();
        assert!(!kubeconform(bed, dir.path(), &file).status.success(), "{to}");
    }
}

fn kubeconform(bed: &Bed, schemas: &Path, file: &Path) -> std::process::Output {
    let location = "{{.Group}}-{{.ResourceKind}}-{{.ResourceAPIVersion}}.json";
    let mut command = bed.tool("kubeconform");
    command.args(["-strict", "-summary", "-schema-location"]);
    command.arg(schemas.join(location)).arg(file);
    command.output().expect("kubeconform was built")
}

/// Writes the schema of one kind, with everything that it refers to.
fn write_schema(bed: &Bed, dir: &Path, version: &str, kind: &str) {
    let (group, prefix) = match version.split_once('/') {
        Some((group, _)) => (group, "apis"),
        None => (version, "api"),
    };
    let path = format!("/openapi/v3/{prefix}/{version}");
    let mut document: Value = serde_json::from_str(&bed.kubectl(&["get", "--raw", &path])).unwrap();
    let schemas = document["components"]["schemas"].as_object_mut().unwrap();
    schemas.values_mut().for_each(close);
    let named = schemas.iter().find(|(_, schema)| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        kinds.is_some_and(|kinds| {
            kinds.len() == 1
                && kinds[0]["kind"] == kind
                && version.ends_with(&word(&kinds[0]["version"]))
        })
    });
    let name = named.unwrap_or_else(|| panic!("{path} has no {kind}")).0;
    let schema = json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": document["components"],
    });
    let release = version.rsplit('/').next().unwrap();
    let file = format!("{group}-{}-{release}.json", kind.to_lowercase());
    fs::write(dir.join(file), schema.to_string()).unwrap();
}

/// Refuses fields that are not named, wherever fields are named.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let open = map.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
            let fields = map.get("properties").is_some_and(Value::is_object);
            if fields && !open && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".into(), json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
