//! What the vendors' known answers come to: each sample is really answered to a real request.

use fanfare::{
    api::Reason,
    delivery::{Class, Told},
    publish::ErrorType,
    registry::Depth,
};
use serde_json::{Value, json};

use super::fixture::{Values, client, failure, firing, sample, send, target_with};
use crate::support::sink::{Answer, Sink};

pub(super) fn spec(kind: &str, sink: &Sink) -> (Value, Values) {
    let from = json!({"name": "s", "key": "k"});
    let values = Values::default().with("s/k", &sink.url("/hook"));
    match kind {
        "slack" => (json!({"type": "Slack", "slack": {"webhookURLSecretRef": from}}), values),
        "rootly" => (json!({"type": "Rootly", "rootly": {"webhookURLSecretRef": from}}), values),
        "webhook" => (json!({"type": "Webhook", "webhook": {"urlSecretRef": from}}), values),
        "alertmanager" => {
            (json!({"type": "Alertmanager", "alertmanager": {"urls": [sink.url("")]}}), values)
        }
        "pagerduty" => (
            json!({
                "type": "PagerDuty",
                "pagerDuty": {"routingKeySecretRef": from, "endpoint": sink.url("")},
            }),
            Values::default().with("s/k", &"0a".repeat(16)),
        ),
        other => panic!("{other}"),
    }
}

fn answer(sample: &Value) -> Answer {
    let status = u16::try_from(sample["status"].as_u64().unwrap()).unwrap();
    let mut answer = Answer::status(status);
    for (name, value) in sample["headers"].as_object().unwrap() {
        answer = answer.header(name, value.as_str().unwrap());
    }
    match (sample.get("body"), sample.get("body_text")) {
        (Some(body), _) => answer.body(body.to_string()),
        (None, Some(text)) => answer.body(text.as_str().unwrap()),
        (None, None) => answer,
    }
}

/// Class, kind and reason; `None`: accepted.
type Expected = Option<(Class, ErrorType, Reason)>;

const AUTH: Expected = Some((Class::RetrySlowly, ErrorType::Auth, Reason::AuthenticationFailed));
const REFUSED: Expected = Some((Class::Rejected, ErrorType::ClientError, Reason::ClientError));
const NOT_FOUND: Expected = Some((Class::RetrySlowly, ErrorType::ClientError, Reason::ClientError));
const GONE: Expected = Some((Class::Gone, ErrorType::ClientError, Reason::Gone));
const LIMITED: Expected = Some((Class::RetryAfter, ErrorType::RateLimited, Reason::RateLimited));
const PAUSE: Expected = Some((Class::RetryAfter, ErrorType::ServerError, Reason::ServerError));

#[tokio::test]
async fn every_known_answer_is_understood() {
    let table: [(&str, &str, Expected); 21] = [
        ("slack", "slack-webhook-200-ok", None),
        ("slack", "slack-webhook-400-invalid-payload", REFUSED),
        ("slack", "slack-webhook-403-action-prohibited", AUTH),
        ("slack", "slack-webhook-403-invalid-token", AUTH),
        ("slack", "slack-webhook-403-posting-to-general-channel-denied", AUTH),
        ("slack", "slack-webhook-404-channel-not-found", NOT_FOUND),
        ("slack", "slack-webhook-404-no-service", AUTH),
        ("slack", "slack-webhook-410-channel-is-archived", GONE),
        ("slack", "slack-webhook-429", LIMITED),
        ("pagerduty", "pagerduty-202-accepted", None),
        ("pagerduty", "pagerduty-400-bad-routing-key-length", AUTH),
        ("pagerduty", "pagerduty-400-invalid-routing-key", AUTH),
        ("pagerduty", "pagerduty-400-unparsable", REFUSED),
        ("pagerduty", "pagerduty-429", LIMITED),
        ("rootly", "rootly-401-invalid-token", AUTH),
        ("rootly", "rootly-404-not-found", NOT_FOUND),
        ("rootly", "rootly-422-validation", REFUSED),
        ("rootly", "rootly-429", LIMITED),
        ("webhook", "webhook-410-gone", GONE),
        ("webhook", "webhook-429-retry-after-seconds", LIMITED),
        ("webhook", "webhook-503-retry-after-date", PAUSE),
    ];
    let client = client();
    for (kind, name, expected) in table {
        let sink = Sink::start().await;
        let file = sample(&format!("responses/{name}.json"));
        sink.answer(answer(&file));
        let (spec, values) = spec(kind, &sink);
        let attempt = send(&client, &target_with(spec, &values), firing()).await;
        let found = attempt.result.as_ref().err();
        let found = found.map(|failure| (failure.class, failure.error_type, failure.reason));
        assert_eq!(found, expected, "{name}: {:?}", attempt.result);
        assert_eq!(attempt.status_code.map(u64::from), file["status"].as_u64(), "{name}");
        let health = attempt.sample.as_ref().map(|sample| sample.verdict.as_ref());
        match expected {
            None => assert_eq!(health, Some(Ok(&Depth::Credential)), "{name}"),
            LIMITED => assert_eq!(health, None, "{name}"),
            REFUSED => assert_eq!(health, Some(Ok(&Depth::Answer)), "{name}"),
            _ => assert!(matches!(health, Some(Err(_))), "{name}"),
        }
    }
}

