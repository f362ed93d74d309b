use super::super::fixture::{labels, now, rejected, route, target, well};
use super::*;
use crate::{
    api::{HealthState, Reason},
    registry::{Depth, Unresolved},
};

mod sharing;

fn key(text: &str) -> TargetKey {
    text.parse().unwrap()
}

fn reached(snapshot: &Snapshot, name: &str) -> Vec<String> {
    let route = snapshot.route(&name.parse().unwrap()).unwrap();
    route.targets.iter().map(|one| one.target.key.to_string()).collect()
}

fn unresolved(snapshot: &Snapshot, name: &str) -> Vec<Unresolved> {
    snapshot.route(&name.parse().unwrap()).unwrap().unresolved.clone()
}

fn live(registry: &mut Registry, name: &str) -> Arc<super::super::Live> {
    Arc::clone(&registry.snapshot().target(&key(name)).unwrap().live)
}

#[test]
fn live_state_survives_an_edit_of_the_spec() {
    let mut registry = Registry::default();
    registry.apply_target(Ok(target("a/x").healthy().build()));
    let before = live(&mut registry, "a/x");
    registry.apply_target(Ok(target("a/x")
        .with(|target| {
            target.generation = 2;
            target.max_in_flight = 3;
        })
        .build()));
    let after = live(&mut registry, "a/x");
    assert!(Arc::ptr_eq(&before, &after));
    assert_eq!(after.health(), HealthState::Healthy);
    assert_eq!(after.limit().available_permits(), 3);
}

#[test]
fn live_state_ends_with_endpoint_credential_or_object() {
    let mut registry = Registry::default();
    let changes: [fn(&mut Target); 3] = [
        |target| target.body_credential = Some(super::super::Secret::new("new".into())),
        |target| {
            let uri = "https://other.example/x".parse().unwrap();
            target.endpoints = [super::super::Endpoint::new(uri).unwrap()].into();
        },
        |target| target.uid = "uid-2".into(),
    ];
    for change in changes {
        registry.apply_target(Ok(target("a/x").healthy().build()));
        let before = live(&mut registry, "a/x");
        registry.apply_target(Ok(target("a/x").with(change).build()));
        assert!(!Arc::ptr_eq(&before, &live(&mut registry, "a/x")));
        registry.remove_target(&key("a/x"));
    }
}

#[test]
fn live_state_survives_a_secret_that_is_missing_for_a_while() {
    let mut registry = Registry::default();
    registry.apply_target(Ok(target("a/x").credential("same").healthy().build()));
    let before = live(&mut registry, "a/x");
    registry.apply_target(Err(rejected("a/x", Reason::SecretNotFound).into()));
    assert!(registry.snapshot().target(&key("a/x")).is_none());
    registry.apply_target(Ok(target("a/x").credential("same").build()));
    assert!(Arc::ptr_eq(&before, &live(&mut registry, "a/x")));
    registry.remove_target(&key("a/x"));
    registry.apply_target(Ok(target("a/x").credential("same").build()));
    assert!(!Arc::ptr_eq(&before, &live(&mut registry, "a/x")));
}

#[test]
fn unchanged_objects_keep_their_arc_and_make_no_snapshot() {
    let mut registry = Registry::default();
    let apply = |registry: &mut Registry| {
        registry.apply_target(Ok(target("a/x").build()));
        registry.apply_target(Err(rejected("a/y", Reason::InvalidSpec).into()));
        registry.apply_route(Ok(route("a/r").to("a/x").build()));
    };
    apply(&mut registry);
    let before = registry.snapshot();
    apply(&mut registry);
    assert!(Arc::ptr_eq(&before, &registry.snapshot()));
    registry.apply_target(Ok(target("a/z").build()));
    let after = registry.snapshot();
    assert_eq!(after.generation, before.generation + 1);
    let of = |snapshot: &Snapshot| Arc::clone(snapshot.target(&key("a/x")).unwrap());
    assert!(Arc::ptr_eq(&of(&before), &of(&after)));
    assert!(Arc::ptr_eq(&before.routes, &after.routes), "no route was concerned");
    assert!(Arc::ptr_eq(&before.table, &after.table));
}

#[test]
fn complete_after_both_first_lists() {
    let mut registry = Registry::default();
    assert!(!registry.snapshot().complete);
    registry.routes_listed();
    assert!(!registry.snapshot().complete);
    registry.targets_listed();
    assert!(registry.snapshot().complete);
}

