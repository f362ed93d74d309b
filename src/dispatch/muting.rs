//! Who is absent where, and why: silences, inhibition and hours brought to the links of alerts.
//!
//! A muted alert is neither firing nor resolved for its route's targets: what they were told is kept, and
//! when the last reason ends the difference is owed.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

use super::{
    AlertId, Mute, Owed, Phase, RouteId, State,
    held::Held,
    hours::Timetable,
    inhibit::Inhibition,
    mute::{MutedAlerts, Mutes},
    silence::{self, Silences},
    turning::Turning,
};
use crate::{
    alert::{Fingerprint, Labels},
    api::RouteKey,
    clock::Moment,
    publish::{Silence, SilenceError, SilenceId, SilenceState},
    routing::{Hours, Route},
};

/// Everything that mutes.
#[derive(Debug, Default)]
pub(super) struct Muting {
    pub(super) silences: Silences,
    pub(super) inhibition: Inhibition,
    pub(super) hours: Timetable,
    /// Suspended routes: what they would take is muted there.
    pub(super) suspended: Vec<Arc<Route>>,
    /// Alerts whose mutes may be others now.
    pub(super) touched: Vec<AlertId>,
    /// The same, of those that time and silences brought: worked through in steps.
    pub(super) turning: Turning,
    /// Alerts that an earlier process held, by the end of a silence that ended meanwhile.
    pub(super) resumed: HashMap<AlertId, Timestamp>,
    /// How many alerts are muted somewhere.
    pub(super) alerts: MutedAlerts,
}

/// Why an alert is muted, as the API shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MutedBy {
    /// Active silences whose conditions it meets.
    pub silenced_by: Vec<SilenceId>,
    /// Alerts that keep it quiet on some route, one for each.
    pub inhibited_by: Vec<Fingerprint>,
    /// Routes that would take it but are off hours or suspended.
    pub muted_by: Vec<RouteKey>,
}

// === impl State ===

impl State {
    /// Every silence, expired ones included, in no particular order.
    #[must_use]
    pub fn silences(&self) -> Vec<Arc<Silence>> {
        self.muting.silences.iter().cloned().collect()
    }

    /// One silence.
    #[must_use]
    pub fn silence(&self, id: SilenceId) -> Option<Arc<Silence>> {
        self.muting.silences.get(id).cloned()
    }

    /// How many silences there are in each state, in the order of [`SilenceState::ALL`].
    #[must_use]
    pub fn silence_counts(&self) -> [usize; SilenceState::ALL.len()] {
        self.muting.silences.counts()
    }

    /// How many alerts are muted, in the order of [`Mute::ALL`].
    #[must_use]
    pub fn muted_alerts(&self) -> MutedAlerts {
        self.muting.alerts
    }

    /// Notifications that were not told because they are muted, since the start, in the order of
    /// [`Mute::ALL`].
    #[must_use]
    pub fn suppressed(&self) -> [u64; Mute::ALL.len()] {
        self.desk.suppressed
    }

    /// Why an alert is muted.
    #[must_use]
    pub fn muted_by(&self, id: AlertId) -> MutedBy {
        let Some(held) = self.alerts.get(&id) else { return MutedBy::default() };
        let labels = &held.alert.labels;
        let inhibited = held.links.iter().filter(|link| link.muted.has(Mutes::INHIBITED));
        let mut inhibited_by: Vec<Fingerprint> = inhibited
            .filter_map(|link| {
                let source = self.muting.inhibition.source(labels, link.route)?;
                Some(self.alerts.get(&source)?.alert.labels.fingerprint())
            })
            .collect();
        inhibited_by.sort_unstable();
        inhibited_by.dedup();
        let idle = held
            .links
            .iter()
            .filter(|link| link.muted.has(Mutes::OFF_HOURS) || link.delivery.terms.suspended);
        let suspended = self.muting.suspended.iter().filter(|route| route.matches(labels));
        let mut muted_by: Vec<RouteKey> = idle
            .map(|link| link.delivery.key.clone())
            .chain(suspended.map(|route| route.key.clone()))
            .collect();
        muted_by.sort_unstable();
        muted_by.dedup();
        MutedBy { silenced_by: self.muting.silences.of(id).to_vec(), inhibited_by, muted_by }
    }

    /// A silence that was written by an earlier process.
    pub(super) fn restore_silence(
        &mut self,
        silence: Arc<Silence>,
        now: Moment,
    ) -> Result<(), SilenceError> {
        let matchers = silence::compile(&silence.matchers).map_err(SilenceError::Invalid)?;
        // Which alerts it keeps quiet is found once all are known.
        self.muting.silences.put(silence, Arc::new(matchers), now.wall);
        Ok(())
    }

    /// Every alert and every silence of an earlier process is known.
    pub(super) fn meet_silences(&mut self) {
        for (id, held) in &self.alerts {
            self.muting.silences.meet(*id, &held.alert.labels);
        }
        let over = self.muting.silences.over();
        for (id, held) in &self.alerts {
            let ends = over.met_by(&held.alert.labels).map(|(_, end)| end);
            let ends = ends.filter(|end| *end > held.changed_at);
            self.muting.resumed.extend(ends.max().map(|end| (*id, end)));
        }
    }

    /// After a start: what an alert is owed counts its age from when it was last muted, as far as that is
    /// known; else, where it may have been, from now.
    pub(super) fn resume_restored(&mut self, id: AlertId, now: Moment) {
        let ended = self.muting.resumed.remove(&id);
        let Some(held) = self.alerts.get_mut(&id) else { return };
        held.each((id, now), &mut self.desk, |entry| {
            let terms = &entry.delivery.terms;
            let unknown = !terms.inhibit.is_empty() || *terms.hours != Hours::default();
            let since = if unknown { Some(now.wall) } else { ended };
            if let Some(since) = since.filter(|_| !entry.is_muted() && entry.owes()) {
                entry.told.resumed(since);
            }
        });
    }