#[tokio::test]
async fn status_codes_mean_what_the_design_says() {
    use ErrorType::{Auth, ClientError, RateLimited, ServerError, Unexpected};
    let slow = Class::RetrySlowly;
    let table = [
        (301, Class::Rejected, Unexpected, Told::Maybe),
        (307, Class::Rejected, Unexpected, Told::Maybe),
        (400, Class::Rejected, ClientError, Told::No),
        (401, slow, Auth, Told::No),
        (403, slow, Auth, Told::No),
        (404, slow, ClientError, Told::No),
        (405, Class::Rejected, ClientError, Told::No),
        (408, Class::Retry, ClientError, Told::No),
        (409, Class::Retry, ClientError, Told::No),
        (410, Class::Gone, ClientError, Told::No),
        (413, Class::Rejected, ClientError, Told::No),
        (415, Class::Rejected, ClientError, Told::No),
        (422, Class::Rejected, ClientError, Told::No),
        (425, Class::Retry, ClientError, Told::No),
        (429, Class::RetryAfter, RateLimited, Told::No),
        (451, Class::Rejected, ClientError, Told::No),
        (500, Class::Retry, ServerError, Told::No),
        (501, Class::Rejected, ServerError, Told::Maybe),
        (502, Class::Retry, ServerError, Told::Maybe),
        (503, Class::Retry, ServerError, Told::No),
        (504, Class::Retry, ServerError, Told::Maybe),
        (505, Class::Rejected, ServerError, Told::Maybe),
        (520, Class::Retry, ServerError, Told::Maybe),
        (799, Class::Retry, Unexpected, Told::Maybe),
    ];
    let (client, sink) = (client(), Sink::start().await);
    let target = super::fixture::webhook(&sink.url("/"));
    for (status, class, error_type, told) in table {
        sink.answer(Answer::status(status).header("location", "http://other.example/secret-path"));
        let attempt = send(&client, &target, firing()).await;
        let failure = failure(&attempt);
        let found = (failure.class, failure.error_type, failure.told);
        assert_eq!(found, (class, error_type, told), "{status}");
        assert!(failure.message.contains(&status.to_string()), "{}", failure.message);
        assert!(!failure.message.contains("secret-path"), "{}", failure.message);
    }
    for status in [200, 201, 202, 204, 299] {
        sink.answer(Answer::status(status));
        let attempt = send(&client, &target, firing()).await;
        assert_eq!((attempt.result, attempt.status_code), (Ok(()), Some(status)));
    }
}

#[tokio::test]
async fn d19_a_redirect_is_not_followed_and_names_the_host() {
    let (client, sink, other) = (client(), Sink::start().await, Sink::start().await);
    let target = super::fixture::webhook(&sink.url("/"));
    sink.answer(Answer::status(302).header("location", &other.url("/x")));
    let attempt = send(&client, &target, firing()).await;
    let failure = failure(&attempt);
    assert_eq!(failure.reason, Reason::Redirect);
    assert!(failure.message.contains("a redirect to 127.0.0.1"), "{}", failure.message);
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn d33_an_error_in_a_200_of_slack_is_an_error() {
    let (client, sink) = (client(), Sink::start().await);
    let (spec, values) = spec("slack", &sink);
    let target = target_with(spec, &values);
    for body in ["invalid_payload", "{\"ok\":false,\"error\":\"invalid_blocks\"}"] {
        sink.answer(Answer::status(200).body(body));
        let attempt = send(&client, &target, firing()).await;
        assert_eq!(failure(&attempt).class, Class::Rejected, "{body}");
    }
    sink.answer(Answer::status(200).body("<!doctype html><title>Sign in</title>"));
    let attempt = send(&client, &target, firing()).await;
    assert_eq!(failure(&attempt).error_type, ErrorType::Unexpected);
    for body in ["ok", "", "{\"ok\":true}", "{\"success\":true}"] {
        sink.answer(Answer::status(200).body(body));
        assert_eq!(send(&client, &target, firing()).await.result, Ok(()), "{body}");
    }
}

#[tokio::test]
async fn d13_a_wait_is_passed_on() {
    let (client, sink) = (client(), Sink::start().await);
    let target = super::fixture::webhook(&sink.url("/"));
    let year = 365 * 24 * 3600;
    for (status, value, seconds) in [
        (429, "120", Some(120)),
        (429, "0", Some(0)),
        (429, "-5", Some(0)),
        (429, "100000000000000000000", Some(year)),
        (429, "Sun, 01 Mar 2020 10:00:00 GMT", Some(0)),
        (429, "Thu, 31 Dec 9998 23:59:59 GMT", Some(year)),
        (429, "soon", None),
        (503, "7", Some(7)),
        (502, "soon", None),
        (400, "7", None),
        (302, "7", None),
    ] {
        sink.answer(Answer::status(status).header("retry-after", value));
        let attempt = send(&client, &target, firing()).await;
        let wait = failure(&attempt).retry_after.map(|wait| wait.as_secs());
        assert_eq!(wait, seconds, "{status} {value}");
    }
}
