use std::time::Duration;

use super::*;
use crate::{
    registry::{
        Registry,
        fixture::{rejected, route, target},
    },
    routing::{GroupBy, Grouping},
};

fn roles(resolved: &ResolvedRoute, snapshot: &Snapshot) -> Vec<(String, Role, bool)> {
    let told = of_route(resolved, snapshot, &LastLimits::new());
    told.into_iter().map(|one| (one.target.to_string(), one.role, one.suspended)).collect()
}

#[test]
fn a_fallback_is_told_in_its_role_and_a_target_that_is_both_in_that_of_a_target() {
    let mut registry = Registry::default();
    for name in ["a/x", "a/both", "a/f"] {
        registry.apply_target(Ok(target(name).build()));
    }
    registry.apply_target(Err(rejected("a/broken", Reason::SecretNotFound).into()));
    let names = ["a/f", "a/both", "a/broken", "a/absent"];
    let one = names.iter().fold(route("a/r").to("a/x").to("a/both"), |one, name| one.or_else(name));
    registry.apply_route(Ok(one.build()));
    let snapshot = registry.snapshot();
    let resolved = snapshot.route(&"a/r".parse().unwrap()).unwrap();
    assert_eq!(
        roles(resolved, &snapshot),
        [
            ("a/both".to_owned(), Role::Regular, false),
            ("a/x".to_owned(), Role::Regular, false),
            ("a/f".to_owned(), Role::Fallback, false),
            ("a/broken".to_owned(), Role::Fallback, true),
        ]
    );
}

#[test]
fn every_demand_of_a_route_reaches_the_plan() {
    let grouping = Arc::new(Grouping {
        by: GroupBy::All,
        wait: Duration::from_secs(1),
        interval: Duration::from_secs(2),
    });
    let one = route("a/r").or_else("a/f").with(|route| {
        route.suspend = true;
        route.repeat_interval = Duration::from_hours(1);
        route.grouping = Some(Arc::clone(&grouping));
        route.fallback.as_mut().unwrap().mode = api::FallbackMode::Also;
    });
    let route = one.build();
    assert_eq!(
        terms(&route),
        RouteTerms {
            suspended: true,
            repeat_interval: Duration::from_hours(1),
            grouping: Some(grouping),
            inhibit: Arc::clone(&route.inhibit),
            hours: Arc::clone(&route.hours),
            fallback: Some(FallbackTerms {
                after: Duration::from_mins(2),
                mode: FallbackMode::Also
            }),
        }
    );
}

#[test]
fn a_digest_is_for_those_who_need_the_latest_state_only() {
    for (overflow, semantics, digest) in [
        (Overflow::Digest, Semantics::Latest, true),
        (Overflow::Digest, Semantics::Every, false),
        (Overflow::Hold, Semantics::Latest, false),
    ] {
        let one = target("a/x").with(|target| {
            target.policy.overflow = overflow;
            target.policy.semantics = semantics;
        });
        let one = one.build();
        let digests = limits((&one.policy, &one.health)).digest;
        assert_eq!(digests, digest, "{overflow:?} {semantics:?}");
    }
}
