//! Selection, strategies, skip reasons, starting order.

use std::{sync::Arc, time::Duration};

use fanfare::{
    api::{HealthState, Reason, TargetType},
    fanout::{Plan, plan},
    publish::{
        ErrorType, Options, PublishError, Selection, SkipReason, Strategy, TargetFilter,
        TargetResult,
    },
    registry::{RejectedTarget, Snapshot, TargetEntry},
};
use tokio::time::Instant;

use super::{
    bed::{TargetBuilder, key, named, snapshot, target},
    builder::rejected,
};

fn of(targets: impl IntoIterator<Item = TargetBuilder>) -> Snapshot {
    snapshot(1, targets.into_iter().map(TargetBuilder::build).collect())
}

fn mixed() -> Snapshot {
    let mut snapshot = of([
        target("ns/degraded").degraded(),
        target("ns/healthy").healthy(),
        target("ns/off").suspended(),
        target("ns/unhealthy").unhealthy(),
        target("ns/unknown").unknown(),
    ]);
    Arc::make_mut(&mut snapshot.targets)
        .insert(key("ns/broken"), TargetEntry::Rejected(Arc::new(rejected("ns/broken"))));
    snapshot
}

fn every() -> Selection {
    named(["ns/degraded", "ns/healthy", "ns/off", "ns/unhealthy", "ns/unknown", "ns/broken"])
}

fn with(strategy: Strategy) -> Options {
    Options { strategy, ..Options::default() }
}

fn skips(results: &[TargetResult]) -> Vec<(&str, SkipReason)> {
    results.iter().filter_map(|result| Some((&*result.key.name, result.skipped?))).collect()
}

fn sends<'a>(plan: &Plan<'a>) -> Vec<&'a str> {
    plan.sends.iter().map(|send| &*send.target.key.name).collect()
}

#[test]
fn unhealthy_and_disabled_targets_are_skipped_by_default() {
    let mixed = mixed();
    let plan = plan(&mixed, &every(), &Options::default(), Instant::now()).unwrap();
    let expected = [
        ("off", SkipReason::Disabled),
        ("unhealthy", SkipReason::Unhealthy),
        ("broken", SkipReason::Disabled),
    ];
    assert_eq!(skips(&plan.results), expected);
    assert_eq!(plan.results.len(), 6);
}

#[test]
fn a_target_whose_secret_was_not_read_yet_is_listed_by_every_selection() {
    let mut mixed = mixed();
    for (name, health, suspended) in [
        ("ns/well", HealthState::Healthy, false),
        ("ns/ill", HealthState::Unhealthy, false),
        ("ns/still", HealthState::Healthy, true),
    ] {
        let pending =
            RejectedTarget { reason: Reason::Pending, health, suspended, ..rejected(name) };
        Arc::make_mut(&mut mixed.targets)
            .insert(key(name), TargetEntry::Rejected(Arc::new(pending)));
    }
    let unread = |selection: &Selection, strategy| {
        let plan = plan(&mixed, selection, &with(strategy), Instant::now()).unwrap();
        let mut names = Vec::new();
        for (at, target) in &plan.unread {
            let result = &plan.results[*at];
            assert_eq!((&result.key, result.skipped), (&target.key, None));
            assert_eq!(result.error_type, Some(ErrorType::NotAttempted));
            assert!(result.error.as_ref().unwrap().contains("Secret missing"), "{result:?}");
            names.push(target.key.name.to_string());
        }
        (names, skips(&plan.results).iter().map(|it| (it.0.to_owned(), it.1)).collect::<Vec<_>>())
    };
    let all = TargetFilter::default();
    let found = unread(&Selection::All(all.clone()), Strategy::PublishToAll);
    assert_eq!(found, (vec!["ill".to_owned(), "well".into()], vec![]));
    let found = unread(&Selection::Healthy(all.clone()), Strategy::SkipUnhealthy);
    assert_eq!(found, (vec!["well".to_owned()], vec![]));
    let named = named(["ns/ill", "ns/still", "ns/well"]);
    let left_out =
        vec![("ill".to_owned(), SkipReason::Unhealthy), ("still".into(), SkipReason::Disabled)];
    assert_eq!(unread(&named, Strategy::SkipUnhealthy), (vec!["well".to_owned()], left_out));
    let other = TargetFilter { namespace: Some("other".into()), ..all };
    assert_eq!(unread(&Selection::All(other), Strategy::PublishToAll), (vec![], vec![]));
}

#[test]
fn strategies_keep_out_what_they_name_and_never_the_unknown() {
    let skipped_by = |options: &Options| {
        let mixed = mixed();
        let plan = plan(&mixed, &every(), options, Instant::now()).unwrap();
        let skipped: Vec<_> =
            skips(&plan.results).into_iter().map(|(name, _)| name.to_owned()).collect();
        skipped
    };
    assert_eq!(
        skipped_by(&with(Strategy::SkipUnhealthyAndDegraded)),
        ["degraded", "off", "unhealthy", "broken"]
    );
    assert_eq!(skipped_by(&with(Strategy::PublishToAll)), ["off", "broken"]);
    let blind = Options { check_health: false, ..with(Strategy::SkipUnhealthyAndDegraded) };
    assert_eq!(skipped_by(&blind), ["off", "broken"]);
}

#[test]
fn degraded_is_named_as_the_reason() {
    let mixed = mixed();
    let plan = plan(
        &mixed,
        &named(["ns/degraded", "ns/unhealthy"]),
        &with(Strategy::SkipUnhealthyAndDegraded),
        Instant::now(),
    )
    .unwrap();
    let expected = [("degraded", SkipReason::Degraded), ("unhealthy", SkipReason::Unhealthy)];
    assert_eq!(skips(&plan.results), expected);
    assert!(plan.sends.is_empty());
}

