//! Which alerts keep others quiet on which route.
//!
//! Per rule, alerts are filed by their values of the labels in which both sides must agree: all sources, and
//! all alerts on the route that may be kept quiet. A change of one alert looks only where its values
//! are filed.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{AlertId, RouteId, filed::Filed};
use crate::{
    alert::Labels,
    routing::{InhibitRule, Matchers},
};

/// The rules of all routes.
#[derive(Debug, Default)]
pub(super) struct Inhibition {
    rules: HashMap<RuleId, Rule>,
    routes: HashMap<RouteId, RulesOf>,
    /// What makes an alert a source.
    sources: Filed<RuleId>,
    last: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct RuleId(u32);

/// The rules of one route. The route's scope is part of both sides of each.
#[derive(Debug)]
struct RulesOf {
    rules: Arc<[InhibitRule]>,
    ids: Vec<RuleId>,
}

#[derive(Debug)]
struct Rule {
    source: Arc<Matchers>,
    target: Matchers,
    equal: Box<[Box<str>]>,
    places: HashMap<Values, Place>,
}

type Values = Box<[Box<str>]>;

/// Alerts of one rule with the same values.
#[derive(Debug, Default)]
struct Place {
    /// Firing alerts on the source side only.
    sources: BTreeSet<AlertId>,
    /// Firing alerts on both sides: they don't keep each other quiet.
    two_sided: BTreeSet<AlertId>,
    /// Alerts on the target side that are on the route.
    targets: BTreeSet<AlertId>,
}

// === impl Inhibition ===

impl Inhibition {
    /// Takes over the rules of routes that changed; `None`: the route is no more. Returns those that have new
    /// rules: if there are any, all firing alerts are to be given to [`Inhibition::fires`], and those on these
    /// routes to [`Inhibition::join`].
    pub(super) fn follow<'a>(
        &mut self,
        changed: impl Iterator<Item = (RouteId, Option<&'a Arc<[InhibitRule]>>)>,
    ) -> Vec<RouteId> {
        let mut new = Vec::new();
        for (route, rules) in changed {
            let rules = rules.filter(|rules| !rules.is_empty());
            if self.routes.get(&route).map(|of| &of.rules) == rules {
                continue;
            }
            for id in self.routes.remove(&route).into_iter().flat_map(|old| old.ids) {
                self.rules.remove(&id);
                self.sources.remove(id);
            }
            if let Some(rules) = rules {
                let ids = rules.iter().map(|rule| self.add(rule)).collect();
                self.routes.insert(route, RulesOf { rules: rules.clone(), ids });
                new.push(route);
            }
        }
        new
    }

    /// The alert fires. Alerts that may be kept quiet by it are added to `touched`.
    pub(super) fn fires(&mut self, alert: AlertId, labels: &Labels, touched: &mut Vec<AlertId>) {
        let Self { rules, sources, .. } = self;
        for id in sources.met_by(labels) {
            let Some(rule) = rules.get_mut(&id) else { continue };
            let both = rule.target.matches(labels);
            let place = rule.places.entry(rule.values(labels)).or_default();
            let side = place.side(both);
            let first = side.is_empty();
            side.insert(alert);
            if first {
                touched.extend(&place.targets);
            }
        }
    }

    /// The alert does not fire any more. Alerts that it may have kept quiet are added to `touched`.
    pub(super) fn rests(&mut self, alert: AlertId, labels: &Labels, touched: &mut Vec<AlertId>) {
        let Self { rules, sources, .. } = self;
        for id in sources.met_by(labels) {
            let Some(rule) = rules.get_mut(&id) else { continue };
            let (both, values) = (rule.target.matches(labels), rule.values(labels));
            let Some(place) = rule.places.get_mut(&values) else { continue };
            let side = place.side(both);
            if side.remove(&alert) && side.is_empty() {
                touched.extend(&place.targets);
            }
            if place.is_empty() {
                rule.places.remove(&values);
            }
        }
    }

    /// The alert is on the route. Returns one that keeps it quiet there.
    pub(super) fn join(
        &mut self,
        alert: AlertId,
        labels: &Labels,
        route: RouteId,
    ) -> Option<AlertId> {
        let mut by = None;
        for id in self.routes.get(&route).into_iter().flat_map(|of| &of.ids) {
            let Some(rule) = self.rules.get_mut(id) else { continue };
            if rule.target.matches(labels) {
                let both = rule.source.matches(labels);
                let place = rule.places.entry(rule.values(labels)).or_default();
                place.targets.insert(alert);
                by = by.or_else(|| place.source(both));
            }
        }
        by
    }

    /// The alert is not on the route any more.
    pub(super) fn leave(&mut self, alert: AlertId, labels: &Labels, route: RouteId) {
        for id in self.routes.get(&route).into_iter().flat_map(|of| &of.ids) {
            let Some(rule) = self.rules.get_mut(id) else { continue };
            if rule.target.matches(labels) {
                let values = rule.values(labels);
                if let Some(place) = rule.places.get_mut(&values) {
                    place.targets.remove(&alert);
                    if place.is_empty() {
                        rule.places.remove(&values);
                    }
                }
            }
        }
    }

    /// The alert that keeps one with these labels quiet on the route: of the first rule, the oldest.
    pub(super) fn source(&self, labels: &Labels, route: RouteId) -> Option<AlertId> {
        let rules = self.routes.get(&route).into_iter().flat_map(|of| &of.ids);
        rules.filter_map(|id| self.rules.get(id)).find_map(|rule| {
            if !rule.target.matches(labels) {
                return None;
            }
            rule.places.get(&rule.values(labels))?.source(rule.source.matches(labels))
        })
    }

    fn add(&mut self, rule: &InhibitRule) -> RuleId {
        self.last = self.last.wrapping_add(1);
        let id = RuleId(self.last);
        let InhibitRule { source, target, equal } = rule.clone();
        let source = Arc::new(source);
        self.sources.insert(id, source.clone());
        self.rules.insert(id, Rule { source, target, equal, places: HashMap::new() });
        id
    }
}

// === impl Rule ===

impl Rule {
    fn values(&self, labels: &Labels) -> Values {
        self.equal.iter().map(|name| labels.get(name).into()).collect()
    }
}

// === impl Place ===

impl Place {
    fn side(&mut self, both: bool) -> &mut BTreeSet<AlertId> {
        if both { &mut self.two_sided } else { &mut self.sources }
    }

    /// An alert that keeps others quiet. `both`: they are on both sides.
    fn source(&self, both: bool) -> Option<AlertId> {
        let two_sided = self.two_sided.first().filter(|_| !both);
        self.sources.first().into_iter().chain(two_sided).min().copied()
    }

    fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.two_sided.is_empty() && self.targets.is_empty()
    }
}
