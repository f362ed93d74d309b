//! Secrets appear in nothing that people, or Prometheus, can read of the cluster and the operator.

use serde_json::json;

use super::rig::{Rig, SECRETS, SOON, firing};
use crate::support::{
    http::get,
    sink::{Answer, Sink},
    wait::wait_for,
};
use crate::whole::canary::{CANARY, forms, leaks};

/// PagerDuty's keys have a form of their own.
const ROUTING_KEY: &str = "canary4f1d9c77secretvalue0123456";

/// Everything that comes out of a run.
async fn outputs(rig: &Rig) -> String {
    let kinds = "ptgt,aroute,events,events.events.k8s.io,leases";
    let objects = ["get", kinds, "-A", "-o", "yaml", "--show-managed-fields"];
    let mut all = rig.cluster.plane.kubectl_ok(&objects);
    all += &rig.cluster.kubectl(SECRETS, &["describe", "ptgt"]);
    all += &rig.cluster.kubectl(SECRETS, &["get", "ptgt", "-o", "wide"]);
    for path in
        ["/api/v1/targets", "/api/v1/routes", "/api/v1/inbox", "/api/v1/publish/parallel/status"]
    {
        all += &get(&rig.operator.api_url(path)).await.text();
    }
    all += &get(&rig.operator.admin_url("/readyz")).await.text();
    all + &rig.metrics().await.text() + &rig.operator.log_text()
}

fn manifests(sink: &Sink) -> String {
    let secret = |name: &str, value: &str| {
        let value = json!(value);
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{value: {value}}}\n"
        )
    };
    let target = |name: &str, spec: &str| {
        format!(
            "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\n\
             metadata: {{name: {name}, labels: {{canary: \"yes\"}}}}\nspec:\n  {spec}\n  \
             healthCheck: {{interval: 1s, unhealthyInterval: 1s, timeout: 1m, degradedLatency: 59s}}\n"
        )
    };
    let from = |name: &str| format!("{{name: {name}, key: value}}");
    let plain = from("canary-plain");
    let hook = |more: &str| {
        format!(
            "type: Webhook\n  webhook: {{url: \"{}\"}}\n  connection: {{{more}}}",
            sink.url("/")
        )
    };
    [
        secret("canary-plain", CANARY),
        secret("canary-key", ROUTING_KEY),
        secret("canary-url", &sink.url("/canary-4f1d9c/77")),
        secret("canary-broken", &format!("not a url {CANARY}")),
        target("canary-slack", &format!("type: Slack\n  slack: {{webhookURLSecretRef: {}}}", from("canary-url"))),
        target("canary-broken", &format!("type: Slack\n  slack: {{webhookURLSecretRef: {}}}", from("canary-broken"))),
        target("canary-pagerduty", &format!("type: PagerDuty\n  pagerDuty: {{endpoint: \"{}\", routingKeySecretRef: {}}}", sink.url(""), from("canary-key"))),
        target("canary-rootly", &format!("type: Rootly\n  rootly: {{webhookURLSecretRef: {}, tokenSecretRef: {plain}}}", from("canary-url"))),
        target("canary-bearer", &hook(&format!("auth: {{type: Bearer, bearer: {{tokenSecretRef: {plain}}}}}"))),
        target("canary-basic", &hook(&format!("auth: {{type: Basic, basic: {{usernameSecretRef: {plain}, passwordSecretRef: {plain}}}}}"))),
        target("canary-header", &hook(&format!("headers: [{{name: X-Key, valueFrom: {{secretKeyRef: {plain}}}}}]"))),
        "---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {name: canary}\nspec:\n  \
         matcherExpr: '{alertname=~\"Canary.*\"}'\n  targetSelector: {matchLabels: {canary: \"yes\"}}\n".to_owned(),
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_appear_in_no_object_event_log_metric_or_answer() {
    let Some(rig) = Rig::shared() else { return };
    let cluster = &rig.cluster;
    let sink = Sink::start().await;
    let echo = forms().join(" ");
    sink.answer(Answer::status(500).header("x-echo", "canary-4f1d9c").body(echo));
    cluster.apply(SECRETS, &manifests(&sink));
    cluster.shows(SECRETS, "ptgt/canary-broken", ("Ready", "False", "InvalidCredentials"));
    rig.fire(&[firing("Canary", SECRETS)]).await;
    for name in ["bearer", "basic", "header"] {
        let target = format!("ptgt/canary-{name}");
        cluster.shows(SECRETS, &target, ("Healthy", "False", "ServerError"));
    }
    cluster.event(SECRETS, "canary-bearer", "Unhealthy").await;
    let filter = json!({"namespace": SECRETS, "labelSelector": {"canary": "yes"}});
    let body = json!({"alert": {"labels": {"alertname": "Canary"}}, "filter": filter});
    let publish = rig.call("/api/v1/publish/parallel/all", &body).await;
    assert_eq!(publish.status, 502, "{}", publish.text());
    wait_for("the credentials were really sent", SOON, || async {
        let received = sink.received();
        let bearer = format!("Bearer {CANARY}");
        received.iter().any(|one| one.header("authorization") == Some(&bearer))
            && received.iter().any(|one| one.header("x-key") == Some(CANARY))
            && received.iter().any(|one| one.path.contains("canary-4f1d9c"))
            && received.iter().any(|one| one.text().contains(ROUTING_KEY))
    })
    .await;
    let all = outputs(rig).await + &publish.text();
    for trace in ["canary-bearer", "canary-rootly", "reason: Unhealthy"] {
        assert!(all.contains(trace), "the run left no trace of {trace}");
    }
    let around = |form: &String| {
        let at = all.find(form.as_str()).unwrap_or_default();
        let from = all.floor_char_boundary(at.saturating_sub(300));
        all[from..all.floor_char_boundary(at + 100)].to_owned()
    };
    assert!(!all.contains(ROUTING_KEY), "{}", around(&ROUTING_KEY.to_owned()));
    assert_eq!(leaks(&all).iter().map(around).collect::<Vec<_>>(), Vec::<String>::new());

    // The control: an alert's own text is no secret, it is shown, and so the search must find it.
    let log = "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\n\
               metadata: {name: canary-log, labels: {canary: \"yes\"}}\nspec: {type: Log}\n";
    cluster.apply(SECRETS, log);
    cluster.shows(SECRETS, "ptgt/canary-log", ("Ready", "True", "Registered"));
    rig.fire(&[firing(&format!("Canary {CANARY}"), SECRETS)]).await;
    wait_for("the planted leak is found", SOON, || async {
        !leaks(&outputs(rig).await).is_empty()
    })
    .await;
    let all = ["delete", "fanfare", "-l", "canary=yes"];
    cluster.kubectl(SECRETS, &all);
}
