//! Health checks on real receivers: what counts as alive, and that nothing is ever posted.

use std::time::Duration;

use fanfare::{
    api::Reason,
    registry::{Depth, Sample, SampleSource},
};
use serde_json::{Value, json};

use super::fixture::{Values, client, target, target_with, webhook};
use crate::support::{
    sink::{Answer, DeadPort, Fault, Sink},
    wait::wait_for,
};

async fn probe(spec: Value, values: &Values) -> Sample {
    client().probe(&target_with(spec, values)).await
}

#[tokio::test]
async fn a_webhook_is_alive_below_500() {
    let (client, sink) = (client(), Sink::start().await);
    let target = webhook(&sink.url("/hook?x=1"));
    for status in [200, 204, 301, 400, 401, 403, 404, 405, 410, 429] {
        sink.answer(Answer::status(status));
        let sample = client.probe(&target).await;
        assert_eq!(sample.verdict, Ok(Depth::Answer), "{status}");
        assert_eq!(sample.source, SampleSource::Probe);
    }
    for status in [500, 502, 503, 599] {
        sink.answer(Answer::status(status));
        let failure = client.probe(&target).await.verdict.unwrap_err();
        let found = (failure.reason, failure.depth, failure.http_status);
        assert_eq!(found, (Reason::ServerError, Depth::Answer, Some(status)));
    }
    assert!(sink.received().iter().all(|it| it.method == "HEAD" && it.body.is_empty()));
    assert!(sink.received().iter().all(|it| it.path == "/hook?x=1"));
}

#[tokio::test]
async fn faults_have_their_reasons() {
    let client = client();
    let sample = client.probe(&webhook(&DeadPort::reserve().url("/"))).await;
    let failure = sample.verdict.unwrap_err();
    assert_eq!((failure.reason, failure.depth), (Reason::ConnectFailed, Depth::Connect));
    let sink = Sink::start().await;
    sink.answer(Answer::fault(Fault::Hang));
    let sample = client.probe(&webhook(&sink.url("/"))).await;
    assert_eq!(sample.verdict.unwrap_err().reason, Reason::Timeout);
    assert!(sample.latency >= Duration::from_secs(1) && sample.latency < Duration::from_secs(3));
    sink.answer(Answer::fault(Fault::Raw(b"nonsense\r\n\r\n".to_vec())));
    let sample = client.probe(&webhook(&sink.url("/"))).await;
    assert_eq!(sample.verdict.unwrap_err().reason, Reason::UnexpectedAnswer);
}

#[tokio::test]
async fn types_whose_every_request_could_page_are_only_connected_to() {
    let sink = Sink::start().await;
    let from = json!({"name": "s", "key": "k"});
    let url = Values::default().with("s/k", &sink.url("/services/T/B/x"));
    let key = Values::default().with("s/k", &"0a".repeat(16));
    let specs = [
        (json!({"type": "Slack", "slack": {"webhookURLSecretRef": from}}), &url),
        (json!({"type": "Rootly", "rootly": {"webhookURLSecretRef": from}}), &url),
        (
            json!({
                "type": "PagerDuty",
                "pagerDuty": {"routingKeySecretRef": from, "endpoint": sink.url("")},
            }),
            &key,
        ),
    ];
    for (spec, values) in specs {
        assert_eq!(probe(spec.clone(), values).await.verdict, Ok(Depth::Connect), "{spec}");
    }
    let all = || async { sink.connections() == 3 };
    wait_for("three connections", Duration::from_secs(5), all).await;
    assert!(sink.received().is_empty());
}

#[tokio::test]
async fn one_alertmanager_that_is_ready_is_enough() {
    let (one, dead) = (Sink::start().await, DeadPort::reserve());
    let spec = |urls: Value| json!({"type": "Alertmanager", "alertmanager": {"urls": urls}});
    let both = spec(json!([dead.url(""), one.url("/prefix/")]));
    one.answer(Answer::status(404));
    one.answer_at("/prefix/-/ready", Answer::status(200));
    assert_eq!(probe(both.clone(), &Values::default()).await.verdict, Ok(Depth::Answer));
    assert_eq!(one.received()[0].method, "GET");

    let busy = "Limit of concurrent GET requests reached (4), try later.\n";
    one.answer_at("/prefix/-/ready", Answer::status(503).body(busy));
    assert_eq!(probe(both.clone(), &Values::default()).await.verdict, Ok(Depth::Answer));
    one.answer_at("/prefix/-/ready", Answer::status(503).body("no backend"));
    assert!(probe(both, &Values::default()).await.verdict.is_err());
}

#[tokio::test]
async fn an_http_check_asks_its_path_with_the_targets_headers() {
    let sink = Sink::start().await;
    let spec = |statuses: Value| {
        json!({
            "type": "Webhook",
            "webhook": {"url": sink.url("/hook")},
            "connection": {
                "headers": [{"name": "X-Team", "value": "sre"}],
                "auth": {"type": "Bearer", "bearer": {"tokenSecretRef": {"name": "s", "key": "k"}}},
            },
            "healthCheck": {
                "type": "HTTP",
                "http": {"path": "/healthz?full=1", "method": "OPTIONS", "expectedStatuses": statuses},
            },
        })
    };
    let values = Values::default().with("s/k", "token");
    sink.answer(Answer::status(204));
    assert_eq!(probe(spec(json!(["204"])), &values).await.verdict, Ok(Depth::Answer));
    let request = &sink.received()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("OPTIONS", "/healthz?full=1"));
    assert_eq!(request.header("x-team"), Some("sre"));
    assert_eq!(request.header("authorization"), Some("Bearer token"));

    let table = [
        (200, Reason::UnexpectedAnswer),
        (302, Reason::Redirect),
        (401, Reason::AuthenticationFailed),
        (404, Reason::ClientError),
        (500, Reason::ServerError),
    ];
    for (status, reason) in table {
        sink.answer(Answer::status(status));
        let failure = probe(spec(json!(["204", "418"])), &values).await.verdict.unwrap_err();
        assert_eq!((failure.reason, failure.http_status), (reason, Some(status)));
        assert_eq!(failure.depth, Depth::Answer, "the check itself must be able to clear it");
    }
    sink.answer(Answer::status(429));
    assert!(probe(spec(json!([])), &values).await.verdict.is_ok(), "a pause is not ill health");
}

#[tokio::test]
async fn log_targets_and_targets_without_a_check_are_well() {
    let sample = client().probe(&target(json!({"type": "Log"}))).await;
    assert_eq!(sample.verdict, Ok(Depth::Credential));
    let none = json!({
        "type": "Webhook",
        "webhook": {"url": DeadPort::reserve().url("/")},
        "healthCheck": {"type": "None"},
    });
    assert!(target(none).probe.is_none());
    let sink = Sink::start().await;
    let tcp = json!({
        "type": "Webhook", "webhook": {"url": sink.url("/")}, "healthCheck": {"type": "TCP"},
    });
    assert_eq!(probe(tcp, &Values::default()).await.verdict, Ok(Depth::Connect));
    assert!(sink.received().is_empty());
}
