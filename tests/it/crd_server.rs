//! The custom resources on a real API server: what it refuses, defaults, selects, prints and explains.

use serde_json::{Value, json};

use crate::{
    refusals::{Refusal, accepted, mutations, object, offline},
    support::controlplane::ControlPlane,
};

/// The shared control plane with the definitions installed; `None` where no servers were built.
fn plane() -> Option<&'static ControlPlane> {
    let plane = ControlPlane::shared()?;
    plane.install_crds();
    Some(plane)
}

/// Asserts that the API server refuses a row of a table with the row's message.
pub(crate) fn refused(table: &'static [Refusal], name: &str) {
    let Some(plane) = plane() else { return };
    let row = Refusal::find(table, name);
    let verb = match row.old {
        None => "create",
        Some(old) => {
            ok(plane, &["apply", "-f", "-"], &row.object(old));
            "replace"
        }
    };
    let args = [verb, "--dry-run=server", "--validate=strict", "-f", "-"];
    let output = plane.kubectl_with(&args, &row.object(row.spec).to_string());
    let said = text(&output.stderr);
    assert!(!output.status.success(), "{name}: accepted");
    assert!(said.contains(row.message), "{name}: expected {:?} in:\n{said}", row.message);
}

#[tokio::test]
async fn both_validators_agree_on_every_accident() {
    let Some(plane) = plane() else { return };
    let client = plane.client().await;
    for object in mutations() {
        let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
        let path = format!("/apis/fanfare.dev/v1alpha1/namespaces/default/{plural}");
        let request = http::Request::post(path + "?dryRun=All&fieldValidation=Strict")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(object.to_string().into_bytes())
            .unwrap();
        let server = match client.request::<Value>(request).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) => Err(status.message),
            Err(error) => panic!("cannot ask the server: {error}"),
        };
        let offline = offline(&object, None);
        assert_eq!(server.is_ok(), offline.is_ok(), "{object}\n{server:?}\n{offline:?}");
    }
}

#[test]
fn what_lies_within_the_limits_is_accepted() {
    let Some(plane) = plane() else { return };
    for object in accepted() {
        ok(plane, &["create", "--dry-run=server", "-f", "-"], &object);
    }
}

#[test]
fn examples_are_accepted() {
    let Some(plane) = plane() else { return };
    let namespace = namespace(plane, "examples");
    for directory in ["examples", "examples/quickstart"] {
        let path = format!("{}/{directory}", env!("CARGO_MANIFEST_DIR"));
        let apply = ["-n", namespace, "apply", "--dry-run=server", "--validate=strict"];
        quiet(plane, &[&apply[..], &["-f", &path]].concat());
    }
}

#[test]
fn definitions_apply_from_either_side_without_a_warning() {
    let Some(plane) = plane() else { return };
    let path = format!("{}/crds", env!("CARGO_MANIFEST_DIR"));
    let strict = ["apply", "--dry-run=server", "--validate=strict", "-f", &path];
    quiet(plane, &strict);
    let mut server_side = strict.to_vec();
    server_side.extend(["--server-side", "--force-conflicts"]);
    quiet(plane, &server_side);
}

#[test]
fn a_new_object_waits_for_the_operator() {
    let Some(plane) = plane() else { return };
    let namespace = namespace(plane, "status-default");
    let log = object("PublishTarget", "t", &json!({"type": "Log"}));
    let route = object("AlertRoute", "r", &json!({"targets": [{"name": "t"}]}));
    for (object, conditions) in [
        (log, vec!["Ready", "Healthy", "Delivering"]),
        (route, vec!["Accepted", "ResolvedRefs", "Ready", "Healthy"]),
    ] {
        let args = ["-n", namespace, "create", "-o", "json", "-f", "-"];
        let created: Value = serde_json::from_str(&ok(plane, &args, &object)).unwrap();
        let found = created["status"]["conditions"].as_array().unwrap();
        let types: Vec<_> = found.iter().map(|c| c["type"].as_str().unwrap()).collect();
        assert_eq!(types, conditions);
        for condition in found {
            assert_eq!(condition["status"], "Unknown");
            assert_eq!(condition["reason"], "Pending");
        }
        assert_eq!(created["spec"]["suspend"], false);
    }
}

