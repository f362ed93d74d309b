//! Silences: which there are, which are active, which alerts they keep quiet. The rules are Alertmanager's.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use super::{AlertId, filed::Filed};
use crate::{
    alert::{Labels, later},
    publish::{Silence, SilenceId, SilenceState},
    routing::Matchers,
};

mod draft;

pub(super) use draft::{Written, compile, programs, size};
pub use draft::{conditions, draft_size};

/// How long a silence is kept after its end.
const RETENTION: Duration = Duration::from_hours(120);
/// A silence that begins by itself is noticed by then.
const NOTICED: Duration = Duration::from_secs(1);
/// Bytes that an alert takes that some silence keeps quiet.
const QUIET: usize = 112;
/// Bytes that each of the silences that keep it quiet takes beside that.
const MET: usize = 48;

/// All silences.
#[derive(Debug, Default)]
pub(super) struct Silences {
    all: HashMap<SilenceId, Kept>,
    active: Filed<SilenceId>,
    pending: Filed<SilenceId>,
    /// When the next thing happens to each.
    due: BTreeSet<(Timestamp, SilenceId)>,
    /// Alerts that are kept quiet, each with the active silences whose conditions it meets.
    silenced: HashMap<AlertId, Vec<SilenceId>>,
    /// How many silences that is in all.
    met: usize,
    /// Bytes of all silences, their compiled conditions included.
    bytes: usize,
    /// Bytes that will be taken by alerts that those which have not begun will keep quiet.
    reserved: usize,
    counts: [usize; SilenceState::ALL.len()],
}

#[derive(Debug)]
struct Kept {
    silence: Arc<Silence>,
    matchers: Arc<Matchers>,
    state: SilenceState,
    /// Alerts that it keeps quiet.
    alerts: BTreeSet<AlertId>,
    /// Bytes that it takes by itself.
    bytes: usize,
    /// Bytes that alerts will take once it begins.
    reserved: usize,
}

/// What became of a silence.
#[derive(Clone, Debug)]
pub(super) enum Turn {
    /// It is active now: alerts that meet these conditions are to be given to [`Silences::take`].
    Begun(SilenceId, Arc<Matchers>),
    /// It is not active any more; these alerts were kept quiet by it.
    Ended(SilenceId, BTreeSet<AlertId>),
    /// It was kept long enough.
    Forgotten(Arc<Silence>),
}

// === impl Silences ===

impl Silences {
    /// Writes a silence down, in place of the one with its id, whose conditions are the same.
    pub(super) fn put(
        &mut self,
        silence: Arc<Silence>,
        matchers: Arc<Matchers>,
        now: Timestamp,
    ) -> Option<Turn> {
        let (id, state) = (silence.id, silence.state(now));
        let before = self.all.remove(&id);
        let was_active = before.as_ref().is_some_and(|kept| kept.state == SilenceState::Active);
        let mut alerts = BTreeSet::new();
        if let Some(before) = before {
            self.due.remove(&(before.due(), id));
            self.counts[before.state as usize] -= 1;
            self.bytes -= before.bytes;
            self.reserved -= before.reserved;
            if before.state == SilenceState::Pending {
                self.pending.remove(id);
            }
            alerts = before.alerts;
        }
        if state == SilenceState::Pending {
            self.pending.insert(id, matchers.clone());
        }
        let is_active = state == SilenceState::Active;
        let mut turn = None;
        if was_active && !is_active {
            self.active.remove(id);
            turn = Some(self.release(id, std::mem::take(&mut alerts)));
        } else if is_active && !was_active {
            self.active.insert(id, matchers.clone());
            turn = Some(Turn::Begun(id, matchers.clone()));
        }
        let bytes = size(&silence) + programs(&matchers);
        self.bytes += bytes;
        let kept = Kept { silence, matchers, state, alerts, bytes, reserved: 0 };
        self.due.insert((kept.due(), id));
        self.counts[state as usize] += 1;
        self.all.insert(id, kept);
        turn
    }

    /// Lets time pass. Returns what it brought, in its order.
    pub(super) fn advance(&mut self, now: Timestamp) -> Vec<Turn> {
        let mut turns = Vec::new();
        while let Some((due, id)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            let Some(kept) = self.all.get(&id) else { break };
            if kept.state == SilenceState::Expired {
                self.due.remove(&(due, id));
                self.counts[SilenceState::Expired as usize] -= 1;
                let kept = self.all.remove(&id);
                self.bytes -= kept.as_ref().map_or(0, |kept| kept.bytes);
                turns.extend(kept.map(|kept| Turn::Forgotten(kept.silence)));
            } else {
                let (silence, matchers) = (kept.silence.clone(), kept.matchers.clone());
                turns.extend(self.put(silence, matchers, now));
            }
        }
        turns
    }

    /// When time brings something.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The active silence keeps this alert quiet.
    pub(super) fn take(&mut self, id: SilenceId, alert: AlertId) {
        if let Some(kept) = self.all.get_mut(&id)
            && kept.alerts.insert(alert)
        {
            self.silenced.entry(alert).or_default().push(id);
            self.met += 1;
        }
    }

