//! Lint, custom resource definitions, monitoring objects and notes.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Bed, NAMESPACE, SETS, of_kind, only, parse, read, values_file};
use crate::support::program::stdout_of;

/// What makes `auto` find the kinds of the prometheus-operator.
const MONITORED: [&str; 4] = [
    "--api-versions",
    "monitoring.coreos.com/v1/ServiceMonitor",
    "--api-versions",
    "monitoring.coreos.com/v1/PrometheusRule",
];

#[test]
fn lint_finds_nothing() {
    let Some(bed) = Bed::programs() else { return };
    for set in SETS {
        let said =
            stdout_of(&bed.helm(&["lint", "--strict", "charts/fanfare", "-f", &values_file(set)]));
        assert!(said.contains("0 chart(s) failed"), "{set}: {said}");
        assert!(!said.contains("[WARNING]"), "{set}: {said}");
    }
}

#[test]
fn definitions_are_the_generated_ones_and_are_kept() {
    let Some(bed) = Bed::programs() else { return };
    let mut rendered = bed.render("default", &[]);
    rendered.retain(|object| object["kind"] == "CustomResourceDefinition");
    for (name, object) in ["alertroutes", "publishtargets"].iter().zip(&mut rendered) {
        let annotations = object["metadata"].as_object_mut().unwrap().remove("annotations");
        assert_eq!(annotations, Some(json!({"helm.sh/resource-policy": "keep"})));
        let file = read(&format!("charts/fanfare/files/crds/{name}.fanfare.dev.yaml"));
        assert_eq!(object, &parse(&file)[0], "{name}");
    }
    assert_eq!(rendered.len(), 2);
    let dropped = bed.render("default", &["--set", "crds.keep=false"]);
    for object in of_kind(&dropped, "CustomResourceDefinition") {
        assert_eq!(object["metadata"]["annotations"], Value::Null);
    }
    let none = bed.render("default", &["--set", "crds.enabled=false"]);
    assert!(of_kind(&none, "CustomResourceDefinition").is_empty());
}

#[test]
fn definition_text_is_not_changed_on_its_way() {
    let Some(bed) = Bed::programs() else { return };
    let dir = tempfile::tempdir().unwrap();
    let chart = copy_of_the_chart(dir.path());
    let tricky = "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
                  metadata:\n  annotations:\n    a: b\n  name: x\nspec:\n  n: 16777216\n  \
                  metadata:\n    description: 'like {{ .Values.x }} and \"$1\"'\n";
    for name in ["alertroutes", "publishtargets"] {
        fs::write(format!("{chart}/files/crds/{name}.fanfare.dev.yaml"), tricky).unwrap();
    }
    let only_crds = ["template", "x", &chart, "-s", "templates/crds.yaml"];
    let mut expected = parse(tricky).remove(0);
    expected["metadata"]["annotations"]["helm.sh/resource-policy"] = json!("keep");
    for object in parse(&stdout_of(&bed.helm(&only_crds))) {
        assert_eq!(object, expected);
    }
    fs::write(format!("{chart}/files/crds/alertroutes.fanfare.dev.yaml"), "kind: {}\n").unwrap();
    let refused = bed.helm(&only_crds);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("fanfare crd --output-dir"));
}

#[test]
fn monitoring_objects_appear_where_their_kinds_exist() {
    let Some(bed) = Bed::programs() else { return };
    for kind in ["ServiceMonitor", "PrometheusRule"] {
        assert!(of_kind(&bed.render("default", &[]), kind).is_empty());
        only(&bed.render("default", &MONITORED), kind);
        let never = ["--set", "metrics.serviceMonitor.mode=never,prometheusRule.mode=never"];
        let args = [&MONITORED[..], &never[..]].concat();
        assert!(of_kind(&bed.render("default", &args), kind).is_empty());
    }
}

#[test]
fn service_monitor_selects_one_service_and_its_metrics_port() {
    let Some(bed) = Bed::programs() else { return };
    let objects = bed.render("everything", &[]);
    let spec = &only(&objects, "ServiceMonitor")["spec"];
    let wanted = spec["selector"]["matchLabels"].as_object().unwrap();
    let selected: Vec<_> = of_kind(&objects, "Service")
        .into_iter()
        .filter(|service| {
            let labels = service["metadata"]["labels"].as_object().unwrap();
            wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
        })
        .collect();
    assert_eq!(selected.len(), 1, "{wanted:?}");
    let port = &selected[0]["spec"]["ports"][0];
    assert_eq!(port["name"], spec["endpoints"][0]["port"]);
    assert_eq!(port["targetPort"], "admin");
}

