//! Documents as objects: checked by the rules of the CRDs, numbered as an API server would.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use uuid::Uuid;

use super::read::Files;
use crate::{
    api::{self, AlertRouteSpec, PublishTargetSpec, validate},
    controller::{
        ledger::Status,
        source::{Material, MaterialId, MaterialKind, Meta, Object, RECONCILE_ANNOTATION, Watched},
    },
};

/// Namespace of an object that names none, as kubectl's.
const DEFAULT_NAMESPACE: &str = "default";

/// Every object of the directory.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) targets: BTreeMap<String, Object<PublishTargetSpec>>,
    pub(super) routes: BTreeMap<String, Object<AlertRouteSpec>>,
    pub(super) materials: BTreeMap<MaterialId, Material>,
    pub(super) namespaces: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) problems: BTreeSet<String>,
}

/// Sorts the documents into objects and what is wrong with the rest.
pub(super) fn collect(files: &Files) -> Collected {
    let mut all = Collected::default();
    all.problems.extend(files.problems().map(ToString::to_string));
    for (file, document) in files.documents() {
        all.add(&file, document);
    }
    all
}

/// Numbers the objects: `generation` counts changes of the spec, `resourceVersion` every change.
/// A target whose Secret or ConfigMap is among `changed` gets a new `reconcile` mark.
pub(super) fn number<S: Watched + References>(
    new: &mut BTreeMap<String, Object<S>>,
    old: &BTreeMap<String, Object<S>>,
    changed: &BTreeSet<MaterialId>,
) {
    for (name, object) in new {
        let before = old.get(name);
        let spec_changed = before.is_none_or(|before| before.spec != object.spec);
        let generation = before.map_or(0, |before| before.meta.generation);
        object.meta.generation = generation + i64::from(spec_changed);
        let touched = object.spec.as_ref().is_ok_and(|spec| {
            let namespace = S::namespace(&object.key);
            spec.references(namespace).iter().any(|id| changed.contains(id))
        });
        let asked = object.meta.reconcile.take().unwrap_or_default();
        let rounds = before.map_or(0, |before| rounds(&before.meta)) + u64::from(touched);
        object.meta.reconcile = Some(format!("{asked}#{rounds}"));
        let version: u64 =
            before.and_then(|before| before.meta.resource_version.parse().ok()).unwrap_or(0);
        object.meta.resource_version = version.to_string();
        if before.is_none_or(|before| before.meta != object.meta) {
            object.meta.resource_version = (version + 1).to_string();
        }
    }
}

/// How often a Secret or ConfigMap of the object changed: stands behind the annotation's value.
fn rounds(meta: &Meta) -> u64 {
    let mark = meta.reconcile.as_deref().and_then(|mark| mark.rsplit_once('#'));
    mark.and_then(|(_, rounds)| rounds.parse().ok()).unwrap_or(0)
}

/// Secrets and ConfigMaps that a spec names.
pub(super) trait References {
    fn references(&self, namespace: &str) -> Vec<MaterialId>;
}

impl References for PublishTargetSpec {
    fn references(&self, namespace: &str) -> Vec<MaterialId> {
        let id =
            |kind, name: &str| MaterialId { kind, namespace: namespace.into(), name: name.into() };
        let secrets = self.secret_refs();
        let maps = self.config_map_refs();
        let secrets = secrets.iter().map(|named| id(MaterialKind::Secret, &named.reference.name));
        secrets
            .chain(maps.iter().map(|named| id(MaterialKind::ConfigMap, &named.reference.name)))
            .collect()
    }
}

impl References for AlertRouteSpec {
    fn references(&self, _: &str) -> Vec<MaterialId> {
        Vec::new()
    }
}

// === impl Collected ===

