//! `final` in terms of matchers alone: what a route sees is what it matches and no final route before it does.

use crate::{
    api::MatchType,
    routing::{Matcher, Route},
};

/// A conjunction of conditions.
type Branch = Vec<Matcher>;

/// More of them are not worth reading.
const MAX: usize = 64;

/// Conditions of which exactly one holds for every alert that the route sees, and none for any other; `None` if
/// there would be too many. None at all: it sees nothing.
pub(super) fn branches<'a>(
    route: &Route,
    finals: impl Iterator<Item = &'a Route>,
) -> Option<Vec<Branch>> {
    let mut branches = vec![route.matchers.iter().cloned().collect::<Branch>()];
    for other in finals {
        branches = branches.into_iter().flat_map(|branch| without(branch, other)).collect();
        if branches.len() > MAX {
            return None;
        }
    }
    Some(branches)
}

/// What is left of a branch when those that `other` takes are gone: those that fail its first condition, those
/// that meet the first and fail the second, and so on.
fn without(branch: Branch, other: &Route) -> Vec<Branch> {
    let mut rest = branch;
    let mut left = Vec::new();
    for condition in &other.matchers {
        match known(&rest, condition) {
            Some(true) => {}
            Some(false) => {
                left.push(rest);
                return left;
            }
            None => {
                let mut failing = rest.clone();
                failing.extend(negated(condition));
                left.push(failing);
                rest.push(condition.clone());
            }
        }
    }
    left
}

/// Whether everything that meets `branch` meets, or fails, the condition.
fn known(branch: &[Matcher], condition: &Matcher) -> Option<bool> {
    let opposite = opposite(condition.kind);
    branch.iter().filter(|one| one.name == condition.name).find_map(|one| match one.kind {
        MatchType::Equal => Some(condition.accepts(&one.value)),
        kind if one.value == condition.value && kind == condition.kind => Some(true),
        kind if one.value == condition.value && kind == opposite => Some(false),
        _ => None,
    })
}

fn negated(condition: &Matcher) -> Option<Matcher> {
    // What compiled once compiles again.
    Matcher::new(opposite(condition.kind), &condition.name, &condition.value).ok()
}

const fn opposite(kind: MatchType) -> MatchType {
    match kind {
        MatchType::Equal => MatchType::NotEqual,
        MatchType::NotEqual => MatchType::Equal,
        MatchType::Regex => MatchType::NotRegex,
        MatchType::NotRegex => MatchType::Regex,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        alert::Labels,
        routing::{RouteSettings, RouteTable},
    };

    fn route(name: usize, is_final: bool, matchers: &[(usize, usize, usize)]) -> Arc<Route> {
        let matchers: Vec<_> = matchers
            .iter()
            .map(|(label, kind, value)| {
                json!({
                    "name": (["a", "b"][*label]),
                    "matchType": (["=", "!=", "=~", "!~"][*kind]),
                    "value": (["", "1", "2", "1|2"][*value]),
                })
            })
            .collect();
        let spec = json!({"scope": "Cluster", "final": is_final, "matchers": matchers, "targets": [{"name": "t"}]});
        let settings = RouteSettings { scope_label: "namespace".into(), cluster_namespaces: None };
        let key = format!("ops/r{name}").parse().unwrap();
        let spec = Arc::new(serde_json::from_value(spec).unwrap());
        Arc::new(Route::compile(key, "uid".into(), 1, spec, &settings).unwrap())
    }

    proptest! {
        #[test]
        fn exactly_one_branch_takes_what_the_route_sees(
            routes in prop::collection::vec(
                (any::<bool>(), prop::collection::vec((0..2_usize, 0..4_usize, 0..4_usize), 0..3)),
                1..4,
            )
        ) {
            let routes: Vec<_> = routes
                .iter()
                .enumerate()
                .map(|(name, (is_final, matchers))| route(name, *is_final, matchers))
                .collect();
            let table = RouteTable::new(routes.clone());
            for (at, route) in routes.iter().enumerate() {
                let before = routes[..at].iter().filter(|one| one.is_final).map(|one| &**one);
                let branches = branches(route, before).unwrap();
                for (a, b) in (0..9).map(|n| (n / 3, n % 3)) {
                    let values = ["", "1", "2"];
                    let labels = Labels::from_iter([("a", values[a]), ("b", values[b])]);
                    let taken = branches
                        .iter()
                        .filter(|branch| branch.iter().all(|one| one.matches(&labels)))
                        .count();
                    let seen = table.resolve(&labels).iter().any(|one| one.key == route.key);
                    prop_assert_eq!(taken, usize::from(seen), "{:?} {:?}", labels, branches);
                }
            }
        }
    }

    #[test]
    fn usual_finals_need_one_branch() {
        let first = route(0, true, &[(0, 0, 1)]);
        let other = route(1, false, &[(0, 0, 2)]);
        let text = |branches: Option<Vec<Branch>>| {
            let branch = |branch: &Branch| format!("{branch:?}");
            branches.unwrap().iter().map(branch).collect::<Vec<_>>()
        };
        assert_eq!(text(branches(&other, [&*first].into_iter())), [r#"[a="2"]"#]);
        let all = route(2, false, &[]);
        assert_eq!(text(branches(&all, [&*first].into_iter())), [r#"[a!="1"]"#]);
        assert!(branches(&first, [&*all].into_iter()).unwrap().is_empty());
    }
}
