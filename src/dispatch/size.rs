//! How much memory what is held may take.

use super::State;
use crate::alert::Alert;

/// What an alert takes beside its texts: its place in the books and its links.
const FIXED: usize = 1_024;
/// What a label or annotation takes beside its texts.
const PAIR: usize = 64;

/// Bytes that an alert takes, roughly, erring upwards.
pub(super) fn size(alert: &Alert) -> usize {
    let pairs = alert.labels.iter().chain(alert.annotations.iter());
    let texts = pairs.map(|(name, value)| PAIR + name.len() + value.len());
    FIXED + alert.generator_url.len() + texts.sum::<usize>()
}

// === impl State ===

impl State {
    /// Whether another `bytes` fit in; lets go of what ended, oldest first, if they don't.
    pub(super) fn has_room(&mut self, bytes: usize) -> bool {
        if self.bytes + bytes > self.settings.max_bytes {
            self.trim(bytes);
        }
        self.bytes + bytes <= self.settings.max_bytes
    }

    /// The alert as it can be held: one that is known is never refused, but where there is no room for
    /// longer texts it keeps those that it has.
    pub(super) fn fit(&mut self, mut alert: Alert) -> Alert {
        let held = self.index.get(&alert.labels).and_then(|id| self.alerts.get(id));
        let Some(known) = held.map(|held| held.alert.clone()) else { return alert };
        let (before, after) = (size(&known), size(&alert));
        if after > before && !self.has_room(after - before) {
            alert.annotations = known.annotations.clone();
            alert.generator_url = known.generator_url.clone();
        }
        alert
    }
}
