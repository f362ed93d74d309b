//! The chart on a real API server. There is no kubelet: pods are admitted, never started.

use std::fs;
use std::process::Output;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::rendering::{copy_of_the_chart, notes};
use super::{Bed, NAMESPACE, SETS, only, parse};
use crate::support::controlplane::ControlPlane;
use crate::support::program::{run_with_input, stdout_of};
use crate::support::wait::wait_for;

/// One server for these tests, not the one of the whole run: here Helm owns the definitions.
static SERVER: OnceLock<Option<Bed>> = OnceLock::new();

/// Verb; API group and resource, with `/subresource` or `#name`; namespace, empty for all.
type Action = (&'static str, &'static str, &'static str);

// === impl Bed ===

impl Bed {
    /// Programs and an API server that knows the prometheus-operator's kinds and the namespaces of the value sets.
    pub(super) fn server() -> Option<&'static Self> {
        let programs = Self::programs()?;
        let start = || {
            let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::own()?));
            let bed = Self { plane: Some(plane), ..programs };
            let file = "tests/chart/monitoring-crds.yaml";
            bed.kubectl(&["apply", "--server-side", "-f", file]);
            let established = ["wait", "--for=condition=Established", "--timeout=30s"];
            bed.kubectl(&[&established[..], &["-f", file]].concat());
            for namespace in [NAMESPACE, "team-a", "team-b"] {
                bed.namespace(namespace);
            }
            Some(bed)
        };
        SERVER.get_or_init(start).as_ref()
    }

    /// Runs kubectl as admin, panics unless it succeeds, and answers what it printed.
    pub(super) fn kubectl(&self, args: &[&str]) -> String {
        stdout_of(&self.try_kubectl(args, ""))
    }

    fn try_kubectl(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.tool("kubectl");
        command.args(args);
        run_with_input(command, input)
    }

    /// Creates a namespace that enforces restricted pod security.
    fn namespace(&self, name: &str) {
        self.kubectl(&["create", "namespace", name]);
        let enforce = "pod-security.kubernetes.io/enforce=restricted";
        self.kubectl(&["label", "namespace", name, enforce]);
    }

    fn dry_run(&self, yaml: &str) -> Output {
        let strict = ["apply", "--server-side", "--validate=strict", "--dry-run=server"];
        self.try_kubectl(&[&strict[..], &["-f", "-"]].concat(), yaml)
    }

    /// The `StatefulSet` of a release.
    fn stateful_set(&self, namespace: &str) -> Value {
        let get = ["get", "statefulset", "fanfare", "-o", "json", "-n", namespace];
        serde_json::from_str(&self.kubectl(&get)).unwrap()
    }

    /// Whether the account of release `fanfare` in `release` may do something: the server's own answer, which unlike
    /// `kubectl auth can-i` does not depend on the definitions.
    fn may(&self, release: &str, (verb, what, place): Action) -> bool {
        let (group, resource) = what.rsplit_once(' ').unwrap_or(("", what));
        let (resource, name) = resource.split_once('#').unwrap_or((resource, ""));
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {
                "user": format!("system:serviceaccount:{release}:fanfare"),
                "groups": ["system:authenticated", "system:serviceaccounts"],
                "resourceAttributes": {
                    "verb": verb, "group": group, "resource": resource, "subresource": subresource,
                    "name": name, "namespace": place,
                },
            },
        });
        let create = ["create", "-f", "-", "-o", "jsonpath={.status.allowed}"];
        stdout_of(&self.try_kubectl(&create, &review.to_string())) == "true"
    }

    /// Waits until it may, or may not: the server learns of roles a moment after they are written.
    async fn wait_may(&self, release: &str, action: Action, yes: bool) {
        let what = format!("{release}: {action:?}: {yes}");
        let within = Duration::from_mins(1);
        wait_for(&what, within, || async { self.may(release, action) == yes }).await;
    }
}

