use super::super::{
    Registry,
    condition::find,
    fixture::{RouteBuilder, now, rejected, route, target},
};
use super::*;

fn status(registry: &mut Registry) -> AlertRouteStatus {
    let snapshot = registry.snapshot();
    let entry = snapshot.routes.get(&"a/r".parse().unwrap()).unwrap();
    project_route(entry, &snapshot, None, now().wall)
}

fn registry(route: RouteBuilder) -> Registry {
    let mut registry = Registry::default();
    registry.apply_target(Ok(target("a/well").healthy().build()));
    registry.apply_target(Ok(target("a/ill").unhealthy().build()));
    registry.apply_target(Ok(target("a/new").build()));
    registry.apply_target(Ok(target("a/off").suspended().build()));
    registry.apply_target(Err(rejected("a/broken", Reason::SecretNotFound).into()));
    registry.apply_route(Ok(route.build()));
    registry
}

fn line(status: &AlertRouteStatus, type_: ConditionType) -> (ConditionStatus, &str, &str) {
    let one = find(&status.conditions, type_).unwrap();
    assert_eq!(one.observed_generation, Some(1));
    (one.status, &one.reason, &one.message)
}

const NO: ConditionStatus = ConditionStatus::False;
const YES: ConditionStatus = ConditionStatus::True;
const UNKNOWN: ConditionStatus = ConditionStatus::Unknown;

#[test]
fn health_of_the_targets_is_counted() {
    let cases: [(&[&str], _, _, _, _); 9] = [
        (&["a/well"], YES, "AllTargetsHealthy", "1/1", "1 of 1 targets healthy"),
        (&["a/well", "a/off"], YES, "AllTargetsHealthy", "1/2", "1 suspended"),
        (&["a/well", "a/ill"], NO, "SomeTargetsUnhealthy", "1/2", "not: a/ill"),
        (&["a/well", "a/broken"], NO, "SomeTargetsUnhealthy", "1/2", "not: a/broken"),
        (&["a/ill", "a/new"], NO, "SomeTargetsUnhealthy", "0/2", "not: a/ill"),
        (&["a/ill"], NO, "NoHealthyTarget", "0/1", "0 of 1 targets healthy; not: a/ill"),
        (&["a/well", "a/new"], UNKNOWN, "ProbePending", "1/2", "not known yet: a/new"),
        (&["a/off"], UNKNOWN, "Suspended", "0/1", "every target is suspended"),
        (&[], UNKNOWN, "Resolved", "0/0", "no targets"),
    ];
    for (targets, is, reason, summary, part) in cases {
        let route = targets.iter().fold(route("a/r"), |route, name| route.to(name));
        let status = status(&mut registry(route));
        let (found, because, message) = line(&status, ConditionType::Healthy);
        assert_eq!((found, because), (is, reason), "{targets:?}");
        assert!(message.contains(part), "{message}");
        assert_eq!(status.targets.unwrap().summary, summary);
    }
}

#[test]
fn an_accepted_route_is_ready_when_it_reaches_a_target() {
    let one = status(&mut registry(route("a/r").to("a/ill").to("a/absent")));
    assert_eq!(line(&one, ConditionType::Accepted), (YES, "Accepted", "accepted"));
    assert_eq!(line(&one, ConditionType::Ready).0, YES);
    assert_eq!(line(&one, ConditionType::ResolvedRefs).0, NO);
    assert_eq!(one.matcher_summary.as_deref(), Some("{severity=\"critical\"}"));
    let listed = ResolvedTarget { namespace: "a".into(), name: "ill".into() };
    assert_eq!(one.resolved_targets, [listed]);
    let muted = route("a/r").to("a/well").with(|route| route.suspend = true);
    let muted = status(&mut registry(muted));
    let (is, _, message) = line(&muted, ConditionType::Accepted);
    assert!(is == YES && message.contains("spec.suspend"), "{message}");
}

#[test]
fn unresolved_references_say_whose_move_it_is() {
    let cases = [
        (route("a/r").to("a/gone"), "TargetNotFound", "no PublishTarget gone in namespace a"),
        (route("a/r").to("b/x"), "TargetNotPermitted", "must admit namespace a"),
        (route("a/r").selecting(&[("tier", "no")]), "NoTargetSelected", "spec.targetSelector"),
    ];
    for (route, reason, part) in cases {
        let status = status(&mut registry(route));
        let (is, because, message) = line(&status, ConditionType::ResolvedRefs);
        assert_eq!((is, because), (NO, reason));
        assert!(message.contains(part), "{message}");
        assert_eq!(line(&status, ConditionType::Ready), (NO, reason, message));
        assert_eq!(line(&status, ConditionType::Healthy).1, reason);
    }
    let both =
        route("a/r").to("a/1").to("a/2").to("a/3").to("a/4").to("a/5").to("b/x").to("a/well");
    let status = status(&mut registry(both));
    let (is, reason, message) = line(&status, ConditionType::ResolvedRefs);
    assert_eq!((is, reason), (NO, "TargetNotFound"));
    assert!(message.contains("1, 2, 3 and 2 more"), "{message}");
    assert!(message.contains("b/x"), "{message}");
    assert_eq!(line(&status, ConditionType::Ready).0, YES, "the resolved ones go on");
}

