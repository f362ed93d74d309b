//! Which routes are active now, and when that changes: one entry in the timetable for each route that
//! has hours.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use jiff::Timestamp;

use super::RouteId;
use crate::routing::Hours;

/// Routes with hours.
#[derive(Debug, Default)]
pub(super) struct Timetable {
    routes: HashMap<RouteId, Watch>,
    due: BTreeSet<(Timestamp, RouteId)>,
}

#[derive(Debug)]
struct Watch {
    hours: Arc<Hours>,
    active: bool,
    next: Option<Timestamp>,
}

// === impl Timetable ===

impl Timetable {
    /// Takes over the hours of all routes.
    pub(super) fn follow<'a>(
        &mut self,
        all: impl Iterator<Item = (RouteId, &'a Arc<Hours>)>,
        now: Timestamp,
    ) {
        let mut before = std::mem::take(&mut self.routes);
        for (route, hours) in all.filter(|(_, hours)| ***hours != Hours::default()) {
            let same = before.remove(&route).filter(|watch| watch.hours == *hours);
            let watch = same.unwrap_or_else(|| Watch::new(hours.clone(), now));
            self.routes.insert(route, watch);
        }
        let due = |(route, watch): (&RouteId, &Watch)| watch.next.map(|at| (at, *route));
        self.due = self.routes.iter().filter_map(due).collect();
    }

    /// Whether the route notifies at present.
    pub(super) fn is_active(&self, route: RouteId) -> bool {
        self.routes.get(&route).is_none_or(|watch| watch.active)
    }

    /// Lets time pass. Returns the routes that are active and were not, or the other way round.
    pub(super) fn advance(&mut self, now: Timestamp) -> BTreeSet<RouteId> {
        let mut turned = BTreeSet::new();
        while let Some((at, route)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, route));
            let Some(watch) = self.routes.get_mut(&route) else { continue };
            let new = Watch::new(watch.hours.clone(), now);
            if new.active != watch.active {
                turned.insert(route);
            }
            *watch = new;
            if let Some(next) = watch.next {
                self.due.insert((next, route));
            }
        }
        turned
    }

    /// When time brings something.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }
}

// === impl Watch ===

impl Watch {
    fn new(hours: Arc<Hours>, now: Timestamp) -> Self {
        let next = hours.next_change(now).filter(|next| *next > now);
        Self { active: hours.is_active(now), next, hours }
    }
}
