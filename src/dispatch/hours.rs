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
    /// Takes over the hours of routes that changed; `None`: the route is no more.
    pub(super) fn follow<'a>(
        &mut self,
        changed: impl Iterator<Item = (RouteId, Option<&'a Arc<Hours>>)>,
        now: Timestamp,
    ) {
        for (route, hours) in changed {
            let hours = hours.filter(|hours| ***hours != Hours::default());
            let old = self.routes.get(&route);
            if old.map(|watch| &watch.hours) == hours {
                continue;
            }
            if let Some(at) = self.routes.remove(&route).and_then(|watch| watch.next) {
                self.due.remove(&(at, route));
            }
            if let Some(hours) = hours {
                let watch = Watch::new(hours.clone(), now);
                self.due.extend(watch.next.map(|at| (at, route)));
                self.routes.insert(route, watch);
            }
        }
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
