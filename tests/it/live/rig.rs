//! A control plane with the chart installed, and the operator that serves it.

use std::{
    process::Output,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::release::Release;
use crate::support::{
    controlplane::ControlPlane,
    http::{Reply, get, post},
    operator::{Launch, Operator},
    program::stdout_of,
    sink::Sink,
    wait::{wait_for, wait_for_value},
};

/// Longest wait for something that takes a moment; patience with a busy machine, measures nothing.
pub(super) const SOON: Duration = Duration::from_mins(2);
/// The same for kubectl.
pub(super) const TIMEOUT: &str = "--timeout=120s";
/// Namespace of the release, as in the README.
pub(super) const RELEASE: &str = "fanfare";
/// The other namespace whose Secrets the release may read.
pub(super) const SECRETS: &str = "live-secrets";
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A control plane with the chart installed, without an operator.
pub(super) struct Cluster {
    pub(super) plane: ControlPlane,
    pub(super) release: Release,
}

/// A cluster and its operator, shared by every test that disturbs no other.
pub(super) struct Rig {
    pub(super) cluster: Cluster,
    pub(super) operator: Operator,
}

/// The cluster of the tests that pause it, or that end its operator: one at a time.
pub(super) struct Alone {
    pub(super) cluster: &'static Cluster,
    _turn: MutexGuard<'static, ()>,
}

// === impl Rig ===

impl Rig {
    /// The shared one; without the servers it says SKIP.
    pub(super) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Rig> = OnceLock::new();
        ControlPlane::built().then(|| SHARED.get_or_init(|| on_a_lasting_thread(Self::start)))
    }

    async fn start() -> Self {
        let cluster = Cluster::install().await;
        let operator = cluster.launch().start_ready().await;
        Self { cluster, operator }
    }

    /// Posts alerts as Prometheus does; panics unless they are taken.
    pub(super) async fn fire(&self, alerts: &[Value]) {
        fire(&self.operator, alerts).await;
    }

    /// Posts to the API.
    pub(super) async fn call(&self, path: &str, body: &Value) -> Reply {
        post(&self.operator.api_url(path), body).await
    }

    /// Waits until this many notifications were delivered to a target of a namespace: its receiver has
    /// answered, and the operator has taken note. A receiver alone knows only that it was asked.
    pub(super) async fn delivered(&self, namespace: &str, target: &str, count: usize) {
        let path = format!("/api/v1/deliveries?target={namespace}/{target}");
        let url = self.operator.api_url(&path);
        wait_for(&format!("{count} delivered to {target}"), SOON, || async {
            let page = get(&url).await.json();
            let items = page["items"].as_array().expect("a page has items");
            items.iter().filter(|item| item["outcome"] == "delivered").count() >= count
        })
        .await;
    }

    pub(super) async fn metrics(&self) -> Reply {
        get(&self.operator.admin_url("/metrics")).await
    }
}

// === impl Alone ===

impl Alone {
    /// Waits until no other test has it; without the servers it says SKIP.
    pub(super) fn turn() -> Option<Self> {
        static ALONE: OnceLock<Cluster> = OnceLock::new();
        static TURN: Mutex<()> = Mutex::new(());
        ControlPlane::built().then(|| {
            let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
            let cluster = ALONE.get_or_init(|| on_a_lasting_thread(Cluster::install));
            Self { cluster, _turn: turn }
        })
    }

    /// Ends the operator in order, so that the next one need not wait for the Lease to expire.
    pub(super) async fn end(self, mut operator: Operator) {
        assert!(operator.terminate().await.success(), "{}", operator.log_text());
    }
}

// === impl Cluster ===

impl Cluster {
    async fn install() -> Self {
        let plane = ControlPlane::own().expect("the caller asked whether it is built");
        for namespace in [RELEASE, SECRETS] {
            plane.kubectl_ok(&["create", "namespace", namespace]);
        }
        let readable = format!("rbac.secretNamespaces={{{RELEASE},{SECRETS}}}");
        let release = Release::install(&plane, RELEASE, &[&readable]).await;
        let established = ["wait", "--for=condition=Established", TIMEOUT, "crd"];
        let definitions = ["publishtargets.fanfare.dev", "alertroutes.fanfare.dev"];
        plane.kubectl_ok(&[&established[..], &definitions].concat());
        Self { plane, release }
    }

    /// The operator as the chart starts it.
    pub(super) fn launch(&self) -> Launch {
        self.release.launch()
    }

