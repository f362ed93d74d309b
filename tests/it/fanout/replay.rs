//! Dead letters back to work.

use std::time::Duration;

use fanfare::{
    api::TargetKey,
    publish::{
        ErrorType, MAX_REPLAY, Publisher, Replay, ReplayError,
        ReplayOutcome::{NotFound, Owed, Queued, UnknownTarget},
    },
};
use serde_json::json;

use super::{
    bed::{Script, alert, named, request},
    builder::{key, target},
    routes::{Routes, resolved, route},
};

const SECOND: Duration = Duration::from_secs(1);

async fn start() -> Routes {
    Routes::start([target("ns/a")], [route("r", &["a"], json!({}))]).await
}

fn ids(routes: &Routes) -> Vec<u64> {
    routes.bed.ledger.letters().iter().map(|(id, _)| id.0).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_still_owed_is_tried_at_once() {
    let routes = start().await;
    routes.bed.wire.script("ns/a", Script::Reject);
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    routes.asked();
    routes.bed.wire.script("ns/a", Script::Accept);
    let replayed = routes.router.replay(ids(&routes)).await.unwrap();
    assert_eq!(replayed[0].outcome, Owed);
    assert!(routes.bed.ledger.letters().is_empty());
    routes.quiet().await;
    assert_eq!(routes.asked(), ["ns/a"]);
}

#[tokio::test(start_paused = true)]
async fn what_fails_again_is_another_dead_letter() {
    let routes = start().await;
    routes.bed.wire.script("ns/a", Script::Reject);
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    let before = ids(&routes);
    routes.router.replay(before.clone()).await.unwrap();
    routes.quiet().await;
    let after = ids(&routes);
    assert_eq!(after.len(), 1);
    assert_ne!(after, before);
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_queued_as_it_was() {
    let routes = start().await;
    routes.bed.wire.script("ns/a", Script::Reject);
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    let first = routes.bed.wire.take_seen();
    routes.post(vec![resolved(&alert)]).await.unwrap();
    routes.bed.wire.script("ns/a", Script::Accept);
    let replayed = routes.router.replay(ids(&routes)).await.unwrap();
    assert_eq!(replayed[0].outcome, Queued);
    routes.quiet().await;
    let seen = routes.bed.wire.take_seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].notification.id, first[0].notification.id);
    assert!(routes.bed.ledger.letters().is_empty() && routes.bed.ledger.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_replayed_is_said() {
    let mut routes = start().await;
    routes.bed.wire.script("ns/a", Script::Fail(ErrorType::ServerError, Some(500)));
    let mut request = request(named(["ns/a"]));
    request.options.retry = true;
    routes.bed.engine.publish(request).await.unwrap();
    routes.apply(|registry| registry.remove_target(&key("ns/a"))).await;
    let letters = ids(&routes);
    assert_eq!(letters.len(), 1, "what waited for it was given up");
    let replayed = routes.router.replay(vec![letters[0], 4711]).await.unwrap();
    let outcomes: Vec<_> = replayed.iter().map(|it| (it.id, it.outcome)).collect();
    assert_eq!(outcomes, [(letters[0], UnknownTarget), (4711, NotFound)]);
    assert_eq!(ids(&routes), letters, "it is kept");
    let many = vec![0; MAX_REPLAY + 1];
    assert_eq!(routes.router.replay(many).await.unwrap_err(), ReplayError::TooMany);
    routes.apply(|registry| registry.apply_target(Ok(target("ns/a").compiled()))).await;
    routes.bed.wire.script("ns/a", Script::Accept);
    routes.asked();
    routes.router.replay(letters).await.unwrap();
    routes.quiet().await;
    assert_eq!(routes.asked(), ["ns/a"], "the target that has its name now");
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_told_per_target() {
    let routes = Routes::start(
        [target("ns/a").suspended(), target("ns/b")],
        [route("r", &["b"], json!({}))],
    )
    .await;
    routes.bed.wire.script("ns/b", Script::Fail(ErrorType::ServerError, Some(500)));
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    let mut request = request(named(["ns/b"]));
    request.options.retry = true;
    routes.bed.engine.publish(request).await.unwrap();
    tokio::time::sleep(SECOND / 10).await;
    let waiting = routes.router.waiting();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].0, TargetKey::new("ns", "b"));
    assert_eq!((waiting[0].1.owed, waiting[0].1.queued), (1, 1));
    assert!(waiting[0].1.oldest.is_some());
}