#[test]
fn rules_are_those_of_the_file() {
    let Some(bed) = Bed::programs() else { return };
    let file = &parse(&read("charts/fanfare/files/rules.yaml"))[0];
    let rendered = bed.render("default", &MONITORED);
    assert_eq!(only(&rendered, "PrometheusRule")["spec"], *file);
}

#[test]
fn rules_obey_the_values() {
    let Some(bed) = Bed::programs() else { return };
    let objects = bed.render("everything", &[]);
    let rules = &only(&objects, "PrometheusRule")["spec"]["groups"][0]["rules"];
    let rules = rules.as_array().unwrap();
    assert_eq!(rules.len(), 12, "one of thirteen is disabled");
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        assert_ne!(name, "WatchStalled");
        let url = format!("https://runbooks.example/fanfare/{name}.md");
        assert_eq!(rule["annotations"]["runbook_url"], url);
        assert_eq!(rule["labels"]["team"], "sre");
        let info = rule["labels"]["severity"] == "info";
        assert_eq!(info, name == "TargetUnhealthy", "{rule}");
    }
}

#[test]
fn notes_give_the_next_commands_and_prometheus_configuration() {
    let Some(bed) = Bed::programs() else { return };
    let notes = notes(&bed, "default");
    for line in [
        "kubectl -n monitoring rollout status statefulset/fanfare",
        "kubectl apply -f - <<'EOF'",
        "kubectl get publishtargets,alertroutes --all-namespaces",
        "- API: `kubectl -n monitoring port-forward statefulset/fanfare 9094`, then http://127.0.0.1:9094.",
    ] {
        assert!(notes.lines().any(|have| have == line), "no {line:?} in:\n{notes}");
    }
    let plain = &parse(block(&notes, "alerting:\n"))[0]["alerting"]["alertmanagers"][0];
    let host = json!([{"targets": ["fanfare.monitoring.svc:9093"]}]);
    assert_eq!((&plain["static_configs"], &plain["api_version"]), (&host, &json!("v2")));
    let operator = &parse(block(&notes, "spec:\n  alerting:\n"))[0]["spec"]["alerting"];
    let endpoint = json!({
        "namespace": "monitoring", "name": "fanfare", "port": "intake", "apiVersion": "v2",
    });
    assert_eq!(operator["alertmanagers"], json!([endpoint]));
}

#[test]
fn notes_say_what_the_values_mean() {
    let Some(bed) = Bed::programs() else { return };
    for (set, words) in [
        ("default", ["those of all namespaces are served", "scope: Cluster"]),
        ("namespaced", ["only those of the namespaces team-a, team-b", "  namespace: team-a\n"]),
        ("exposed-api", ["http://fanfare.monitoring.svc:9094", "credentials_file:"]),
        ("default", ["is on the volume \"data-fanfare-0\"", "/api/v1/deadletters`, after"]),
        ("exposed-api", ["Size 1Gi: when", "/api/v1/deadletters` with the token"]),
        ("no-volume", ["NO VOLUME", "Fanfare may read none"]),
        ("everything", ["fanfare-full.monitoring.svc:19093", "NOTHING RUNS"]),
    ] {
        let notes = notes(&bed, set);
        for word in words {
            assert!(notes.contains(word), "{set}: no {word:?} in:\n{notes}");
        }
    }
    assert!(!notes(&bed, "no-volume").contains("is on the volume"));
    let closed = notes(&bed, "namespaced");
    assert!(!closed.contains("scope: Cluster\n"), "it is not permitted there:\n{closed}");
}

/// What `helm install` would print after the objects.
pub(super) fn notes(bed: &Bed, set: &str) -> String {
    let values = values_file(set);
    let output = bed.helm(&[
        "install",
        "fanfare",
        "charts/fanfare",
        "--dry-run=client",
        "-n",
        NAMESPACE,
        "-f",
        &values,
    ]);
    let said = stdout_of(&output);
    said.split_once("\nNOTES:\n").expect("the chart has notes").1.to_owned()
}

/// The text from the line `start` to the next empty line.
fn block<'a>(notes: &'a str, start: &str) -> &'a str {
    let from = notes.find(&format!("\n{start}")).expect("the block exists");
    notes[from..].trim_start().split("\n\n").next().unwrap()
}

/// Copies the chart into `dir` and answers where it is.
pub(super) fn copy_of_the_chart(dir: &Path) -> String {
    let copied = Command::new("cp")
        .args(["-r", "charts/fanfare"])
        .arg(dir)
        .current_dir(super::root())
        .status();
    assert!(copied.unwrap().success());
    dir.join("fanfare").display().to_string()
}
