//! `Hold`: what is owed to a target that is not well is the trial, one per `unhealthyInterval`.

use std::time::Duration;

use fanfare::api::HealthState::{Healthy, Unhealthy};
use serde_json::json;

use super::{
    bed::{Script, alert},
    builder::target,
    routes::{Routes, route},
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn one_is_tried_per_interval_and_everything_on_recovery() {
    let hold = json!({"whenUnhealthy": "Hold"});
    let routes = Routes::start([target("ns/a").unhealthy()], [route("r", &["a"], hold)]).await;
    routes.bed.wire.script("ns/a", Script::Fail(fanfare::publish::ErrorType::Connect, None));
    let names = ["One", "Two", "Three", "Four"];
    routes.post(names.map(alert).to_vec()).await.unwrap();
    assert_eq!(routes.asked().len(), 1, "the first is the trial");
    tokio::time::sleep(SECOND * 14).await;
    assert!(routes.asked().is_empty());
    tokio::time::sleep(SECOND).await;
    assert_eq!(routes.asked().len(), 1, "one per unhealthyInterval");
    tokio::time::sleep(SECOND * 15).await;
    assert_eq!(routes.asked().len(), 1);
    routes.bed.wire.script("ns/a", Script::Accept);
    routes.becomes("ns/a", Healthy).await;
    assert_eq!(routes.asked().len(), 4, "everything that was held");
}

#[tokio::test(start_paused = true)]
async fn degraded_can_hold_too() {
    let hold = json!({"whenDegraded": "Hold"});
    let routes =
        Routes::start([target("ns/a").degraded(), target("ns/b")], [route("r", &["a", "b"], hold)])
            .await;
    routes.post(["One", "Two", "Three"].map(alert).to_vec()).await.unwrap();
    let asked = routes.asked();
    assert_eq!(asked.iter().filter(|name| *name == "ns/a").count(), 1, "{asked:?}");
    routes.becomes("ns/a", Healthy).await;
    assert_eq!(routes.asked(), ["ns/a", "ns/a"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_stays_owed_until_it_is_told() {
    let hold = json!({"whenUnhealthy": "Hold"});
    let routes =
        Routes::start([target("ns/a"), target("ns/b")], [route("r", &["a", "b"], hold)]).await;
    routes.becomes("ns/a", Unhealthy).await;
    routes.post(["One", "Two"].map(alert).to_vec()).await.unwrap();
    routes.asked();
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(routes.bed.metric("fanfare_owed_notifications"), Some(1.0));
    assert_eq!(routes.bed.metric("fanfare_owed{target=\"ns/a\"}"), Some(1.0));
    routes.becomes("ns/a", Healthy).await;
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(routes.bed.metric("fanfare_owed_notifications"), Some(0.0));
}
