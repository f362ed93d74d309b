//! Dead letters are sent again: by id or by condition, the oldest first, in bounded parts.

use fanfare::{
    publish::{ReplayError, ReplayOutcome, Replayed},
    store::DeadLetterFilter,
};
use serde_json::{Value, json};

use super::{
    Bed,
    shelf::{dead, put},
};
use crate::support::http::{Reply, post};

async fn replay(bed: &Bed, body: &Value) -> Reply {
    post(&format!("{}/api/v1/deadletters/replay", bed.api), body).await
}

/// The ids of all dead letters, oldest first.
fn ids(bed: &Bed) -> Vec<u64> {
    let filter = DeadLetterFilter { limit: 10_000, ..DeadLetterFilter::default() };
    let mut ids: Vec<_> =
        bed.store.dead_letters(&filter).unwrap().items.iter().map(|(id, _)| id.0).collect();
    ids.reverse();
    ids
}

#[tokio::test]
async fn named_letters_are_queued_oldest_first_and_each_once() {
    let bed = Bed::start().await;
    put(&bed, vec![dead("A"), dead("B"), dead("C")]).await;
    let all = ids(&bed);
    let body = json!({"ids": [all[2].to_string(), all[0], all[2], u64::MAX.to_string()]});
    let reply = replay(&bed, &body).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    assert_eq!(
        reply.json(),
        json!({"queued_count": 2, "owed_count": 0, "kept": [], "unknown_ids": [u64::MAX.to_string()]})
    );
    assert_eq!(*bed.script.replayed.lock().unwrap(), [[all[0], all[2], u64::MAX]]);
    assert_eq!(ids(&bed), [all[1]]);
}

#[tokio::test]
async fn unknown_letters_are_404() {
    let bed = Bed::start().await;
    let reply = replay(&bed, &json!({"ids": ["1", "2"]})).await;
    let body = reply.json();
    assert_eq!((reply.status.as_u16(), &body["error"]["type"]), (404, &json!("not_found")));
    assert_eq!(body["unknown_ids"], json!(["1", "2"]));
}

#[tokio::test]
async fn letters_that_match_go_in_bounded_parts_until_none_remains() {
    let bed = Bed::start().await;
    put(&bed, (0..1_100).map(|at| dead(&format!("a{at}"))).collect()).await;
    let all = ids(&bed);
    let filter = json!({"target": "ns/slack", "reason": "max_age", "since": "1h"});
    let first = replay(&bed, &json!({"filter": filter})).await.json();
    assert_eq!((&first["queued_count"], &first["remaining"]), (&json!(1_000), &json!(100)));
    assert_eq!(bed.script.replayed.lock().unwrap()[0], all[..1_000], "oldest first");
    let body = json!({"filter": filter, "limit": 60, "cursor": first["next_cursor"]});
    let second = replay(&bed, &body).await.json();
    assert_eq!((&second["queued_count"], &second["remaining"]), (&json!(60), &json!(40)));
    let last = replay(&bed, &json!({"filter": {}})).await.json();
    assert_eq!((&last["queued_count"], &last["remaining"]), (&json!(40), &json!(0)));
    assert_eq!(last["next_cursor"], Value::Null);
    let none = replay(&bed, &json!({"filter": filter})).await;
    assert_eq!((none.status.as_u16(), &none.json()["queued_count"]), (200, &json!(0)));
}

#[tokio::test]
async fn cursor_leads_past_letters_that_stay() {
    let bed = Bed::start().await;
    put(&bed, vec![dead("A"), dead("B"), dead("C")]).await;
    let all = ids(&bed);
    let outcome = |id, outcome| Replayed { id, outcome };
    *bed.script.replay.lock().unwrap() =
        Some(Ok(vec![outcome(all[0], ReplayOutcome::UnknownTarget)]));
    let kept = replay(&bed, &json!({"filter": {}, "limit": 1})).await;
    let body = kept.json();
    assert_eq!((kept.status.as_u16(), &body["error"]["type"]), (409, &json!("not_replayed")));
    assert_eq!(body["kept"][0]["id"], all[0].to_string());
    assert_eq!(body["kept"][0]["reason"], "unknown_target");
    assert!(body["kept"][0]["message"].as_str().unwrap().contains("create it again"));
    *bed.script.replay.lock().unwrap() = Some(Ok(vec![outcome(all[1], ReplayOutcome::Owed)]));
    let next = json!({"filter": {}, "limit": 1, "cursor": body["next_cursor"]});
    let reply = replay(&bed, &next).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["owed_count"]), (202, &json!(1)));
    assert_eq!(bed.script.replayed.lock().unwrap()[1], [all[1]]);
}

#[tokio::test]
async fn wrong_requests_are_400_and_replay_nothing() {
    let bed = Bed::start().await;
    put(&bed, vec![dead("A")]).await;
    for (body, part) in [
        (json!({}), "say which dead letters"),
        (json!([]), "does not say which dead letters"),
        (json!({"ids": []}), "ids is empty"),
        (json!({"ids": ["1"], "limit": 5}), "belong to filter"),
        (json!({"ids": ["x"]}), "not the id"),
        (json!({"ids": [1.5]}), "a text of digits"),
        (json!({"filter": {"target": "slack"}}), "not namespace/name"),
        (json!({"filter": {"reason": "bad"}}), "no such reason"),
        (json!({"filter": {"colour": "red"}}), "unknown field"),
        (json!({"filter": {}, "limit": 0}), "1 to 1000"),
        (json!({"filter": {}, "limit": -1}), "invalid value"),
        (json!({"filter": {}, "cursor": "l1"}), "not from this list"),
    ] {
        let reply = replay(&bed, &body).await;
        let answer = reply.json();
        assert_eq!(reply.status, 400, "{body}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{body}: {message}");
    }
    let query = format!("{}/api/v1/deadletters/replay?reason=rejected", bed.api);
    assert_eq!(post(&query, &json!({"filter": {}})).await.status, 400, "conditions in the query");
    assert!(bed.script.replayed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn refusals_say_when_to_try_again() {
    let bed = Bed::start().await;
    put(&bed, vec![dead("A")]).await;
    for (error, after) in [
        (ReplayError::NotReady, "5"),
        (ReplayError::ShuttingDown, "5"),
        (ReplayError::Full, "60"),
        (ReplayError::StoreFailed, "15"),
    ] {
        *bed.script.replay.lock().unwrap() = Some(Err(error));
        let reply = replay(&bed, &json!({"filter": {}})).await;
        assert_eq!(
            (reply.status.as_u16(), reply.headers["retry-after"].as_bytes()),
            (503, after.as_bytes())
        );
        assert!(reply.text().contains("nothing was replayed"), "{}", reply.text());
    }
}
