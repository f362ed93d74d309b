use std::time::Duration;

use super::*;
use crate::{
    registry::{
        Allowed, Registry, RejectedRoute,
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

/// One random change of one object.
fn turn(registry: &mut Registry, rng: &mut fastrand::Rng, generation: i64) {
    let name = |rng: &mut fastrand::Rng| format!("{}/{}", ["a", "b"][rng.usize(..2)], rng.u8(..4));
    let key = name(rng);
    match rng.u8(..6) {
        0 => registry.remove_target(&key.parse().unwrap()),
        1 => {
            let mut target = rejected(&key, Reason::SecretNotFound);
            target.generation = generation;
            registry.apply_target(Err(target.into()));
        }
        2 => registry.apply_target(Ok(target(&key)
            .labels(&[("tier", ["x", "y"][rng.usize(..2)])])
            .allowed(if rng.bool() { Allowed::All } else { Allowed::Same })
            .with(|target| {
                target.generation = generation;
                target.policy.retry.max_attempts = Some(rng.u32(1..9));
                target.uid = format!("uid-{}", rng.u8(..2)).into();
            })
            .build())),
        3 if rng.bool() => registry.remove_route(&key.parse().unwrap()),
        3 => registry.apply_route(Err(Box::new(RejectedRoute {
            key: key.parse().unwrap(),
            uid: "uid-1".into(),
            generation,
            reason: Reason::InvalidMatcher,
            message: String::new(),
        }))),
        _ => {
            let mut one = route(&key).generation(generation).to(&name(rng)).or_else(&name(rng));
            if rng.bool() {
                one = one.selecting(&[("tier", "x")]);
            }
            registry.apply_route(Ok(one.build()));
        }
    }
}

#[test]
fn a_plan_that_follows_changes_is_the_one_that_is_made_at_once() {
    let mut rng = fastrand::Rng::with_seed(6);
    for _ in 0..50 {
        let mut registry = Registry::default();
        let (mut before, mut plan) = (registry.snapshot(), Plan::default());
        let mut last = LastLimits::new();
        for generation in 0..40 {
            for _ in 0..rng.usize(1..3) {
                turn(&mut registry, &mut rng, generation);
            }
            let after = registry.snapshot();
            let mut known = last.clone();
            plan = recipients(&plan, (&before, &after), &mut last);
            let nothing = (&Plan::default(), &Snapshot::default());
            let at_once = recipients(nothing.0, (nothing.1, &after), &mut known);
            let table = Arc::default();
            let shown = |plan: &Plan| format!("{:?}", plan.over(Arc::clone(&table)));
            assert_eq!(shown(&plan), shown(&at_once));
            assert!(last.keys().all(|key| after.targets.contains_key(key)));
            before = after;
        }
    }
}
