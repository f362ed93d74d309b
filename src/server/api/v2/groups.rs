//! Alerts as their routes put them together: one group for each route, group labels and receiver. Pure.

use std::{cmp::Ordering, sync::Arc};

use hashbrown::HashMap;

use super::{
    select::{Select, State, Wanted},
    write::{About, Entry, Reasons},
};
use crate::{
    alert::{Labels, push_json, v2::push_object},
    api::TargetKey,
    dispatch::{Listed, ListedRoute, Listing, OnRoute, Standing},
    registry::Snapshot,
};

/// One group as one receiver has it.
#[derive(Debug)]
pub(super) struct Group {
    labels: Labels,
    receiver: TargetKey,
    /// The same for all receivers of the route.
    pub(super) members: Arc<[Entry]>,
}

/// What is the same for all alerts of one standing on one route; `None`: they are not wanted.
type OnOne = Vec<Option<Arc<About>>>;

// === impl Group ===

impl Group {
    /// Appends what follows the members.
    pub(super) fn push_end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"],\"labels\":");
        push_object(out, &self.labels);
        out.extend_from_slice(b",\"receiver\":{\"name\":");
        push_json(out, &self.receiver.to_string());
        out.extend_from_slice(b"},\"routeLabels\":{}}");
    }
}

/// The groups of `GET /api/v2/alerts/groups`, in Alertmanager's order.
pub(super) fn groups(listing: &Listing, select: &Select, snapshot: &Snapshot) -> Vec<Group> {
    let mut wanted = Wanted::new(&select.receivers, snapshot);
    // By the addresses of standing and route, which the listing keeps in their places.
    let mut known: HashMap<usize, OnOne> = HashMap::new();
    let mut found: HashMap<(usize, Labels), (Arc<ListedRoute>, Vec<Entry>)> = HashMap::new();
    for Listed { alert, standing } in &listing.alerts {
        if !select.filter.matches(&alert.labels) {
            continue;
        }
        let abouts = known
            .entry(Arc::as_ptr(standing).addr())
            .or_insert_with(|| on_routes(standing, select, &mut wanted));
        for (on, about) in standing.routes.iter().zip(abouts) {
            let Some(about) = about else { continue };
            let labels = match &on.route.grouping {
                Some(grouping) => grouping.by.labels_of(&alert.labels),
                None => alert.labels.clone(),
            };
            let fingerprint = alert.labels.fingerprint().0;
            let entry = Entry { fingerprint, alert: alert.clone(), about: about.clone() };
            let place = (Arc::as_ptr(&on.route).addr(), labels);
            found.entry(place).or_insert_with(|| (on.route.clone(), Vec::new())).1.push(entry);
        }
    }
    let mut groups = Vec::with_capacity(found.len());
    for ((_, labels), (route, mut members)) in found {
        members.sort_by(|a, b| by_job(&a.alert.labels, &b.alert.labels));
        let members: Arc<[Entry]> = members.into();
        for target in route.targets.iter().filter(|target| wanted.takes(target)) {
            let (labels, receiver) = (labels.clone(), target.clone());
            groups.push((Group { labels, receiver, members: members.clone() }, route.clone()));
        }
    }
    groups.sort_by(|(a, of_a), (b, of_b)| {
        by_size(&a.labels, &b.labels)
            .then_with(|| a.receiver.cmp(&b.receiver))
            .then_with(|| of_a.key.cmp(&of_b.key))
    });
    groups.into_iter().map(|(group, _)| group).collect()
}

/// One for each route of the standing.
fn on_routes(standing: &Standing, select: &Select, wanted: &mut Wanted<'_>) -> OnOne {
    let targets = standing.routes.iter().flat_map(|on| on.route.targets.iter());
    let mut receivers: Vec<&TargetKey> = targets.filter(|target| wanted.takes(target)).collect();
    receivers.sort();
    receivers.dedup();
    let receivers: Vec<String> = receivers.iter().map(ToString::to_string).collect();
    let on_route = |on: &OnRoute| {
        let reasons = Reasons::new(standing, std::iter::once(on));
        let state = if reasons.is_empty() { State::Active } else { State::Suppressed };
        let shown = select.wants(state, &reasons) && (select.muted || !on.muted);
        let about = || About::new(receivers.iter().map(String::as_str), state.as_str(), &reasons);
        shown.then(|| Arc::new(about()))
    };
    standing.routes.iter().map(on_route).collect()
}

/// By job, then instance (one that is missing comes last), then [`by_size`].
fn by_job(a: &Labels, b: &Labels) -> Ordering {
    let by = |name: &str| {
        let (a, b) = (a.get(name), b.get(name));
        a.is_empty().cmp(&b.is_empty()).then_with(|| a.cmp(b))
    };
    by("job").then_with(|| by("instance")).then_with(|| by_size(a, b))
}

/// Fewer labels first; among as many the first name that differs, or the first value.
fn by_size(a: &Labels, b: &Labels) -> Ordering {
    let mut pairs = a.iter().zip(b.iter());
    a.len().cmp(&b.len()).then_with(|| {
        let differ = pairs.find(|(a, b)| a != b);
        // Whoever lacks the smaller name comes first.
        differ.map_or(Ordering::Equal, |(a, b)| b.0.cmp(a.0).then_with(|| a.1.cmp(b.1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    #[test]
    fn order_is_that_of_alertmanager() {
        // LabelSet.Before and AlertSlice.Less of Alertmanager 0.34.2.
        let sorted = [
            labels(&[]),
            labels(&[("z", "1")]),
            labels(&[("a", "1")]),
            labels(&[("a", "2")]),
            labels(&[("b", "1"), ("c", "1")]),
            labels(&[("a", "1"), ("c", "1")]),
            labels(&[("a", "1"), ("b", "9")]),
            labels(&[("a", "2"), ("b", "1")]),
        ];
        assert!(sorted.is_sorted_by(|a, b| by_size(a, b) == Ordering::Less));
        let jobs = [
            labels(&[("job", "a"), ("x", "1"), ("y", "1"), ("instance", "1")]),
            labels(&[("job", "a"), ("instance", "2")]),
            labels(&[("job", "a")]),
            labels(&[("job", "b")]),
            labels(&[("instance", "1"), ("x", "1")]),
            labels(&[("x", "1")]),
        ];
        assert!(jobs.is_sorted_by(|a, b| by_job(a, b) == Ordering::Less));
    }
}
