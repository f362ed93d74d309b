//! The rules of the schema, evaluated by `kube-cel`; the one about regular expressions natively (see [`re2`]).

use std::sync::LazyLock;

use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use serde_json::Value;

use super::{Violation, re2};
use crate::api::{crd, rules};

/// The kinds that can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `PublishTarget`
    PublishTarget,
    /// `AlertRoute`
    AlertRoute,
}

/// A schema, as JSON for the walk over the structure and compiled for the rules.
struct Checked {
    schema: Value,
    compiled: CompiledSchema,
}

static PUBLISH_TARGET: LazyLock<Checked> =
    LazyLock::new(|| Checked::new(crd::schema(&crd::publish_target())));
static ALERT_ROUTE: LazyLock<Checked> =
    LazyLock::new(|| Checked::new(crd::schema(&crd::alert_route())));

thread_local! {
    /// The evaluator with the server's functions; it is not `Sync`.
    static VALIDATOR: Validator = Validator::new();
}

/// Checks an object with a sound structure against the rules.
pub(super) fn check(kind: Kind, object: &Value, old: Option<&Value>, found: &mut Vec<Violation>) {
    let compiled = &kind.checked().compiled;
    let verdict = VALIDATOR.with(|validator| validator.validate_compiled(compiled, object, old));
    if let Err(errors) = verdict {
        let violations = errors.into_vec().into_iter();
        found.extend(violations.map(|error| Violation::new(error.field_path, error.message)));
    }
    if kind == Kind::AlertRoute {
        let spec = &object["spec"];
        check_regexes(&spec["matchers"], "spec.matchers", found);
        for (index, rule) in spec["inhibit"].as_array().into_iter().flatten().enumerate() {
            for side in ["source", "target"] {
                check_regexes(&rule[side], &format!("spec.inhibit[{index}].{side}"), found);
            }
        }
    }
}

/// The rule that only the engine of the server can evaluate.
fn check_regexes(matchers: &Value, path: &str, found: &mut Vec<Violation>) {
    for (index, matcher) in matchers.as_array().into_iter().flatten().enumerate() {
        let is_regex = matches!(matcher["matchType"].as_str(), Some("=~" | "!~"));
        let pattern = matcher["value"].as_str().unwrap_or_default();
        if is_regex && let Err(fault) = re2::check(pattern) {
            let message = format!("error parsing regexp: {fault}: {}", rules::REGEX_MESSAGE);
            found.push(Violation::new(format!("{path}[{index}]"), message));
        }
    }
}

/// Takes the rule about regular expressions out of a schema.
fn without_regex_rule(schema: &Value) -> Value {
    let rule = rules::regex_compiles().rule;
    match schema {
        Value::Object(node) => {
            let children = node.iter().map(|(key, child)| (key.clone(), without_regex_rule(child)));
            Value::Object(children.collect())
        }
        Value::Array(nodes) => {
            let others = nodes.iter().filter(|node| node["rule"] != *rule);
            Value::Array(others.map(without_regex_rule).collect())
        }
        other => other.clone(),
    }
}

// === impl Checked ===

impl Checked {
    fn new(schema: Value) -> Self {
        let compiled = compile_schema(&without_regex_rule(&schema));
        Self { schema, compiled }
    }
}

// === impl Kind ===

impl Kind {
    /// The kind as it stands in the object.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::PublishTarget => "PublishTarget",
            Self::AlertRoute => "AlertRoute",
        }
    }

    /// The schema of the whole object.
    pub(super) fn schema(self) -> &'static Value {
        &self.checked().schema
    }

    /// The object as the server sees it after decoding: without `status` and nulls, with the schema's defaults.
    pub(super) fn prepare(self, object: &Value) -> Value {
        let mut object = object.clone();
        drop_nulls(&mut object);
        if let Value::Object(fields) = &mut object {
            fields.remove("status");
        }
        let mut object = kube::core::cel::apply_defaults(self.schema(), &object);
        if let Value::Object(fields) = &mut object {
            fields.remove("status");
        }
        object
    }

    fn checked(self) -> &'static Checked {
        match self {
            Self::PublishTarget => &PUBLISH_TARGET,
            Self::AlertRoute => &ALERT_ROUTE,
        }
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_compiles() {
        for kind in [Kind::PublishTarget, Kind::AlertRoute] {
            let errors = kind.checked().compiled.compilation_errors();
            assert!(errors.is_empty(), "{}: {errors:?}", kind.as_str());
        }
    }
}