#[test]
fn a_route_whose_targets_are_all_rejected_is_not_ready() {
    let status = status(&mut registry(route("a/r").to("a/broken")));
    let (is, reason, message) = line(&status, ConditionType::Ready);
    assert_eq!((is, reason), (NO, "SecretNotFound"));
    assert!(message.contains("a/broken"), "{message}");
    assert_eq!(
        line(&status, ConditionType::ResolvedRefs),
        (YES, "Resolved", "every target exists and may be used")
    );
}

#[test]
fn a_rejected_route_says_why_everywhere() {
    for reason in [Reason::InvalidMatcher, Reason::ScopeNotPermitted, Reason::InvalidSpec] {
        let mut registry = Registry::default();
        registry.apply_route(Err(RejectedRoute {
            key: "a/r".parse().unwrap(),
            uid: "uid".into(),
            generation: 1,
            reason,
            message: "because".into(),
        }
        .into()));
        let status = status(&mut registry);
        let word = reason.as_str();
        assert_eq!(line(&status, ConditionType::Accepted), (NO, word, "because"));
        assert_eq!(line(&status, ConditionType::Ready), (NO, word, "because"));
        let refs = line(&status, ConditionType::ResolvedRefs);
        assert_eq!((refs.0, refs.1), (UNKNOWN, word));
        assert_eq!(line(&status, ConditionType::Healthy).0, UNKNOWN);
    }
}

#[test]
fn a_shadowed_route_names_what_shadows_it() {
    let mut registry = registry(route("a/r").to("a/well"));
    registry.apply_route(Ok(route("a/all")
        .with(|route| {
            route.is_final = true;
            route.priority = 10;
        })
        .build()));
    let status = status(&mut registry);
    let (is, reason, message) = line(&status, ConditionType::Accepted);
    assert_eq!((is, reason), (NO, "Shadowed"));
    assert!(message.contains("a/all (priority 10)"), "{message}");
    assert_eq!(line(&status, ConditionType::Ready), (NO, "Shadowed", message));
}

#[test]
fn long_lists_are_cut_and_steady_routes_write_nothing() {
    let mut registry = Registry::default();
    let mut route = route("a/r");
    for index in 0..100 {
        let name = format!("a/target-{index}");
        registry.apply_target(Ok(target(&name).unhealthy().build()));
        route = route.to(&name);
    }
    registry.apply_route(Ok(route.build()));
    let first = status(&mut registry);
    assert_eq!(first.resolved_targets.len(), MAX_LISTED);
    assert_eq!(first.targets.as_ref().unwrap().total, 100);
    assert!(first.conditions.iter().all(|one| one.message.chars().count() <= 1_024));
    let snapshot = registry.snapshot();
    let entry = snapshot.routes.get(&"a/r".parse().unwrap()).unwrap();
    let later = now().wall + std::time::Duration::from_secs(500);
    assert_eq!(project_route(entry, &snapshot, Some(&first), later), first);
}

#[test]
fn a_fallback_that_is_missing_is_told_and_stops_nothing() {
    let missing = route("a/r").to("a/well").or_else("a/absent").or_else("b/theirs");
    let one = status(&mut registry(missing));
    let (is, reason, message) = line(&one, ConditionType::ResolvedRefs);
    assert_eq!((is, reason), (NO, "TargetNotFound"));
    assert_eq!(
        message,
        "the fallback: no PublishTarget absent in namespace a: create it or correct \
         spec.fallback.targets; the fallback: not permitted to use b/theirs: its owner must admit \
         namespace a in spec.allowedRoutes.namespaces"
    );
    assert_eq!(line(&one, ConditionType::Ready).0, YES);
    assert_eq!(line(&one, ConditionType::Healthy).0, YES);
    assert_eq!(one.targets.unwrap().summary, "1/1");

    let one = status(&mut registry(route("a/r").to("a/well").or_else("a/ill")));
    assert_eq!(line(&one, ConditionType::ResolvedRefs).0, YES);
    assert_eq!(one.targets.unwrap().summary, "1/1", "a fallback does not count");
}

#[test]
fn a_route_with_a_fallback_alone_is_not_ready_for_want_of_a_target() {
    let alone = route("a/r").selecting(&[("tier", "none")]).or_else("a/absent");
    let one = status(&mut registry(alone));
    let (is, reason, message) = line(&one, ConditionType::Ready);
    assert_eq!((is, reason), (NO, "NoTargetSelected"));
    assert!(
        message.contains("spec.targetSelector") && message.contains("the fallback"),
        "{message}"
    );
}
