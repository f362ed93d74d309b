//! Secrets appear nowhere: planted in every place that takes one, echoed back by the receiver, looked
//! for in everything that comes out.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{Bed, SOON, firing};
use crate::support::{
    http::{get, post},
    sink::{Answer, Sink},
    wait::wait_for,
};

/// A credential that is easy to find again.
pub(crate) const CANARY: &str = "canary-4f1d9c/77+secret?value";

/// Every form in which the canary could leak.
pub(crate) fn forms() -> Vec<String> {
    let encoded: String = CANARY
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    let bare = CANARY.split(['/', '+', '?']).map(str::to_owned).filter(|part| part.len() > 6);
    [CANARY.to_owned(), STANDARD.encode(CANARY), encoded].into_iter().chain(bare).collect()
}

/// The forms of the canary in a text.
pub(crate) fn leaks(text: &str) -> Vec<String> {
    forms().into_iter().filter(|form| text.contains(form.as_str())).collect()
}

fn manifests(sink: &Sink) -> String {
    let secret = |name: &str, value: &str| {
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{value: \"{value}\"}}\n"
        )
    };
    let target = |name: &str, spec: &str| {
        format!(
            "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata:\n  name: {name}\n  labels: {{all: \"yes\"}}\nspec:\n{spec}  \
             healthCheck: {{interval: 5s, unhealthyInterval: 1s, timeout: 1m, degradedLatency: 59s}}\n"
        )
    };
    let path = "canary-4f1d9c/77";
    let auth = |rest: &str| format!("  connection: {{auth: {rest}}}\n");
    let reference = "{name: plain, key: value}";
    let hook = format!("  type: Webhook\n  webhook: {{url: \"{}\"}}\n", sink.url("/hook"));
    [
        secret("plain", CANARY),
        secret("url", &sink.url(&format!("/{path}"))),
        secret("broken", &format!("not a url {CANARY}")),
        secret("dead", &format!("http://127.0.0.1:1/{path}")),
        target("by-url", "  type: Webhook\n  webhook: {urlSecretRef: {name: url, key: value}}\n"),
        target("slack", "  type: Slack\n  slack: {webhookURLSecretRef: {name: url, key: value}}\n"),
        target("dead", "  type: Slack\n  slack: {webhookURLSecretRef: {name: dead, key: value}}\n"),
        target("broken", "  type: Slack\n  slack: {webhookURLSecretRef: {name: broken, key: value}}\n"),
        target("rootly", "  type: Rootly\n  rootly: {webhookURLSecretRef: {name: url, key: value}, tokenSecretRef: {name: plain, key: value}}\n"),
        target("pagerduty", &format!("  type: PagerDuty\n  pagerDuty: {{routingKeySecretRef: {reference}, endpoint: \"{}\"}}\n", sink.url(""))),
        target("bearer", &(hook.clone() + &auth(&format!("{{type: Bearer, bearer: {{tokenSecretRef: {reference}}}}}")))),
        target("basic", &(hook.clone() + &auth(&format!("{{type: Basic, basic: {{usernameSecretRef: {reference}, passwordSecretRef: {reference}}}}}")))),
        target("header", &(hook + &format!("  connection: {{headers: [{{name: X-Key, valueFrom: {{secretKeyRef: {reference}}}}}]}}\n"))),
        super::route().to_owned(),
    ]
    .concat()
}

async fn outputs(bed: &Bed) -> String {
    let api = |path: &str| bed.operator.api_url(path);
    let mut all = bed.operator.log_text() + &bed.metrics().await;
    for path in
        ["/api/v1/targets", "/api/v1/routes", "/api/v1/inbox", "/api/v1/publish/parallel/status"]
    {
        all += &get(&api(path)).await.text();
    }
    all + &get(&bed.operator.admin_url("/readyz")).await.text()
}

#[tokio::test]
async fn secrets_appear_in_nothing_that_comes_out() {
    let sink = Sink::start().await;
    let echo = forms().join(" ");
    sink.answer(Answer::status(500).header("x-echo", &STANDARD.encode(&echo)).body(echo));
    let bed = Bed::start(&manifests(&sink)).await;
    for _ in 0..3 {
        assert_eq!(bed.post(&json!([firing("Canary")])).await, 200);
    }
    for name in ["by-url", "bearer", "basic", "header", "dead"] {
        bed.condition(name, "Healthy", "False").await;
    }
    assert_eq!(bed.condition("broken", "Ready", "False").await["reason"], "InvalidCredentials");
    let body =
        json!({"alert": {"labels": {"alertname": "P"}}, "options": {"strategy": "PublishToAll"}});
    let publish = post(&bed.operator.api_url("/api/v1/publish/parallel/all"), &body).await;
    assert_eq!(publish.status, 502, "{}", publish.text());
    wait_for("the credentials were really sent", SOON, || async {
        let received = sink.received();
        let bearer = format!("Bearer {CANARY}");
        received.iter().any(|one| one.header("authorization") == Some(&bearer))
            && received.iter().any(|one| one.header("x-key") == Some(CANARY))
            && received.iter().any(|one| one.path.contains("canary-4f1d9c"))
    })
    .await;
    let all = outputs(&bed).await + &publish.text();
    assert!(all.contains("default/by-url"), "the run left traces");
    assert_eq!(leaks(&all), Vec::<String>::new());
}

#[tokio::test]
async fn planted_leak_is_found() {
    let sink = Sink::start().await;
    let bed = Bed::start(&manifests(&sink)).await;
    // An alert's own text is no secret: it is shown, and so it finds out whether the search works.
    let inbox = "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata:\n  name: log\n  labels: {all: \"yes\"}\nspec: {type: Log}\n";
    bed.write("log.yaml", inbox);
    bed.condition("log", "Ready", "True").await;
    assert_eq!(bed.post(&json!([firing(CANARY)])).await, 200);
    wait_for("the planted leak is found", SOON, || async {
        !leaks(&outputs(&bed).await).is_empty()
    })
    .await;
}
