//! The `CustomResourceDefinition`s as they are installed.
//!
//! The derive macros give the raw definitions; [`all`] finishes them:
//! - `nullable` goes: the server then drops a `null` instead of storing it, and `has()` means the same
//!   everywhere.
//! - Defaults go, except those that the server needs: `suspend` (a selectable field), `targets[].namespace` (a
//!   key of a list map), the fallback's too, and `status` (so that a new object says `Unknown`, reason `Pending`, at once). Every other
//!   default lives in [`super::defaults`], because a default that was written into stored objects cannot improve.
//! - Descriptions are unwrapped: one line per paragraph. (Enums have an empty description of their own, because
//!   it would replace that of an optional field; a field's text lists the values.)

mod columns;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::{AlertRoute, ConditionType, PublishTarget, Reason};

/// Message of the conditions that an object has before the operator saw it.
const PENDING: &str = "Waiting for the Fanfare operator. If this stays, check that it runs and that it watches this namespace.";

/// Both definitions, finished.
#[must_use]
pub fn all() -> [CustomResourceDefinition; 2] {
    [publish_target(), alert_route()]
}

/// The definition of `PublishTarget`.
#[must_use]
pub fn publish_target() -> CustomResourceDefinition {
    let mut crd = PublishTarget::crd();
    crd.spec.versions[0].additional_printer_columns = Some(columns::of_target());
    finish(&crd, &[ConditionType::Ready, ConditionType::Healthy, ConditionType::Delivering])
}

/// The definition of `AlertRoute`.
#[must_use]
pub fn alert_route() -> CustomResourceDefinition {
    let mut crd = AlertRoute::crd();
    crd.spec.versions[0].additional_printer_columns = Some(columns::of_route());
    finish(
        &crd,
        &[
            ConditionType::Accepted,
            ConditionType::ResolvedRefs,
            ConditionType::Ready,
            ConditionType::Healthy,
        ],
    )
}

/// The `openAPIV3Schema` of a finished definition.
#[must_use]
pub(super) fn schema(crd: &CustomResourceDefinition) -> Value {
    let schema = crd.spec.versions[0]
        .schema
        .as_ref()
        .and_then(|validation| validation.open_api_v3_schema.as_ref());
    serde_json::to_value(schema).expect("a schema is plain JSON")
}

fn finish(
    crd: &CustomResourceDefinition,
    conditions: &[ConditionType],
) -> CustomResourceDefinition {
    let mut value = serde_json::to_value(crd).expect("a definition is plain JSON");
    let schema = value
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .expect("the derive writes one version with a schema");
    tidy(schema);
    for (pointer, default) in [
        ("/properties/spec/properties/suspend", json!(false)),
        ("/properties/spec/properties/targets/items/properties/namespace", json!("")),
        (
            "/properties/spec/properties/fallback/properties/targets/items/properties/namespace",
            json!(""),
        ),
        ("/properties/status", pending_status(conditions)),
    ] {
        if let Some(Value::Object(property)) = schema.pointer_mut(pointer) {
            property.insert("default".to_owned(), default);
        }
    }
    serde_json::from_value(value).expect("a finished definition is still a definition")
}

/// The status of an object that the operator has not seen yet.
fn pending_status(conditions: &[ConditionType]) -> Value {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|condition| {
            json!({
                "type": condition.as_str(),
                "status": "Unknown",
                "reason": Reason::Pending.as_str(),
                "message": PENDING,
                "lastTransitionTime": "1970-01-01T00:00:00Z",
            })
        })
        .collect();
    json!({ "conditions": conditions })
}

/// Removes what the derive writes and the server does not need, at every depth of a schema.
fn tidy(schema: &mut Value) {
    let Value::Object(node) = schema else { return };
    node.remove("nullable");
    node.remove("default");
    node.remove("title");
    if let Some(Value::String(description)) = node.get_mut("description") {
        *description = unwrap_lines(description);
    }
    if let Some(Value::Object(properties)) = node.get_mut("properties") {
        properties.values_mut().for_each(tidy);
    }
    for child in ["items", "additionalProperties"] {
        if let Some(child) = node.get_mut(child) {
            tidy(child);
        }
    }
    remove_null_choice(node);
}