#[test]
fn complete_waits_for_namespaces_that_a_target_asks_for() {
    let mut registry = Registry::default();
    registry.routes_listed();
    let selector = Allowed::Selector(labels(&[("team", "sre")]));
    registry.apply_target(Ok(target("a/x").allowed(selector).build()));
    registry.targets_listed();
    assert!(!registry.snapshot().complete);
    registry.set_namespaces(Namespaces::Unreadable);
    assert!(registry.snapshot().complete);
}

#[test]
fn a_later_target_that_asks_for_namespaces_stops_nothing() {
    let mut registry = Registry::default();
    registry.targets_listed();
    registry.routes_listed();
    assert!(registry.snapshot().complete);
    let selector = Allowed::Selector(labels(&[("team", "sre")]));
    registry.apply_target(Ok(target("a/x").allowed(selector).build()));
    assert!(registry.snapshot().complete, "the intake goes on");
}

#[test]
fn a_route_reaches_named_and_selected_targets_once_each() {
    let mut registry = Registry::default();
    for name in ["a/x", "a/y", "a/z", "b/x"] {
        let labels = [("tier", "chat"), ("n", name)];
        registry.apply_target(Ok(target(name).labels(&labels).build()));
    }
    registry.apply_target(Ok(target("a/other").labels(&[("tier", "page")]).build()));
    let one = route("a/r").to("a/z").selecting(&[("tier", "chat")]);
    registry.apply_route(Ok(one.with(|route| route.targets[0].send_resolved = false).build()));
    registry.apply_route(Ok(route("a/all").selecting(&[]).build()));
    registry.apply_route(Ok(route("a/two").selecting(&[("tier", "chat"), ("n", "a/y")]).build()));
    registry.apply_route(Ok(route("a/none").selecting(&[("tier", "chat"), ("n", "b/x")]).build()));
    let snapshot = registry.snapshot();
    assert_eq!(reached(&snapshot, "a/r"), ["a/x", "a/y", "a/z"]);
    assert_eq!(reached(&snapshot, "a/all"), ["a/other", "a/x", "a/y", "a/z"]);
    assert_eq!(reached(&snapshot, "a/two"), ["a/y"]);
    assert!(reached(&snapshot, "a/none").is_empty());
    let told = &snapshot.route(&"a/r".parse().unwrap()).unwrap().targets;
    assert!(!told[2].send_resolved, "what is written by name counts");
    let users: Vec<_> = snapshot.routes_of(&key("a/y")).map(ToString::to_string).collect();
    assert_eq!(users, ["a/all", "a/r", "a/two"]);
}

#[test]
fn a_changed_target_moves_the_routes_that_it_concerns() {
    let mut registry = Registry::default();
    registry.apply_route(Ok(route("a/named").to("a/x").build()));
    registry.apply_route(Ok(route("a/chat").selecting(&[("tier", "chat")]).build()));
    registry.apply_route(Ok(route("a/all").selecting(&[]).build()));
    let snapshot = registry.snapshot();
    let missing =
        Unresolved { key: key("a/x"), reason: Reason::TargetNotFound, is_fallback: false };
    assert_eq!(unresolved(&snapshot, "a/named"), [missing]);

    registry.apply_target(Ok(target("a/x").labels(&[("tier", "chat")]).build()));
    let snapshot = registry.snapshot();
    for name in ["a/named", "a/chat", "a/all"] {
        assert_eq!(reached(&snapshot, name), ["a/x"]);
    }
    registry.apply_target(Ok(target("a/x").labels(&[("tier", "page")]).build()));
    let snapshot = registry.snapshot();
    assert!(reached(&snapshot, "a/chat").is_empty());
    assert_eq!(reached(&snapshot, "a/all"), ["a/x"]);

    registry.apply_target(Err(rejected("a/x", Reason::SecretNotFound).into()));
    let snapshot = registry.snapshot();
    let named = snapshot.route(&"a/named".parse().unwrap()).unwrap();
    assert_eq!((named.targets.len(), &named.rejected), (0, &vec![key("a/x")]));
    assert_eq!(snapshot.routes_of(&key("a/x")).count(), 2);

    registry.remove_target(&key("a/x"));
    let snapshot = registry.snapshot();
    assert_eq!(unresolved(&snapshot, "a/named").len(), 1);
    assert_eq!(snapshot.routes_of(&key("a/x")).count(), 0);
}

