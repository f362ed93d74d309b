//! A real control plane, receivers, and the program as the chart's account.

use std::{fs, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    it::support::{
        controlplane::ControlPlane,
        http::get,
        operator::{Launch, Operator},
    },
    objects::{self, Plural},
    probed,
    user::{Ask, User},
};
use crate::{
    child::Child,
    machine::{cpu_seconds, kilobytes},
};

/// Ports of the receivers: hosts, as far as connections are concerned.
const PORTS: usize = 100;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(15);

/// What the chart grants, with Secrets everywhere.
const RIGHTS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: fanfare}
rules:
- {apiGroups: [fanfare.dev], resources: [publishtargets, alertroutes], verbs: [list, watch]}
- {apiGroups: [fanfare.dev], resources: [publishtargets/status, alertroutes/status], verbs: [patch]}
- {apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch]}
- {apiGroups: [''], resources: [secrets, configmaps], verbs: [get]}
- {apiGroups: [''], resources: [namespaces], verbs: [list, watch]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: fanfare}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: fanfare}
subjects: [{kind: ServiceAccount, name: fanfare, namespace: fanfare}]
";

/// Everything around the program.
pub(crate) struct Rig {
    pub(crate) plane: ControlPlane,
    pub(crate) user: User,
    pub(crate) sink: Child,
    pub(crate) ports: Vec<u16>,
    kubeconfig: PathBuf,
    data: tempfile::TempDir,
}

// === impl Rig ===

impl Rig {
    /// Without the servers (`make controlplane`) there is none.
    pub(crate) async fn start() -> Option<Self> {
        let plane = ControlPlane::own()?;
        plane.install_crds();
        let own = (0..objects::NAMESPACES).map(objects::namespace);
        for name in own.chain(["fanfare".to_owned(), "foreign".to_owned()]) {
            plane.kubectl_ok(&["create", "namespace", &name]);
        }
        plane.apply("fanfare", RIGHTS);
        let token = plane.token("fanfare", "fanfare").await;
        let kubeconfig = plane.kubeconfig_for_token(&token, "fanfare");
        let mut sink = Child::start(probed::ROLE);
        let ports = serde_json::from_value(sink.ask(&json!({"listen": PORTS}))).unwrap();
        let data = tempfile::tempdir().unwrap();
        let user = User::of(&plane).await;
        Some(Self { plane, user, sink, ports, kubeconfig, data })
    }

    /// The program as the chart starts it; `replica` names its data directory.
    pub(crate) async fn launch(&self, replica: &str) -> Operator {
        let data = self.data.path().join(replica);
        fs::create_dir_all(&data).unwrap();
        let launch = Launch::with_kubeconfig(&self.kubeconfig).arg("--pod-name").arg(replica);
        launch.on_data_of(&data).start().await
    }

    /// Applies an object; answers when it was answered.
    pub(crate) async fn create(&self, kind: Plural, namespace: &str, object: Value) {
        self.user.ask(Ask::create(kind.path(namespace), object)).await;
    }

    /// One object, as the API server holds it.
    pub(crate) async fn read(&self, kind: Plural, namespace: &str, name: &str) -> Value {
        self.user.ask(Ask::get(format!("{}/{name}", kind.path(namespace)))).await
    }

    /// Whether the status of every object is about its present generation; how many are not.
    pub(crate) async fn stale(&self) -> usize {
        let mut stale = 0;
        for kind in Plural::OURS {
            let all = self.user.list(&kind.everywhere()).await;
            let is_stale = |object: &&Value| {
                let ready = object["status"]["conditions"]
                    .as_array()
                    .and_then(|all| all.iter().find(|one| one["type"] == "Healthy"));
                object["metadata"]["generation"] != object["status"]["observedGeneration"]
                    || ready.is_none_or(|ready| ready["status"] != "True")
            };
            stale += all.iter().filter(is_stale).count();
        }
        stale
    }
}

/// Sum of the series that begin like this.
pub(crate) fn sum(metrics: &str, series: &str) -> f64 {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(series));
    lines.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// What the program exports.
pub(crate) async fn metrics(program: &Operator) -> String {
    get(&program.admin_url("/metrics")).await.text()
}

/// Waits until this holds of the metrics; answers how long it took.
pub(crate) async fn wait(
    what: &str,
    program: &Operator,
    mut holds: impl FnMut(&str) -> bool,
) -> Duration {
    let began = Instant::now();
    loop {
        let asked = began.elapsed();
        if holds(&metrics(program).await) {
            return asked;
        }
        assert!(began.elapsed() < PATIENCE, "{what}:\n{}", metrics(program).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Memory now and at its highest, in MiB.
pub(crate) fn memory(program: &Operator) -> (f64, f64) {
    let path = format!("/proc/{}/status", program.pid());
    let mib = |name| kilobytes(&path, name) as f64 / f64::from(1 << 20);
    (mib("VmRSS"), mib("VmHWM"))
}

/// Makes the highest the present.
pub(crate) fn forget_peak(program: &Operator) {
    let _ = fs::write(format!("/proc/{}/clear_refs", program.pid()), "5");
}

/// CPU time used so far, in seconds.
pub(crate) fn cpu(program: &Operator) -> f64 {
    cpu_seconds(program.pid())
}
