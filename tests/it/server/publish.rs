//! The publish API: requests refused before anything is sent, one code per kind of outcome.

use std::time::Duration;

use fanfare::{
    api::{TargetKey, TargetType},
    publish::{
        ErrorType, PublishError, PublishResult, Selection, SkipReason, Strategy, TargetResult,
    },
};
use serde_json::{Value, json};

use super::Bed;
use crate::support::http::{Reply, post};

fn one(name: &str) -> TargetResult {
    TargetResult {
        key: TargetKey::new("ns", name),
        kind: Some(TargetType::Webhook),
        skipped: None,
        error_type: None,
        error: None,
        status_code: Some(200),
        duration: Duration::from_millis(12),
        attempts: 1,
        queued: false,
    }
}

fn failed(name: &str, kind: ErrorType) -> TargetResult {
    TargetResult {
        error_type: Some(kind),
        error: Some("HTTP 500 from host".to_owned()),
        status_code: Some(500),
        ..one(name)
    }
}

fn skipped(name: &str, reason: SkipReason) -> TargetResult {
    TargetResult { skipped: Some(reason), status_code: None, attempts: 0, ..one(name) }
}

fn result(results: Vec<TargetResult>, timed_out: bool) -> PublishResult {
    PublishResult { results, timed_out, duration: Duration::from_millis(34) }
}

async fn publish(bed: &Bed, path: &str, body: &Value) -> Reply {
    post(&format!("{}/api/v1/publish/parallel{path}", bed.api), body).await
}

fn named() -> Value {
    json!({"alert": {"labels": {"alertname": "A"}}, "target_names": ["ns/a", "ns/b"]})
}

#[tokio::test]
async fn every_kind_of_outcome_has_its_code() {
    let bed = Bed::start().await;
    let down = || failed("b", ErrorType::ServerError);
    let late = || failed("c", ErrorType::Timeout);
    let sick = || skipped("d", SkipReason::Unhealthy);
    let off = || skipped("e", SkipReason::Disabled);
    let open = || skipped("f", SkipReason::CircuitOpen);
    let queued = || TargetResult { queued: true, ..failed("g", ErrorType::Timeout) };
    for (results, timed_out, code, kind) in [
        (vec![one("a")], false, 200, ""),
        (vec![one("a"), down(), late()], true, 200, ""),
        (vec![one("a"), queued()], false, 200, ""),
        (vec![queued(), down(), sick(), off()], true, 202, ""),
        (vec![TargetResult { queued: true, attempts: 0, ..one("h") }], false, 202, ""),
        (vec![down(), late()], true, 504, "timeout"),
        (vec![down(), sick(), off()], false, 502, "all_targets_failed"),
        (vec![off()], false, 409, "no_enabled_targets"),
        (vec![off(), sick()], false, 503, "no_healthy_targets"),
        (vec![off(), open()], false, 503, "no_healthy_targets"),
        (vec![down(), open()], false, 502, "all_targets_failed"),
        (vec![], false, 409, "no_enabled_targets"),
    ] {
        let total = results.len();
        *bed.script.publish.lock().unwrap() = Some(Ok(result(results, timed_out)));
        let reply = publish(&bed, "", &named()).await;
        let body = reply.json();
        assert_eq!(reply.status, code, "{body}");
        assert_eq!(body["error"]["type"].as_str().unwrap_or_default(), kind, "{body}");
        assert_eq!(body["results"].as_array().unwrap().len(), total, "the full result is there");
        assert_eq!(body["timed_out"], timed_out);
    }
}

