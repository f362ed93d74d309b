//! Silences over HTTP; what they do is not asked here.

use std::sync::Arc;

use bytes::Bytes;
use fanfare::{
    api::MatchType,
    publish::{Refused, Silence, SilenceError, SilenceMatcher},
};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{super::ID, Bed, ask};
use crate::support::http::{Reply, send};

async fn put(bed: &Bed, body: impl Into<Bytes>) -> Reply {
    let json = [("content-type", "application/json")];
    send(Method::POST, &format!("{}/api/v2/silences", bed.api), &json, body.into()).await
}

fn valid() -> Value {
    json!({"matchers": [{"name": "a", "value": "b", "isRegex": false}], "createdBy": "me", "comment": "c",
           "startsAt": "2026-11-24T00:00:00Z", "endsAt": "2036-01-01T00:00:00Z"})
}

fn with(field: &str, value: Value) -> String {
    let mut body = valid();
    body[field] = value;
    body.to_string()
}

fn silence(id: &str, state: &str, value: &str) -> Arc<Silence> {
    let hour = std::time::Duration::from_hours(1);
    let now = Timestamp::now();
    let (starts_at, ends_at) = match state {
        "active" => (now - hour, now + hour),
        "pending" => (now + hour, now + hour * 2),
        _ => (now - hour * 2, now - hour),
    };
    let kind = MatchType::NotRegex;
    let matchers = vec![SilenceMatcher { name: "team".into(), kind, value: value.into() }];
    Arc::new(Silence {
        id: id.parse().unwrap(),
        matchers,
        starts_at,
        ends_at,
        updated_at: "2026-03-01T10:15:00.123456Z".parse().unwrap(),
        created_by: "me<b>".into(),
        comment: "c".into(),
        annotations: [("x".into(), "y".into())].into(),
    })
}

#[tokio::test]
async fn posted_silence_is_handed_on_and_its_id_answered() {
    let bed = Bed::start().await;
    let body =
        with("matchers", json!([{"name": "a", "value": "b|c", "isRegex": true, "isEqual": false}]));
    let reply = put(&bed, body).await;
    assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({"silenceID": ID})));
    // Keys match without case, what is unknown is passed over, and only the first value counts.
    let odd = br#"{"MATCHERS":[{"NAME":"a","value":"b","isRegex":false}],"startsAt":"","endsAt":"2036-01-01","comment":"","createdBy":"","annotations":{"k":null},"foo":[1],"id":""}]"#;
    assert_eq!(put(&bed, &odd[..]).await.status, 200);
    let drafts = bed.script.drafts.lock().unwrap();
    assert_eq!(drafts[0].matchers[0].kind, MatchType::NotRegex);
    assert_eq!((drafts[0].id, &*drafts[0].created_by, &*drafts[0].comment), (None, "me", "c"));
    assert_eq!(drafts[1].starts_at.to_string(), "0001-01-01T00:00:00Z");
    assert_eq!(drafts[1].ends_at.to_string(), "2036-01-01T00:00:00Z");
    assert_eq!(drafts[1].matchers[0].kind, MatchType::Equal);
    assert_eq!(drafts[1].annotations.get("k").map(|text| &**text), Some(""));
}

#[tokio::test]
async fn bodies_are_answered_as_alertmanager_answers_them() {
    let bed = Bed::start().await;
    // Each answer was printed by Alertmanager 0.34.2.
    for (body, code, message) in [
        (String::new(), 602, "silence in body is required"),
        ("null".into(), 602, "comment in body is required"),
        ("{}".into(), 602, "comment in body is required"),
        (with("comment", Value::Null), 602, "comment in body is required"),
        (with("createdBy", Value::Null), 602, "createdBy in body is required"),
        (with("endsAt", Value::Null), 602, "endsAt in body is required"),
        (with("startsAt", Value::Null), 602, "startsAt in body is required"),
        (with("matchers", Value::Null), 602, "matchers in body is required"),
        (with("matchers", json!([])), 612, "matchers in body should have at least 1 items"),
        (with("matchers", json!([{}])), 602, "matchers.0.isRegex in body is required"),
        (with("matchers", json!([{"isRegex": true}])), 602, "matchers.0.name in body is required"),
        (
            with("matchers", json!([{"isRegex": true, "name": "a"}])),
            602,
            "matchers.0.value in body is required",
        ),
    ] {
        let reply = put(&bed, body.clone()).await;
        assert_eq!(reply.status, 422, "{body}");
        assert_eq!(reply.json(), json!({"code": code, "message": message}), "{body}");
    }
    for body in [
        "{".to_owned(),
        "[]".into(),
        "7".into(),
        with("startsAt", json!("x")),
        with("endsAt", json!(5)),
        with("createdBy", json!(5)),
        with("id", json!(5)),
        with("annotations", json!({"a": 1})),
        with("annotations", json!([])),
        with("matchers", json!({})),
        with("matchers", json!([null])),
        with("matchers", json!([{"isRegex": 1, "name": "a", "value": "b"}])),
    ] {
        let reply = put(&bed, body.clone()).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (400, &json!(400)), "{body}");
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        let prefix = "parsing silence body from \"\" failed, because ";
        assert!(message.starts_with(prefix), "{body}: {message}");
    }
    assert!(bed.script.drafts.lock().unwrap().is_empty());
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(put(&bed, deep).await.status, 400);
    let large = with("comment", json!("x".repeat(300 * 1024)));
    assert_eq!(put(&bed, large).await.status, 413);
    let url = format!("{}/api/v2/silences", bed.api);
    let plain = [("content-type", "text/plain")];
    let reply = send(Method::POST, &url, &plain, valid().to_string().into()).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (415, &json!(415)));
}

