//! The README says what is true: its generated tables match the code, its reasons are complete.
//!
//! `UPDATE_DOCS=1 cargo test --test it docs` (`make docs`) writes the tables.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use clap::{CommandFactory as _, Parser as _};
use fanfare::{
    api::{self, Reason},
    cli::Cli,
};
use serde_json::{Value, json};

use crate::support::{
    http::{get, post},
    operator::Launch,
    wait::wait_for_value,
};

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn readme() -> String {
    fs::read_to_string(root("README.md")).unwrap()
}

/// Compares the block `name` of the README with `wanted`, or writes it.
fn check(name: &str, wanted: &str) {
    let text = readme();
    let start = format!("<!-- generated: {name} -->\n");
    let from = text.find(&start).expect("the README has the marker") + start.len();
    let to = from + text[from..].find("<!-- end -->").expect("the block ends");
    if text[from..to] == *wanted {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_DOCS").is_some(),
        "the table {name} of README.md is out of date: run make docs"
    );
    let new = format!("{}{wanted}{}", &text[..from], &text[to..]);
    fs::write(root("README.md"), new).unwrap();
}

/// First sentences up to a length that fits a table.
fn short(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn fields(schema: &Value, path: &str, out: &mut String) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, field) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let kind = field.get("type").and_then(Value::as_str).unwrap_or("any");
        let description = field.get("description").and_then(Value::as_str).unwrap_or_default();
        writeln!(out, "| `{path}` | {kind} | {} |", short(description)).unwrap();
        fields(field, &path, out);
        if let Some(items) = field.get("items") {
            fields(items, &format!("{path}[]"), out);
        }
    }
}

fn field_table(plural: &str) -> String {
    let crd = api::crd::all()
        .into_iter()
        .map(|crd| serde_json::to_value(crd).unwrap())
        .find(|crd| crd["spec"]["names"]["plural"] == plural)
        .expect("the definition exists");
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut table = "| field | type | meaning |\n|---|---|---|\n".to_owned();
    fields(schema, "", &mut table);
    table
}

// One test: the cases write the same file when they update it.
#[tokio::test]
async fn generated_tables_match_the_code() {
    check("target-fields", &field_table("publishtargets"));
    check("route-fields", &field_table("alertroutes"));
    check("flags", &flag_table());
    check("metrics", &metric_table().await);
}

fn flag_table() -> String {
    let mut table = "| flag | default | meaning |\n|---|---|---|\n".to_owned();
    let mut cli = Cli::command();
    let run = cli.find_subcommand_mut("run").expect("run exists");
    for flag in run.get_arguments() {
        let Some(long) = flag.get_long().filter(|long| *long != "help") else { continue };
        let environment = flag.get_env().expect("each flag has a variable").to_string_lossy();
        let wanted = format!("FANFARE_{}", long.to_uppercase().replace('-', "_"));
        assert_eq!(environment, wanted, "variable of --{long}");
        let default: Vec<_> =
            flag.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let default = if default.join("").is_empty() {
            String::new()
        } else {
            format!("`{}`", default.join(","))
        };
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        assert!(!help.is_empty(), "--{long} is described");
        writeln!(table, "| `--{long}` | {default} | {} |", short(&help)).unwrap();
    }
    table
}

/// A target that nothing reaches, so that something waits.
const AWAY: &str = r"
apiVersion: fanfare.dev/v1alpha1
kind: PublishTarget
metadata: {name: away}
spec: {type: Webhook, webhook: {url: 'http://127.0.0.1:9/'}}
---
apiVersion: fanfare.dev/v1alpha1
kind: AlertRoute
metadata: {name: away}
spec: {scope: Cluster, targets: [{name: away}]}
";

/// From a scrape of the real program, with a target that was asked and told and one that is away: every
/// family is there.
async fn metric_table() -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(root("examples/hello.yaml"), dir.path().join("hello.yaml")).unwrap();
    fs::write(dir.path().join("away.yaml"), AWAY).unwrap();
    let operator = Launch::with_manifests(dir.path()).start_ready().await;
    post(&operator.intake_url("/api/v2/alerts"), &json!([{"labels": {"alertname": "A"}}])).await;
    let url = operator.admin_url("/metrics");
    let text =
        wait_for_value("one target was told, one is away", Duration::from_secs(20), || async {
            let text = get(&url).await.text();
            let seen = [
                "fanfare_target_healthy{",
                "fanfare_target_last_success_timestamp_seconds{",
                "fanfare_owed_oldest_age_seconds{",
            ];
            seen.iter().all(|part| text.contains(part)).then_some(text)
        })
        .await;
    let mut rows: Vec<(String, String, String, String)> = Vec::new();
    for line in text.lines() {
        if let Some((name, help)) =
            line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '))
        {
            rows.push((name.to_owned(), String::new(), help.to_owned(), String::new()));
        } else if let Some((_, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            rows.last_mut().expect("TYPE follows HELP").1 = kind.into();
        } else if let Some((_, rest)) = line.split_once('{') {
            let row = rows.last_mut().expect("samples follow HELP");
            let labels: Vec<_> = rest
                .split(',')
                .filter_map(|pair| pair.split_once("=\"").map(|(label, _)| label))
                .filter(|label| *label != "le")
                .collect();
            if row.3.is_empty() {
                row.3 = labels.join(", ");
            }
        }
    }
    rows.sort();
    let mut table = "| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, kind, help, labels) in rows {
        let name = if kind == "counter" { format!("{name}_total") } else { name };
        let help = help.trim_end_matches('.');
        writeln!(table, "| `{name}` | {kind} | {labels} | {} |", short(help)).unwrap();
    }
    table
}

#[test]
fn every_reason_of_a_condition_is_explained() {
    let text = readme();
    for reason in Reason::ALL {
        assert!(
            text.contains(&format!("| `{reason}` |")),
            "README.md explains no reason {reason}: add a row to its table of conditions"
        );
    }
}

#[test]
fn the_target_and_route_of_the_readme_are_the_example() {
    let example = fs::read_to_string(root("examples/hello.yaml")).unwrap();
    let lines = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.trim_start().starts_with('#')).map(str::to_owned).collect()
    };
    let text = readme();
    let block = text
        .split("```yaml\n")
        .find(|block| block.starts_with("apiVersion: fanfare.dev"))
        .and_then(|block| block.split("```").next())
        .expect("the README shows a target and a route");
    assert_eq!(lines(block), lines(&example));
    assert!(lines(block).len() <= 25);
}

#[test]
fn commands_of_the_dockerfile_exist() {
    let file = fs::read_to_string(root("Dockerfile")).unwrap();
    let own = |line: &str| line.split_once("./target/release/fanfare ").map(|it| it.1.to_owned());
    let built: Vec<_> = file.lines().filter_map(own).collect();
    let started = file.lines().find_map(|line| line.strip_prefix("CMD ")).expect("a command");
    let started: Vec<String> = serde_json::from_str(started).unwrap();
    assert!(!built.is_empty());
    for words in built.iter().map(String::as_str).chain([&*started.join(" ")]) {
        let arguments = ["fanfare"].into_iter().chain(words.split_whitespace());
        assert!(Cli::try_parse_from(arguments).is_ok(), "fanfare {words}");
    }
}