    /// A new alert is held: which silences take it, whom does it keep quiet?
    pub(super) fn note_new(&mut self, id: AlertId, labels: &Labels) {
        let Muting { silences, inhibition, touched, .. } = &mut self.muting;
        silences.meet(id, labels);
        inhibition.fires(id, labels, touched);
    }

    /// A new alert is not told on the suspended routes that would take it.
    pub(super) fn count_unlinked(&mut self, id: AlertId) {
        let Some(held) = self.alerts.get(&id).filter(|held| held.absent.has(Mutes::SUSPENDED))
        else {
            return;
        };
        for route in self.muting.suspended.iter().filter(|it| it.matches(&held.alert.labels)) {
            let known = self.desk.names.find_route(&route.key);
            let delivery = known.and_then(|known| self.deliveries.get(&known));
            let recipients = delivery.map_or(0, |delivery| delivery.members.len());
            self.desk.suppressed[Mute::Suspended as usize] += recipients as u64;
        }
    }

    /// An alert began or ceased to fire.
    pub(super) fn note_status(&mut self, id: AlertId, labels: &Labels, fires: bool) {
        let Muting { inhibition, touched, .. } = &mut self.muting;
        if fires {
            inhibition.fires(id, labels, touched);
        } else {
            inhibition.rests(id, labels, touched);
        }
    }

    /// Takes over the hours and rules of the routes that changed. Returns those whose rules are new.
    pub(super) fn follow_mutes(&mut self, changed: &[RouteId], now: Moment) -> Vec<RouteId> {
        let terms = || {
            let terms = |id| self.deliveries.get(id).map(|delivery| &delivery.terms);
            changed.iter().map(move |id| (*id, terms(id)))
        };
        let Muting { inhibition, hours, suspended, touched, .. } = &mut self.muting;
        hours.follow(terms().map(|(id, terms)| (id, terms.map(|it| &it.hours))), now.wall);
        let new = inhibition.follow(terms().map(|(id, terms)| (id, terms.map(|it| &it.inhibit))));
        *suspended = self.plan.table.suspended().cloned().collect();
        if !new.is_empty() {
            let fires = |held: &Held| held.phase == Phase::Firing;
            for (id, held) in self.alerts.iter().filter(|(_, held)| fires(held)) {
                inhibition.fires(*id, &held.alert.labels, touched);
            }
        }
        new
    }

    /// Brings the mutes of all alerts that were touched up to date. Returns those that are owed
    /// something because of that.
    pub(super) fn settle_mutes(&mut self, now: Moment) -> Owed {
        let mut owed = Owed::default();
        if self.muting.touched.is_empty() {
            return owed;
        }
        let mut touched = std::mem::take(&mut self.muting.touched);
        touched.sort_unstable();
        touched.dedup();
        for id in touched {
            if self.remute(id, now) {
                self.review(id, now, &mut owed);
            }
        }
        self.bound_resolves(now);
        owed
    }

    /// Works out anew why the alert is muted on each of its routes. Returns whether it came or went on
    /// any.
    pub(super) fn remute(&mut self, id: AlertId, now: Moment) -> bool {
        let turned = self.find_mutes(id);
        let Some(held) = self.alerts.get_mut(&id).filter(|_| !turned.is_empty()) else {
            return false;
        };
        held.each((id, now), &mut self.desk, |entry| {
            if turned.contains(&entry.slot.route) {
                if entry.muted.any() { entry.mute() } else { entry.unmute() }
            }
        });
        for route in turned {
            self.member_changed(id, route, now);
        }
        true
    }

    /// Notes why the alert is muted on each of its routes. Returns the routes on which it is and was not, or
    /// the other way round.
    pub(super) fn find_mutes(&mut self, id: AlertId) -> Vec<RouteId> {
        let Muting { silences, inhibition, hours, suspended, turning, alerts, .. } =
            &mut self.muting;
        let mut turned = Vec::new();
        let Some(held) = self.alerts.get_mut(&id) else { return turned };
        let labels = &held.alert.labels;
        // Now, so that it is let go of when they end, even if they never reach it.
        for silence in turning.begun(labels) {
            silences.take(silence, id);
        }
        let silenced = !silences.of(id).is_empty();
        let mut all = Mutes::default();
        all.set(Mutes::SILENCED, silenced);
        all.set(Mutes::SUSPENDED, suspended.iter().any(|route| route.matches(labels)));
        for link in &mut held.links {
            let mut muted = Mutes::default();
            muted.set(Mutes::SILENCED, silenced);
            muted.set(Mutes::INHIBITED, inhibition.source(labels, link.route).is_some());
            muted.set(Mutes::OFF_HOURS, !hours.is_active(link.route));
            if muted.any() != link.muted.any() {
                turned.push(link.route);
            }
            link.muted = muted;
            all.add(muted);
        }
        all.count(held.absent, alerts);
        held.absent = all;
        turned
    }

    /// The alert's links are these from now on.
    pub(super) fn note_links(&mut self, id: AlertId, before: &[RouteId]) {
        let Some(held) = self.alerts.get(&id) else { return };
        let (labels, links) = (&held.alert.labels, &held.links);
        for link in links {
            self.muting.inhibition.join(id, labels, link.route);
        }
        for route in before.iter().filter(|route| links.iter().all(|link| link.route != **route)) {
            self.muting.inhibition.leave(id, labels, *route);
        }
    }
}
