//! How much is held, and how much may be.

use super::{AlertId, Phase, State, held::Held};
use crate::alert::Alert;

/// What an alert takes beside its texts: its place in the books.
const FIXED: usize = 768;
/// What a label or annotation takes beside its texts.
const PAIR: usize = 64;
/// What is kept of one target: an entry of the log, a place in a queue.
const ENTRY: usize = 112;
/// New alerts leave one part in so many free, for resolves and for what changes.
const RESERVE: usize = 16;

/// Bytes that an alert takes, roughly, erring upwards.
fn size(alert: &Alert) -> usize {
    let pairs = alert.labels.iter().chain(alert.annotations.iter());
    let texts = pairs.map(|(name, value)| PAIR + name.len() + value.len());
    FIXED + alert.generator_url.len() + texts.sum::<usize>()
}

/// The same with everything that is kept about it.
fn whole_size(held: &Held) -> usize {
    size(&held.alert) + held.links.iter().map(|link| ENTRY * (1 + link.told.len())).sum::<usize>()
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

    /// Whether there is room for a new alert, the entries of everyone who will be told included.
    pub(super) fn may_hold(&mut self, alert: &Alert) -> bool {
        if self.counts.firing >= self.settings.max_alerts {
            return false;
        }
        self.plan.table.resolve_into(&alert.labels, &mut self.matched);
        let recipients = |route| Some(self.deliveries.get(&route)?.members.len());
        let routes = self.matched.iter().filter_map(|route| self.desk.names.find_route(&route.key));
        let entries: usize = routes.filter_map(recipients).map(|entries| 1 + entries).sum();
        self.has_room(size(alert) + ENTRY * entries, self.settings.max_bytes / RESERVE)
    }

    /// Whether another `bytes` fit in and leave some free; lets go of what ended, oldest first, if they
    /// don't.
    fn has_room(&mut self, bytes: usize, free: usize) -> bool {
        let most = self.settings.max_bytes - free;
        if self.bytes + bytes > most {
            self.trim(bytes + free);
        }
        self.bytes + bytes <= most
    }

    /// The alert as it can be held: one that is known is never refused, but where there is no room for
    /// longer texts it keeps those that it has.
    pub(super) fn fit(&mut self, mut alert: Alert) -> Alert {
        let held = self.index.get(&alert.labels).and_then(|id| self.alerts.get(id));
        let Some(known) = held.map(|held| held.alert.clone()) else { return alert };
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
            self.retired.retain(|(id, ended)| {
                alerts.get(id).is_some_and(|held| held.retired == Some(*ended))
            });
        }
        while self.retired.len() > max_alerts || self.bytes + bytes > max_bytes {
            let Some((id, ended)) = self.retired.pop_front() else { break };
            let Some(held) = self.alerts.get_mut(&id).filter(|held| held.retired == Some(ended))
            else {
                continue;
            };
            if held.may_retire() {
                self.counts.dropped += u64::from(held.phase == Phase::Stale && held.is_open());
                self.forget(id);
            } else {
                held.retired = None;
            }
        }
        if self.deadlines.len() > 2 * self.alerts.len() + 1_024 {
            let alerts = &self.alerts;
            self.deadlines
                .retain(|at, id| alerts.get(&id).is_some_and(|held| held.queued == Some(at)));
        }
        let alerts = &mut self.alerts;
        self.desk.lanes.sweep(|slot, rule| {
            let entry = alerts.get_mut(&slot.alert).and_then(|held| held.link(slot.route));
            entry.and_then(|link| link.entry(slot.target)).is_some_and(rule)
        });
    }
}
