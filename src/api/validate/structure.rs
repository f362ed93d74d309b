//! The structure of an object against a structural schema: types, required and unknown fields, enums, lengths,
//! ranges, duplicates. In the server's words, so that a message found on the web helps here too.

use std::{collections::HashSet, fmt::Write as _};

use serde_json::{Map, Value};

use super::Violation;

/// Fields that every object has beside those of its schema.
const ROOT_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// A walk over an object and its schema that collects what does not fit.
struct Walk<'a> {
    found: &'a mut Vec<Violation>,
}

/// Checks an object against the schema of its kind.
pub(super) fn check(schema: &Value, object: &Value, found: &mut Vec<Violation>) {
    let mut walk = Walk { found };
    match object {
        Value::Object(fields) => walk.fields(schema, fields, ""),
        _ => walk.add("", "must be an object"),
    }
}

// === impl Walk ===

impl Walk<'_> {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.found.push(Violation::new(path, message));
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        let expected = schema["type"].as_str().unwrap_or("object");
        match (expected, value) {
            ("object", Value::Object(fields)) => self.object(schema, fields, path),
            ("array", Value::Array(items)) => self.array(schema, items, path),
            ("string", Value::String(text)) => self.string(schema, text, path),
            ("integer", Value::Number(number)) if !number.is_f64() => {
                self.range(schema, value, path);
            }
            ("boolean", Value::Bool(_)) => {}
            _ => {
                let brief = brief(value);
                self.add(path, format!("Invalid value: {brief}: must be of type {expected}"));
            }
        }
    }

    fn object(&mut self, schema: &Value, fields: &Map<String, Value>, path: &str) {
        let Some(values) = schema.get("additionalProperties") else {
            return self.fields(schema, fields, path);
        };
        let count = fields.len();
        self.at_most(limit(schema, "maxProperties"), count, path);
        if let Some(min) = limit(schema, "minProperties")
            && count < min
        {
            self.add(
                path,
                format!("Invalid value: {count}: should have at least {min} properties"),
            );
        }
        for (key, value) in fields {
            self.value(values, value, &join(path, key));
        }
    }

    fn fields(&mut self, schema: &Value, fields: &Map<String, Value>, path: &str) {
        for required in schema["required"].as_array().into_iter().flatten() {
            let name = required.as_str().unwrap_or_default();
            if !fields.contains_key(name) {
                self.add(&join(path, name), "Required value");
            }
        }
        for (name, value) in fields {
            let field = join(path, name);
            if let Some(property) = schema["properties"].get(name) {
                self.value(property, value, &field);
            } else if !path.is_empty() || !ROOT_FIELDS.contains(&name.as_str()) {
                self.add(path, format!("unknown field \"{field}\""));
            }
        }
    }

    fn array(&mut self, schema: &Value, items: &[Value], path: &str) {
        let count = items.len();
        self.at_most(limit(schema, "maxItems"), count, path);
        if let Some(min) = limit(schema, "minItems")
            && count < min
        {
            self.add(path, format!("Invalid value: {count}: should have at least {min} items"));
        }
        let mut seen = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            let field = format!("{path}[{index}]");
            self.value(&schema["items"], item, &field);
            if let Some(identity) = identity(schema, item)
                && !seen.insert(identity)
            {
                self.add(&field, format!("Duplicate value: {}", brief(item)));
            }
        }
    }

    fn string(&mut self, schema: &Value, text: &str, path: &str) {
        let length = text.chars().count();
        if let Some(max) = limit(schema, "maxLength")
            && length > max
        {
            self.add(path, format!("Too long: may not be more than {max} bytes"));
        }
        if let Some(min) = limit(schema, "minLength")
            && length < min
        {
            self.add(
                path,
                format!("Invalid value: \"{text}\": should be at least {min} chars long"),
            );
        }
        if let Some(choices) = schema["enum"].as_array()
            && !choices.iter().any(|choice| choice == text)
        {
            let choices: Vec<String> = choices.iter().map(Value::to_string).collect();
            let (brief, choices) = (brief(&text.into()), choices.join(", "));
            self.add(path, format!("Unsupported value: {brief}: supported values: {choices}"));
        }
    }

    fn range(&mut self, schema: &Value, value: &Value, path: &str) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let number = value.as_f64().unwrap_or(f64::MAX);
        if let Some(min) = bound("minimum")
            && number < min
        {
            self.add(
                path,
                format!("Invalid value: {value}: should be greater than or equal to {min}"),
            );
        }
        if let Some(max) = bound("maximum")
            && number > max
        {
            self.add(
                path,
                format!("Invalid value: {value}: should be less than or equal to {max}"),
            );
        }
    }

    fn at_most(&mut self, max: Option<usize>, count: usize, path: &str) {
        if let Some(max) = max
            && count > max
        {
            self.add(path, format!("Too many: {count}: must have at most {max} items"));
        }
    }
}

/// What must be unique among the items of a list; `None` where nothing must.
fn identity(schema: &Value, item: &Value) -> Option<String> {
    match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => Some(item.to_string()),
        Some("map") => {
            let mut identity = String::new();
            for key in schema["x-kubernetes-list-map-keys"].as_array()? {
                let value = &item[key.as_str()?];
                write!(identity, "{value},").expect("a String takes everything");
            }
            Some(identity)
        }
        _ => None,
    }
}

fn limit(schema: &Value, name: &str) -> Option<usize> {
    let limit = schema.get(name)?.as_u64()?;
    usize::try_from(limit).ok()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A value for a message, cut to a readable length.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::cel::Kind;
    use super::*;

    /// What the walk above reads, and what needs no check.
    const KNOWN: &[&str] = &[
        "type",
        "properties",
        "required",
        "items",
        "additionalProperties",
        "enum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "minimum",
        "maximum",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-validations",
        "description",
        "default",
        "format",
    ];

    fn keywords(schema: &Value, found: &mut HashSet<String>) {
        let Value::Object(node) = schema else { return };
        found.extend(node.keys().cloned());
        if let Some(Value::Object(properties)) = node.get("properties") {
            properties.values().for_each(|child| keywords(child, found));
        }
        for child in ["items", "additionalProperties"] {
            if let Some(child) = node.get(child) {
                keywords(child, found);
            }
        }
    }

    #[test]
    fn no_keyword_of_the_schemas_goes_unchecked() {
        let mut found = HashSet::new();
        keywords(Kind::PublishTarget.schema(), &mut found);
        keywords(Kind::AlertRoute.schema(), &mut found);
        let unknown: Vec<_> =
            found.iter().filter(|keyword| !KNOWN.contains(&keyword.as_str())).collect();
        assert!(unknown.is_empty(), "the walk ignores {unknown:?}");
    }

    #[test]
    fn formats_occur_in_status_and_on_integers_only() {
        fn formats(schema: &Value, found: &mut HashSet<String>) {
            if let Some(format) = schema["format"].as_str() {
                found.insert(format.to_owned());
            }
            let properties = schema["properties"].as_object();
            properties.into_iter().flatten().for_each(|(_, child)| formats(child, found));
            for child in ["items", "additionalProperties"] {
                if let Some(child) = schema.get(child) {
                    formats(child, found);
                }
            }
        }
        for kind in [Kind::PublishTarget, Kind::AlertRoute] {
            let mut found = HashSet::new();
            formats(&kind.schema()["properties"]["spec"], &mut found);
            found.remove("int32");
            assert!(found.is_empty(), "{found:?}");
        }
    }
}
