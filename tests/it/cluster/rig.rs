//! A running controller, as `app` would run it, without the rest of the program.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use fanfare::{
    api::{Reason, TargetKey},
    controller::{
        Assembled, Candidate, Handles, Leadership, Metrics, ReconcileSettings, Settings,
        WatchStates, cluster,
    },
    registry::{Changes, Snapshot, TargetEntry},
    routing::RouteSettings,
};
use kube::{
    Api, Client, Config,
    api::DynamicObject,
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
};
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::support::{controlplane::ControlPlane, wait::wait_for_value};

/// Longest wait for what must happen; patience with a busy machine, measures nothing.
pub(super) const PATIENT: Duration = Duration::from_mins(2);

/// A running controller. Dropping it stops it without releasing the Lease.
pub(super) struct Rig {
    pub(super) handles: Handles,
    pub(super) leadership: Leadership,
    pub(super) states: WatchStates,
    pub(super) changes: Arc<Changes>,
    registry: Registry,
    token: CancellationToken,
    tasks: JoinSet<()>,
}

impl Rig {
    /// A controller of one namespace with the admin's rights; its Lease is there too.
    pub(super) async fn start(plane: &ControlPlane, namespace: &str) -> Self {
        Self::with(&plane.kubeconfig, &[namespace], namespace).await
    }

    /// A controller of `namespaces` (none: all) with the rights of a kubeconfig.
    pub(super) async fn with(kubeconfig: &Path, namespaces: &[&str], lease: &str) -> Self {
        Self::launch(&config(kubeconfig).await, namespaces, lease)
    }

    /// Must be called on a runtime.
    pub(super) fn launch(config: &Config, namespaces: &[&str], lease: &str) -> Self {
        let changes = Arc::new(Changes::default());
        let mut registry = Registry::default();
        let metrics = Metrics::register(registry.sub_registry_with_prefix("fanfare"));
        let token = CancellationToken::new();
        let settings = Settings {
            reconcile: ReconcileSettings {
                routes: RouteSettings { scope_label: "namespace".into(), cluster_namespaces: None },
                namespaces: namespaces.iter().map(|name| (*name).into()).collect(),
            },
            candidate: Candidate::new(lease, "fanfare", "test"),
        };
        let assembled = cluster(settings, config, Arc::clone(&changes), metrics, &token);
        let Assembled { handles, leadership, states, tasks } = assembled.unwrap();
        let tasks = tasks.into_iter().map(|task| task.run).collect();
        Self { handles, leadership, states, changes, registry, token, tasks }
    }

    /// Stops it as a shutdown does: the Lease is released.
    pub(super) async fn stop(mut self) {
        self.token.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.handles.snapshots.borrow())
    }

    /// Waits for a snapshot that holds something; answers it with the time it took.
    pub(super) async fn sees<T>(
        &self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Snapshot) -> Option<T>,
    ) -> T {
        let started = Instant::now();
        let mut snapshots = self.handles.snapshots.clone();
        loop {
            if let Some(found) = wanted(&snapshots.borrow_and_update()) {
                return found;
            }
            let left = within.saturating_sub(started.elapsed());
            let changed = tokio::time::timeout(left, snapshots.changed()).await;
            assert!(matches!(changed, Ok(Ok(()))), "not within {within:?}: {what}");
        }
    }

    /// Waits until the target is accepted at `generation`.
    pub(super) async fn accepts(&self, key: &TargetKey, generation: i64, within: Duration) {
        let what = format!("{key} accepted at generation {generation}");
        self.sees(&what, within, |snapshot| {
            snapshot.target(key).filter(|target| target.generation == generation).map(|_| ())
        })
        .await;
    }

    /// Waits for the first lists of both kinds: a kind whose definition is new may be served a little later.
    pub(super) async fn lists_all(&self, within: Duration) {
        let complete = |snapshot: &Snapshot| snapshot.complete.then_some(());
        self.sees("both first lists", within, complete).await;
    }

    /// Waits until the target is rejected for `reason`; answers the message.
    pub(super) async fn rejects(
        &self,
        key: &TargetKey,
        reason: Reason,
        within: Duration,
    ) -> String {
        let what = format!("{key} rejected for {reason}");
        self.sees(&what, within, |snapshot| match snapshot.targets.get(key) {
            Some(TargetEntry::Rejected(rejected)) if rejected.reason == reason => {
                Some(rejected.message.clone())
            }
            _ => None,
        })
        .await
    }

    /// Waits until the snapshot does not hold the target.
    pub(super) async fn forgets(&self, key: &TargetKey, within: Duration) {
        self.sees(&format!("{key} gone"), within, |snapshot| {
            (!snapshot.targets.contains_key(key)).then_some(())
        })
        .await;
    }

    /// Waits until both first lists are in.
    pub(super) async fn complete(&self) {
        self.sees("both first lists", PATIENT, |snapshot| snapshot.complete.then_some(())).await;
    }

    /// Waits until this controller holds the Lease; answers how long it took.
    pub(super) async fn leads(&self, within: Duration) -> Duration {
        let started = Instant::now();
        wait_for_value("leadership", within, || async { self.leadership.until(Instant::now()) })
            .await;
        started.elapsed()
    }

    /// The value of one series.
    pub(super) fn metric(&self, series: &str) -> f64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