    /// A namespace that no other test uses.
    pub(super) fn namespace(&self, prefix: &str) -> String {
        let name = format!("live-{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.plane.kubectl_ok(&["create", "namespace", &name]);
        name
    }

    pub(super) fn apply(&self, namespace: &str, manifests: &str) {
        self.plane.apply(namespace, manifests);
    }

    /// Runs kubectl in a namespace; panics unless it succeeds.
    pub(super) fn kubectl(&self, namespace: &str, args: &[&str]) -> String {
        stdout_of(&self.try_kubectl(namespace, args))
    }

    pub(super) fn try_kubectl(&self, namespace: &str, args: &[&str]) -> Output {
        self.plane.kubectl(&[&["-n", namespace], args].concat())
    }

    /// Merges `patch` into an object, for example `ptgt/hook`.
    pub(super) fn patch(&self, namespace: &str, object: &str, patch: &Value) {
        self.kubectl(namespace, &["patch", object, "--type=merge", "-p", &patch.to_string()]);
    }

    pub(super) fn object(&self, namespace: &str, object: &str) -> Value {
        serde_json::from_str(&self.kubectl(namespace, &["get", object, "-o", "json"])).unwrap()
    }

    pub(super) fn condition(&self, namespace: &str, object: &str, kind: &str) -> Value {
        let object = self.object(namespace, object);
        let conditions = object["status"]["conditions"].as_array().expect("defaulted").clone();
        let found = conditions.into_iter().find(|condition| condition["type"] == kind);
        found.unwrap_or_else(|| panic!("no condition {kind}: {object}"))
    }

    /// Waits until a condition shows a status and a reason; answers the condition.
    pub(super) fn shows(&self, namespace: &str, object: &str, wanted: (&str, &str, &str)) -> Value {
        let (kind, status, reason) = wanted;
        for (field, value) in [("reason", reason), ("status", status)] {
            let path = format!("jsonpath={{.status.conditions[?(@.type==\"{kind}\")].{field}}}");
            let wait = ["wait", TIMEOUT, &format!("--for={path}={value}"), object];
            let output = self.try_kubectl(namespace, &wait);
            let now = || self.object(namespace, object)["status"].to_string();
            assert!(output.status.success(), "{object}: {kind} {field} is not {value}: {}", now());
        }
        self.condition(namespace, object, kind)
    }

    /// The events about one object, as (reason, note).
    pub(super) fn events(&self, namespace: &str, name: &str) -> Vec<(String, String)> {
        let list = self.kubectl(namespace, &["get", "events.events.k8s.io", "-o", "json"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        let about = |event: &&Value| event["regarding"]["name"] == name;
        let text =
            |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let events = list["items"].as_array().expect("a list has items").iter().filter(about);
        events.map(|event| (text(event, "reason"), text(event, "note"))).collect()
    }

    pub(super) async fn event(&self, namespace: &str, name: &str, reason: &str) -> String {
        wait_for_value(&format!("an event {reason} about {name}"), SOON, || async {
            let events = self.events(namespace, name);
            events.into_iter().find(|(found, _)| found == reason).map(|(_, note)| note)
        })
        .await
    }
}

/// Makes a value on a thread that never ends: the kernel ends the operator with the thread that
/// started it, and a test's thread ends with its test.
fn on_a_lasting_thread<T, F>(make: fn() -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        if sender.send(runtime.block_on(make())).is_ok() {
            loop {
                std::thread::park();
            }
        }
    });
    receiver.recv().expect("the rig starts: its message is above")
}

/// Posts alerts to the intake as Prometheus does.
pub(super) async fn fire(operator: &Operator, alerts: &[Value]) {
    let reply = post(&operator.intake_url("/api/v2/alerts"), &json!(alerts)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// A firing alert of a namespace, in Prometheus' wire form.
pub(super) fn firing(name: &str, namespace: &str) -> Value {
    json!({
        "labels": {"alertname": name, "namespace": namespace, "severity": "critical"},
        "annotations": {"summary": "first"},
        "startsAt": "2026-03-01T10:15:00.000Z",
        "endsAt": later(),
        "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
    })
}

pub(super) fn resolved(name: &str, namespace: &str) -> Value {
    let mut alert = firing(name, namespace);
    alert["endsAt"] = json!("2026-03-01T10:20:00.000Z");
    alert
}

/// Prometheus says until when an alert counts as firing, and moves that at each re-send.
fn later() -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_mins(4)).to_string()
}

/// What a receiver was told: (alertname, status), without health checks.
pub(super) fn told(sink: &Sink) -> Vec<(String, String)> {
    let posts = sink.received().into_iter().filter(|one| one.method == "POST");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    posts
        .map(|one| one.json()["data"].take())
        .map(|data| (text(&data["alerts"][0]["labels"]["alertname"]), text(&data["status"])))
        .collect()
}

/// Waits until a receiver was told of an alert, firing or resolved.
pub(super) async fn wait_told(sink: &Sink, name: &str, status: &str) {
    let wanted = (name.to_owned(), status.to_owned());
    wait_for(&format!("{name} {status} at {}", sink.address()), SOON, || async {
        told(sink).contains(&wanted)
    })
    .await;
}

/// The manifest of a webhook target with frequent checks, labelled `all: yes`; `more` is YAML of its spec.
/// A check takes as long as a busy machine needs: only what a receiver answers makes its health.
pub(super) fn webhook(name: &str, url: &str, more: &str) -> String {
    format!(
        "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\n\
         metadata: {{name: {name}, labels: {{all: \"yes\"}}}}\nspec:\n  type: Webhook\n  \
         webhook: {{url: \"{url}\"}}\n  healthCheck: {{interval: 1s, unhealthyInterval: 1s, \
         timeout: 1m, degradedLatency: 59s, skipIfDeliveredWithin: 0s}}\n{more}"
    )
}

/// The manifest of a route to every target that [`webhook`] makes.
pub(super) fn route(name: &str) -> String {
    format!(
        "---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {{name: {name}}}\n\
         spec: {{scope: Namespace, targetSelector: {{matchLabels: {{all: \"yes\"}}}}}}\n"
    )
}
