//! Silences begin and end, hours turn: what that means for each alert, a bounded number at a time.
//!
//! One silence may keep 100,000 alerts quiet. To work them all through takes a good part of a second, in which
//! nothing could be taken in or sent; so it is done in steps, and whoever holds the state may let go of it between
//! them. Until the last one, or for a few seconds, nothing is decided that depends on who is there: no group is told, and
//! nothing else that time brings happens.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use hashbrown::HashMap;
use tokio::time::Instant;

use super::{
    AlertId, Owed, State,
    filed::Filed,
    held::Held,
    muting::Muting,
    silence::{self, Silences, Turn, Written},
};
use crate::{
    alert::Labels,
    clock::Moment,
    publish::{Silence, SilenceDraft, SilenceError, SilenceId},
    routing::Matchers,
};

/// Alerts that are worked through in one step.
const STEP: usize = 1_024;
/// Alerts that are compared with silences that began, in one step.
const COMPARED: usize = 4 * STEP;
/// Silences that begin at once before a step has fewer alerts.
const MANY: usize = 64;

/// Groups are told after this time even if silences keep on beginning.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is still to be worked through.
#[derive(Debug, Default)]
pub(super) struct Turning {
    /// Alerts whose mutes may be others now.
    alerts: VecDeque<AlertId>,
    /// Silences that began, and the alerts that are to be compared with them.
    begun: Begun,
    candidates: Vec<AlertId>,
    /// Silences that began meanwhile: it is their turn when those are done.
    next: Begun,
    since: Option<Instant>,
}

#[derive(Debug, Default)]
struct Begun {
    filed: Filed<SilenceId>,
    count: usize,
}

// === impl Turning ===

impl Turning {
    fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.candidates.is_empty() && self.next.count == 0
    }

    /// Silences that keep these labels quiet, of those that were not brought to every alert yet.
    pub(super) fn begun<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = SilenceId> + 'a {
        let both = [&self.begun, &self.next].into_iter().filter(|begun| begun.count > 0);
        both.flat_map(|begun| begun.filed.met_by(labels))
    }

    /// Compares some alerts with silences that began.
    fn compare(&mut self, alerts: &HashMap<AlertId, Box<Held>>, silences: &mut Silences) {
        if self.candidates.is_empty() && self.next.count > 0 {
            self.begun = std::mem::take(&mut self.next);
            // Those that come later are compared as they come. The oldest are taken first, from the end.
            self.candidates.extend(alerts.keys());
            self.candidates.sort_unstable_by(|a, b| b.cmp(a));
        }
        let step = COMPARED / (1 + self.begun.count / MANY);
        let compared = self.candidates.len().saturating_sub(step.max(1));
        for id in self.candidates.drain(compared..) {
            let Some(held) = alerts.get(&id) else { continue };
            for silence in self.begun.filed.met_by(&held.alert.labels) {
                silences.take(silence, id);
                if self.alerts.back() != Some(&id) {
                    self.alerts.push_back(id);
                }
            }
        }
        if self.candidates.is_empty() {
            self.begun = Begun::default();
        }
    }
}

// === impl Begun ===

impl Begun {
    fn insert(&mut self, id: SilenceId, matchers: Arc<Matchers>) {
        self.filed.insert(id, matchers);
        self.count += 1;
    }
}

// === impl State ===

impl State {
    /// Makes a silence or edits one; see [`Silences::set`](crate::publish::Silences::set). `fresh` is the
    /// id of a new one, `reach` what [`State::reach`] says. It is effective once [`State::is_turning`] says no.
    ///
    /// # Errors
    /// [`SilenceError`] when nothing was changed.
    pub fn set_silence(
        &mut self,
        draft: SilenceDraft,
        fresh: SilenceId,
        reach: usize,
        now: Moment,
    ) -> Result<SilenceId, SilenceError> {
        let Written { ended, silence, matchers } =
            self.muting.silences.plan(draft, fresh, now.wall)?;
        let id = silence.id;
        let bytes = silence::size(&silence) + silence::programs(&matchers) + reach;
        let freed = self.muting.silences.reserved(ended.as_ref().map_or(id, |(it, _)| it.id));
        if !self.has_room(bytes.saturating_sub(freed), 0) {
            return Err(SilenceError::NoMemory);
        }
        if let Some((ended, matchers)) = ended {
            self.put_silence(ended, matchers, now);
        }
        self.put_silence(silence, matchers, now);
        self.muting.silences.reserve(id, reach);
        Ok(id)
    }