/// A kubeconfig file as a configuration.
pub(super) async fn config(kubeconfig: &Path) -> Config {
    let config = Kubeconfig::read_from(kubeconfig).unwrap();
    Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap()
}

/// Waits until a condition of a target shows `reason`; answers the whole status.
pub(super) async fn shows(
    client: &Client,
    key: &TargetKey,
    (condition, reason): (&str, &str),
    within: Duration,
) -> Value {
    let kind = GroupVersionKind::gvk("fanfare.dev", "v1alpha1", "PublishTarget");
    let resource = ApiResource::from_gvk_with_plural(&kind, "publishtargets");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &key.namespace, &resource);
    wait_for_value(&format!("{key} shows {condition} {reason}"), within, || async {
        let status = api.get_opt(&key.name).await.ok()??.data["status"].take();
        let mut conditions = status["conditions"].as_array()?.iter();
        let found = conditions.any(|one| one["type"] == condition && one["reason"] == reason);
        found.then_some(status)
    })
    .await
}

/// A webhook target's manifest.
pub(super) fn webhook(name: &str, path: &str) -> String {
    format!(
        "apiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata: {{name: {name}}}\n\
         spec: {{type: Webhook, webhook: {{url: \"http://receiver.example/{path}\"}}}}\n"
    )
}

/// The manifest of a webhook target whose address is key `url` of Secret `name`.
pub(super) fn secret_webhook(name: &str) -> String {
    format!(
        "apiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata: {{name: {name}}}\n\
         spec: {{type: Webhook, webhook: {{urlSecretRef: {{name: {name}, key: url}}}}}}\n"
    )
}

/// A Secret with a key `url`.
pub(super) fn secret(name: &str, url: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{url: \"{url}\"}}\n"
    )
}

/// A route of everything to one target.
pub(super) fn route(name: &str, target: &str) -> String {
    format!(
        "apiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {{name: {name}}}\n\
         spec: {{targets: [{{name: {target}}}]}}\n"
    )
}

/// Waits until an event with this reason exists in the namespace.
pub(super) async fn event(plane: &ControlPlane, namespace: &str, reason: &str) -> Value {
    wait_for_value(&format!("an event {reason}"), PATIENT, || async {
        let list =
            plane.kubectl_ok(&["-n", namespace, "get", "events.events.k8s.io", "-o", "json"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        list["items"].as_array().unwrap().iter().find(|event| event["reason"] == reason).cloned()
    })
    .await
}

/// Rights of an operator of one namespace, without Secrets; answers its kubeconfig.
pub(super) async fn limited(plane: &ControlPlane, namespace: &str) -> PathBuf {
    let token = plane.token(namespace, "operator").await;
    plane.apply(
        namespace,
        "\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: operator}
rules:
- {apiGroups: [fanfare.dev], resources: [publishtargets, alertroutes], verbs: [get, list, watch]}
- {apiGroups: [fanfare.dev], resources: [publishtargets/status, alertroutes/status], verbs: [patch]}
- {apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}
- {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [fanfare], verbs: [get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: operator}
subjects: [{kind: ServiceAccount, name: operator}]
",
    );
    plane.kubeconfig_for_token(&token, namespace)
}

/// What the message of `SecretForbidden` tells people to do.
pub(super) fn allow_secrets(plane: &ControlPlane, namespace: &str) {
    let create = ["create", "role", "secrets", "--verb=get", "--resource=secrets"];
    plane.kubectl_ok(&[&["-n", namespace][..], &create].concat());
    let account = format!("--serviceaccount={namespace}:operator");
    let bind = ["create", "rolebinding", "secrets", "--role=secrets", &account];
    plane.kubectl_ok(&[&["-n", namespace][..], &bind].concat());
}
