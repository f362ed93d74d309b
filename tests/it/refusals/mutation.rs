//! Accepted objects with one value replaced: whatever stands there, both validators agree and neither stumbles.

use serde_json::{Value, json};

use super::{accepted, offline};

/// What stands in a field after an editor's accident.
fn accidents() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(""),
        json!("None"),
        json!("1s"),
        json!("x".repeat(2000)),
        json!("http://ü@[::1]:99999/\u{7}"),
        json!([]),
        json!([null]),
        json!(["200", "200"]),
        json!({}),
        json!({"name": "a", "key": "b"}),
        json!({"": {"a": []}}),
    ]
}

/// The pointers to every value in an object's spec.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(field, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Every accepted object with every accident at every place; of these, every third.
pub(crate) fn mutations() -> Vec<Value> {
    let mut mutations = Vec::new();
    for object in accepted() {
        let mut found = Vec::new();
        pointers(&object["spec"], "/spec", &mut found);
        for pointer in found {
            for accident in accidents() {
                let mut mutation = object.clone();
                *mutation.pointer_mut(&pointer).unwrap() = accident;
                mutation["metadata"]["name"] = format!("mutation-{}", mutations.len()).into();
                mutations.push(mutation);
            }
        }
    }
    mutations.into_iter().step_by(3).collect()
}

#[test]
fn an_accident_in_any_field_is_refused_with_its_place_or_does_no_harm() {
    let mutations = mutations();
    let mut refused = 0;
    for object in &mutations {
        for violation in offline(object, None).err().into_iter().flatten() {
            assert!(!violation.path.is_empty(), "{violation} has no place in {object}");
            refused += 1;
        }
    }
    assert!(refused > mutations.len() / 2, "only {refused} of {} are refused", mutations.len());
}