impl Collected {
    fn add(&mut self, file: &str, document: &Value) {
        if document.is_null() {
            return;
        }
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
        let kind = text("/kind").unwrap_or_default();
        let version = text("/apiVersion").unwrap_or_default();
        if kind == "List" {
            let items = document.get("items").and_then(Value::as_array);
            for item in
                items.into_iter().flatten().filter(|item| item.get("kind") != Some(&"List".into()))
            {
                self.add(file, item);
            }
            return;
        }
        let Some(name) = text("/metadata/name").filter(|name| !name.is_empty()) else {
            self.problem(format!(
                "{file}: a document has no kind and metadata.name: it is not a Kubernetes object"
            ));
            return;
        };
        let namespace = text("/metadata/namespace").unwrap_or(DEFAULT_NAMESPACE);
        let fanfare = format!("{}/{}", api::GROUP, api::VERSION);
        match (version, kind) {
            (version, "PublishTarget") if version == fanfare => {
                let spec = validate::validate_target(document).map(|target| target.spec);
                let object = object(document, (namespace, name), spec);
                insert(&mut self.targets, &mut self.problems, file, object);
            }
            (version, "AlertRoute") if version == fanfare => {
                let spec = validate::validate_route(document).map(|route| route.spec);
                let object = object(document, (namespace, name), spec);
                insert(&mut self.routes, &mut self.problems, file, object);
            }
            ("v1", "Secret") => self.material(file, MaterialKind::Secret, (namespace, name), document),
            ("v1", "ConfigMap") => {
                self.material(file, MaterialKind::ConfigMap, (namespace, name), document);
            }
            ("v1", "Namespace") => {
                self.namespaces.insert(name.into(), words(document, "/metadata/labels"));
            }
            _ => self.problem(format!(
                "{file}: {kind} {namespace}/{name} ({version}) is left out: only PublishTarget and AlertRoute of {fanfare}, Secret and ConfigMap are used"
            )),
        }
    }

    fn material(&mut self, file: &str, kind: MaterialKind, name: (&str, &str), document: &Value) {
        let entries =
            |field: &str| document.get(field).and_then(Value::as_object).into_iter().flatten();
        let mut keys = BTreeMap::new();
        let encoded = if kind == MaterialKind::Secret { "data" } else { "binaryData" };
        let plain = if kind == MaterialKind::Secret { "stringData" } else { "data" };
        for (key, value) in entries(encoded) {
            match value.as_str().and_then(|text| STANDARD.decode(text.trim()).ok()) {
                Some(bytes) => {
                    keys.insert(key.clone(), bytes);
                }
                None => self.problem(format!(
                    "{file}: {} {}/{}: {encoded}.{key} is not base64; write it under {plain} to use plain text",
                    kind.as_str(), name.0, name.1
                )),
            }
        }
        for (key, value) in entries(plain) {
            match value.as_str() {
                Some(text) => {
                    keys.insert(key.clone(), text.as_bytes().to_vec());
                }
                None => self.problem(format!(
                    "{file}: {} {}/{}: {plain}.{key} is not a text; put it in quotes",
                    kind.as_str(),
                    name.0,
                    name.1
                )),
            }
        }
        let id = MaterialId { kind, namespace: name.0.into(), name: name.1.into() };
        if self.materials.insert(id, keys.into_iter().collect()).is_some() {
            self.problem(format!(
                "{file}: {} {}/{} stands in the directory twice; the last one is used",
                kind.as_str(),
                name.0,
                name.1
            ));
        }
    }

    fn problem(&mut self, problem: String) {
        self.problems.insert(problem);
    }
}

fn insert<S: Watched>(
    objects: &mut BTreeMap<String, Object<S>>,
    problems: &mut BTreeSet<String>,
    file: &str,
    object: Object<S>,
) {
    match objects.entry(object.key.to_string()) {
        Entry::Vacant(place) => {
            if let Err(message) = &object.spec {
                problems.insert(format!("{file}: {} {}: {message}", S::KIND, object.key));
            }
            place.insert(object);
        }
        Entry::Occupied(place) => {
            problems.insert(format!(
                "{file}: {} {} stands in the directory twice; the first one is used",
                S::KIND,
                place.key()
            ));
        }
    }
}

/// The object; its spec is an error that lists what the rules refuse.
fn object<S: Watched>(
    document: &Value,
    (namespace, name): (&str, &str),
    spec: Result<S, Vec<validate::Violation>>,
) -> Object<S> {
    let spec = spec.map(Arc::new).map_err(|problems| {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        all.join("; ")
    });
    let id = format!("{}/{namespace}/{name}", S::KIND);
    let meta = Meta {
        uid: Arc::from(Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).to_string()),
        labels: words(document, "/metadata/labels").into(),
        reconcile: words(document, "/metadata/annotations").remove(RECONCILE_ANNOTATION),
        ..Meta::default()
    };
    Object {
        key: S::key(namespace, name),
        meta,
        spec,
        status: Arc::new(Status::read(S::KIND, &Value::Null)),
    }
}

/// A map of texts; what is no text in it is left out.
fn words(document: &Value, field: &str) -> BTreeMap<String, String> {
    let entries = document.pointer(field).and_then(Value::as_object);
    entries
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}
