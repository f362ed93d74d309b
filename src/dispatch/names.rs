//! Names of targets and routes as small numbers.

use std::{collections::HashMap, hash::Hash};

use super::{RouteId, TargetId};
use crate::api::{RouteKey, TargetKey};

/// Numbers for names. A number is given again after its name was forgotten.
#[derive(Debug)]
pub(super) struct Table<K> {
    numbers: HashMap<K, u32>,
    names: Vec<Option<K>>,
    free: Vec<u32>,
}

/// Numbers of all targets and routes.
#[derive(Debug, Default)]
pub(super) struct Names {
    targets: Table<TargetKey>,
    routes: Table<RouteKey>,
}

// === impl Names ===

impl Names {
    pub(super) fn target(&mut self, key: &TargetKey) -> TargetId {
        TargetId(self.targets.number(key))
    }

    pub(super) fn route(&mut self, key: &RouteKey) -> RouteId {
        RouteId(self.routes.number(key))
    }

    pub(super) fn find_target(&self, key: &TargetKey) -> Option<TargetId> {
        self.targets.numbers.get(key).copied().map(TargetId)
    }

    pub(super) fn find_route(&self, key: &RouteKey) -> Option<RouteId> {
        self.routes.numbers.get(key).copied().map(RouteId)
    }

    pub(super) fn target_name(&self, TargetId(number): TargetId) -> Option<&TargetKey> {
        self.targets.names.get(number as usize)?.as_ref()
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = (TargetId, &TargetKey)> {
        (0..)
            .zip(&self.targets.names)
            .filter_map(|(number, name)| Some((TargetId(number), name.as_ref()?)))
    }

    /// Forgets the targets that are not `used`; returns them.
    pub(super) fn forget_targets(&mut self, used: impl Fn(TargetId) -> bool) -> Vec<TargetId> {
        self.targets.forget(|number| used(TargetId(number))).into_iter().map(TargetId).collect()
    }

    /// Forgets the routes that are not `used`.
    pub(super) fn forget_routes(&mut self, used: impl Fn(RouteId) -> bool) {
        self.routes.forget(|number| used(RouteId(number)));
    }
}

// === impl Table ===

impl<K: Clone + Eq + Hash> Table<K> {
    fn number(&mut self, key: &K) -> u32 {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.names.push(None);
            u32::try_from(self.names.len() - 1).expect("there are fewer objects than that")
        });
        self.names[number as usize] = Some(key.clone());
        self.numbers.insert(key.clone(), number);
        number
    }

    fn forget(&mut self, used: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut gone = Vec::new();
        for (number, name) in (0..).zip(&mut self.names) {
            if !used(number)
                && let Some(name) = name.take()
            {
                self.numbers.remove(&name);
                gone.push(number);
            }
        }
        self.free.extend(&gone);
        gone
    }
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), names: Vec::new(), free: Vec::new() }
    }
}
