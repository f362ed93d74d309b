//! Routed alerts: who is told, who is not, and when it is tried again.

use std::time::Duration;

use fanfare::{
    alert::Status::{Firing, Resolved},
    api::{
        HealthState::{Degraded, Healthy, Unhealthy},
        Reason,
    },
    publish::{ErrorType, Refused},
    registry::RejectedRoute,
};
use jiff::Timestamp;
use serde_json::json;

use super::{
    bed::{Script, alert},
    builder::{key, rejected, target},
    routes::{Routes, resolved, route},
};

const SECOND: Duration = Duration::from_secs(1);

fn failing() -> Script {
    Script::Fail(ErrorType::ServerError, Some(500))
}

#[tokio::test(start_paused = true)]
async fn an_alert_goes_to_the_targets_of_every_matching_route() {
    let matcher = |value: &str| json!({"matchers": [{"name": "alertname", "value": value}]});
    let routes = Routes::start(
        ["ns/a", "ns/b", "ns/c"].map(target),
        [
            route("one", &["a", "b"], json!({})),
            route("two", &["c"], matcher("DiskFull")),
            route("three", &["a"], matcher("Other")),
        ],
    )
    .await;
    let accepted = routes.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!((accepted.alerts, accepted.unrouted, accepted.refused), (1, 0, 0));
    assert_eq!(routes.asked(), ["ns/a", "ns/b", "ns/c"]);
    let delivered = "fanfare_notifications_total{type=\"Webhook\",outcome=\"delivered\"}";
    assert_eq!(routes.bed.metric(delivered), Some(3.0));
    assert_eq!(routes.bed.metric("fanfare_alerts{state=\"firing\"}"), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_no_route_wants_is_taken_and_counted() {
    let routes = Routes::start([target("ns/a")], []).await;
    let accepted = routes.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!((accepted.alerts, accepted.unrouted), (1, 1));
    assert_eq!(routes.bed.metric("fanfare_alerts_unrouted_total"), Some(1.0));
    assert!(routes.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_re_sent_alert_is_not_told_again() {
    let routes = Routes::start([target("ns/a")], [route("r", &["a"], json!({}))]).await;
    let alert = alert("DiskFull");
    for _ in 0..3 {
        routes.post(vec![alert.clone()]).await.unwrap();
    }
    assert_eq!(routes.asked(), ["ns/a"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_one_is_tried_again_when_its_target_recovers() {
    let routes = Routes::start([target("ns/a")], [route("r", &["a"], json!({}))]).await;
    routes.bed.wire.script("ns/a", failing());
    routes.post(vec![alert("DiskFull"), alert("Other")]).await.unwrap();
    routes.becomes("ns/a", Unhealthy).await;
    assert_eq!(routes.asked().len(), 2);
    routes.bed.wire.script("ns/a", Script::Accept);
    routes.becomes("ns/a", Healthy).await;
    let expected =
        [("ns/a".into(), Firing, "DiskFull".into()), ("ns/a".into(), Firing, "Other".into())];
    assert_eq!(routes.told(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_only_to_those_who_were_told_of_the_problem() {
    let routes =
        Routes::start(["ns/a", "ns/b"].map(target), [route("r", &["a", "b"], json!({}))]).await;
    routes.bed.wire.script("ns/b", failing());
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    routes.told();
    routes.bed.wire.script("ns/b", Script::Accept);
    routes.post(vec![resolved(&alert)]).await.unwrap();
    assert_eq!(routes.told(), [("ns/a".into(), Resolved, "DiskFull".into())]);
    let superseded = "fanfare_notifications_total{type=\"Webhook\",outcome=\"superseded\"}";
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(routes.bed.metric(superseded), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_to_one_who_may_have_been_told() {
    let routes = Routes::start([target("ns/a")], [route("r", &["a"], json!({}))]).await;
    routes.bed.wire.script("ns/a", Script::FailMaybeTold);
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    routes.bed.wire.script("ns/a", Script::Accept);
    routes.told();
    routes.post(vec![resolved(&alert)]).await.unwrap();
    assert_eq!(routes.told(), [("ns/a".into(), Resolved, "DiskFull".into())]);
}

#[tokio::test(start_paused = true)]
async fn skip_leaves_out_the_unhealthy_until_the_next_change() {
    let skip = json!({"whenUnhealthy": "Skip"});
    let routes = Routes::start(
        [target("ns/a"), target("ns/b").unhealthy()],
        [route("r", &["a", "b"], skip)],
    )
    .await;
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!(routes.asked(), ["ns/a"]);
    let skipped = "fanfare_notifications_total{type=\"Webhook\",outcome=\"skipped\"}";
    assert_eq!(routes.bed.metric(skipped), Some(1.0));
    let of_target = "fanfare_target_publish_total{target=\"ns/b\",result=\"skipped\"}";
    assert_eq!(routes.bed.metric(of_target), Some(1.0));
    routes.becomes("ns/b", Healthy).await;
    assert!(routes.asked().is_empty(), "left out until it changes or repeats");
}

#[tokio::test(start_paused = true)]
async fn send_tries_the_unhealthy_and_the_degraded_too() {
    let routes = Routes::start(
        [target("ns/a"), target("ns/b").unhealthy(), target("ns/c").degraded()],
        [route("r", &["a", "b", "c"], json!({"whenUnhealthy": "Send", "whenDegraded": "Send"}))],
    )
    .await;
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!(routes.asked(), ["ns/a", "ns/b", "ns/c"]);
}

#[tokio::test(start_paused = true)]
async fn degraded_is_skipped_only_where_the_route_says_so() {
    let routes = Routes::start(
        [target("ns/a"), target("ns/b").degraded(), target("ns/c").unknown()],
        [
            route("skips", &["a", "b", "c"], json!({"whenDegraded": "Skip"})),
            route("sends", &["b"], json!({})),
        ],
    )
    .await;
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!(routes.asked(), ["ns/a", "ns/b", "ns/c"], "b once, for the route that sends");
}

#[tokio::test(start_paused = true)]
async fn when_none_of_several_targets_is_well_all_are_tried() {
    let skip = || json!({"whenUnhealthy": "Skip", "whenDegraded": "Skip"});
    let routes = Routes::start(
        [target("ns/a").unhealthy(), target("ns/b").degraded(), target("ns/alone").unhealthy()],
        [route("two", &["a", "b"], skip()), route("one", &["alone"], skip())],
    )
    .await;
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!(routes.asked(), ["ns/a", "ns/b"], "a route with one target skips it");
}

#[tokio::test(start_paused = true)]
async fn the_end_is_held_for_a_told_target_and_sent_on_recovery() {
    let skip = json!({"whenUnhealthy": "Skip"});
    let routes = Routes::start(["ns/a", "ns/b"].map(target), [route("r", &["a", "b"], skip)]).await;
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    routes.told();
    routes.becomes("ns/b", Unhealthy).await;
    routes.post(vec![resolved(&alert)]).await.unwrap();
    assert_eq!(routes.told(), [("ns/a".into(), Resolved, "DiskFull".into())]);
    routes.becomes("ns/b", Degraded).await;
    assert_eq!(routes.told(), [("ns/b".into(), Resolved, "DiskFull".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_target_is_held_and_told_when_it_resumes() {
    let mut routes = Routes::start(
        [target("ns/a"), target("ns/b").suspended()],
        [route("r", &["a", "b"], json!({}))],
    )
    .await;
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!(routes.asked(), ["ns/a"]);
    routes.apply(|registry| registry.apply_target(Ok(target("ns/b").compiled()))).await;
    assert_eq!(routes.asked(), ["ns/b"]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_joins_is_told_what_fires_and_one_that_goes_hears_no_more() {
    let mut routes = Routes::start([target("ns/a")], [route("r", &["a", "b"], json!({}))]).await;
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    routes.told();
    routes.apply(|registry| registry.apply_target(Ok(target("ns/b").compiled()))).await;
    assert_eq!(routes.asked(), ["ns/b"]);
    routes.apply(|registry| registry.remove_target(&key("ns/a"))).await;
    routes.post(vec![resolved(&alert)]).await.unwrap();
    assert_eq!(routes.told(), [("ns/b".into(), Resolved, "DiskFull".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_unusable_for_a_while_keeps_what_it_was_told() {
    let mut routes =
        Routes::start(["ns/a", "ns/b"].map(target), [route("r", &["a", "b"], json!({}))]).await;
    let (known, new) = (alert("DiskFull"), alert("New"));
    routes.post(vec![known.clone()]).await.unwrap();
    routes.told();
    routes.apply(|registry| registry.apply_target(Err(Box::new(rejected("ns/b"))))).await;
    routes.post(vec![known.clone(), new]).await.unwrap();
    routes.post(vec![resolved(&known)]).await.unwrap();
    assert!(routes.asked().iter().all(|name| name == "ns/a"));
    routes.apply(|registry| registry.apply_target(Ok(target("ns/b").compiled()))).await;
    let expected =
        [("ns/b".into(), Firing, "New".into()), ("ns/b".into(), Resolved, "DiskFull".into())];
    assert_eq!(routes.told(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_refused_notification_is_not_offered_at_every_re_send() {
    let routes = Routes::start([target("ns/a")], [route("r", &["a"], json!({}))]).await;
    routes.bed.wire.script("ns/a", Script::Reject);
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    assert_eq!(routes.asked(), ["ns/a"]);
    let rejected = "fanfare_notifications_total{type=\"Webhook\",outcome=\"rejected\"}";
    assert_eq!(routes.bed.metric(rejected), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn only_new_alerts_over_the_limit_are_refused() {
    let routes = Routes::with([target("ns/a")], [route("r", &["a"], json!({}))], |settings| {
        settings.max_alerts = 2;
    })
    .await;
    let accepted = routes.post(["One", "Two", "Three"].map(alert).to_vec()).await.unwrap();
    assert_eq!((accepted.alerts, accepted.refused), (2, 1));
    assert_eq!(routes.post(vec![alert("Three")]).await.unwrap_err(), Refused::TooManyAlerts);
    routes.post(vec![alert("One")]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_is_not_sent_any_more_is_over() {
    // Long enough for the post to arrive before the end, however busy the machine is.
    let short = SECOND * 4;
    let routes = Routes::with([target("ns/a")], [route("r", &["a"], json!({}))], |settings| {
        settings.resolve_timeout = short;
    })
    .await;
    let mut alert = alert("DiskFull");
    alert.ends_at = alert.starts_at + short;
    routes.post(vec![alert]).await.unwrap();
    assert_eq!(routes.told().len(), 1);
    // The alert's times are those of the wall clock, which goes on while the paused one runs ahead.
    let deadline = Timestamp::now() + SECOND * 60;
    while routes.bed.wire.seen().is_empty() && Timestamp::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
        tokio::time::sleep(SECOND).await;
    }
    // The figures follow what is told.
    routes.quiet().await;
    assert_eq!(routes.told(), [("ns/a".into(), Resolved, "DiskFull".into())]);
    assert_eq!(routes.bed.metric("fanfare_alerts_expired_total"), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_rejected_for_a_while_forgets_nothing() {
    let mut routes = Routes::start([target("ns/a")], [route("r", &["a"], json!({}))]).await;
    let alert = alert("DiskFull");
    routes.post(vec![alert.clone()]).await.unwrap();
    assert_eq!(routes.asked().len(), 1);
    let broken = RejectedRoute {
        key: "ns/r".parse().unwrap(),
        uid: "uid-r".into(),
        generation: 2,
        reason: Reason::InvalidMatcher,
        message: "scripted".into(),
    };
    routes.apply(|registry| registry.apply_route(Err(Box::new(broken)))).await;
    routes.post(vec![resolved(&alert)]).await.unwrap();
    assert!(routes.asked().is_empty(), "muted");
    routes.apply(|registry| registry.apply_route(Ok(route("r", &["a"], json!({}))))).await;
    assert_eq!(routes.told(), [("ns/a".into(), Resolved, "DiskFull".into())]);
    assert!(routes.bed.ledger.dead().is_empty());
}
