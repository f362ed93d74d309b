use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Adds (`Some`) or removes a key.
fn steps() -> impl Strategy<Value = Vec<(u16, Option<u8>)>> {
    // Few keys and many steps: nodes split and join again.
    let key = prop_oneof![0..40_u16, 0..2_000_u16];
    prop::collection::vec((key, prop::option::weighted(0.6, any::<u8>())), 0..1_500)
}

fn play(map: &mut Map<u16, u8>, model: &mut BTreeMap<u16, u8>, steps: &[(u16, Option<u8>)]) {
    for (key, value) in steps {
        let (got, expected) = match value {
            Some(value) => (map.insert(*key, *value), model.insert(*key, *value)),
            None => (map.remove(key), model.remove(key)),
        };
        assert_eq!(got, expected);
    }
}

fn differences<'a>(
    before: &'a BTreeMap<u16, u8>,
    after: &'a BTreeMap<u16, u8>,
) -> Vec<Change<'a, u16, u8>> {
    let keys: std::collections::BTreeSet<&u16> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .map(|key| Change { key, before: before.get(key), after: after.get(key) })
        .filter(|change| change.before != change.after)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn a_map_is_a_map_and_knows_what_changed(first in steps(), then in steps(), from in 0..2_000_u16) {
        let (mut map, mut model) = (Map::default(), BTreeMap::new());
        play(&mut map, &mut model, &first);
        let (before, model_before) = (map.clone(), model.clone());
        play(&mut map, &mut model, &then);
        for (map, model) in [(&map, &model), (&before, &model_before)] {
            prop_assert_eq!(map.len(), model.len());
            prop_assert!(map.iter().eq(model.iter()));
            prop_assert!(map.iter_from(|key| *key < from).eq(model.range(from..)));
            let mut visited = Vec::new();
            map.for_each(|key, value| visited.push((*key, *value)));
            prop_assert!(visited.iter().map(|(key, value)| (key, value)).eq(model.iter()));
            prop_assert!((0..2_000).all(|key| map.get(&key) == model.get(&key)));
        }
        prop_assert_eq!(map.changes_since(&before, u8::eq), differences(&model_before, &model));
        let rebuilt: Map<u16, u8> = model.into_iter().collect();
        prop_assert_eq!(rebuilt.changes_since(&map, u8::eq), []);
        prop_assert_eq!(map.changes_since(&rebuilt, u8::eq), []);
    }
}

#[test]
fn a_change_copies_one_way_to_one_leaf() {
    let mut map: Map<u32, u32> = (0..100_000).map(|key| (key, key)).collect();
    let before = map.clone();
    assert!(map.shares(&before));
    *map.get_mut(&54_321).unwrap() = 0;
    assert!(!map.shares(&before));
    let copied = map
        .iter()
        .zip(before.iter())
        .filter(|((_, new), (_, old))| !std::ptr::eq(*new, *old))
        .count();
    assert!((1..=map::WIDTH).contains(&copied), "{copied} entries were copied");
    let compared = std::cell::Cell::new(0);
    let changes = map.changes_since(&before, |a, b| {
        compared.set(compared.get() + 1);
        a == b
    });
    assert_eq!(changes, [Change { key: &54_321, before: Some(&54_321), after: Some(&0) }]);
    assert_eq!(compared.get(), copied, "what is shared is not looked at");
}

#[test]
fn what_is_not_there_is_removed_without_a_copy() {
    let mut map: Map<u32, u32> = (0..1_000).map(|key| (2 * key, key)).collect();
    let before = map.clone();
    assert_eq!(map.remove(&1), None);
    assert_eq!(map.get_mut(&1), None);
    assert!(map.shares(&before));
}
