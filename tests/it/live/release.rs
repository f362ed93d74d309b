//! An installed chart and the rights of its operator.

use std::{collections::BTreeSet, path::PathBuf};

use serde_json::{Value, json};

use super::rig::SOON;
use crate::support::{
    audit::Request, controlplane::ControlPlane, operator::Launch, program::stdout_of,
    wait::wait_for,
};

/// What of the chart's arguments [`Launch`] sets itself.
const OWN_FLAGS: [&str; 5] =
    ["--intake-listen", "--api-listen", "--admin-listen", "--data-dir", "--log-format"];

/// One right, or one use of it: verb, `group/resource[/subresource]`, namespace (empty: all of them).
pub(super) type Right = (String, String, String);

/// The release `fanfare` of one namespace.
pub(super) struct Release {
    namespace: String,
    kubeconfig: PathBuf,
    args: Vec<String>,
    start: u64,
}

// === impl Release ===

impl Release {
    /// Installs the chart into a namespace that exists.
    pub(super) async fn install(plane: &ControlPlane, namespace: &str, values: &[&str]) -> Self {
        let start = plane.audit_position();
        let mut helm = plane.tool("helm");
        helm.args(["install", "fanfare", "charts/fanfare", "-n", namespace, "--set", "replicas=0"]);
        for value in values {
            helm.args(["--set", value]);
        }
        stdout_of(&helm.output().expect("helm was built"));
        Self::installed(plane, namespace, start).await
    }

    /// Takes over what somebody installed after `start` of the audit log.
    pub(super) async fn installed(plane: &ControlPlane, namespace: &str, start: u64) -> Self {
        let token = plane.token(namespace, "fanfare").await;
        let release = Self {
            namespace: namespace.to_owned(),
            kubeconfig: plane.kubeconfig_for_token(&token, namespace),
            args: arguments(plane, namespace),
            start,
        };
        // The authorizer learns of a release's roles by a watch, a moment after helm has ended.
        let account = format!("--as={}", release.account());
        for (verb, what, place) in release.granted(plane) {
            let (group, resource) = what.split_once('/').expect("group and resource");
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let name = if resource == "leases" && verb != "create" { "/fanfare" } else { "" };
            let resource = format!("{resource}.{group}");
            let resource = format!("{}{name}", resource.trim_end_matches('.'));
            let within = if place.is_empty() { "default" } else { &place };
            let ask = ["auth", "can-i", &verb, &resource, "-n", within, &account];
            let part = format!("--subresource={subresource}");
            let ask = [&ask[..], &[part.as_str()]].concat();
            wait_for(&format!("may {verb} {what} in {within}"), SOON, || async {
                plane.kubectl(&ask).status.success()
            })
            .await;
        }
        release
    }

    /// The operator as the chart starts it, with the rights of the chart's account.
    pub(super) fn launch(&self) -> Launch {
        let launch = Launch::with_kubeconfig(&self.kubeconfig);
        self.args.iter().fold(launch, |launch, arg| launch.arg(arg))
    }

    /// Every object of the release.
    pub(super) fn objects(&self, plane: &ControlPlane) -> Vec<Value> {
        let get = ["get", "manifest", "fanfare", "-n", &self.namespace];
        let manifest = stdout_of(&plane.tool("helm").args(get).output().expect("helm was built"));
        serde_saphyr::from_multiple(&manifest).unwrap()
    }

    /// What the release's account may do, by the roles that are bound to it.
    pub(super) fn granted(&self, plane: &ControlPlane) -> BTreeSet<Right> {
        let objects = self.objects(plane);
        let account =
            json!({"kind": "ServiceAccount", "name": "fanfare", "namespace": self.namespace});
        let bound = |one: &&Value| {
            one["subjects"].as_array().is_some_and(|subjects| subjects.contains(&account))
        };
        let mut rights = BTreeSet::new();
        for binding in objects.iter().filter(bound) {
            let namespace = binding["metadata"]["namespace"].as_str().unwrap_or_default();
            let role = objects.iter().find(|one| {
                one["kind"] == binding["roleRef"]["kind"]
                    && one["metadata"]["name"] == binding["roleRef"]["name"]
                    && one["metadata"]["namespace"].as_str().unwrap_or_default() == namespace
            });
            let role = role.expect("the chart brings the role that it binds");
            for rule in role["rules"].as_array().expect("a role has rules") {
                rights.extend(combinations(rule, namespace));
            }
        }
        rights
    }

    /// What the operator's account did since the release was installed.
    pub(super) fn requests(&self, plane: &ControlPlane) -> Vec<Request> {
        let user = self.account();
        let all = plane.audit_since(self.start).into_iter();
        all.filter(|one| one.user == user && !one.resource.is_empty()).collect()
    }

    fn account(&self) -> String {
        format!("system:serviceaccount:{}:fanfare", self.namespace)
    }
}

fn combinations(rule: &Value, namespace: &str) -> Vec<Right> {
    let list = |field: &str| {
        let values = rule[field].as_array().expect("a rule is complete").iter();
        values.map(|value| value.as_str().expect("text")).collect::<Vec<_>>()
    };
    let mut rights = Vec::new();
    for group in list("apiGroups") {
        for resource in list("resources") {
            for verb in list("verbs") {
                let what = format!("{group}/{resource}");
                rights.push((verb.to_owned(), what, namespace.to_owned()));
            }
        }
    }
    rights
}

/// The arguments with which the chart runs the operator.
fn arguments(plane: &ControlPlane, namespace: &str) -> Vec<String> {
    let get = ["-n", namespace, "get", "statefulset", "fanfare", "-o", "json"];
    let set: Value = serde_json::from_str(&plane.kubectl_ok(&get)).unwrap();
    let args = set.pointer("/spec/template/spec/containers/0/args").and_then(Value::as_array);
    let args = args.expect("the container has arguments").iter().filter_map(Value::as_str);
    args.filter(|arg| *arg != "run" && !OWN_FLAGS.iter().any(|flag| arg.starts_with(flag)))
        .map(|arg| arg.replace("$(POD_NAMESPACE)", namespace).replace("$(POD_NAME)", "fanfare-0"))
        .collect()
}