#[tokio::test]
async fn open_circuits_are_named_with_what_helps() {
    let bed = Bed::start().await;
    let message = |results| {
        *bed.script.publish.lock().unwrap() = Some(Ok(result(results, false)));
        async {
            let body = publish(&bed, "", &named()).await.json();
            (body["error"]["message"].as_str().unwrap().to_owned(), body)
        }
    };
    let open = || skipped("a", SkipReason::CircuitOpen);
    let (text, body) = message(vec![open()]).await;
    assert!(text.contains("options.retry") && text.contains("enable_circuit_breaker"), "{text}");
    assert!(!text.contains("PublishToAll"), "{text}");
    assert_eq!(body["results"][0]["skip_reason"], "circuit_open");
    let (text, _) = message(vec![open(), skipped("b", SkipReason::Unhealthy)]).await;
    assert!(text.contains("PublishToAll"), "{text}");
}

#[tokio::test]
async fn the_result_says_everything_about_each_target() {
    let bed = Bed::start().await;
    let results =
        vec![one("a"), failed("b", ErrorType::ServerError), skipped("c", SkipReason::Degraded)];
    *bed.script.publish.lock().unwrap() = Some(Ok(result(results, false)));
    let body = publish(&bed, "", &named()).await.json();
    assert_eq!(body["total_targets"], 3);
    assert_eq!(
        (&body["success_count"], &body["failure_count"], &body["skipped_count"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(body["success_rate"], 50.0);
    assert_eq!(body["is_partial_success"], true);
    assert_eq!(body["duration_ms"], 34);
    assert_eq!(
        body["results"][1],
        json!({"target_name": "b", "target_namespace": "ns", "target_type": "Webhook",
               "success": false, "error": "HTTP 500 from host", "error_type": "server_error",
               "status_code": 500, "duration_ms": 12, "attempts": 1, "skipped": false,
               "skip_reason": null, "queued": false})
    );
    assert_eq!(body["results"][2]["skip_reason"], "degraded");
    assert_eq!(body["results"][2]["success"], false);
}

#[tokio::test]
async fn wrong_requests_are_400_and_say_what_to_write() {
    let bed = Bed::start().await;
    let alert = json!({"labels": {"alertname": "A"}});
    let with = |options: Value| json!({"alert": {"labels": {"a": "b"}}, "target_names": ["ns/a"], "options": options});
    for (path, body, part) in [
        ("", json!({"alert": alert}), "target_names is empty"),
        ("", json!({"alert": alert, "target_names": ["a"]}), "not namespace/name"),
        ("", json!({"alert": {"labels": {}}, "target_names": ["ns/a"]}), "at least one label pair"),
        ("", json!({"target_names": ["ns/a"]}), "missing field `alert`"),
        ("", json!({"alert": alert, "target_names": ["ns/a"], "filter": {}}), "filter belongs to"),
        (
            "",
            json!({"alert": alert, "target_names": ["ns/a"], "colour": 1}),
            "unknown field `colour`",
        ),
        ("", with(json!({"colour": 1})), "unknown field `colour`"),
        ("", with(json!({"retry": "yes"})), "expected a boolean"),
        ("", with(json!({"timeout": "0s"})), "at most 5m"),
        ("", with(json!({"timeout": "6m"})), "at most 5m"),
        ("", with(json!({"timeout": "soon"})), "write a number and a unit"),
        ("", with(json!({"max_concurrent": 0})), "1 to 200"),
        ("", with(json!({"max_concurrent": 201})), "1 to 200"),
        ("", with(json!({"strategy": "Guess"})), "SkipUnhealthyAndDegraded"),
        ("/all", json!({"alert": alert, "target_names": ["ns/a"]}), "takes filter"),
        ("/healthy", json!({"alert": alert, "filter": {"type": "Fax"}}), "unknown variant `Fax`"),
        ("/all", json!({"alert": alert, "filter": {"labelSelector": "a"}}), "name=value"),
    ] {
        let reply = publish(&bed, path, &body).await;
        let answer = reply.json();
        assert_eq!(reply.status, 400, "{body}: {answer}");
        assert_eq!(answer["error"]["type"], "invalid_input");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{body}: {message}");
    }
    assert!(bed.script.published.lock().unwrap().is_empty(), "nothing was published");
}

#[tokio::test]
async fn options_and_selections_reach_the_engine() {
    let bed = Bed::start().await;
    *bed.script.publish.lock().unwrap() = Some(Ok(result(vec![one("a")], false)));
    let body = json!({"alert": {"labels": {"alertname": "A"}}, "target_names": ["x", "ns/y"], "namespace": "own",
        "options": {"strategy": "PublishToAll", "timeout": "1m30s", "max_concurrent": 7, "retry": true,
                    "check_health": false, "enable_circuit_breaker": false}});
    assert_eq!(publish(&bed, "", &body).await.status, 200);
    let filter = json!({"alert": {"labels": {"alertname": "A"}},
        "filter": {"namespace": "ns", "type": "Slack", "labelSelector": "tier=chat, team=sre"}});
    assert_eq!(publish(&bed, "/all", &filter).await.status, 200);
    let published = bed.script.published.lock().unwrap();
    let names = Selection::Named(vec![TargetKey::new("own", "x"), TargetKey::new("ns", "y")]);
    assert_eq!(published[0].selection, names);
    let options = &published[0].options;
    assert_eq!(options.strategy, Strategy::PublishToAll);
    assert_eq!((options.timeout, options.max_concurrent), (Duration::from_secs(90), 7));
    assert!(!options.check_health && !options.enable_circuit_breaker && options.retry);
    assert!(!published[1].options.retry, "one attempt unless asked for more");
    let Selection::All(filter) = &published[1].selection else { panic!("{:?}", published[1]) };
    assert_eq!(filter.kind, Some(TargetType::Slack));
    assert_eq!(filter.labels.len(), 2);
    assert_eq!(published[1].options.strategy, Strategy::PublishToAll, "what /all promises");
}

#[tokio::test]
async fn engine_refusals_have_their_codes() {
    let bed = Bed::start().await;
    let missing = PublishError::NotFound(vec![TargetKey::new("ns", "gone")]);
    for (error, code, kind) in [
        (missing, 404, "not_found"),
        (PublishError::Invalid("contradiction".to_owned()), 400, "invalid_input"),
        (PublishError::KeyReused, 400, "invalid_input"),
        (PublishError::NotReady, 503, "unavailable"),
        (PublishError::ShuttingDown, 503, "unavailable"),
        (PublishError::StoreFailed, 503, "unavailable"),
    ] {
        *bed.script.publish.lock().unwrap() = Some(Err(error));
        let reply = publish(&bed, "", &named()).await;
        assert_eq!(reply.status, code);
        assert_eq!(reply.json()["error"]["type"], kind);
    }
}

#[tokio::test]
async fn idempotency_keys_bind_endpoint_and_body() {
    let bed = Bed::start().await;
    *bed.script.publish.lock().unwrap() = Some(Ok(result(vec![one("a")], false)));
    let send = |path: &'static str, key: &'static str, body: Value| {
        let url = format!("{}/api/v1/publish/parallel{path}", bed.api);
        async move {
            let headers = [("idempotency-key", key)];
            crate::support::http::send(http::Method::POST, &url, &headers, body.to_string().into())
                .await
        }
    };
    let plain = json!({"alert": {"labels": {"alertname": "A"}}});
    assert_eq!(send("", "k", named()).await.status, 200);
    assert_eq!(send("", "k", named()).await.status, 200);
    assert_eq!(send("/all", "k", plain.clone()).await.status, 200);
    assert_eq!(send("/healthy", "k", plain).await.status, 200);
    assert_eq!(send("", "", named()).await.status, 400);
    let published = bed.script.published.lock().unwrap();
    let keys: Vec<_> =
        published.iter().map(|request| request.idempotency.clone().unwrap()).collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0].body, keys[2].body);
    assert_ne!(keys[2].body, keys[3].body, "the endpoint counts");
}
