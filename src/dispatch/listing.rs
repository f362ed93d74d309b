//! What is held, for people and programs that ask: alerts, and where they are told or absent.
//!
//! A [`Listing`] holds clones of what the state holds, so that everything that takes long (sorting, filtering,
//! writing it down) happens without the state.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{
    AlertId, Phase, Role, State,
    held::Held,
    link::{Delivery, Link},
    mute::Mutes,
};
use crate::{
    alert::{Alert, Fingerprint},
    api::{RouteKey, TargetKey},
    publish::SilenceId,
    routing::{Grouping, Route},
};

/// The alerts that fire, in no order.
#[derive(Debug, Default)]
pub struct Listing {
    /// The alerts.
    pub alerts: Vec<Listed>,
    routes: HashMap<usize, Known>,
    /// Most alerts have a standing in common with others.
    standings: HashMap<Box<[Place]>, Arc<Standing>>,
    places: Vec<Place>,
    matched: Vec<Arc<Route>>,
}

/// One alert that fires.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The newest state of it.
    pub alert: Arc<Alert>,
    /// Where it is told, and where it is not.
    pub standing: Arc<Standing>,
}

/// Where an alert is told, and where it is absent; many alerts share one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// No plan was asked about the alert so far.
    pub unprocessed: bool,
    /// The silences that take it: it is absent everywhere.
    pub silenced_by: Box<[SilenceId]>,
    /// The routes that want it, by name.
    pub routes: Box<[OnRoute]>,
}

/// An alert on one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnRoute {
    /// The route.
    pub route: Arc<ListedRoute>,
    /// The alerts that keep it quiet on this route.
    pub inhibited_by: Box<[Fingerprint]>,
    /// The route is suspended, or not active at this time.
    pub muted: bool,
}

/// A route as it was when the listing was taken.
#[derive(Debug, PartialEq, Eq)]
pub struct ListedRoute {
    /// Its name.
    pub key: RouteKey,
    /// How it puts alerts together; `None`: every alert is a group of its own.
    pub grouping: Option<Arc<Grouping>>,
    /// Whom it reaches, sorted; those of its fallback are left out.
    pub targets: Box<[TargetKey]>,
}

/// A route in a listing; holding what it was made of, so that its address stays its own.
#[derive(Debug)]
struct Known {
    route: Arc<ListedRoute>,
    _delivery: Arc<Delivery>,
}

type Place = (usize, bool);

// === impl State ===

impl State {
    /// Every alert that is held: what to ask [`State::show`] for, in as many steps as one likes.
    #[must_use]
    pub fn held(&self) -> Vec<AlertId> {
        self.alerts.keys().copied().collect()
    }

    /// Adds those of `ids` that fire.
    pub fn show(&self, ids: &[AlertId], listing: &mut Listing) {
        let suspends = self.plan.table.suspended().next().is_some();
        for id in ids {
            let Some(held) = self.alerts.get(id).filter(|held| held.phase == Phase::Firing) else {
                continue;
            };
            let alert = held.alert.clone();
            if suspends {
                self.plan.table.resolve_all_into(&alert.labels, &mut listing.matched);
            }
            let standing = self.standing((*id, held), suspends, listing);
            listing.alerts.push(Listed { alert, standing });
        }
    }

    fn standing(
        &self,
        (id, held): (AlertId, &Held),
        suspends: bool,
        listing: &mut Listing,
    ) -> Arc<Standing> {
        let mut places = std::mem::take(&mut listing.places);
        places.clear();
        let (silenced_by, mut inhibited) = (self.muting.silences.of(id), false);
        for link in held.links.iter().filter(|link| link.matches) {
            let muted = link.muted.has(Mutes::OFF_HOURS) || link.delivery.terms.suspended;
            let groups = self.grouped.get(&link.route);
            places.push((listing.know(&link.delivery, groups), muted));
            inhibited |= link.muted.has(Mutes::INHIBITED);
        }
        if suspends {
            // An alert that came while its route was suspended has no link there.
            let matched = std::mem::take(&mut listing.matched);
            for route in matched
                .iter()
                .filter(|route| route.suspend)
                .filter_map(|route| self.desk.names.find_route(&route.key))
                .filter(|route| held.links.iter().all(|link| link.route != *route))
            {
                if let Some(delivery) = self.deliveries.get(&route) {
                    let groups = self.grouped.get(&route);
                    places.push((listing.know(delivery, groups), true));
                }
            }
            listing.matched = matched;
        }
        let own = held.restored || inhibited || !silenced_by.is_empty();
        let shared = if own { None } else { listing.standings.get(&*places).cloned() };
        let standing = shared.unwrap_or_else(|| {
            let standing = Arc::new(self.stand(held, silenced_by, &places, listing));
            if !own {
                listing.standings.insert(places.as_slice().into(), standing.clone());
            }
            standing
        });
        listing.places = places;
        standing
    }

    fn stand(
        &self,
        held: &Held,
        silenced_by: &[SilenceId],
        places: &[Place],
        listing: &Listing,
    ) -> Standing {
        let on_route = |(at, muted): &Place| {
            let Known { route, _delivery: delivery } = &listing.routes[at];
            let link = held.links.iter().find(|link| Arc::ptr_eq(&link.delivery, delivery));
            let inhibited = link.filter(|link| link.muted.has(Mutes::INHIBITED));
            OnRoute {
                route: route.clone(),
                inhibited_by: inhibited
                    .and_then(|link| self.source(held, link))
                    .into_iter()
                    .collect(),
                muted: *muted,
            }
        };
        let mut routes: Box<[OnRoute]> = places.iter().map(on_route).collect();
        routes.sort_by(|a, b| a.route.key.cmp(&b.route.key));
        Standing { unprocessed: held.restored, silenced_by: silenced_by.into(), routes }
    }

    /// The alert that keeps this one quiet on the route; there may be others.
    fn source(&self, held: &Held, link: &Link) -> Option<Fingerprint> {
        let source = self.muting.inhibition.source(&held.alert.labels, link.route)?;
        Some(self.alerts.get(&source)?.alert.labels.fingerprint())
    }
}

// === impl Listing ===

impl Listing {
    /// The route whose recipients are those that are told alert by alert, and those told in groups.
    fn know(&mut self, delivery: &Arc<Delivery>, groups: Option<&Arc<Delivery>>) -> usize {
        let at = Arc::as_ptr(delivery).addr();
        self.routes.entry(at).or_insert_with(|| {
            let members = delivery.members.iter().chain(groups.iter().flat_map(|it| &it.members));
            let regular = members.map(|member| &member.recipient);
            let regular = regular.filter(|recipient| recipient.role == Role::Regular);
            let mut targets: Box<[TargetKey]> =
                regular.map(|recipient| recipient.target.clone()).collect();
            targets.sort();
            let grouping = delivery.terms.grouping.clone();
            let route = ListedRoute { key: delivery.key.clone(), grouping, targets };
            Known { route: Arc::new(route), _delivery: delivery.clone() }
        });
        at
    }
}

// === impl Standing ===

impl Standing {
    /// Nobody is told of it: it is silenced, or absent on every route that wants it.
    #[must_use]
    pub fn is_suppressed(&self) -> bool {
        !self.silenced_by.is_empty()
            || (!self.routes.is_empty() && self.routes.iter().all(OnRoute::is_absent))
    }
}

// === impl OnRoute ===

impl OnRoute {
    /// The route does not tell of the alert at present; silences are left aside.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.muted || !self.inhibited_by.is_empty()
    }
}
