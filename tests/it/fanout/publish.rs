//! What a publish does, reports and counts.

use std::time::Duration;

use fanfare::{
    alert::Status,
    api::HealthState,
    publish::{ErrorType, PublishError, Publisher, Selection, SkipReason, Strategy, TargetFilter},
};

use super::bed::{Bed, Script, named, request, snapshot, target};

const HEALTH: [HealthState; 4] = HealthState::ALL;

#[tokio::test(start_paused = true)]
async fn fifty_targets_of_mixed_health_get_fifty_truthful_results() {
    let name = |number: usize| format!("ns/t{number:02}");
    let bed = Bed::new((0..50).map(|number| {
        let built = target(&name(number)).health(HEALTH[number % 4]);
        if number % 10 == 9 { built.suspended() } else { built }
    }));
    for number in 0..50 {
        match number % 5 {
            0 => bed.wire.script(&name(number), Script::Fail(ErrorType::ServerError, Some(500))),
            1 => bed.wire.script(&name(number), Script::AcceptAfter(Duration::from_millis(700))),
            2 if number > 25 => bed.wire.script(&name(number), Script::Hang),
            _ => {}
        }
    }
    let keys = (0..50).map(|number| super::bed::key(&name(number))).collect();
    let result = bed.engine.publish(request(Selection::Named(keys))).await.unwrap();

    assert_eq!(result.results.len(), 50);
    assert!(!result.timed_out);
    let seen = bed.wire.order();
    for (number, told) in result.results.iter().enumerate() {
        assert_eq!(told.key.to_string(), name(number), "results are in request order");
        let skipped = match HEALTH[number % 4] {
            _ if number % 10 == 9 => Some(SkipReason::Disabled),
            HealthState::Unhealthy => Some(SkipReason::Unhealthy),
            _ => None,
        };
        let error = match number % 5 {
            _ if skipped.is_some() => None,
            0 => Some(ErrorType::ServerError),
            2 if number > 25 => Some(ErrorType::Timeout),
            _ => None,
        };
        assert_eq!(told.skipped, skipped, "{number}");
        assert_eq!(told.error_type, error, "{number}");
        assert_eq!(told.success(), skipped.is_none() && error.is_none(), "{number}");
        assert_eq!(told.error.is_some(), error.is_some(), "{number}");
        assert_eq!(told.attempts, u32::from(skipped.is_none()), "{number}");
        let status = match error {
            Some(ErrorType::ServerError) => Some(500),
            None if skipped.is_none() => Some(200),
            _ => None,
        };
        assert_eq!(told.status_code, status, "{number}");
        let asked = seen.iter().filter(|name| **name == told.key.to_string()).count();
        assert_eq!(asked, usize::from(skipped.is_none()), "{number}");
    }
    let total = result.success_count() + result.failure_count() + result.skipped_count();
    assert_eq!(total, 50);
    assert!(result.duration >= Duration::from_secs(10), "the hanging ones ran into their timeout");
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_failure_is_reported_as_it_is() {
    let bed = Bed::new(ErrorType::ALL.map(|kind| target(&format!("ns/{}", kind.as_str()))));
    for kind in ErrorType::ALL {
        bed.wire.script(&format!("ns/{}", kind.as_str()), Script::Fail(kind, Some(418)));
    }
    let all = Selection::All(TargetFilter::default());
    let result = bed.engine.publish(request(all)).await.unwrap();
    assert_eq!(result.failure_count(), ErrorType::ALL.len());
    for told in &result.results {
        let kind = told.error_type.unwrap();
        assert_eq!(*told.key.name, *kind.as_str());
        assert_eq!(told.error.as_deref(), Some(format!("scripted {}", kind.as_str()).as_str()));
        assert_eq!((told.status_code, told.attempts, told.skipped), (Some(418), 1, None));
    }
}

#[tokio::test(start_paused = true)]
async fn each_target_gets_its_own_notification_of_the_same_incident() {
    let bed = Bed::new([target("ns/a"), target("ns/b")]);
    for _ in 0..2 {
        bed.engine.publish(request(named(["ns/a", "ns/b"]))).await.unwrap();
    }
    let seen = bed.wire.seen();
    let first = &seen[0].notification;
    assert_eq!(&*first.group_key, r#"publish:{alertname="DiskFull", severity="critical"}"#);
    assert_eq!(&*first.receiver, "ns/a");
    assert_eq!(first.status, Status::Firing);
    assert_eq!(first.members.len(), 1);
    assert_eq!(first.incident_key.len(), 64);
    assert_eq!(&*first.external_url, "http://fanfare");
    let mut ids: Vec<_> = seen.iter().map(|seen| seen.notification.id.clone()).collect();
    assert!(ids.iter().all(|id| !id.contains('.')));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "every publish and target has an id of its own");
    assert!(seen.iter().all(|seen| seen.notification.incident_key == first.incident_key));
}

#[tokio::test(start_paused = true)]
async fn an_ended_alert_is_published_as_resolved() {
    let bed = Bed::new([target("ns/a")]);
    let mut request = request(named(["ns/a"]));
    let alert = std::sync::Arc::make_mut(&mut request.alert);
    alert.ends_at = alert.starts_at;
    bed.engine.publish(request).await.unwrap();
    assert_eq!(bed.wire.seen()[0].notification.status, Status::Resolved);
}

#[tokio::test(start_paused = true)]
async fn every_way_to_end_is_counted_under_its_name() {
    let bed = Bed::new([
        target("ns/good"),
        target("ns/bad"),
        target("ns/slow"),
        target("ns/sick").unhealthy(),
    ]);
    bed.wire.script("ns/bad", Script::Fail(ErrorType::Connect, None));
    bed.wire.script("ns/slow", Script::Hang);
    let publish = |selection| bed.engine.publish(request(selection));
    publish(named(["ns/good"])).await.unwrap();
    publish(named(["ns/good", "ns/bad"])).await.unwrap();
    publish(named(["ns/bad", "ns/sick"])).await.unwrap();
    publish(named(["ns/sick"])).await.unwrap();
    publish(named(["ns/gone"])).await.unwrap_err();
    let mut hasty = request(named(["ns/slow"]));
    hasty.options.timeout = Duration::from_secs(1);
    assert!(bed.engine.publish(hasty).await.unwrap().timed_out);
    for (series, value) in [
        ("fanfare_publish_total{result=\"success\"}", 1.0),
        ("fanfare_publish_total{result=\"partial_success\"}", 1.0),
        ("fanfare_publish_total{result=\"failure\"}", 1.0),
        ("fanfare_publish_total{result=\"skipped\"}", 1.0),
        ("fanfare_publish_total{result=\"invalid\"}", 1.0),
        ("fanfare_publish_total{result=\"timeout\"}", 1.0),
        ("fanfare_publish_total{result=\"cancelled\"}", 0.0),
        ("fanfare_publish_success_total", 1.0),
        ("fanfare_publish_partial_success_total", 1.0),
        ("fanfare_publish_failure_total", 2.0),
        ("fanfare_publish_duration_seconds_count", 5.0),
        ("fanfare_publish_targets_total{type=\"Webhook\"}", 5.0),
        ("fanfare_publish_in_flight", 0.0),
        ("fanfare_target_publish_total{target=\"ns/good\",result=\"success\"}", 2.0),
        ("fanfare_target_publish_total{target=\"ns/bad\",result=\"failure\"}", 2.0),
        ("fanfare_target_publish_total{target=\"ns/slow\",result=\"failure\"}", 1.0),
        ("fanfare_target_publish_total{target=\"ns/sick\",result=\"skipped\"}", 2.0),
    ] {
        assert_eq!(bed.metric(series), Some(value), "{series}");
    }
    assert!(
        bed.metric("fanfare_target_last_success_timestamp_seconds{target=\"ns/good\"}").unwrap()
            > 1e9
    );
}

#[tokio::test(start_paused = true)]
async fn statistics_add_up() {
    let bed = Bed::new([target("ns/good"), target("ns/bad"), target("ns/sick").unhealthy()]);
    bed.wire.script("ns/good", Script::AcceptAfter(Duration::from_millis(100)));
    bed.wire.script("ns/bad", Script::Fail(ErrorType::Dns, None));
    for _ in 0..4 {
        bed.engine.publish(request(named(["ns/good", "ns/bad", "ns/sick"]))).await.unwrap();
    }
    let stats = bed.engine.stats();
    assert_eq!((stats.publishes, stats.in_flight), (4, 0));
    assert_eq!((stats.attempted, stats.succeeded, stats.failed, stats.skipped), (8, 4, 4, 4));
    for percentile in [stats.p50, stats.p95, stats.p99] {
        let percentile = percentile.unwrap();
        assert!(percentile.abs_diff(Duration::from_millis(100)) < Duration::from_millis(15));
    }
    let names: Vec<_> = stats.targets.iter().map(|target| &*target.key.name).collect();
    assert_eq!(names, ["bad", "good", "sick"]);
    let counts: Vec<_> =
        stats.targets.iter().map(|one| (one.succeeded, one.failed, one.skipped)).collect();
    assert_eq!(counts, [(0, 4, 0), (4, 0, 0), (0, 0, 4)]);
    assert!(stats.targets[1].p50.is_some());

    tokio::time::advance(stats.window + Duration::from_mins(1)).await;
    let later = bed.engine.stats();
    assert_eq!((later.publishes, later.p50), (4, None), "the window forgets, the totals do not");
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_asks_for_the_secret_again() {
    let bed = Bed::new(["ns/a", "ns/b", "ns/c", "ns/d", "ns/e"].map(target));
    for (name, status) in
        [("ns/a", 401), ("ns/b", 403), ("ns/c", 404), ("ns/d", 410), ("ns/e", 500)]
    {
        bed.wire.script(name, Script::Fail(ErrorType::ClientError, Some(status)));
    }
    let all = Selection::All(TargetFilter::default());
    bed.engine.publish(request(all)).await.unwrap();
    let refreshed: Vec<_> = bed.refreshed.lock().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(refreshed, ["ns/a", "ns/b", "ns/c", "ns/d"]);
}

#[tokio::test(start_paused = true)]
async fn publish_to_all_sends_to_the_unhealthy_last() {
    let bed = Bed::new([
        target("ns/a").unhealthy(),
        target("ns/b").unknown(),
        target("ns/c").degraded(),
        target("ns/d").healthy(),
    ]);
    let mut request = request(named(["ns/a", "ns/b", "ns/c", "ns/d"]));
    request.options.strategy = Strategy::PublishToAll;
    request.options.max_concurrent = 1;
    let result = bed.engine.publish(request).await.unwrap();
    assert_eq!(bed.wire.order(), ["ns/d", "ns/c", "ns/b", "ns/a"]);
    let order: Vec<_> = result.results.iter().map(|result| &*result.key.name).collect();
    assert_eq!(order, ["a", "b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_selection_is_an_empty_result() {
    let bed = Bed::new([target("ns/a").unhealthy()]);
    let healthy = Selection::Healthy(TargetFilter::default());
    let result = bed.engine.publish(request(healthy)).await.unwrap();
    assert!(result.results.is_empty());
    assert_eq!(bed.metric("fanfare_publish_total{result=\"skipped\"}"), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_joins_has_series_at_its_first_publish() {
    let bed = Bed::new([]);
    bed.snapshots.send_replace(std::sync::Arc::new(snapshot(2, vec![target("ns/new").build()])));
    bed.engine.publish(request(named(["ns/new"]))).await.unwrap();
    let series = "fanfare_target_publish_total{target=\"ns/new\",result=\"success\"}";
    assert_eq!(bed.metric(series), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_closed_engine_refuses() {
    let bed = Bed::new([target("ns/a")]);
    bed.engine.close();
    let error = bed.engine.publish(request(named(["ns/a"]))).await.unwrap_err();
    assert_eq!(error, PublishError::ShuttingDown);
    assert!(bed.wire.seen().is_empty());
}
