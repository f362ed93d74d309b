//! The chart's texts agree with one another; needs no program.

use fanfare::api::Reason;
use serde_json::Value;

use super::{parse, read};

/// Values of an umbrella chart that the schema lets through.
const FOREIGN: [&str; 2] = ["enabled", "global"];

#[test]
fn every_value_has_a_comment() {
    let text = read("charts/fanfare/values.yaml");
    let mut documented: Vec<(usize, bool)> = Vec::new();
    let mut previous = "";
    for line in text.lines() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if let Some((key, rest)) = content.split_once(':')
            && !content.starts_with(['#', '-'])
        {
            documented.retain(|(depth, _)| *depth < indent);
            let above = documented.iter().any(|(_, yes)| *yes);
            let own = previous.trim_start().starts_with('#');
            let group = rest.trim().is_empty();
            assert!(own || above || group, "no comment above {key:?} in {line:?}");
            documented.push((indent, own || above));
        }
        previous = line;
    }
}

#[test]
fn schema_and_values_name_the_same_keys() {
    let values = defaults();
    leaves(&schema(), "", &mut |path| {
        default(&values, path);
    });
    known(&values, &schema(), "");
}

#[test]
fn readme_lists_every_value_with_its_default() {
    let values = defaults();
    let readme = read("charts/fanfare/README.md");
    let mut rows = 0;
    leaves(&schema(), "", &mut |path| {
        rows += 1;
        let shown = match default(&values, path) {
            Value::Object(map) if !map.is_empty() => "see values.yaml".to_owned(),
            other => format!("`{other}`"),
        };
        let row = format!("| `{path}` | {shown} | ");
        assert!(readme.contains(&row), "README.md lacks the row {row:?}");
    });
    let listed = readme.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(listed, rows, "README.md lists values that do not exist");
}

#[test]
fn every_value_is_used_by_a_template() {
    let mut templates = String::new();
    for entry in std::fs::read_dir(super::root().join("charts/fanfare/templates")).unwrap() {
        templates.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    leaves(&schema(), "", &mut |path| {
        let key = path.rsplit('.').next().unwrap();
        let used = format!(".{key}");
        assert!(templates.contains(&used), "no template uses {path}");
    });
}

#[test]
fn chart_has_the_version_of_the_program() {
    let chart = &parse(&read("charts/fanfare/Chart.yaml"))[0];
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn runbook_explains_reasons_that_exist() {
    let runbook = read("docs/runbooks/TargetUnhealthy.md");
    let table = runbook.split_once("| reason | do |").expect("the table of reasons").1;
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
    let mut found = 0;
    for reason in rows.flat_map(|(cell, _)| cell.split(", ").map(|word| word.trim_matches('`'))) {
        assert!(Reason::ALL.iter().any(|known| known.as_str() == reason), "no reason {reason}");
        found += 1;
    }
    assert!(found > 5, "{found} reasons");
}

fn schema() -> Value {
    serde_json::from_str(&read("charts/fanfare/values.schema.json")).unwrap()
}

/// The default values.
fn defaults() -> Value {
    parse(&read("charts/fanfare/values.yaml")).remove(0)
}

/// The default of `a.b.c`.
fn default<'a>(values: &'a Value, path: &str) -> &'a Value {
    let pointer = format!("/{}", path.replace('.', "/"));
    let value = values.pointer(&pointer);
    value.unwrap_or_else(|| panic!("{path} has no default in values.yaml"))
}

/// Calls `visit` with the path of every value that is no group.
fn leaves(schema: &Value, path: &str, visit: &mut dyn FnMut(&str)) {
    let Some(properties) = schema["properties"].as_object() else {
        return visit(path.trim_start_matches('.'));
    };
    for (key, value) in properties {
        if !(path.is_empty() && FOREIGN.contains(&key.as_str())) {
            leaves(value, &format!("{path}.{key}"), visit);
        }
    }
}

/// Panics on a value that the schema does not name.
fn known(values: &Value, schema: &Value, path: &str) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let object = values.pointer(path).and_then(Value::as_object);
    for key in object.into_iter().flat_map(serde_json::Map::keys) {
        let below = properties.get(key);
        let below = below.unwrap_or_else(|| panic!("{path}/{key} is not in the schema"));
        known(values, below, &format!("{path}/{key}"));
    }
}