/// An optional enum must not list `null`.
fn remove_null_choice(node: &mut Map<String, Value>) {
    if let Some(Value::Array(choices)) = node.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
}

fn unwrap_lines(text: &str) -> String {
    text.split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::defaults;

    /// Every property of a schema with its path.
    fn fields(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            fields(property, &path, found);
            fields(&property["items"], &path, found);
            found.push((path, property.clone()));
        }
    }

    fn all_fields() -> Vec<(String, Value)> {
        let mut found = Vec::new();
        for crd in all() {
            fields(&schema(&crd), &crd.spec.names.kind, &mut found);
        }
        found
    }

    fn description(path: &str) -> String {
        let fields = all_fields();
        let (_, field) = fields.iter().find(|(known, _)| known == path).expect(path);
        field["description"].as_str().unwrap().to_owned()
    }

    #[test]
    fn every_field_is_described() {
        let fields = all_fields();
        assert!(fields.len() > 100, "only {} fields found", fields.len());
        for (path, field) in fields {
            let description = field["description"].as_str().unwrap_or_default();
            assert!(description.len() >= 15, "{path}: {description:?}");
            assert!(description.ends_with('.'), "{path}: {description:?}");
        }
    }

    #[test]
    fn schema_defaults_exist_only_where_the_server_needs_them() {
        let mut defaults: Vec<_> = all_fields()
            .into_iter()
            .filter_map(|(path, field)| field.get("default").is_some().then_some(path))
            .collect();
        defaults.sort();
        assert_eq!(
            defaults,
            [
                "AlertRoute.spec.fallback.targets.namespace",
                "AlertRoute.spec.suspend",
                "AlertRoute.spec.targets.namespace",
                "AlertRoute.status",
                "PublishTarget.spec.suspend",
                "PublishTarget.status",
            ]
        );
    }

    #[test]
    fn documented_defaults_are_those_in_the_code() {
        let target = "PublishTarget.spec";
        let time = |duration| crate::api::Duration(duration).to_string();
        for (path, default) in [
            ("delivery.timeout", defaults::DELIVERY_TIMEOUT.to_string()),
            ("delivery.backoffPolicy", "Exponential".to_owned()),
            ("delivery.backoffDelay", time(defaults::BACKOFF_DELAY)),
            ("delivery.backoffMax", time(defaults::BACKOFF_MAX)),
            ("delivery.jitter", "Full".to_owned()),
            ("delivery.retryAfterMax", time(defaults::RETRY_AFTER_MAX)),
            ("delivery.maxAge", time(defaults::MAX_AGE)),
            ("delivery.semantics", "Latest".to_owned()),
            ("flow.maxInFlight", defaults::MAX_IN_FLIGHT.to_string()),
            ("flow.queue.maxNotifications", defaults::MAX_NOTIFICATIONS.to_string()),
            ("flow.queue.whenFull", "DeadLetterOldest".to_owned()),
            (
                "circuitBreaker.consecutiveFailures",
                defaults::BREAKER_CONSECUTIVE_FAILURES.to_string(),
            ),
            ("circuitBreaker.failureRateThreshold", defaults::BREAKER_FAILURE_RATE.to_string()),
            ("circuitBreaker.minimumNumberOfCalls", defaults::BREAKER_MINIMUM_CALLS.to_string()),
            ("circuitBreaker.window", "60s".to_owned()),
            ("circuitBreaker.baseEjectionTime", time(defaults::BASE_EJECTION_TIME)),
            ("circuitBreaker.maxEjectionTime", time(defaults::MAX_EJECTION_TIME)),
            ("circuitBreaker.successThreshold", defaults::BREAKER_SUCCESSES.to_string()),
            ("healthCheck.interval", "60s".to_owned()),
            ("healthCheck.unhealthyInterval", defaults::CHECK_UNHEALTHY_INTERVAL.to_string()),
            ("healthCheck.timeout", defaults::CHECK_TIMEOUT.to_string()),
            ("healthCheck.unhealthyThreshold", defaults::UNHEALTHY_THRESHOLD.to_string()),
            ("healthCheck.healthyThreshold", defaults::HEALTHY_THRESHOLD.to_string()),
            (
                "healthCheck.degradedLatency",
                format!("{}, or half of timeout if that is shorter", defaults::DEGRADED_LATENCY),
            ),
            ("healthCheck.skipIfDeliveredWithin", "60s".to_owned()),
            ("healthCheck.http.path", defaults::CHECK_PATH.to_owned()),
            ("healthCheck.http.expectedStatuses", defaults::EXPECTED_STATUSES.to_owned()),
            ("pagerDuty.endpoint", defaults::PAGERDUTY_ENDPOINT.to_owned()),
        ] {
            let text = description(&format!("{target}.{path}"));
            assert!(text.ends_with(&format!("Default: {default}.")), "{path}: {text}");
        }
        for (field, default) in [
            ("repeatInterval", time(defaults::REPEAT_INTERVAL)),
            ("grouping.wait", time(defaults::GROUP_WAIT)),
            ("grouping.interval", time(defaults::GROUP_INTERVAL)),
            ("fallback.after", time(defaults::FALLBACK_AFTER)),
            ("fallback.mode", "Instead".to_owned()),
        ] {
            let text = description(&format!("AlertRoute.spec.{field}"));
            assert!(text.ends_with(&format!("Default: {default}.")), "{field}: {text}");
        }
        assert_eq!(defaults::BREAKER_WINDOW.as_secs(), 60);
        assert_eq!(defaults::CHECK_INTERVAL.get().as_secs(), 60);
        assert_eq!(defaults::SKIP_IF_DELIVERED_WITHIN.get().as_secs(), 60);
    }

    #[test]
    fn documented_limits_are_those_of_the_rules() {
        let mut durations = 0;
        for (path, field) in all_fields() {
            let text = field["description"].as_str().unwrap();
            for rule in field["x-kubernetes-validations"].as_array().into_iter().flatten() {
                let message = rule["message"].as_str().unwrap();
                if let Some(limits) = message.strip_prefix("must be a duration from ") {
                    let (min, rest) = limits.split_once(" to ").unwrap();
                    let (max, _) = rest.split_once(':').unwrap();
                    assert!(text.contains(&format!("from {min} ")), "{path}: {text}");
                    assert!(text.contains(&format!("to {max}")), "{path}: {text}");
                    durations += 1;
                }
            }
            if let (Some(min), Some(max)) = (field["minimum"].as_f64(), field["maximum"].as_f64()) {
                let limits = format!("rom {min} to {max}");
                assert!(text.contains(&limits), "{path}: {text}");
            }
        }
        assert_eq!(durations, 17);
    }

    #[test]
    fn every_rule_says_what_to_write_instead() {
        fn rules(value: &Value, found: &mut Vec<Value>) {
            match value {
                Value::Object(node) => node.iter().for_each(|(key, child)| {
                    if key == "x-kubernetes-validations" {
                        found.extend(child.as_array().unwrap().iter().cloned());
                    } else {
                        rules(child, found);
                    }
                }),
                Value::Array(nodes) => nodes.iter().for_each(|child| rules(child, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        for crd in all() {
            rules(&schema(&crd), &mut found);
        }
        assert!(found.len() > 50, "only {} rules found", found.len());
        for rule in found {
            let message = rule["message"].as_str().unwrap_or_default();
            assert!(message.len() >= 30 && !message.contains('\n'), "{rule}");
        }
    }

    #[test]
    fn definitions_stay_below_200_kilobytes() {
        for crd in all() {
            let size = serde_json::to_string(&crd).unwrap().len();
            assert!(size < 200_000, "{}: {size} bytes", crd.spec.names.kind);
        }
    }

    #[test]
    fn nothing_is_nullable_or_unsigned() {
        for crd in all() {
            let text = serde_json::to_string(&crd).unwrap();
            for trap in ["nullable", "\"uint", "anyOf", "oneOf"] {
                assert!(!text.contains(trap), "{}: {trap}", crd.spec.names.kind);
            }
        }
    }
}