#[test]
fn server_accepts_every_object_of_every_value_set() {
    let Some(bed) = Bed::server() else { return };
    for set in SETS {
        let output = bed.dry_run(&bed.template(set, &[]));
        stdout_of(&output);
        let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(warnings, "", "{set}");
    }
}

#[test]
fn server_refuses_a_field_that_does_not_exist() {
    let Some(bed) = Bed::server() else { return };
    for (template, field) in [("servicemonitor", "scrapeTimeout:"), ("statefulset", "env:")] {
        let file = format!("templates/{template}.yaml");
        let yaml = bed.template("everything", &["-s", &file]);
        assert!(yaml.contains(field), "{yaml}");
        let output = bed.dry_run(&yaml.replace(field, "nonsense:"));
        assert!(!output.status.success(), "{template}");
    }
}

#[test]
fn pod_is_admitted_under_restricted_pod_security() {
    let Some(bed) = Bed::server() else { return };
    let create = ["create", "--dry-run=server", "-f", "-"];
    for set in SETS {
        let mut pod = pod(only(&bed.render(set, &[]), "StatefulSet"));
        stdout_of(&bed.try_kubectl(&create, &pod.to_string()));
        pod["spec"]["containers"][0]["securityContext"]["capabilities"] = json!({});
        let refused = bed.try_kubectl(&create, &pod.to_string());
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(message.contains("violates PodSecurity"), "{set}: {message}");
    }
}

#[tokio::test]
async fn upgrade_to_a_newer_chart_with_other_values_is_accepted() {
    let Some(bed) = Bed::server() else { return };
    bed.namespace("upgrade");
    let place = ["-n", "upgrade", "--set", "crds.enabled=false"];
    let old = [&["install", "fanfare", "charts/fanfare"], &place[..]].concat();
    stdout_of(&bed.helm(&old));
    let before = bed.stateful_set("upgrade");
    let elsewhere = ("list", "fanfare.dev publishtargets", "team-b");
    bed.wait_may("upgrade", elsewhere, true).await;

    let dir = tempfile::tempdir().unwrap();
    let newer = copy_of_the_chart(dir.path());
    let file = format!("{newer}/Chart.yaml");
    let chart = fs::read_to_string(&file).unwrap();
    let chart = chart.replace("\nversion: ", "\nversion: 9");
    fs::write(&file, chart.replace("appVersion: \"", "appVersion: \"9")).unwrap();
    let values = "api.expose=true,api.existingTokenSecret=t,commonLabels.a=b,rbac.mode=namespaced";
    let new = [&["upgrade", "fanfare", &newer], &place[..], &["--set", values]].concat();
    stdout_of(&bed.helm(&new));
    let after = bed.stateful_set("upgrade");
    let image = "/spec/template/spec/containers/0/image";
    assert_ne!(before.pointer(image), after.pointer(image));
    bed.wait_may("upgrade", elsewhere, false).await;
}

#[test]
fn volume_grows_as_the_runbook_says() {
    let Some(bed) = Bed::server() else { return };
    bed.namespace("resize");
    let args = ["fanfare", "charts/fanfare", "-n", "resize", "--set", "crds.enabled=false"];
    stdout_of(&bed.helm(&[&["install"], &args[..]].concat()));
    let bigger = [&["upgrade"], &args[..], &["--set", "persistence.size=5Gi"]].concat();
    assert!(!bed.helm(&bigger).status.success(), "the claim template is immutable");
    // Orphaning its pod needs the garbage collector, which is not here.
    bed.kubectl(&["delete", "statefulset", "fanfare", "-n", "resize"]);
    stdout_of(&bed.helm(&bigger));
    let size = "/spec/volumeClaimTemplates/0/spec/resources/requests/storage";
    assert_eq!(bed.stateful_set("resize").pointer(size), Some(&json!("5Gi")));
}

