//! Conditions that many alerts are compared with, filed so that each alert is compared with few.

use std::{collections::HashMap as Names, hash::Hash, sync::Arc};

use hashbrown::HashMap;

use crate::{alert::Labels, api::MatchType, routing::Matchers};

/// Keys with the conditions that an alert must meet. Conditions that demand `name="value"` can only be met by
/// alerts that carry that very pair, so they are filed under one such pair: the one under which the fewest
/// are filed.
#[derive(Debug)]
pub(super) struct Filed<K> {
    pairs: HashMap<Box<str>, ByValue<K>>,
    /// Those that demand no pair.
    others: Vec<Conditions<K>>,
    places: Names<K, Option<Pair>>,
}

type ByValue<K> = HashMap<Box<str>, Vec<Conditions<K>>>;
type Pair = (Box<str>, Box<str>);

#[derive(Debug)]
struct Conditions<K> {
    key: K,
    matchers: Arc<Matchers>,
}

// === impl Filed ===

impl<K: Copy + Eq + Hash> Filed<K> {
    /// Files conditions under a key that is not in use.
    pub(super) fn insert(&mut self, key: K, matchers: Arc<Matchers>) {
        let demanded = matchers
            .iter()
            .filter(|one| one.kind == MatchType::Equal && !one.value.is_empty())
            .min_by_key(|one| self.filed_under(&one.name, &one.value));
        let pair = demanded.map(|one| (one.name.clone(), one.value.clone()));
        let conditions = Conditions { key, matchers };
        match &pair {
            Some((name, value)) => self
                .pairs
                .entry_ref(&**name)
                .or_default()
                .entry_ref(&**value)
                .or_insert_with(Vec::new)
                .push(conditions),
            None => self.others.push(conditions),
        }
        self.places.insert(key, pair);
    }

    /// Takes conditions out, if they are in it.
    pub(super) fn remove(&mut self, key: K) {
        let Some(pair) = self.places.remove(&key) else { return };
        let Some((name, value)) = pair else {
            self.others.retain(|one| one.key != key);
            return;
        };
        let Some(values) = self.pairs.get_mut(&*name) else { return };
        if let Some(filed) = values.get_mut(&*value) {
            filed.retain(|one| one.key != key);
            if filed.is_empty() {
                values.remove(&*value);
            }
        }
        if values.is_empty() {
            self.pairs.remove(&*name);
        }
    }

    /// The keys of all conditions that an alert with these labels meets.
    pub(super) fn met_by<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = K> + 'a {
        let carried = labels
            .iter()
            .filter(|_| !self.pairs.is_empty())
            .filter_map(|(name, value)| self.pairs.get(name)?.get(value))
            .flatten();
        let met = |one: &&Conditions<K>| one.matchers.matches(labels);
        self.others.iter().chain(carried).filter(met).map(|one| one.key)
    }

    fn filed_under(&self, name: &str, value: &str) -> usize {
        self.pairs.get(name).and_then(|values| values.get(value)).map_or(0, Vec::len)
    }
}

impl<K> Default for Filed<K> {
    fn default() -> Self {
        Self { pairs: HashMap::new(), others: Vec::new(), places: Names::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(text: &str) -> Arc<Matchers> {
        Arc::new(Matchers::parse(text).unwrap())
    }

    #[test]
    fn all_that_are_met_are_found_until_they_are_removed() {
        let mut filed = Filed::default();
        for (key, text) in [
            (1, r#"{a="1"}"#),
            (2, r#"{a="1",b="2"}"#),
            (3, r#"{b=~"2|3"}"#),
            (4, r#"{a="2"}"#),
            (5, r#"{c="",a="1"}"#),
            (6, r#"{c="4",a="1"}"#),
        ] {
            filed.insert(key, conditions(text));
        }
        let met = |filed: &Filed<i32>, pairs: &[(&str, &str)]| {
            let labels = pairs.iter().copied().collect::<Labels>();
            let mut met: Vec<i32> = filed.met_by(&labels).collect();
            met.sort_unstable();
            met
        };
        assert_eq!(met(&filed, &[("a", "1"), ("b", "2")]), [1, 2, 3, 5]);
        assert_eq!(met(&filed, &[("a", "1"), ("c", "4")]), [1, 6]);
        assert_eq!(met(&filed, &[("b", "3")]), [3]);
        for key in [2, 3, 1, 7] {
            filed.remove(key);
        }
        assert_eq!(met(&filed, &[("a", "1"), ("b", "2")]), [5]);
        for key in [4, 5, 6] {
            filed.remove(key);
        }
        assert!(filed.pairs.is_empty() && filed.others.is_empty() && filed.places.is_empty());
    }
}
