//! Which alerts a request is about, and what is said about them. Pure.

use std::{collections::BTreeSet, sync::Arc};

use hashbrown::HashMap;

use super::{
    params::{BadParam, Params, Receivers},
    write::{About, Entry, Reasons},
};
use crate::{
    alert::Labels,
    api::TargetKey,
    dispatch::{Listed, Listing, OnRoute, Standing},
    registry::Snapshot,
    routing::Matchers,
};

/// Conditions of a request for alerts, alone or in groups.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are parameters of the API")]
pub(super) struct Select {
    pub(super) filter: Matchers,
    pub(super) receivers: Receivers,
    active: bool,
    silenced: bool,
    inhibited: bool,
    unprocessed: bool,
    pub(super) muted: bool,
}

// === impl Select ===

impl Select {
    pub(super) fn new(params: &Params) -> Result<Self, BadParam> {
        Ok(Self {
            filter: params.filter()?,
            receivers: params.receivers()?,
            active: params.flag("active"),
            silenced: params.flag("silenced"),
            inhibited: params.flag("inhibited"),
            unprocessed: params.flag("unprocessed"),
            muted: params.flag("muted"),
        })
    }

    /// Whether an alert with this status is wanted.
    pub(super) fn wants(&self, state: State, reasons: &Reasons) -> bool {
        match state {
            State::Unprocessed => self.unprocessed,
            State::Active => self.active,
            State::Suppressed => {
                (self.silenced || reasons.silences.is_empty())
                    && (self.inhibited || reasons.sources.is_empty())
            }
        }
    }
}

/// Alertmanager's word for how an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Unprocessed,
    Active,
    Suppressed,
}

// === impl State ===

impl State {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unprocessed => "unprocessed",
            Self::Active => "active",
            Self::Suppressed => "suppressed",
        }
    }
}

/// Which targets a request is about, found out once for each.
pub(super) struct Wanted<'a> {
    receivers: &'a Receivers,
    snapshot: &'a Snapshot,
    known: HashMap<TargetKey, Match>,
}

/// What `receiver` and `receiver_matchers` say of one target.
#[derive(Clone, Copy)]
struct Match {
    name: bool,
    labels: bool,
}

// === impl Wanted ===

impl<'a> Wanted<'a> {
    pub(super) fn new(receivers: &'a Receivers, snapshot: &'a Snapshot) -> Self {
        Self { receivers, snapshot, known: HashMap::new() }
    }

    fn of(&mut self, target: &TargetKey) -> Match {
        if self.receivers.is_all() {
            return Match { name: true, labels: true };
        }
        if let Some(known) = self.known.get(target) {
            return *known;
        }
        let found = Match {
            name: self.receivers.names(&target.to_string()),
            labels: self.receivers.labelled(&labels(self.snapshot, target)),
        };
        self.known.insert(target.clone(), found);
        found
    }

    pub(super) fn takes(&mut self, target: &TargetKey) -> bool {
        let Match { name, labels } = self.of(target);
        name && labels
    }
}

/// Labels of a receiver: those of its object, and its name.
pub(super) fn labels(snapshot: &Snapshot, target: &TargetKey) -> Labels {
    let object = snapshot.targets.get(target).map(|entry| entry.labels().iter());
    let own = object.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone()));
    own.chain([("name".to_owned(), target.to_string())]).collect()
}

/// The alerts of `GET /api/v2/alerts`, by fingerprint.
pub(super) fn alerts(listing: &Listing, select: &Select, snapshot: &Snapshot) -> Vec<Entry> {
    let mut wanted = Wanted::new(&select.receivers, snapshot);
    // By the address of the standing, which the listing keeps in its place.
    let mut known: HashMap<usize, Option<Arc<About>>> = HashMap::new();
    let mut entries: Vec<Entry> = listing
        .alerts
        .iter()
        .filter(|shown| select.filter.matches(&shown.alert.labels))
        .filter_map(|Listed { alert, standing }| {
            let about = known
                .entry(Arc::as_ptr(standing).addr())
                .or_insert_with(|| about(standing, select, &mut wanted))
                .clone()?;
            let fingerprint = alert.labels.fingerprint().0;
            Some(Entry { fingerprint, alert: alert.clone(), about })
        })
        .collect();
    entries.sort_by(|a, b| {
        a.fingerprint.cmp(&b.fingerprint).then_with(|| a.alert.labels.cmp(&b.alert.labels))
    });
    entries
}

fn about(standing: &Standing, select: &Select, wanted: &mut Wanted<'_>) -> Option<Arc<About>> {
    let targets: BTreeSet<&TargetKey> =
        standing.routes.iter().flat_map(|on| on.route.targets.iter()).collect();
    if !select.receivers.is_all() {
        let all: Vec<Match> = targets.iter().map(|target| wanted.of(target)).collect();
        if !all.iter().any(|one| one.name) || !all.iter().any(|one| one.labels) {
            return None;
        }
    }
    let state = match standing {
        standing if standing.unprocessed => State::Unprocessed,
        standing if standing.is_suppressed() => State::Suppressed,
        _ => State::Active,
    };
    let reasons = Reasons::new(standing, standing.routes.iter());
    if !select.wants(state, &reasons) {
        return None;
    }
    let names: Vec<String> = targets.iter().map(ToString::to_string).collect();
    Some(Arc::new(About::new(names.iter().map(String::as_str), state.as_str(), &reasons)))
}

// === impl Reasons ===

impl Reasons {
    /// Why an alert is absent on some of these routes.
    pub(super) fn new<'a>(standing: &Standing, routes: impl Iterator<Item = &'a OnRoute>) -> Self {
        let mut inhibited = BTreeSet::new();
        let mut muted = Vec::new();
        for on in routes {
            inhibited.extend(on.inhibited_by.iter().copied());
            if on.muted {
                muted.push(on.route.key.to_string());
            }
        }
        Self {
            silences: standing.silenced_by.iter().map(ToString::to_string).collect(),
            sources: inhibited.iter().map(ToString::to_string).collect(),
            routes: muted,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.silences.is_empty() && self.sources.is_empty() && self.routes.is_empty()
    }
}