#[test]
fn a_null_is_dropped() {
    let Some(plane) = plane() else { return };
    let namespace = namespace(plane, "nulls");
    let spec = json!({"type": "Log", "webhook": null, "delivery": {"timeout": null}});
    let args = ["-n", namespace, "create", "-o", "json", "-f", "-"];
    let created = ok(plane, &args, &object("PublishTarget", "nulls", &spec));
    let created: Value = serde_json::from_str(&created).unwrap();
    assert_eq!(created["spec"].get("webhook"), None);
    assert_eq!(created["spec"]["delivery"], json!({}));
}

#[test]
fn suspended_targets_can_be_selected() {
    let Some(plane) = plane() else { return };
    let namespace = namespace(plane, "selectable");
    for (name, suspend) in [("held", true), ("free", false)] {
        let spec = json!({"type": "Log", "suspend": suspend});
        let args = ["-n", namespace, "create", "-f", "-"];
        ok(plane, &args, &object("PublishTarget", name, &spec));
    }
    for (selector, expected) in [
        ("spec.suspend=true", "publishtarget.fanfare.dev/held\n"),
        ("spec.suspend=false", "publishtarget.fanfare.dev/free\n"),
        ("spec.type=Slack", ""),
    ] {
        let args = ["-n", namespace, "get", "ptgt", "-o", "name", "--field-selector", selector];
        assert_eq!(plane.kubectl_ok(&args), expected, "{selector}");
    }
}

/// A condition as the operator writes it.
fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message,
           "observedGeneration": 1, "lastTransitionTime": "2026-01-02T03:04:05Z"})
}

/// Creates an object and writes its status the way the operator does.
fn create_with_status(plane: &ControlPlane, namespace: &str, object: &mut Value, status: Value) {
    ok(plane, &["-n", namespace, "create", "-f", "-"], object);
    object["status"] = status;
    let apply = ["-n", namespace, "apply", "--server-side", "--subresource=status"];
    let owner = ["--field-manager=fanfare-status", "--force-conflicts", "-f", "-"];
    ok(plane, &[&apply[..], &owner].concat(), object);
}

/// Asserts what `kubectl get` prints for one object: headings, the first cells, at most 90 characters.
fn assert_columns(table: &str, headings: &[&str], cells: &[&str]) {
    let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0], headings);
    assert_eq!(rows[1][..cells.len()], *cells);
    let widest = table.lines().map(str::len).max();
    assert!(widest <= Some(90), "{widest:?} characters wide:\n{table}");
}

#[test]
fn columns_of_a_target_tell_its_state() {
    let Some(plane) = plane() else { return };
    let namespace = namespace(plane, "columns-target");
    let name = "pagerduty-production";
    let reference = json!({"name": "s", "key": "k"});
    let spec = json!({"type": "PagerDuty", "pagerDuty": {"routingKeySecretRef": reference}});
    let status = json!({
        "observedGeneration": 1,
        "conditions": [
            condition("Ready", "True", "Registered", "registered"),
            condition("Healthy", "False", "AuthenticationFailed", "HTTP 401 from events.pagerduty.com")
        ],
        "endpoint": "events.pagerduty.com",
        "health": {"state": "Unhealthy", "since": "2026-01-02T03:04:05Z", "latency": "182ms"},
        "circuit": {"state": "HalfOpen", "since": "2026-01-02T03:04:05Z"},
        "lastError": {"time": "2026-01-02T03:04:05Z", "reason": "AuthenticationFailed", "httpStatus": 401}
    });
    create_with_status(plane, namespace, &mut object("PublishTarget", name, &spec), status);

    assert_columns(
        &plane.kubectl_ok(&["-n", namespace, "get", "publishtargets"]),
        &["NAME", "TYPE", "READY", "HEALTHY", "REASON", "SINCE", "AGE"],
        &[name, "PagerDuty", "True", "False", "AuthenticationFailed"],
    );
    let wide = plane.kubectl_ok(&["-n", namespace, "get", "ptgt", "-o", "wide"]);
    let rows: Vec<Vec<&str>> = wide.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0][7..], ["STATE", "CIRCUIT", "ENDPOINT", "SUSPENDED", "MESSAGE"], "{wide}");
    assert_eq!(rows[1][7..10], ["Unhealthy", "HalfOpen", "events.pagerduty.com"], "{wide}");
    assert!(wide.contains("HTTP 401 from"), "{wide}");
    let category = plane.kubectl_ok(&["-n", namespace, "get", "fanfare", "-o", "name"]);
    assert_eq!(category, format!("publishtarget.fanfare.dev/{name}\n"));
    let wait = ["wait", "--timeout=5s", "--for=condition=Ready", "ptgt", "--all"];
    plane.kubectl_ok(&[&["-n", namespace][..], &wait].concat());
}

