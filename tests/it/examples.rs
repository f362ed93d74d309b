//! The YAML under `examples/`, checked without a server.

use std::{collections::BTreeSet, fs, path::Path};

use fanfare::api::{TargetType, validate};
use serde_json::Value;

/// Every document under a directory of `examples`, with the name of its file.
fn documents(directory: &str) -> Vec<(String, Value)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut documents = Vec::new();
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&path).unwrap();
            let found: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            documents.extend(found.into_iter().map(|document| (name.clone(), document)));
        }
    }
    documents
}

#[test]
fn every_example_is_valid_and_brings_its_secrets() {
    for directory in ["examples", "examples/quickstart"] {
        let documents = documents(directory);
        let secrets: BTreeSet<(&str, &str)> = documents
            .iter()
            .filter(|(_, document)| document["kind"] == "Secret")
            .flat_map(|(_, secret)| {
                let name = secret["metadata"]["name"].as_str().unwrap();
                let keys = secret["stringData"].as_object().unwrap().keys();
                keys.map(move |key| (name, key.as_str()))
            })
            .collect();
        for (file, document) in &documents {
            match document["kind"].as_str() {
                Some("PublishTarget") => {
                    let target = validate::validate_target(document)
                        .unwrap_or_else(|found| panic!("{file}: {found:?}"));
                    for named in target.spec.secret_refs() {
                        let key = (named.reference.name.as_str(), named.reference.key.as_str());
                        assert!(secrets.contains(&key), "{file}: no Secret for {}", named.path);
                    }
                }
                Some("AlertRoute") => {
                    validate::validate_route(document)
                        .unwrap_or_else(|found| panic!("{file}: {found:?}"));
                }
                kind => assert_eq!(kind, Some("Secret"), "{file}"),
            }
            let namespace = document["metadata"].get("namespace");
            assert_eq!(namespace, None, "{file}: applies to any namespace");
        }
    }
}

#[test]
fn every_target_type_has_an_example() {
    let documents = documents("examples");
    for kind in TargetType::ALL {
        let file = format!("{}.yaml", kind.as_str().to_lowercase());
        let shown = documents.iter().any(|(name, document)| {
            *name == file && document["spec"]["type"].as_str() == Some(kind.as_str())
        });
        assert!(shown, "examples/{file} does not show {kind}");
    }
}
