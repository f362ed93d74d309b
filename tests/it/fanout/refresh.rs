//! Alertmanagers are reminded of what they were told, so that it does not expire there.

use std::time::Duration;

use fanfare::api::TargetType;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    bed::{Script, alert},
    builder::target,
    routes::{Routes, resolved, route},
};

const REFRESH: Duration = Duration::from_mins(5);

async fn start() -> (Routes, CancellationToken) {
    let targets = [
        target("ns/am").kind(TargetType::Alertmanager),
        target("ns/hook"),
        target("ns/off").kind(TargetType::Alertmanager).suspended(),
    ];
    let routes = Routes::start(targets, [route("r", &["am", "hook", "off"], json!({}))]).await;
    let stop = CancellationToken::new();
    let (refresher, token) = (routes.router.clone(), stop.clone());
    tokio::spawn(async move { refresher.refresh(token).await });
    routes.quiet().await;
    (routes, stop)
}

#[tokio::test(start_paused = true)]
async fn what_an_alertmanager_was_told_is_posted_again_in_one_go() {
    let (routes, _stop) = start().await;
    routes.post(vec![alert("DiskFull"), alert("Other")]).await.unwrap();
    assert_eq!(routes.asked().len(), 4, "both receivers are told both alerts");
    let told = routes
        .bed
        .metric("fanfare_notifications_total{type=\"Alertmanager\",outcome=\"delivered\"}");
    tokio::time::sleep(REFRESH).await;
    let seen = routes.bed.wire.take_seen();
    assert_eq!(seen.len(), 1, "one post, to the Alertmanager only");
    assert_eq!(seen[0].to.to_string(), "ns/am");
    assert_eq!(seen[0].notification.members.len(), 2);
    let after = routes
        .bed
        .metric("fanfare_notifications_total{type=\"Alertmanager\",outcome=\"delivered\"}");
    assert_eq!(after, told, "a refresh is no notification");
    tokio::time::sleep(REFRESH).await;
    assert!(!routes.bed.wire.take_seen().is_empty(), "again and again");
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_settles_nothing_and_is_repeated() {
    let (routes, _stop) = start().await;
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    routes.bed.wire.take_seen();
    routes.bed.wire.script("ns/am", Script::Fail(fanfare::publish::ErrorType::Connect, None));
    tokio::time::sleep(REFRESH).await;
    assert_eq!(routes.asked(), ["ns/am"]);
    routes.post(vec![alert.clone()]).await.unwrap();
    assert!(routes.asked().is_empty(), "it is still told");
    tokio::time::sleep(REFRESH).await;
    assert_eq!(routes.asked(), ["ns/am"]);
    routes.bed.wire.script("ns/am", Script::Accept);
    routes.post(vec![resolved(&alert)]).await.unwrap();
    assert_eq!(routes.asked(), ["ns/am", "ns/hook"], "the resolve goes out at once");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_posted_before_anything_was_told() {
    let (routes, _stop) = start().await;
    tokio::time::sleep(REFRESH * 3).await;
    assert!(routes.asked().is_empty());
}
