//! What a rate-limited target is owed beyond its limit: one message per route. On a paused clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fanfare::{
    alert::{Alert, Status},
    api::{Overflow, RateLimit, TargetType},
    publish::ErrorType,
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    bed::{Script, Seen, alert},
    builder::{TargetBuilder, target},
    routes::{Routes, resolved, route},
};

const SECOND: Duration = Duration::from_secs(1);
/// Slack's default rate.
const BURST: u32 = 5;

fn slack(name: &str) -> TargetBuilder {
    target(name).kind(TargetType::Slack).policy(|policy| {
        policy.rate = Some(RateLimit { requests: 1, per: SECOND, burst: BURST });
        policy.overflow = Overflow::Digest;
    })
}

fn alerts(from: usize, to: usize) -> Vec<Alert> {
    (from..to).map(|number| alert(&format!("Alert{number}"))).collect()
}

/// Names of a message's alerts that say this.
fn names(seen: &Seen, status: Status) -> Vec<String> {
    let of = seen.notification.members.iter().filter(|member| member.status == status);
    of.map(|member| member.alert.label("alertname").to_owned()).collect()
}

/// How often each alert was told to fire.
fn fired(seen: &[Seen]) -> BTreeMap<String, usize> {
    let mut fired = BTreeMap::new();
    for name in seen.iter().flat_map(|seen| names(seen, Status::Firing)) {
        *fired.entry(name).or_default() += 1;
    }
    fired
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_alerts_in_a_minute_are_told_within_two() {
    const ALERTS: usize = 10_000;
    let routes = Routes::with([slack("ns/a")], [route("r", &["a"], json!({}))], |settings| {
        settings.max_alerts = 2 * ALERTS;
        settings.max_bytes = 512 * 1024 * 1024;
    })
    .await;
    let start = Instant::now();
    for (part, turn) in (0..100).zip(1_u32..) {
        routes.post(alerts(part * ALERTS / 100, (part + 1) * ALERTS / 100)).await.unwrap();
        tokio::time::sleep_until(start + Duration::from_millis(600) * turn).await;
    }
    let mut seen = Vec::new();
    while fired(&seen).len() < ALERTS {
        assert!(start.elapsed() <= SECOND * 120, "{} are told", fired(&seen).len());
        tokio::time::sleep(SECOND).await;
        seen.append(&mut routes.bed.wire.take_seen());
    }
    let took = seen.last().unwrap().at - start;
    let digests = seen.iter().filter(|seen| seen.notification.digest).count();
    eprintln!(
        "{ALERTS} alerts in {} messages, {digests} of them digests, {} s after the first",
        seen.len(),
        took.as_secs()
    );
    assert!(fired(&seen).values().all(|times| *times == 1), "each one is told once");
    for (at, first) in seen.iter().enumerate() {
        for (count, last) in (1..).zip(&seen[at..]) {
            let seconds = (last.at - first.at).as_secs_f64();
            assert!(
                f64::from(count) <= seconds + f64::from(BURST) + 0.001,
                "faster than the limit"
            );
        }
    }
    let most = took.as_secs() + u64::from(BURST) + 1;
    assert!(u64::try_from(seen.len()).unwrap() <= most, "at most {most} messages in that time");
    assert!(seen.iter().all(|seen| seen.notification.members.len() <= 1_000));
    let counted = routes.bed.metric("fanfare_digests_total{type=\"Slack\"}");
    assert_eq!(counted.map(|count| format!("{count}")), Some(format!("{digests}")));
    let attempts = routes.bed.ledger.attempts();
    assert_eq!(attempts.len(), seen.len(), "one record for each message");
    let told: usize = seen.iter().map(|seen| seen.notification.members.len()).sum();
    let recorded = attempts.iter().map(|attempt| attempt.fingerprints.len());
    assert_eq!(recorded.sum::<usize>(), told, "every alert is found in the history");
    let counted = attempts.iter().map(|attempt| attempt.alerts as usize);
    assert_eq!(counted.sum::<usize>(), told);
}

#[tokio::test(start_paused = true)]
async fn within_its_limit_a_target_gets_one_message_for_each() {
    let routes = Routes::start([slack("ns/a")], [route("r", &["a"], json!({}))]).await;
    routes.post(alerts(0, 4)).await.unwrap();
    let seen = routes.bed.wire.take_seen();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|seen| !seen.notification.digest));
}

#[tokio::test(start_paused = true)]
async fn each_route_has_a_digest_of_its_own() {
    let matcher = |value: &str| json!({"matcherExpr": format!("{{alertname{value}\"Alert1.*\"}}")});
    let routes = Routes::start(
        [slack("ns/a")],
        [route("one", &["a"], matcher("=~")), route("two", &["a"], matcher("!~"))],
    )
    .await;
    routes.post(alerts(0, 100)).await.unwrap();
    tokio::time::sleep(SECOND * 20).await;
    let seen = routes.bed.wire.take_seen();
    assert_eq!(fired(&seen).len(), 100);
    assert_eq!(seen.len(), BURST as usize + 1, "four on their own, then one for each route");
    let keys: BTreeSet<_> = seen
        .iter()
        .filter(|seen| seen.notification.digest)
        .map(|seen| seen.notification.group_key.to_string())
        .collect();
    assert_eq!(keys, BTreeSet::from(["ns/one:{}".into(), "ns/two:{}".into()]));
}