#[test]
fn healthy_targets_start_first_and_answers_keep_the_request_order() {
    let mixed = mixed();
    let plan = plan(&mixed, &every(), &with(Strategy::PublishToAll), Instant::now()).unwrap();
    assert_eq!(sends(&plan), ["healthy", "degraded", "unknown", "unhealthy"]);
    let order: Vec<_> = plan.results.iter().map(|result| &*result.key.name).collect();
    assert_eq!(order, ["degraded", "healthy", "off", "unhealthy", "unknown", "broken"]);
    for send in &plan.sends {
        assert_eq!(plan.results[send.at].key, send.target.key);
    }
}

#[test]
fn a_target_named_twice_is_published_once() {
    let mixed = mixed();
    let plan = plan(
        &mixed,
        &named(["ns/healthy", "ns/off", "ns/healthy"]),
        &Options::default(),
        Instant::now(),
    );
    let plan = plan.unwrap();
    assert_eq!(plan.results.len(), 2);
    assert_eq!(sends(&plan), ["healthy"]);
}

#[test]
fn unknown_names_fail_the_whole_request() {
    let names = named(["ns/healthy", "ns/gone", "other/healthy", "ns/gone"]);
    let error = plan(&mixed(), &names, &Options::default(), Instant::now()).unwrap_err();
    assert_eq!(error, PublishError::NotFound(vec![key("ns/gone"), key("other/healthy")]));
}

#[test]
fn all_takes_every_enabled_target_whatever_its_health() {
    let all = Selection::All(TargetFilter::default());
    let mixed = mixed();
    let plan = plan(&mixed, &all, &with(Strategy::PublishToAll), Instant::now()).unwrap();
    assert_eq!(sends(&plan), ["healthy", "degraded", "unknown", "unhealthy"]);
    assert_eq!(plan.results.len(), 4);
}

#[test]
fn healthy_takes_healthy_and_degraded() {
    let healthy = Selection::Healthy(TargetFilter::default());
    let mixed = mixed();
    let plan = plan(&mixed, &healthy, &Options::default(), Instant::now()).unwrap();
    assert_eq!(sends(&plan), ["healthy", "degraded"]);
    assert_eq!(plan.results.len(), 2);
}

#[test]
fn healthy_may_be_narrowed_to_leave_out_degraded() {
    let healthy = Selection::Healthy(TargetFilter::default());
    let mixed = mixed();
    let plan =
        plan(&mixed, &healthy, &with(Strategy::SkipUnhealthyAndDegraded), Instant::now()).unwrap();
    assert_eq!(sends(&plan), ["healthy"]);
    assert_eq!(skips(&plan.results), [("degraded", SkipReason::Degraded)]);
}

#[test]
fn filters_narrow_by_namespace_type_and_every_label() {
    let snapshot = of([
        target("a/one").label("tier", "chat").label("team", "x"),
        target("a/two").label("tier", "chat").kind(TargetType::Slack),
        target("b/three").label("tier", "chat"),
        target("b/four"),
    ]);
    let selected = |filter: TargetFilter| {
        let all = Selection::All(filter);
        let plan = plan(&snapshot, &all, &with(Strategy::PublishToAll), Instant::now()).unwrap();
        plan.results.iter().map(|result| result.key.to_string()).collect::<Vec<_>>()
    };
    let labels = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    let none = TargetFilter::default;
    assert_eq!(
        selected(TargetFilter { namespace: Some("b".into()), ..none() }),
        ["b/four", "b/three"]
    );
    assert_eq!(selected(TargetFilter { kind: Some(TargetType::Slack), ..none() }), ["a/two"]);
    let chat = labels(&[("tier", "chat")]);
    assert_eq!(selected(TargetFilter { labels: chat, ..none() }), ["a/one", "a/two", "b/three"]);
    let both = labels(&[("tier", "chat"), ("team", "x")]);
    assert_eq!(selected(TargetFilter { labels: both, ..none() }), ["a/one"]);
}

#[test]
fn a_request_that_contradicts_itself_is_invalid() {
    let all = || Selection::All(TargetFilter::default());
    let healthy = || Selection::Healthy(TargetFilter::default());
    let blind = Options { check_health: false, ..Options::default() };
    let forever = Options { timeout: Duration::from_secs(301), ..Options::default() };
    let never = Options { timeout: Duration::ZERO, ..Options::default() };
    let none = Options { max_concurrent: 0, ..Options::default() };
    let many = Options { max_concurrent: 201, ..Options::default() };
    for (selection, options, word) in [
        (all(), with(Strategy::SkipUnhealthy), "options.strategy"),
        (all(), with(Strategy::SkipUnhealthyAndDegraded), "options.strategy"),
        (healthy(), with(Strategy::PublishToAll), "PublishToAll"),
        (healthy(), blind, "check_health"),
        (named([]), Options::default(), "target_names"),
        (every(), forever, "options.timeout"),
        (every(), never, "options.timeout"),
        (every(), none, "options.max_concurrent"),
        (every(), many, "options.max_concurrent"),
    ] {
        match plan(&mixed(), &selection, &options, Instant::now()) {
            Err(PublishError::Invalid(message)) => assert!(message.contains(word), "{message}"),
            other => panic!("{selection:?} {options:?}: {other:?}"),
        }
    }
}

#[test]
fn nothing_is_planned_before_targets_are_known() {
    let loading = Snapshot { complete: false, ..mixed() };
    let error = plan(&loading, &every(), &Options::default(), Instant::now()).unwrap_err();
    assert_eq!(error, PublishError::NotReady);
}