#[test]
fn another_namespace_learns_nothing_without_permission() {
    let mut registry = Registry::default();
    let refused = |name: &str| {
        vec![Unresolved { key: key(name), reason: Reason::TargetNotPermitted, is_fallback: false }]
    };
    registry.apply_target(Ok(target("b/private").build()));
    registry.apply_target(Err(rejected("b/broken", Reason::InvalidSpec).into()));
    for name in ["b/private", "b/broken", "b/absent"] {
        registry.apply_route(Ok(route("a/r").to(name).build()));
        registry.remove_route(&"a/r".parse().unwrap());
        registry.apply_route(Ok(route("a/r").to(name).build()));
        let snapshot = registry.snapshot();
        assert_eq!(unresolved(&snapshot, "a/r"), refused(name));
        registry.remove_route(&"a/r".parse().unwrap());
    }
    registry.apply_target(Ok(target("b/public").allowed(Allowed::All).build()));
    registry.apply_route(Ok(route("a/r").to("b/public").build()));
    assert_eq!(reached(&registry.snapshot(), "a/r"), ["b/public"]);
    let hidden = rejected("b/public", Reason::SecretNotFound);
    let hidden = RejectedTarget { allowed: Allowed::All, ..hidden };
    registry.apply_target(Err(hidden.into()));
    let snapshot = registry.snapshot();
    assert!(unresolved(&snapshot, "a/r").is_empty(), "permitted, though rejected now");
}

#[test]
fn namespaces_are_admitted_by_label() {
    let changes = Arc::new(Changes::default());
    let mut registry = Registry::new(changes);
    let selector = Allowed::Selector(labels(&[("team", "sre")]));
    registry.apply_target(Ok(target("b/x").allowed(selector).build()));
    registry.apply_route(Ok(route("a/r").to("b/x").build()));
    registry.apply_route(Ok(route("b/own").to("b/x").build()));
    assert_eq!(unresolved(&registry.snapshot(), "a/r")[0].reason, Reason::TargetNotPermitted);
    let listed = |team: &str| {
        let labels = labels(&[("team", team)]);
        Namespaces::Listed(BTreeMap::from([("a".to_owned(), labels)]))
    };
    registry.set_namespaces(listed("sre"));
    assert_eq!(reached(&registry.snapshot(), "a/r"), ["b/x"]);
    let broken = rejected("b/x", Reason::SecretNotFound);
    let allowed = Allowed::Selector(labels(&[("team", "sre")]));
    let mut broken_registry = Registry::default();
    broken_registry.apply_target(Err(RejectedTarget { allowed, ..broken }.into()));
    broken_registry.apply_route(Ok(route("a/r").to("b/x").build()));
    assert_eq!(unresolved(&broken_registry.snapshot(), "a/r").len(), 1);
    broken_registry.set_namespaces(listed("sre"));
    assert!(unresolved(&broken_registry.snapshot(), "a/r").is_empty());
    registry.set_namespaces(listed("web"));
    assert!(reached(&registry.snapshot(), "a/r").is_empty());
    registry.set_namespaces(listed("sre"));
    registry.set_namespaces(Namespaces::Unreadable);
    let snapshot = registry.snapshot();
    assert!(reached(&snapshot, "a/r").is_empty());
    assert_eq!(reached(&snapshot, "b/own"), ["b/x"]);
    assert!(snapshot.target(&key("b/x")).unwrap().live.namespaces_unreadable());
    registry.set_namespaces(listed("sre"));
    assert!(!live(&mut registry, "b/x").namespaces_unreadable());
}

#[test]
fn a_changed_route_is_resolved_again() {
    let mut registry = Registry::default();
    registry.apply_target(Ok(target("a/x").build()));
    registry.apply_target(Ok(target("a/y").labels(&[("tier", "chat")]).build()));
    registry.apply_route(Ok(route("a/r").to("a/x").build()));
    registry.snapshot();
    let selecting = route("a/r").generation(2).selecting(&[("tier", "chat")]);
    registry.apply_route(Ok(selecting.build()));
    let snapshot = registry.snapshot();
    assert_eq!(reached(&snapshot, "a/r"), ["a/y"]);
    assert_eq!(snapshot.routes_of(&key("a/x")).count(), 0);
    registry.apply_target(Ok(target("a/x").with(|target| target.generation = 2).build()));
    assert!(Arc::ptr_eq(&snapshot.routes, &registry.snapshot().routes));
}