#[test]
fn definitions_serve_the_notes_objects_and_outlive_the_release() {
    let Some(bed) = Bed::server() else { return };
    bed.namespace("life");
    let install = ["install", "fanfare", "charts/fanfare", "-n", "life"];
    stdout_of(&bed.helm(&install));
    let definitions = ["publishtargets.fanfare.dev", "alertroutes.fanfare.dev"];
    let wait = ["wait", "--for=condition=Established", "--timeout=30s", "crd"];
    bed.kubectl(&[&wait[..], &definitions].concat());

    let notes = notes(bed, "default");
    let yaml = notes.split_once("<<'EOF'\n").unwrap().1;
    let yaml = yaml.split_once("\nEOF\n").unwrap().0;
    assert_eq!(parse(yaml).len(), 2);
    stdout_of(&bed.dry_run(yaml));

    stdout_of(&bed.helm(&["uninstall", "fanfare", "-n", "life"]));
    let gone = ["get", "statefulset", "fanfare", "-n", "life"];
    assert!(!bed.try_kubectl(&gone, "").status.success());
    bed.kubectl(&[&["get", "crd"], &definitions[..]].concat());
    stdout_of(&bed.helm(&install));
}

#[tokio::test]
async fn account_may_do_what_it_needs_and_no_more() {
    let Some(bed) = Bed::server() else { return };
    bed.namespace("rights");
    let listed = "rbac.secretNamespaces={rights,team-a}";
    let place = ["-n", "rights", "--set", "crds.enabled=false", "--set", listed];
    stdout_of(&bed.helm(&[&["install", "fanfare", "charts/fanfare"], &place[..]].concat()));
    for action in [
        ("watch", "fanfare.dev publishtargets", ""),
        ("list", "fanfare.dev alertroutes", ""),
        ("patch", "fanfare.dev publishtargets/status", ""),
        ("create", "events.k8s.io events", ""),
        ("watch", "namespaces", ""),
        ("get", "secrets#slack", "rights"),
        ("get", "secrets#slack", "team-a"),
        ("get", "configmaps#ca", "team-a"),
        ("create", "coordination.k8s.io leases", "rights"),
        ("update", "coordination.k8s.io leases#fanfare", "rights"),
    ] {
        bed.wait_may("rights", action, true).await;
    }
    for action in [
        ("get", "secrets#slack", "team-b"),
        ("get", "secrets", ""),
        ("list", "secrets", "rights"),
        ("get", "namespaces", ""),
        ("get", "fanfare.dev publishtargets", ""),
        ("watch", "secrets", "team-a"),
        ("list", "configmaps", "team-a"),
        ("patch", "fanfare.dev publishtargets", ""),
        ("create", "fanfare.dev alertroutes", "rights"),
        ("delete", "fanfare.dev publishtargets", "rights"),
        ("update", "coordination.k8s.io leases#other", "rights"),
        ("get", "coordination.k8s.io leases#fanfare", "team-a"),
        ("delete", "coordination.k8s.io leases#fanfare", "rights"),
        ("get", "pods", "rights"),
        ("create", "serviceaccounts/token", "rights"),
        ("update", "apiextensions.k8s.io customresourcedefinitions", ""),
    ] {
        assert!(!bed.may("rights", action), "{action:?} is granted");
    }
}

/// The pod that the `StatefulSet`'s controller would create.
fn pod(set: &Value) -> Value {
    let mut pod = set["spec"]["template"].clone();
    let claims = set["spec"]["volumeClaimTemplates"].as_array();
    for claim in claims.into_iter().flatten() {
        let name = &claim["metadata"]["name"];
        let volume = json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
        let volumes = &mut pod["spec"]["volumes"];
        match volumes.as_array_mut() {
            Some(volumes) => volumes.push(volume),
            None => *volumes = json!([volume]),
        }
    }
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("trial");
    pod["metadata"]["namespace"] = set["metadata"]["namespace"].clone();
    pod
}