#[tokio::test(start_paused = true)]
async fn ends_and_problems_ride_together_and_each_is_told() {
    let routes = Routes::start([slack("ns/a")], [route("r", &["a"], json!({}))]).await;
    let old = alerts(0, 50);
    routes.post(old.clone()).await.unwrap();
    tokio::time::sleep(SECOND * 3).await;
    routes.bed.wire.take_seen();
    let mut both: Vec<Alert> = old.iter().map(resolved).collect();
    both.extend(alerts(50, 100));
    routes.post(both).await.unwrap();
    tokio::time::sleep(SECOND * 10).await;
    let seen = routes.bed.wire.take_seen();
    let mixed = seen.iter().find(|seen| {
        !names(seen, Status::Firing).is_empty() && !names(seen, Status::Resolved).is_empty()
    });
    assert_eq!(mixed.unwrap().notification.status, Status::Firing);
    assert_eq!(fired(&seen).len(), 50);
    let ended: usize = seen.iter().map(|seen| names(seen, Status::Resolved).len()).sum();
    assert_eq!(ended, 50);
    routes.post(alerts(50, 100)).await.unwrap();
    tokio::time::sleep(SECOND * 10).await;
    assert!(routes.bed.wire.take_seen().is_empty(), "all of it counts as told");
}

#[tokio::test(start_paused = true)]
async fn a_digest_that_fails_is_told_again_whole() {
    let routes = Routes::start([slack("ns/a")], [route("r", &["a"], json!({}))]).await;
    routes.bed.wire.script("ns/a", Script::Fail(ErrorType::ServerError, Some(500)));
    routes.post(alerts(0, 200)).await.unwrap();
    let failed = routes.bed.wire.take_seen();
    assert_eq!(fired(&failed).len(), 200);
    routes.bed.wire.script("ns/a", Script::Accept);
    tokio::time::sleep(SECOND * 300).await;
    let seen = routes.bed.wire.take_seen();
    assert_eq!(fired(&seen).len(), 200);
    assert!(fired(&seen).values().all(|times| *times == 1));
    assert!(seen.len() < 20, "{}", seen.len());
}

#[tokio::test(start_paused = true)]
async fn one_alert_that_is_refused_takes_no_other_with_it() {
    let routes = Routes::start([slack("ns/a")], [route("r", &["a"], json!({}))]).await;
    routes.bed.wire.refuse("Alert150");
    routes.post(alerts(0, 200)).await.unwrap();
    tokio::time::sleep(SECOND * 250).await;
    let refused = |seen: &Seen| names(seen, Status::Firing).contains(&"Alert150".to_owned());
    let seen: Vec<Seen> = routes.bed.wire.take_seen();
    let taken: Vec<Seen> = seen.iter().filter(|seen| !refused(seen)).cloned().collect();
    assert_eq!(fired(&taken).len(), 199);
    assert!(fired(&taken).values().all(|times| *times == 1));
    let letters = routes.bed.ledger.letters();
    assert_eq!(letters.len(), 1, "the one that is at fault");
    assert_eq!(letters[0].1.notification.members.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_digest_told_is_not_told_again_after_a_restart() {
    let targets = || [slack("ns/a")];
    let wanted = || [route("r", &["a"], json!({}))];
    let routes = Routes::start(targets(), wanted()).await;
    let old = alerts(0, 100);
    routes.post(old.clone()).await.unwrap();
    tokio::time::sleep(SECOND * 10).await;
    assert_eq!(fired(&routes.bed.wire.take_seen()).len(), 100);
    let routes = routes.restart(targets(), wanted()).await;
    tokio::time::sleep(SECOND * 10).await;
    assert!(routes.bed.wire.take_seen().is_empty());
    routes.post(old.iter().map(resolved).collect()).await.unwrap();
    tokio::time::sleep(SECOND * 10).await;
    let seen = routes.bed.wire.take_seen();
    let ended: usize = seen.iter().map(|seen| names(seen, Status::Resolved).len()).sum();
    assert_eq!(ended, 100);
}

#[tokio::test(start_paused = true)]
async fn hold_sends_one_by_one_and_a_changed_overflow_counts_at_once() {
    let hold = || slack("ns/a").policy(|policy| policy.overflow = Overflow::Hold);
    let mut routes = Routes::start([hold()], [route("r", &["a"], json!({}))]).await;
    routes.post(alerts(0, 100)).await.unwrap();
    tokio::time::sleep(SECOND * 10).await;
    let seen = routes.bed.wire.take_seen();
    assert!(seen.len() <= 16 && seen.iter().all(|seen| !seen.notification.digest));
    let live = routes.target("ns/a").live.clone();
    routes
        .apply(|registry| {
            let mut digest = slack("ns/a").compiled();
            (digest.live, digest.generation) = (live, 2);
            registry.apply_target(Ok(digest));
        })
        .await;
    tokio::time::sleep(SECOND * 3).await;
    let rest = routes.bed.wire.take_seen();
    assert_eq!(fired(&seen).len() + fired(&rest).len(), 100);
    assert!(rest.len() <= 3);
}
