//! Silences on the router: on disk before the answer, effective at once.

use std::time::Duration;

use fanfare::{
    alert::Status::{Firing, Resolved},
    api::MatchType,
    publish::{
        Refused, Silence, SilenceDraft, SilenceError, SilenceMatcher, SilenceState, Silences,
    },
    store::{Full, Outcome},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::timeout;

use super::{
    bed::alert,
    builder::target,
    routes::{Routes, resolved, route},
};

async fn one() -> Routes {
    Routes::start([target("ns/a")], [route("r", &["a"], json!({}))]).await
}

/// Keeps alerts of this name quiet for an hour.
fn draft(name: &str) -> SilenceDraft {
    let now = Timestamp::now();
    let (name, value) = ("alertname".into(), name.into());
    SilenceDraft {
        id: None,
        matchers: vec![SilenceMatcher { name, kind: MatchType::Equal, value }],
        starts_at: now,
        ends_at: now + SignedDuration::from_hours(1),
        created_by: "somebody".into(),
        comment: "".into(),
        annotations: [].into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_silence_is_on_disk_before_the_answer_and_counts_at_once() {
    let routes = one().await;
    routes.bed.ledger.hold();
    let setting = routes.router.set(draft("DiskFull"));
    tokio::pin!(setting);
    assert!(timeout(Duration::from_mins(1), &mut setting).await.is_err(), "answered too early");
    routes.bed.ledger.commit();
    let id = setting.await.unwrap();
    routes.post(vec![alert("DiskFull"), alert("Other")]).await.unwrap();
    assert_eq!(routes.told(), [("ns/a".into(), Firing, "Other".into())]);
    let silence = routes.router.get(id).unwrap();
    assert_eq!(silence.state(Timestamp::now()), SilenceState::Active);
    assert_eq!(id.to_string().parse(), Ok(id));
    routes.router.expire(id).await.unwrap();
    routes.quiet().await;
    assert_eq!(routes.told(), [("ns/a".into(), Firing, "DiskFull".into())]);
    let all = routes.router.list();
    let states: Vec<_> = all.iter().map(|one: &std::sync::Arc<Silence>| one.id).collect();
    assert_eq!(states, [id]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_taken_back_and_shown_in_the_history() {
    let routes = one().await;
    let known = alert("Known");
    routes.post(vec![known.clone()]).await.unwrap();
    routes.told();
    routes.bed.ledger.hold();
    let accepting = fanfare::publish::Intake::accept(
        &routes.router,
        vec![alert("DiskFull")],
        fanfare::publish::Source::V2,
    );
    let set = async {
        let ids = (routes.router.set(draft("DiskFull")), routes.router.set(draft("Known")));
        let ids = tokio::join!(ids.0, ids.1);
        (ids.0.unwrap(), ids.1.unwrap())
    };
    let commit = async {
        routes.quiet().await;
        routes.bed.ledger.commit();
    };
    let (accepted, ids, ()) = tokio::join!(accepting, set, commit);
    accepted.unwrap();
    routes.post(vec![resolved(&known)]).await.unwrap();
    assert!(routes.asked().is_empty(), "both are silenced");
    routes.router.expire(ids.1).await.unwrap();
    routes.quiet().await;
    assert_eq!(routes.told(), [("ns/a".into(), Resolved, "Known".into())]);
    let outcomes = routes.bed.ledger.attempts();
    assert!(outcomes.iter().all(|one| one.outcome == Outcome::Delivered), "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_silences_and_tells_nobody_what_they_take() {
    let routes = one().await;
    let id = routes.router.set(draft("DiskFull")).await.unwrap();
    let routes = routes.restart([target("ns/a")], [route("r", &["a"], json!({}))]).await;
    routes.post(vec![alert("DiskFull")]).await.unwrap();
    let routes = routes.restart([target("ns/a")], [route("r", &["a"], json!({}))]).await;
    assert!(routes.asked().is_empty());
    routes.router.expire(id).await.unwrap();
    routes.quiet().await;
    assert_eq!(routes.told(), [("ns/a".into(), Firing, "DiskFull".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_new_silences_but_not_the_end_of_one() {
    let routes = one().await;
    let id = routes.router.set(draft("DiskFull")).await.unwrap();
    routes.bed.ledger.fill(Some(Full::Disk));
    let refused = routes.router.set(draft("Other")).await.unwrap_err();
    assert_eq!(refused, SilenceError::Refused(Refused::DiskFull));
    routes.router.expire(id).await.unwrap();
    routes.begin_stop();
    routes.quiet().await;
    let refused = routes.router.expire(id).await.unwrap_err();
    assert_eq!(refused, SilenceError::Refused(Refused::ShuttingDown));
}