    /// An alert is held from now on.
    pub(super) fn meet(&mut self, alert: AlertId, labels: &Labels) {
        self.reserve_for(labels);
        let Self { all, active, silenced, met, .. } = self;
        for id in active.met_by(labels) {
            if let Some(kept) = all.get_mut(&id)
                && kept.alerts.insert(alert)
            {
                silenced.entry(alert).or_default().push(id);
                *met += 1;
            }
        }
    }

    /// An alert is not held any more.
    pub(super) fn forget(&mut self, alert: AlertId, labels: &Labels) {
        for id in self.pending.met_by(labels) {
            if let Some(kept) = self.all.get_mut(&id) {
                let less = kept.reserved.min(QUIET + MET);
                kept.reserved -= less;
                self.reserved -= less;
            }
        }
        for id in self.silenced.remove(&alert).unwrap_or_default() {
            self.met -= 1;
            if let Some(kept) = self.all.get_mut(&id) {
                kept.alerts.remove(&alert);
            }
        }
    }

    /// The active silences whose conditions the alert meets.
    pub(super) fn of(&self, alert: AlertId) -> &[SilenceId] {
        self.silenced.get(&alert).map_or(&[], Vec::as_slice)
    }

    /// Bytes that silences take, and the alerts that they keep quiet or will keep quiet, roughly.
    pub(super) fn taken(&self) -> usize {
        self.bytes + QUIET * self.silenced.len() + MET * self.met + self.reserved
    }

    /// The silence has not begun: keeps room for what it will take then. Nothing for any other.
    pub(super) fn reserve(&mut self, id: SilenceId, bytes: usize) {
        let pending = |kept: &&mut Kept| kept.state == SilenceState::Pending;
        if let Some(kept) = self.all.get_mut(&id).filter(pending) {
            kept.reserved += bytes;
            self.reserved += bytes;
        }
    }

    /// What is kept free for the silence.
    pub(super) fn reserved(&self, id: SilenceId) -> usize {
        self.all.get(&id).map_or(0, |kept| kept.reserved)
    }

    /// The same for every silence that will keep a new alert quiet.
    fn reserve_for(&mut self, labels: &Labels) {
        let Self { all, pending, reserved, .. } = self;
        for id in pending.met_by(labels) {
            if let Some(kept) = all.get_mut(&id) {
                kept.reserved += QUIET + MET;
                *reserved += QUIET + MET;
            }
        }
    }

    /// What one more silence of the alert takes; nothing if it takes the place of one that keeps the alert
    /// quiet.
    pub(super) fn price(&self, alert: AlertId, instead_of: Option<SilenceId>) -> usize {
        let before = instead_of.and_then(|id| self.all.get(&id));
        if before.is_some_and(|kept| kept.alerts.contains(&alert)) {
            0
        } else if self.silenced.contains_key(&alert) {
            MET
        } else {
            QUIET + MET
        }
    }

    /// Whether an active silence that the alert meets was surely known to have begun at `moment`.
    pub(super) fn covers(&self, alert: AlertId, moment: Timestamp) -> bool {
        let began = |id: &SilenceId| Some(self.all.get(id)?.silence.starts_at);
        self.of(alert).iter().filter_map(began).any(|began| later(began, NOTICED) <= moment)
    }

    /// The ends of silences that are over, by their conditions.
    pub(super) fn over(&self) -> Filed<(SilenceId, Timestamp)> {
        let mut over = Filed::default();
        for kept in self.all.values().filter(|kept| kept.state == SilenceState::Expired) {
            over.insert((kept.silence.id, kept.silence.ends_at), kept.matchers.clone());
        }
        over
    }

    pub(super) fn get(&self, id: SilenceId) -> Option<&Arc<Silence>> {
        self.all.get(&id).map(|kept| &kept.silence)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Silence>> {
        self.all.values().map(|kept| &kept.silence)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// How many there are in each state, in the order of [`SilenceState::ALL`].
    pub(super) fn counts(&self) -> [usize; SilenceState::ALL.len()] {
        self.counts
    }

    fn matchers(&self, id: SilenceId) -> Option<Arc<Matchers>> {
        self.all.get(&id).map(|kept| kept.matchers.clone())
    }

    fn release(&mut self, id: SilenceId, alerts: BTreeSet<AlertId>) -> Turn {
        self.met -= alerts.len();
        for alert in &alerts {
            if let Some(ids) = self.silenced.get_mut(alert) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.silenced.remove(alert);
                }
            }
        }
        Turn::Ended(id, alerts)
    }
}

// === impl Kept ===

impl Kept {
    /// When the next thing happens to it.
    fn due(&self) -> Timestamp {
        match self.state {
            SilenceState::Pending => self.silence.starts_at,
            SilenceState::Active => self.silence.ends_at,
            SilenceState::Expired => later(self.silence.ends_at, RETENTION),
        }
    }
}
