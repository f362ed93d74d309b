//! A publish that is to be retried, over a kill.

use serde_json::json;

use super::{EAGER, House, SOON, told, wait_told, webhook};
use crate::support::{
    sink::{Answer, Sink},
    wait::wait_for,
};

#[tokio::test]
async fn queued_publish_survives_a_kill_and_is_delivered_with_the_same_id() {
    let sink = Sink::start().await;
    sink.answer(Answer::status(503));
    let mut house = House::start(&webhook("hook", &sink.url("/"), EAGER)).await;
    let answer = house.publish("hook", "Asked", &json!({"retry": true}), None).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let result = &answer.json()["results"][0];
    assert_eq!((&result["queued"], &result["success"]), (&json!(true), &json!(false)), "{result}");
    let first = wait_told(&sink, "Asked firing").await.id;
    house.operator.kill();
    sink.clear();
    house.start_again().await;
    wait_told(&sink, "Asked firing").await;
    sink.answer(Answer::status(200));
    house.waits("hook", 0, 0).await;
    wait_for("the answer is written", SOON, || async {
        sink.ledger().0.iter().any(|entry| entry.accepted)
    })
    .await;
    assert!(told(&sink).iter().all(|one| one.id == first), "{first}: {:?}", told(&sink));
}

#[tokio::test]
async fn idempotency_key_gets_the_same_answer_over_a_kill_and_sends_nothing() {
    let (well, sick) = (Sink::start().await, Sink::start().await);
    sick.answer(Answer::status(503));
    let manifests =
        webhook("well", &well.url("/"), EAGER) + &webhook("sick", &sick.url("/"), EAGER);
    let mut house = House::start(&manifests).await;
    let retry = json!({"retry": true});
    let sent = house.publish("well", "Once", &retry, Some("key-1")).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    let queued = house.publish("sick", "Later", &retry, Some("key-2")).await;
    assert_eq!(queued.status, 202, "{}", queued.text());
    house.operator.kill();
    sick.answer(Answer::status(200));
    house.start_again().await;
    house.waits("sick", 0, 0).await;
    let delivered = told(&sick).len();
    let again = house.publish("well", "Once", &retry, Some("key-1")).await;
    assert_eq!((again.status, again.text()), (sent.status, sent.text()));
    let again = house.publish("sick", "Later", &retry, Some("key-2")).await;
    assert_eq!((again.status, again.text()), (queued.status, queued.text()));
    let other = house.publish("well", "Other", &retry, Some("key-1")).await;
    assert_eq!(other.status, 400, "{}", other.text());
    // Whatever was sent by mistake would be there before this.
    for (name, sink) in [("well", &well), ("sick", &sick)] {
        house.publish(name, "Fence", &retry, None).await;
        wait_told(sink, "Fence firing").await;
    }
    assert_eq!(told(&well).len(), 2, "{:?}", told(&well));
    assert_eq!(told(&sick).len(), delivered + 1, "{:?}", told(&sick));
}
