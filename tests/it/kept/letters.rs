//! Dead letters and history as people use them.

use serde_json::json;

use super::{EAGER, House, SEND, SOON, firing, resolved, route, told, wait_told, webhook, words};
use crate::support::{
    http::{get, post, send},
    sink::{Answer, Sink},
    wait::wait_for,
};

#[tokio::test]
async fn refused_notification_is_one_dead_letter_and_is_told_with_the_same_id_when_replayed() {
    let sink = Sink::start().await;
    let manifests = webhook("hook", &sink.url("/"), EAGER) + &route("all", &["hook"], SEND);
    let house = House::start(&manifests).await;
    house.fire(&json!([firing("First")])).await;
    wait_for("its health is known", SOON, || async {
        house.target("hook").await["status"]["health"]["state"] == "Healthy"
    })
    .await;
    sink.answer(Answer::status(422));
    house.fire(&json!([firing("Refused")])).await;
    let refused = wait_told(&sink, "Refused firing").await;
    assert_eq!(house.buried("hook", 1).await, ["rejected Refused firing"]);
    // A re-send is no reason to try again, and makes no second letter.
    house.fire(&json!([firing("Refused")])).await;
    sink.answer(Answer::status(200));
    house.fire(&json!([firing("Fence")])).await;
    wait_told(&sink, "Fence firing").await;
    assert_eq!(told(&sink).len(), 3, "{:?}", told(&sink));
    let letters = house.letters("hook").await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0]["status_code"], 422);
    assert_eq!(letters[0]["notification"]["id"], refused.id.as_str());

    let replay = house.operator.api_url("/api/v1/deadletters/replay");
    let answer = post(&replay, &json!({"ids": [letters[0]["id"]]})).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    wait_for("the replay comes", SOON, || async { told(&sink).len() >= 4 }).await;
    let last = told(&sink).pop().unwrap();
    assert_eq!((last.what.as_str(), &last.id), ("Refused firing", &refused.id));
    wait_for("the letter is gone", SOON, || async { house.letters("hook").await.is_empty() }).await;
    // It counts as told: nothing more until it is over.
    house.waits("hook", 0, 0).await;
    house.fire(&json!([resolved("Refused")])).await;
    wait_told(&sink, "Refused resolved").await;
    assert_eq!(told(&sink).len(), 5, "{:?}", told(&sink));
}

#[tokio::test]
async fn dead_letters_are_thrown_away_by_id_and_by_condition_never_all_by_mistake() {
    let sink = Sink::start().await;
    sink.answer(Answer::status(422));
    let manifests = webhook("hook", &sink.url("/"), EAGER) + &route("all", &["hook"], SEND);
    let mut house = House::start(&manifests).await;
    house.fire(&json!([firing("A"), firing("B"), firing("C")])).await;
    house.buried("hook", 3).await;
    let delete = |query: String, house: &House| {
        let url = house.operator.api_url(&format!("/api/v1/deadletters{query}"));
        async move { send(http::Method::DELETE, &url, &[], bytes::Bytes::new()).await }
    };
    assert_eq!(delete(String::new(), &house).await.status, 400);
    let letters = house.letters("hook").await;
    let id = letters[0]["id"].as_str().unwrap();
    assert_eq!(delete(format!("?ids={id}"), &house).await.json()["deleted_count"], 1);
    house.operator.kill();
    house.start_again().await;
    let left = house.letters("hook").await;
    let words: Vec<_> = left.iter().map(words).collect();
    assert_eq!(left.len(), 2, "kept over a kill, but not the deleted one: {words:?}");
    let all = delete("?target=default/hook&reason=rejected".to_owned(), &house).await;
    assert_eq!(all.json()["deleted_count"], 2, "{}", all.text());
    assert!(house.letters("hook").await.is_empty());
}

#[tokio::test]
async fn history_answers_whether_an_alert_was_sent_to_whom_and_with_what_answer() {
    let (well, sick) = (Sink::start().await, Sink::start().await);
    sick.answer_once(Answer::status(503));
    let manifests = webhook("well", &well.url("/"), EAGER)
        + &webhook("sick", &sick.url("/"), EAGER)
        + &route("all", &["well", "sick"], SEND);
    let mut house = House::start(&manifests).await;
    house.fire(&json!([firing("Asked")])).await;
    for sink in [&well, &sick] {
        wait_told(sink, "Asked firing").await;
    }
    house.fire(&json!([firing("Other")])).await;
    let query = "labels=%7B%22alertname%22%3A%22Asked%22%2C%22severity%22%3A%22critical%22%7D";
    wait_for("three attempts", SOON, || async { house.deliveries(query).await.len() >= 3 }).await;
    assert!(house.operator.terminate().await.success());
    house.start_again().await;
    let mut all: Vec<_> = house
        .deliveries(query)
        .await
        .iter()
        .map(|one| {
            let text = |field: &str| one[field].as_str().unwrap_or("-").to_owned();
            let [target, status, outcome] = ["target", "status", "outcome"].map(text);
            format!("{target} {status} {} {outcome} {}", one["attempt"], one["status_code"])
        })
        .collect();
    all.sort_unstable();
    assert_eq!(
        all,
        [
            "default/sick firing 1 failed 503",
            "default/sick firing 2 delivered 200",
            "default/well firing 1 delivered 200"
        ]
    );
    let by_target = house.deliveries("target=default/well").await;
    assert_eq!(by_target.len(), 2, "{by_target:?}");
    let url = house.operator.api_url("/api/v1/deliveries");
    assert_eq!(get(&url).await.status, 400, "not everything at once");
}
