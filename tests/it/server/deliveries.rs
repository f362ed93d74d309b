//! The history answers: was this alert sent, to whom, with what answer.

use fanfare::{
    api::TargetKey,
    store::{AttemptRecord, Op, Outcome},
};
use serde_json::{Value, json};

use super::{
    Bed,
    shelf::{ago, alert, attempt, items, put},
};
use crate::support::http::get;

async fn list(bed: &Bed, query: &str) -> Value {
    let reply = get(&format!("{}/api/v1/deliveries{query}", bed.api)).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    reply.json()
}

fn ops(records: impl IntoIterator<Item = AttemptRecord>) -> Vec<Op> {
    records.into_iter().map(|record| Op::Attempt(Box::new(record))).collect()
}

/// The numbers of the attempts of a list.
fn attempts(list: &Value) -> Vec<u64> {
    items(list).iter().map(|item| item["attempt"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_delivery_says_who_was_told_what_with_what_answer() {
    let bed = Bed::start().await;
    let superseded = AttemptRecord {
        attempt: 0,
        outcome: Outcome::Superseded,
        error_type: None,
        status_code: None,
        route: None,
        ..attempt("A")
    };
    put(&bed, ops([attempt("A"), superseded])).await;
    let page = list(&bed, "?since=1h").await;
    let [superseded, failed] = items(&page) else { panic!("{page}") };
    assert_eq!(
        *failed,
        json!({
            "at": failed["at"],
            "fingerprint": alert("A").labels.fingerprint().to_string(),
            "alerts": 1,
            "alertname": "A",
            "alertnames": [],
            "notification_id": "00112233445566778899aabbccddeeff",
            "status": "firing",
            "target": "ns/slack",
            "route": "ns/route",
            "attempt": 2,
            "outcome": "failed",
            "error_type": "server_error",
            "status_code": 503,
            "duration_ms": 12,
        })
    );
    assert!(failed["at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert_eq!(superseded["outcome"], "superseded");
    for absent in ["error_type", "status_code", "route"] {
        assert_eq!(superseded[absent], Value::Null, "{absent}");
    }
}

#[tokio::test]
async fn alert_target_and_time_narrow_the_history() {
    let bed = Bed::start().await;
    let old = AttemptRecord { at: ago(120), attempt: 1, ..attempt("A") };
    put(&bed, ops([old])).await;
    let pager = TargetKey::new("ns", "pager");
    let others = [
        AttemptRecord { attempt: 2, target: pager, ..attempt("A") },
        AttemptRecord {
            attempt: 3,
            fingerprints: ["B", "E"].map(|name| alert(name).labels.fingerprint()).into(),
            alerts: 2,
            alert: None,
            names: ["B", "E"].map(std::sync::Arc::from).into(),
            ..attempt("B")
        },
        AttemptRecord {
            attempt: 4,
            at: ago(300),
            alert: Some("y".repeat(100).into()),
            ..attempt("C")
        },
    ];
    put(&bed, ops(others)).await;
    let a = alert("A").labels.fingerprint();
    let labels = "%7B%22severity%22:%22page%22,%22alertname%22:%22A%22,%22empty%22:%22%22%7D";
    for (query, expected) in [
        (format!("?fingerprint={a}"), &[2, 1][..]),
        (format!("?labels={labels}"), &[2, 1]),
        (format!("?fingerprint={a}&since=1h"), &[2]),
        (format!("?fingerprint={a}&target=ns/slack"), &[1]),
        (format!("?fingerprint={}", alert("E").labels.fingerprint()), &[3]),
        ("?target=ns/slack".to_owned(), &[4, 3, 1]),
        ("?alertname=A".to_owned(), &[2, 1]),
        ("?alertname=B&target=ns/slack".to_owned(), &[3]),
        ("?alertname=E".to_owned(), &[3]),
        (format!("?alertname={}", "y".repeat(120)), &[4]),
        ("?alertname=D".to_owned(), &[]),
        ("?since=1h".to_owned(), &[3, 2]),
        ("?since=3h".to_owned(), &[3, 2, 1]),
        ("?fingerprint=0000000000000000".to_owned(), &[]),
    ] {
        assert_eq!(attempts(&list(&bed, &query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn pages_have_no_gaps_and_no_repeats_while_new_ones_come() {
    let bed = Bed::start().await;
    let numbered = |attempt| AttemptRecord { attempt, ..self::attempt("A") };
    for at in 0..20 {
        put(&bed, ops((5 * at..5 * at + 5).map(numbered))).await;
    }
    for limit in [1, 7, 99, 1_000] {
        let mut seen = Vec::new();
        let mut query = format!("?target=ns/slack&limit={limit}");
        loop {
            let page = list(&bed, &query).await;
            assert!(items(&page).len() <= limit, "{limit}");
            seen.extend(attempts(&page).into_iter().filter(|attempt| *attempt < 1_000));
            put(&bed, ops([numbered(1_000)])).await;
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            query = format!("?target=ns/slack&limit={limit}&cursor={cursor}");
        }
        assert_eq!(seen, (0..100).rev().collect::<Vec<_>>(), "limit {limit}");
    }
}

#[tokio::test]
async fn a_long_history_is_read_in_bounded_pages() {
    let bed = Bed::start().await;
    for _ in 0..20 {
        put(&bed, ops((0..1_000).map(|_| attempt("A")))).await;
    }
    put(&bed, ops([attempt("rare")])).await;
    for _ in 0..20 {
        put(&bed, ops((0..1_000).map(|_| attempt("A")))).await;
    }
    assert_eq!(items(&list(&bed, "?since=1h").await).len(), 100, "the default");
    let reply = get(&format!("{}/api/v1/deliveries?since=1h&limit=1000", bed.api)).await;
    assert!(reply.body.len() < 1024 * 1024, "{} bytes", reply.body.len());
    assert_eq!(items(&reply.json()).len(), 1_000);
    let rare = alert("rare").labels.fingerprint();
    let mut query = format!("?fingerprint={rare}");
    let mut found = 0;
    loop {
        let page = list(&bed, &query).await;
        found += items(&page).len();
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?fingerprint={rare}&cursor={cursor}");
    }
    assert_eq!(found, 1);
}

#[tokio::test]
async fn wrong_queries_are_400_and_say_what_to_write() {
    let bed = Bed::start().await;
    for (query, part) in [
        ("", "say which deliveries"),
        ("?limit=5", "say which deliveries"),
        ("?reason=rejected", "there are fingerprint, labels, alertname, target"),
        ("?fingerprint=abc", "16 hex digits"),
        ("?fingerprint=zzzzzzzzzzzzzzzz", "16 hex digits"),
        ("?alertname=", "alertname is empty"),
        ("?labels=a", "JSON object"),
        ("?labels={%22a%22:1}", "JSON object"),
        ("?labels={}&fingerprint=0000000000000000", "give one of them"),
        ("?target=slack", "not namespace/name"),
        ("?since=now", "duration back from now"),
        ("?since=1h&limit=ten", "1 to 1000"),
        ("?since=1h&cursor=l1", "not from this list"),
    ] {
        let reply = get(&format!("{}/api/v1/deliveries{query}", bed.api)).await;
        let body = reply.json();
        assert_eq!(reply.status, 400, "{query}: {body}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{query}: {message}");
    }
}
