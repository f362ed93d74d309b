//! A change of one among many.

use super::super::super::fixture::RouteBuilder;
use super::*;
use crate::routing::Matchers;

#[test]
fn a_snapshot_shares_what_did_not_change() {
    let mut registry = Registry::default();
    let name = |index: usize| format!("ns-{}/{index}", index % 10);
    for index in 0..1_000 {
        registry.apply_target(Ok(target(&name(index)).build()));
        registry.apply_route(Ok(route(&name(index)).to(&name(index)).build()));
    }
    let before = registry.snapshot();
    let last = |route: &mut Route| route.is_final = true;
    registry.apply_target(Ok(target(&name(7)).with(|target| target.generation = 2).build()));
    registry.apply_route(Ok(route(&name(8)).to(&name(8)).generation(2).with(last).build()));
    registry.remove_route(&name(9).parse().unwrap());
    let after = registry.snapshot();
    // One way to one leaf is copied; entries that were not copied lie where they lay.
    let copied = |mut entries: Vec<(*const u8, *const u8)>| {
        entries.retain(|(old, new)| old != new);
        entries.len()
    };
    let targets = before.targets.iter().zip(after.targets.iter());
    let lies = |entry: &TargetEntry| std::ptr::from_ref(entry).cast::<u8>();
    let moved = copied(targets.map(|((_, old), (_, new))| (lies(old), lies(new))).collect());
    assert!((1..=32).contains(&moved), "{moved} of 1,000 targets were copied for one");
    let routes = before.routes.iter().map(|(key, old)| (Some(old), after.routes.get(key)));
    let lies = |entry: Option<&RouteEntry>| {
        entry.map_or(std::ptr::null(), |entry| std::ptr::from_ref(entry).cast::<u8>())
    };
    let moved = copied(routes.map(|(old, new)| (lies(old), lies(new))).collect());
    assert!((3..=3 * 32).contains(&moved), "{moved} of 1,000 routes were copied for three");
    // What was shared before is as it was.
    let generation = |snapshot: &Snapshot| snapshot.target(&key(&name(7))).unwrap().generation;
    assert_eq!((generation(&before), generation(&after)), (1, 2));
    assert_eq!((before.table.routes().count(), after.table.routes().count()), (1_000, 999));
    let changed = after.table.changes_since(&before.table);
    let changed: Vec<String> = changed.iter().map(|route| route.key.to_string()).collect();
    assert_eq!(changed, [name(8), name(8), name(9)]);
}

#[test]
fn a_final_route_of_many_moves_only_the_shadows_behind_it() {
    let mut registry = Registry::default();
    let matching = |value: usize| {
        let matchers = Matchers::parse(&format!("{{team=\"t{value}\"}}")).unwrap();
        move |route: &mut Route| route.matchers = matchers
    };
    for index in 0..100 {
        registry
            .apply_route(Ok(route(&format!("a/{index:03}")).with(matching(index % 10)).build()));
    }
    registry.snapshot();
    let last = |route: RouteBuilder| {
        route.with(|route| (route.is_final, route.priority) = (true, 1)).build()
    };
    let shadowed = |snapshot: &Snapshot| {
        let routes = snapshot.routes.values().filter_map(|entry| match entry {
            RouteEntry::Accepted(route) => Some(route),
            RouteEntry::Rejected(_) => None,
        });
        routes.filter(|route| route.shadowed_by.is_some()).map(|it| it.route.key.clone()).collect()
    };
    let behind = |value: usize| -> Vec<RouteKey> {
        (0..10).map(|ten| format!("a/{:03}", 10 * ten + value).parse().unwrap()).collect()
    };
    for (generation, value) in [(1, 3), (2, 5)] {
        let form = route("a/last").generation(generation).with(matching(value));
        registry.apply_route(Ok(last(form)));
        let keys: Vec<RouteKey> = shadowed(&registry.snapshot());
        assert_eq!(keys, behind(value), "those behind the earlier form are free again");
    }
    registry.remove_route(&"a/last".parse().unwrap());
    assert_eq!(shadowed(&registry.snapshot()), []);
    registry.apply_route(Ok(last(route("a/last"))));
    assert_eq!(shadowed(&registry.snapshot()).len(), 100);
}