#[tokio::test]
async fn refusals_have_alertmanagers_codes() {
    let bed = Bed::start().await;
    for (error, status) in [
        (SilenceError::NotFound, 404),
        (SilenceError::EndInPast, 400),
        (SilenceError::Invalid("matcher set 0 is empty".to_owned()), 400),
        (SilenceError::TooMany { held: 1, limit: 1 }, 400),
        (SilenceError::Refused(Refused::DiskFull), 503),
    ] {
        *bed.script.refuse.lock().unwrap() = Some(error.clone());
        let reply = put(&bed, valid().to_string()).await;
        assert_eq!(reply.status, status, "{error}");
        assert_eq!(reply.json(), error.to_string().as_str());
        assert_eq!(reply.headers.contains_key("retry-after"), status == 503);
    }
    *bed.script.refuse.lock().unwrap() = None;
    let reply = put(&bed, with("id", json!("xyz"))).await;
    assert_eq!((reply.status.as_u16(), reply.text().as_str()), (404, "\"silence not found\"\n"));
    assert_eq!(put(&bed, with("id", json!(ID))).await.status, 200);
    assert_eq!(bed.script.drafts.lock().unwrap().last().unwrap().id.unwrap().to_string(), ID);
}

#[tokio::test]
async fn silence_is_shown_as_alertmanager_shows_it() {
    let bed = Bed::start().await;
    *bed.script.silences.lock().unwrap() = vec![silence(ID, "active", "b")];
    let reply = ask(&bed, "GET", &format!("/api/v2/silence/{ID}")).await;
    let text = reply.text();
    let begin = format!(
        r#"{{"id":"{ID}","status":{{"state":"active"}},"updatedAt":"2026-03-01T10:15:00.123Z","annotations":{{"x":"y"}},"comment":"c","createdBy":"me\u003cb\u003e","endsAt":""#
    );
    assert!(text.starts_with(&begin), "{text}");
    let matchers = r#"Z","matchers":[{"isEqual":false,"isRegex":true,"name":"team","value":"b"}],"startsAt":""#;
    assert!(text.contains(matchers), "{text}");
    reply.json();
    for (method, path, status) in [
        ("GET", "00000000-0000-4000-8000-000000000000", 404),
        ("DELETE", "00000000-0000-4000-8000-000000000000", 404),
        ("DELETE", ID, 200),
    ] {
        let reply = ask(&bed, method, &format!("/api/v2/silence/{path}")).await;
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (status, ""), "{method} {path}");
    }
    for method in ["GET", "DELETE"] {
        let reply = ask(&bed, method, "/api/v2/silence/xyz").await;
        assert_eq!(reply.status, 422);
        let message = "silenceID in path must be of type uuid: \"xyz\"";
        assert_eq!(reply.json(), json!({"code": 601, "message": message}));
    }
}

#[tokio::test]
async fn silences_are_ordered_and_filtered() {
    let bed = Bed::start().await;
    let id = |n: u8| format!("00000000-0000-4000-8000-{n:012}");
    *bed.script.silences.lock().unwrap() = vec![
        silence(&id(1), "expired", "a"),
        silence(&id(2), "pending", "a"),
        silence(&id(3), "active", "b"),
    ];
    for (query, wanted) in [
        ("", vec![3, 2, 1]),
        ("?expired=false", vec![3, 2]),
        ("?active=0&pending=no", vec![1]),
        ("?filter=team!~a", vec![2, 1]),
        ("?filter=team!%3Da", vec![]),
        ("?filter=team!~a&filter=team!~b", vec![]),
    ] {
        let list = ask(&bed, "GET", &format!("/api/v2/silences{query}")).await.json();
        let ids: Vec<Value> =
            list.as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
        assert_eq!(ids, wanted.into_iter().map(|n| json!(id(n))).collect::<Vec<_>>(), "{query}");
    }
}
