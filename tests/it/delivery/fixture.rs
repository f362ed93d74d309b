//! Targets, notifications and clients for the tests of delivery.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fanfare::{
    alert::{Alert, Labels, Member, Notification, NotificationReason, Status},
    api::{ConfigMapKeyRef, PublishTargetSpec, SecretKeyRef, TargetKey},
    delivery::{
        AddressPolicy, Attempt, Client, Credentials, Failure, LogInbox, Missing, Object, Resolve,
        SystemResolver, Transport as _, compile,
    },
    registry::{Moment, RejectedTarget, Target},
};
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use crate::support::http2::Server;

/// The moment of the sample files.
pub(super) const AT: &str = "2026-03-01T10:15:00Z";

/// Secrets and `ConfigMaps` by `name/key`.
#[derive(Default)]
pub(super) struct Values(HashMap<String, Vec<u8>>);

// === impl Values ===

impl Values {
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.as_bytes().to_vec());
        self
    }

    fn find(&self, name: &str, key: &str) -> Result<&[u8], Missing> {
        let value = self.0.get(&format!("{name}/{key}"));
        let object = format!("{name}/");
        value.map(Vec::as_slice).ok_or_else(|| {
            let known = self.0.keys().any(|it| it.starts_with(&object));
            if known { Missing::KeyMissing } else { Missing::NotFound }
        })
    }
}

impl Credentials for Values {
    fn secret(&self, from: &SecretKeyRef) -> Result<&[u8], Missing> {
        self.find(&from.name, &from.key)
    }

    fn config_map(&self, from: &ConfigMapKeyRef) -> Result<&[u8], Missing> {
        self.find(&from.name, &from.key)
    }
}

pub(super) fn now() -> Moment {
    Moment { mono: tokio::time::Instant::now(), wall: Timestamp::now() }
}

pub(super) fn object(spec: Value) -> Object {
    let spec: PublishTargetSpec = serde_json::from_value(spec).unwrap();
    Object {
        key: TargetKey::new("shop", "target"),
        uid: "uid-1".into(),
        generation: 1,
        labels: Arc::default(),
        spec: Arc::new(spec),
    }
}

pub(super) fn try_target(spec: Value, values: &Values) -> Result<Target, Box<RejectedTarget>> {
    compile(object(spec), values, now())
}

pub(super) fn target_with(spec: Value, values: &Values) -> Arc<Target> {
    Arc::new(try_target(spec, values).unwrap_or_else(|why| panic!("{}", why.message)))
}

pub(super) fn target(spec: Value) -> Arc<Target> {
    target_with(spec, &Values::default())
}

/// A webhook with a short time limit.
pub(super) fn webhook(url: &str) -> Arc<Target> {
    target(serde_json::json!({
        "type": "Webhook",
        "webhook": {"url": url},
        "delivery": {"timeout": "2s"},
        "healthCheck": {"timeout": "1s"},
    }))
}

// === impl Server ===

impl Server {
    /// A target that leads here.
    pub(super) fn target(&self, timeout: &str) -> Arc<Target> {
        let spec = json!({
            "type": "Webhook",
            "webhook": {"url": self.url()},
            "connection": {"tls": {"caSecretRef": {"name": "s", "key": "ca"}}},
            "delivery": {"timeout": timeout},
        });
        target_with(spec, &Values::default().with("s/ca", Self::authority()))
    }
}

/// A client that may dial loopback.
pub(super) fn client() -> Client {
    client_with(loopback(), Arc::new(SystemResolver::default()))
}

pub(super) fn loopback() -> AddressPolicy {
    AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()], Vec::new())
}

pub(super) fn client_with(policy: AddressPolicy, resolver: Arc<dyn Resolve>) -> Client {
    let inbox = Arc::new(LogInbox::default());
    Client::with_resolver(policy, inbox, &mut Registry::default(), resolver)
}

pub(super) async fn send(client: &Client, target: &Arc<Target>, what: Notification) -> Attempt {
    let limit = target.timeout + Duration::from_secs(10);
    let sent = tokio::time::timeout(limit, async { client.send(target, &Arc::new(what)).await });
    sent.await.expect("an attempt ends with its time limit")
}

pub(super) fn failure(attempt: &Attempt) -> &Failure {
    attempt.result.as_ref().expect_err("the attempt should fail")
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The alert of the sample files.
pub(super) fn alert() -> Alert {
    Alert {
        labels: Labels::from_iter([
            ("alertname", "HighErrorRate"),
            ("cluster", "prod-eu-1"),
            ("instance", "10.1.2.3:8080"),
            ("job", "checkout"),
            ("namespace", "shop"),
            ("severity", "critical"),
        ]),
        annotations: Labels::from_iter([
            ("summary", "Checkout error rate above 5%"),
            ("description", "5xx ratio for checkout in shop is 7.3% (threshold 5%) for 10m."),
            ("runbook_url", "https://runbooks.example.com/HighErrorRate"),
        ]),
        starts_at: time(AT),
        ends_at: time("2026-03-01T10:20:00Z"),
        timeout: false,
        generator_url: "http://prometheus.example.com/graph?g0.expr=sum+by+%28job%29+%28rate%28http_requests_total%7Bcode%3D~%225..%22%7D%5B5m%5D%29%29+%3E+0.05&g0.tab=1".into(),
        updated_at: time(AT),
    }
}

/// An alert whose every text is `text`, with a label that tells it apart.
pub(super) fn alert_of(text: &str, nth: usize) -> Alert {
    let texts = |names: &[&str]| -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), text.to_owned())).collect()
    };
    let mut labels = texts(&["alertname", "cluster", "namespace", "severity", "job"]);
    labels.push(("instance".to_owned(), format!("{nth}: {text}")));
    Alert {
        labels: Labels::from_iter(labels),
        annotations: Labels::from_iter(texts(&["summary", "description", "runbook_url"])),
        generator_url: text.into(),
        ..alert()
    }
}

/// A notification about these alerts.
pub(super) fn about(members: Vec<(Alert, Status)>) -> Notification {
    let firing = members.iter().any(|(_, status)| *status == Status::Firing);
    let members: Vec<_> = members
        .into_iter()
        .map(|(alert, status)| Member { alert: Arc::new(alert), status })
        .collect();
    Notification {
        id: "fanfare-0123456789abcdef".into(),
        group_key: "shop/critical:{alertname=\"HighErrorRate\"}".into(),
        incident_key: "a3".repeat(32).into(),
        receiver: "shop/target".into(),
        status: if firing { Status::Firing } else { Status::Resolved },
        group_labels: members[0].alert.labels.clone(),
        members,
        reason: NotificationReason::First,
        external_url: "".into(),
        at: time(AT),
        fallback: false,
        digest: false,
    }
}

pub(super) fn firing() -> Notification {
    about(vec![(alert(), Status::Firing)])
}

pub(super) fn resolved() -> Notification {
    let ended = Alert { ends_at: time("2026-03-01T10:42:30Z"), ..alert() };
    Notification { at: time("2026-03-01T10:42:30Z"), ..about(vec![(ended, Status::Resolved)]) }
}

/// A file of `tests/it/samples`.
pub(super) fn sample(name: &str) -> Value {
    let path = format!("{}/tests/it/samples/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