#[test]
fn a_final_route_shadows_while_it_is_there() {
    let mut registry = Registry::default();
    registry.apply_route(Ok(route("a/low").build()));
    registry.apply_route(Ok(route("b/low").build()));
    let shadow = |registry: &mut Registry, name: &str| {
        let snapshot = registry.snapshot();
        let shadow = &snapshot.route(&name.parse().unwrap()).unwrap().shadowed_by;
        shadow.as_ref().map(ToString::to_string)
    };
    assert_eq!(shadow(&mut registry, "a/low"), None);
    let last = |route: &mut Route| {
        route.is_final = true;
        route.priority = 1;
    };
    registry.apply_route(Ok(route("a/high").with(last).build()));
    assert_eq!(shadow(&mut registry, "a/low").as_deref(), Some("a/high"));
    assert_eq!(shadow(&mut registry, "b/low"), None);
    registry.remove_route(&"a/high".parse().unwrap());
    assert_eq!(shadow(&mut registry, "a/low"), None);
}

#[test]
fn health_makes_no_snapshot() {
    let mut registry = Registry::default();
    registry.apply_target(Ok(target("a/x").build()));
    let before = registry.snapshot();
    let target = before.target(&key("a/x")).unwrap();
    target.live.observe(&well(Depth::Answer), &target.health, now());
    assert!(Arc::ptr_eq(&before, &registry.snapshot()));
}

#[test]
fn work_follows_what_changed() {
    let mut registry = Registry::default();
    let name = |index: usize| format!("ns-{}/{index}", index % 10);
    for index in 0..1_000 {
        registry.apply_target(Ok(target(&name(index)).build()));
        registry.apply_route(Ok(route(&name(index)).to(&name(index)).build()));
    }
    let before = registry.snapshot();
    assert_eq!(before.users.len(), 1_000);
    registry.apply_target(Ok(target(&name(7)).with(|target| target.generation = 2).build()));
    let after = registry.snapshot();
    let route = |entry: &RouteEntry| match entry {
        RouteEntry::Accepted(route) => Arc::as_ptr(route),
        RouteEntry::Rejected(_) => unreachable!("all are accepted"),
    };
    let resolved_again: Vec<_> = after
        .routes
        .iter()
        .filter(|(key, entry)| route(entry) != route(&before.routes[key]))
        .map(|(key, _)| key.to_string())
        .collect();
    assert_eq!(resolved_again, [name(7)]);
    assert!(Arc::ptr_eq(&before.table, &after.table));
    assert!(Arc::ptr_eq(&before.users, &after.users));
}

#[test]
fn a_fallback_is_resolved_like_the_targets() {
    let mut registry = Registry::default();
    let names = ["a/f", "a/x", "a/broken", "b/private", "a/absent"];
    registry
        .apply_route(Ok(names.iter().fold(route("a/r").to("a/x"), |r, n| r.or_else(n)).build()));
    registry.apply_target(Ok(target("a/x").build()));
    registry.apply_target(Ok(target("a/f").build()));
    registry.apply_target(Ok(target("b/private").build()));
    registry.apply_target(Err(rejected("a/broken", Reason::InvalidSpec).into()));
    let snapshot = registry.snapshot();
    let resolved = snapshot.route(&"a/r".parse().unwrap()).unwrap();
    assert_eq!(reached(&snapshot, "a/r"), ["a/x"]);
    let fallback: Vec<_> = resolved.fallback.iter().map(|one| &one.target.key).collect();
    assert_eq!(fallback, [&key("a/f")], "a target that is reached anyway is no fallback");
    assert_eq!(resolved.rejected_fallback, [key("a/broken")]);
    let missing = |name, reason| Unresolved { key: key(name), reason, is_fallback: true };
    assert_eq!(
        resolved.unresolved,
        [
            missing("b/private", Reason::TargetNotPermitted),
            missing("a/absent", Reason::TargetNotFound)
        ]
    );
    // Its state is not part of the route's status.
    assert_eq!(snapshot.routes_of(&key("a/f")).count(), 0);

    registry.remove_target(&key("a/f"));
    registry.apply_target(Ok(target("a/absent").build()));
    let snapshot = registry.snapshot();
    let resolved = snapshot.route(&"a/r".parse().unwrap()).unwrap();
    let fallback: Vec<_> = resolved.fallback.iter().map(|one| &one.target.key).collect();
    assert_eq!(fallback, [&key("a/absent")]);
    assert_eq!(resolved.unresolved[0].key, key("a/f"));
}