#[test]
fn columns_of_a_route_tell_its_state() {
    let Some(plane) = plane() else { return };
    let namespace = namespace(plane, "columns-route");
    let name = "critical-to-everyone";
    let spec = json!({"scope": "Cluster", "targets": [{"name": "t"}]});
    let status = json!({
        "conditions": [
            condition("Ready", "True", "Accepted", "routes to 3 targets"),
            condition("Healthy", "False", "SomeTargetsUnhealthy", "2 of 3 targets healthy")
        ],
        "targets": {"total": 3, "healthy": 2, "summary": "2/3"},
        "matcherSummary": "{severity=\"critical\"}"
    });
    create_with_status(plane, namespace, &mut object("AlertRoute", name, &spec), status);

    assert_columns(
        &plane.kubectl_ok(&["-n", namespace, "get", "alertroutes"]),
        &["NAME", "SCOPE", "READY", "TARGETS", "HEALTHY", "REASON", "AGE"],
        &[name, "Cluster", "True", "2/3", "False", "SomeTargetsUnhealthy"],
    );
    let wide = plane.kubectl_ok(&["-n", namespace, "get", "aroute", "-o", "wide"]);
    for part in ["PRIORITY", "MATCHERS", "SUSPENDED", "MESSAGE", "{severity=", "routes to 3"] {
        assert!(wide.contains(part), "{part} is missing in:\n{wide}");
    }
}

#[test]
fn explain_shows_the_manual() {
    let Some(plane) = plane() else { return };
    for (field, expected) in [
        ("publishtarget", "one receiver of alerts"),
        ("publishtarget.spec.healthCheck.interval", "Default: 60s."),
        ("alertroute.spec.scope", "--cluster-route-namespaces"),
        ("aroute.status.conditions", "every target that it names exists"),
    ] {
        // The manual is printed in lines; which words share a line is not its content.
        let printed = plane.kubectl_ok(&["explain", field]);
        let printed = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(printed.contains(expected), "{field}: {printed}");
    }
    let tree = plane.kubectl_ok(&["explain", "--recursive", "publishtarget"]);
    assert!(!tree.contains("<empty>"), "{tree}");
}

/// A namespace of the test's own.
fn namespace<'a>(plane: &ControlPlane, name: &'a str) -> &'a str {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    ok(plane, &["create", "-f", "-"], &namespace);
    name
}

/// Runs a command that must succeed on an object and answers what it printed.
fn ok(plane: &ControlPlane, args: &[&str], object: &Value) -> String {
    let output = plane.kubectl_with(args, &object.to_string());
    let said = text(&output.stderr);
    assert!(output.status.success(), "kubectl {args:?} < {object}:\n{said}");
    text(&output.stdout)
}

/// Runs a command that must succeed without a warning, but for the one about a first client-side apply of an
/// object that was applied server-side before.
fn quiet(plane: &ControlPlane, args: &[&str]) {
    let output = plane.kubectl(args);
    let said = text(&output.stderr);
    assert!(output.status.success(), "kubectl {args:?}:\n{said}");
    let mut warnings = said.lines().filter(|line| !line.contains("last-applied-configuration"));
    assert_eq!(warnings.next(), None, "kubectl {args:?} warns");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
