//! Dead letters are read in pages, narrowed by conditions, and thrown away on demand only.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use fanfare::{
    alert::Labels,
    api::TargetKey,
    store::{self, DeadLetter, DeadReason, Op, Settings, Store},
};
use http::Method;
use serde_json::{Value, json};

use super::{
    Bed,
    shelf::{ago, alert, dead, items, letter, names, notification, put},
};
use crate::support::http::{Reply, get, send};

async fn list(bed: &Bed, query: &str) -> Value {
    let reply = get(&format!("{}/api/v1/deadletters{query}", bed.api)).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    reply.json()
}

async fn delete(bed: &Bed, query: &str, body: &str) -> Reply {
    let url = format!("{}/api/v1/deadletters{query}", bed.api);
    send(Method::DELETE, &url, &[], Bytes::copy_from_slice(body.as_bytes())).await
}

#[tokio::test]
async fn a_letter_says_what_was_given_up_and_why() {
    let bed = Bed::start().await;
    let kept = letter("A");
    put(&bed, vec![Op::DeadLetter(Box::new(kept.clone()))]).await;
    let page = list(&bed, "").await;
    assert_eq!(page["next_cursor"], Value::Null);
    let shown = &items(&page)[0];
    assert!(shown["id"].is_string(), "large ids survive readers that know only doubles");
    let labels = alert("A").labels;
    let expected = json!({
        "id": shown["id"],
        "at": shown["at"],
        "target": "ns/slack",
        "route": "ns/route",
        "reason": "max_age",
        "message": "HTTP 500 from hooks.slack.com",
        "status_code": 500,
        "attempts": 17,
        "accepted_at": shown["accepted_at"],
        "notification": {
            "id": "00112233445566778899aabbccddeeff",
            "group_key": r#"ns/route:{alertname="A", severity="page"}"#,
            "status": "firing",
            "alerts": [{
                "fingerprint": labels.fingerprint().to_string(),
                "status": "firing",
                "labels": {"alertname": "A", "severity": "page"},
                "annotations": {"summary": "something is wrong"},
                "starts_at": "2026-03-01T10:15:00Z",
                "ends_at": "2026-03-01T10:20:00Z",
                "generator_url": "http://prometheus/graph",
            }],
        },
    });
    assert_eq!(*shown, expected);
    let time = |name: &str| shown[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(
        (time("at").as_second(), time("accepted_at").as_second()),
        (kept.at.as_second(), kept.accepted_at.as_second())
    );
}

#[tokio::test]
async fn each_condition_narrows_the_list() {
    let bed = Bed::start().await;
    let other = TargetKey::new("ns", "pager");
    let letters = [
        DeadLetter { at: ago(120), ..letter("old") },
        DeadLetter { target: other, route: None, ..letter("pager") },
        DeadLetter { reason: DeadReason::Rejected, ..letter("rejected") },
    ];
    put(&bed, letters.map(|letter| Op::DeadLetter(Box::new(letter))).into()).await;
    for (query, expected) in [
        ("", &["rejected", "pager", "old"][..]),
        ("?target=ns/pager", &["pager"]),
        ("?target=ns%2Fpager", &["pager"]),
        ("?reason=rejected", &["rejected"]),
        ("?since=1h", &["rejected", "pager"]),
        ("?since=3h", &["rejected", "pager", "old"]),
        ("?since=2020-01-01T00:00:00Z", &["rejected", "pager", "old"]),
        ("?since=2999-01-01T00:00:00%2B01:00", &[]),
        ("?target=ns/slack&reason=max_age&since=1h", &[]),
        ("?target=ns/slack&reason=max_age&since=3h", &["old"]),
        ("?target=other/slack", &[]),
    ] {
        assert_eq!(names(&list(&bed, query).await), expected, "{query}");
    }
    assert_eq!(list(&bed, "?target=ns/pager").await["items"][0]["route"], Value::Null);
}

#[tokio::test]
async fn pages_have_no_gaps_and_no_repeats_while_new_ones_come() {
    let bed = Bed::start().await;
    put(&bed, (0..50).map(|at| dead(&format!("a{at}"))).collect()).await;
    let mut seen = Vec::new();
    let mut query = "?limit=7".to_owned();
    loop {
        let page = list(&bed, &query).await;
        seen.extend(names(&page));
        put(&bed, vec![dead("new"), dead("newer")]).await;
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        assert_eq!(items(&page).len(), 7);
        query = format!("?limit=7&cursor={cursor}");
    }
    let expected: Vec<_> = (0..50).rev().map(|at| format!("a{at}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn pages_of_large_alerts_end_early() {
    let bed = Bed::start().await;
    let large = |at: u32| {
        let mut alert = alert(&format!("a{at}"));
        let text = "\u{1}".repeat(16 * 1024);
        let texts = (0..4).map(|n| (format!("a{n}"), text.as_str()));
        alert.annotations = texts.collect::<Labels>();
        Op::DeadLetter(Box::new(DeadLetter {
            notification: Arc::new(notification(alert)),
            ..letter("large")
        }))
    };
    put(&bed, (0..20).map(large).collect()).await;
    let mut seen = BTreeSet::new();
    let mut query = "?limit=1000".to_owned();
    loop {
        let reply = get(&format!("{}/api/v1/deadletters{query}", bed.api)).await;
        assert!(reply.body.len() < 3 * 1024 * 1024, "{} bytes", reply.body.len());
        let page = reply.json();
        seen.extend(names(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=1000&cursor={cursor}");
    }
    assert_eq!(seen.len(), 20);
}

#[tokio::test]
async fn wrong_queries_are_400_and_say_what_to_write() {
    let bed = Bed::start().await;
    put(&bed, vec![dead("A")]).await;
    for (query, part) in [
        ("?colour=red", "there are target, reason, since, limit, cursor"),
        ("?target=", "target is empty"),
        ("?target=slack", "not namespace/name"),
        ("?target=a/b/c", "not namespace/name"),
        ("?target=a/b&target=c/d", "given twice"),
        ("?reason=Rejected", "max_attempts, queue_full"),
        ("?since=yesterday", "30m, 1h, 48h"),
        ("?since=-1h", "duration back from now"),
        ("?limit=0", "1 to 1000"),
        ("?limit=1001", "1 to 1000"),
        ("?limit=99999999999999999999999", "1 to 1000"),
        ("?cursor=1", "next_cursor"),
        ("?cursor=d1", "not from this list"),
        ("?cursor=l99999999999999999999", "next_cursor"),
        ("?%ff=1", "no such parameter"),
    ] {
        let reply = get(&format!("{}/api/v1/deadletters{query}", bed.api)).await;
        let body = reply.json();
        assert_eq!(reply.status, 400, "{query}: {body}");
        assert_eq!(body["error"]["type"], "invalid_input");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{query}: {message}");
    }
    let long = format!("?target={}", "x".repeat(8_000));
    let reply = get(&format!("{}/api/v1/deadletters{long}", bed.api)).await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.len() < 500, "what was sent is not sent back whole");
    assert!(bed.metric(r#"endpoint="deadletters",code_class="4xx"} 16"#).await);
}

#[tokio::test]
async fn named_letters_are_deleted_and_unknown_ones_reported() {
    let bed = Bed::start().await;
    put(&bed, vec![dead("A"), dead("B"), dead("C")]).await;
    let page = list(&bed, "").await;
    let id = |at: usize| page["items"][at]["id"].as_str().unwrap();
    let reply = delete(&bed, &format!("?ids={},{}", id(0), u64::MAX), "").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json(), json!({"deleted_count": 1, "unknown_ids": [u64::MAX.to_string()]}));
    assert_eq!(names(&list(&bed, "").await), ["B", "A"]);
    let body = json!({"ids": [id(1), id(1)]}).to_string();
    assert_eq!(delete(&bed, "", &body).await.json()["deleted_count"], 1);
    let again = delete(&bed, "", &body).await;
    assert_eq!((again.status.as_u16(), &again.json()["error"]["type"]), (404, &json!("not_found")));
    assert_eq!(names(&list(&bed, "").await), ["A"]);
}

#[tokio::test]
async fn deletion_by_condition_is_bounded_and_says_how_many_remain() {
    let bed = Bed::start().await;
    put(&bed, (0..30).map(|at| dead(&format!("a{at}"))).collect()).await;
    let rejected = DeadLetter { reason: DeadReason::Rejected, ..letter("other") };
    put(&bed, vec![Op::DeadLetter(Box::new(rejected))]).await;
    let reply = delete(&bed, "?target=ns/slack&reason=max_age&limit=12", "").await;
    assert_eq!(reply.json(), json!({"deleted_count": 12, "remaining": 18}));
    let left = names(&list(&bed, "").await);
    assert_eq!((left[0].as_str(), left.last().unwrap().as_str()), ("other", "a12"), "oldest first");
    let body = json!({"filter": {"reason": "max_age"}});
    let reply = delete(&bed, "", &body.to_string()).await;
    assert_eq!(reply.json(), json!({"deleted_count": 18, "remaining": 0}));
    assert_eq!(names(&list(&bed, "").await), ["other"]);
    let reply = delete(&bed, "?reason=queue_full", "").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["deleted_count"]), (200, &json!(0)));
}

#[tokio::test]
async fn deletion_without_a_condition_is_refused() {
    let bed = Bed::start().await;
    put(&bed, vec![dead("A")]).await;
    let many: Vec<_> = (0..1_001).collect();
    for (query, body, part) in [
        ("", String::new(), "nothing is deleted without a condition"),
        ("?limit=5", String::new(), "nothing is deleted without a condition"),
        ("", json!({"filter": {}}).to_string(), "nothing is deleted without a condition"),
        ("", json!({}).to_string(), "say which"),
        ("?target=", String::new(), "target is empty"),
        ("?ids=", String::new(), "ids is empty"),
        ("?ids=1&target=ns/slack", String::new(), "leave the other parameters out"),
        ("?ids=1,x", String::new(), "not the id of a dead letter"),
        ("?ids=0x1", String::new(), "not the id of a dead letter"),
        ("?target=ns/slack", json!({"ids": ["1"]}).to_string(), "not in both"),
        ("", json!({"ids": []}).to_string(), "ids is empty"),
        ("", json!({"ids": many}).to_string(), "more than 1000"),
        ("", json!({"ids": [-1]}).to_string(), "a text of digits"),
        ("", json!({"ids": ["1"], "filter": {"since": "1h"}}).to_string(), "exclude each other"),
        ("", json!({"filter": {"since": "1h", "all": true}}).to_string(), "unknown field"),
        ("", json!({"filter": {"since": "1h"}, "limit": 1_001}).to_string(), "1 to 1000"),
        ("", "[".to_owned(), "does not say which"),
    ] {
        let reply = delete(&bed, query, &body).await;
        let answer = reply.json();
        assert_eq!(reply.status, 400, "{query} {body}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{query} {body}: {message}");
    }
    assert_eq!(names(&list(&bed, "").await), ["A"]);
}

#[tokio::test]
async fn store_that_ended_is_503_and_says_where_to_look() {
    let store = store::in_memory(Settings::for_memory(64 * 1024 * 1024)).unwrap();
    let bed = Bed::start_over(None, Arc::clone(&store) as Arc<dyn Store>).await;
    put(&bed, vec![dead("A")]).await;
    let id = items(&list(&bed, "").await)[0]["id"].as_str().unwrap().to_owned();
    tokio::task::spawn_blocking(move || store.close()).await.unwrap();
    let replies = [
        delete(&bed, &format!("?ids={id}"), "").await,
        get(&format!("{}/api/v1/deadletters", bed.api)).await,
        get(&format!("{}/api/v1/deliveries?since=1h", bed.api)).await,
    ];
    for reply in replies {
        assert_eq!(reply.status, 503, "{}", reply.text());
        assert_eq!(reply.headers["retry-after"], "15");
        let body = reply.json();
        assert_eq!(body["error"]["type"], "unavailable");
        assert!(body["error"]["message"].as_str().unwrap().contains("--data-dir"), "{body}");
    }
}