    /// Ends a silence now; effective once [`State::is_turning`] says no.
    ///
    /// # Errors
    /// [`SilenceError::NotFound`].
    pub fn expire_silence(&mut self, id: SilenceId, now: Moment) -> Result<(), SilenceError> {
        let silences = &self.muting.silences;
        let silence = silences.get(id).ok_or(SilenceError::NotFound)?;
        if let Some((ended, matchers)) = silences.ended(silence, now.wall) {
            self.put_silence(ended, matchers, now);
        }
        Ok(())
    }

    /// Bytes that a silence of these conditions takes by those of `ids` that meet them, for all of
    /// [`State::held`] in as many steps as one likes. `edited`: the silence that it takes the place of.
    #[must_use]
    pub fn reach(&self, ids: &[AlertId], matchers: &Matchers, edited: Option<SilenceId>) -> usize {
        let met = ids.iter().filter(|id| {
            self.alerts.get(*id).is_some_and(|held| matchers.matches(&held.alert.labels))
        });
        met.map(|id| self.muting.silences.price(*id, edited)).sum()
    }

    /// Whether a silence or hours are not effective yet for every alert: [`State::turn`] works on that.
    #[must_use]
    pub fn is_turning(&self) -> bool {
        !self.muting.turning.is_empty()
    }

    /// Whether it is to be waited for until silences and hours are effective. Not for ever: some may always begin.
    pub(super) fn waits_for_mutes(&self, now: Moment) -> bool {
        let since = self.muting.turning.since;
        self.is_turning() && since.is_none_or(|since| now.mono < since + PATIENCE)
    }

    /// One step of what silences and hours mean for the alerts. Returns those that are no longer muted. None is
    /// let go of that something that began keeps quiet: where one silence takes another one's place, nobody is
    /// told anything.
    pub fn turn(&mut self, now: Moment) -> Owed {
        let Muting { silences, turning, touched, .. } = &mut self.muting;
        turning.compare(&self.alerts, silences);
        touched.extend(turning.alerts.drain(..turning.alerts.len().min(STEP)));
        turning.since = turning.since.or(Some(now.mono)).filter(|_| !turning.is_empty());
        self.settle_mutes(now)
    }

    /// Lets time pass for silences and hours, one step at a time.
    pub(super) fn pass_mutes(&mut self, now: Moment) -> Owed {
        for turn in self.muting.silences.advance(now.wall) {
            self.turned(Some(turn));
        }
        let turned = self.muting.hours.advance(now.wall);
        if !turned.is_empty() {
            let on_one = self
                .alerts
                .iter()
                .filter(|(_, held)| held.links.iter().any(|link| turned.contains(&link.route)));
            let mut on_one: Vec<AlertId> = on_one.map(|(id, _)| *id).collect();
            on_one.sort_unstable();
            self.muting.turning.alerts.extend(on_one);
        }
        self.turn(now)
    }

    fn put_silence(&mut self, silence: Arc<Silence>, matchers: Arc<Matchers>, now: Moment) {
        self.desk.log.silence(silence.clone());
        let turn = self.muting.silences.put(silence, matchers, now.wall);
        self.turned(turn);
    }

    fn turned(&mut self, turn: Option<Turn>) {
        let turning = &mut self.muting.turning;
        match turn {
            Some(Turn::Begun(silence, matchers)) => turning.next.insert(silence, matchers),
            Some(Turn::Ended(silence, alerts)) => {
                turning.begun.filed.remove(silence);
                turning.next.filed.remove(silence);
                turning.alerts.extend(alerts);
            }
            Some(Turn::Forgotten(silence)) => self.desk.log.forget_silence(silence.id),
            None => {}
        }
    }
}
