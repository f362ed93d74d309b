//! How much is held, and how much may be.

use super::{AlertId, GroupId, Phase, State, held::Held, line::Line, link::Link};
use crate::alert::Alert;

/// What an alert takes beside its texts: its place in the books.
pub(super) const FIXED: usize = 512;
/// What a set of labels takes beside its texts.
const SET: usize = 48;
/// What is kept of one target: an entry of the log, a place in a queue. Also what an alert takes on a route.
pub(super) const ENTRY: usize = 112;
/// What a group takes beside its labels: its place in the books.
pub(super) const GROUP: usize = 400;
/// What is kept of one target of a group.
pub(super) const LINE: usize = 176;
/// What is kept of one member of a group by each target that heard of it.
pub(super) const HEARD: usize = 32;
/// What an alert takes where a route's inhibition rules have a place for it.
const RULED: usize = 256;
/// New alerts leave one part in so many free, for resolves and for what changes.
const RESERVE: usize = 16;

/// Bytes that an alert takes, roughly, erring upwards.
pub(super) fn size(alert: &Alert) -> usize {
    let sets = 2 * SET + alert.labels.size() + alert.annotations.size();
    FIXED + alert.generator_url.len() + sets
}

/// The same with everything that is kept about it.
fn whole_size(held: &Held) -> usize {
    let link = |link: &Link| {
        let ruled = !link.delivery.terms.inhibit.is_empty();
        ENTRY * (1 + link.told.len()) + if ruled { RULED } else { 0 }
    };
    size(&held.alert) + held.links.iter().map(link).sum::<usize>()
}

// === impl State ===

impl State {
    /// Books what an alert takes now.
    pub(super) fn weigh(&mut self, id: AlertId) {
        if let Some(held) = self.alerts.get_mut(&id) {
            let bytes = whole_size(held);
            self.bytes = (self.bytes + bytes).saturating_sub(held.bytes);
            held.bytes = bytes;
        }
    }

    /// Books what a group takes now.
    pub(super) fn weigh_group(&mut self, id: GroupId) {
        if let Some(group) = self.groups.get_mut(&id) {
            let line = |line: &Line| LINE + HEARD * line.group.heard.len();
            let lines: usize = group.lines.iter().map(line).sum();
            let texts = SET + group.labels.size();
            let bytes = GROUP + texts + 8 * group.members.len() + lines;
            self.bytes = (self.bytes + bytes).saturating_sub(group.bytes);
            group.bytes = bytes;
        }
    }

    /// Whether there is room for a new alert, the entries of everyone who will be told included.
    pub(super) fn may_hold(&mut self, alert: &Alert) -> bool {
        if self.counts.firing >= self.settings.max_alerts {
            return false;
        }
        self.plan.table.resolve_into(&alert.labels, &mut self.matched);
        let recipients = |route| Some(self.deliveries.get(&route)?.members.len());
        let routes = self.matched.iter().filter_map(|route| self.desk.names.find_route(&route.key));
        let (mut entries, mut groups) = (0, 0);
        for route in routes {
            entries += 1 + recipients(route).unwrap_or_default();
            groups += self
                .grouped
                .get(&route)
                .map_or(0, |delivery| GROUP + (LINE + HEARD) * delivery.members.len());
        }
        self.has_room(size(alert) + ENTRY * entries + groups, self.settings.max_bytes / RESERVE)
    }

    /// Whether another `bytes` fit in and leave some free; lets go of what ended, oldest first, if they
    /// don't.
    pub(super) fn has_room(&mut self, bytes: usize, free: usize) -> bool {
        let most = self.settings.max_bytes - free;
        if self.taken() + bytes > most {
            self.trim(bytes + free);
        }
        self.taken() + bytes <= most
    }

    fn taken(&self) -> usize {
        self.bytes + self.muting.silences.taken()
    }

    /// The alert as it can be held: one that is known is never refused, but where there is no room for
    /// longer texts it keeps those that it has.
    pub(super) fn fit(&mut self, mut alert: Alert) -> Alert {
        let held = self.index.get(&alert.labels).and_then(|id| self.alerts.get(id));
        let Some(known) = held.map(|held| held.alert.clone()) else { return alert };
        // One copy of what is the same, or every alert that was sent again would hold its labels twice.
        alert.labels = known.labels.clone();
        if alert.annotations == known.annotations {
            alert.annotations = known.annotations.clone();
        }
        let (before, after) = (size(&known), size(&alert));
        if after > before && !self.has_room(after - before, 0) {
            alert.annotations = known.annotations.clone();
            alert.generator_url = known.generator_url.clone();
        }
        alert
    }

    /// Keeps everything bounded. Alerts that are over and of which nothing is owed are held beside those
    /// that fire, at most `--max-alerts` of them and only while there is room for `bytes` more; the
    /// oldest go first. Outdated entries of the queues go in bulk.
    pub(super) fn trim(&mut self, bytes: usize) {
        let max_alerts = self.settings.max_alerts;
        let max_bytes = self.settings.max_bytes;
        if self.retired.len() > max_alerts.max(1_024) {
            let alerts = &self.alerts;
            self.retired
                .retain(|(id, ended)| alerts.get(id).is_some_and(|held| held.is_retired(*ended)));
        }
        while self.retired.len() > max_alerts || self.taken() + bytes > max_bytes {
            let Some((id, ended)) = self.retired.pop_front() else { break };
            let Some(held) = self.alerts.get_mut(&id).filter(|held| held.is_retired(ended)) else {
                continue;
            };
            if held.may_retire() {
                self.counts.dropped += u64::from(held.phase == Phase::Stale && held.is_open());
                self.forget(id);
            } else {
                held.retired = false;
            }
        }
        let Self { deadlines, alerts, groups, desk, .. } = self;
        if deadlines.len() > 2 * (alerts.len() + groups.len()) + 1_024 {
            deadlines.retain(|at, subject| {
                let alert = subject.alert().and_then(|id| alerts.get(&id)?.queued);
                let group = subject.group().and_then(|id| groups.get(&id)?.queued);
                alert.or(group) == Some(at)
            });
        }
        desk.lanes.sweep(|slot, rule| {
            let told = match (slot.subject.alert(), slot.subject.group()) {
                (Some(id), _) => alerts
                    .get_mut(&id)
                    .and_then(|held| held.link(slot.route))
                    .and_then(|link| link.entry(slot.target)),
                (None, id) => {
                    id.and_then(|id| groups.get_mut(&id)).and_then(|group| group.entry(slot.target))
                }
            };
            told.is_some_and(rule)
        });
    }
}
