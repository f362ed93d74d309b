//! Silences: on disk before the answer, and effective on what is owed, for which it waits some seconds at most.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use uuid::Uuid;

use super::{
    desk::{Desk, PART, Shared},
    router::Router,
};
use crate::{
    clock::Moment,
    delivery::Transport,
    dispatch,
    publish::{BoxFuture, Refused, Silence, SilenceDraft, SilenceError, SilenceId, Silences},
    routing::Matchers,
    store::Seq,
};

/// What the record of a silence takes beside its conditions and texts, roughly.
const RECORD: usize = 1_024;
/// Between two steps of a silence that many alerts meet.
const BREATH: Duration = Duration::from_millis(1);
/// An answer waits for its silence to be effective this long.
const PATIENCE: Duration = Duration::from_secs(5);

// === impl Router ===

impl<T: Transport> Silences for Router<T> {
    fn list(&self) -> Vec<Arc<Silence>> {
        self.0.desk().state.silences()
    }

    fn get(&self, id: SilenceId) -> Option<Arc<Silence>> {
        self.0.desk().state.silence(id)
    }

    fn set(&self, draft: SilenceDraft) -> BoxFuture<'_, Result<SilenceId, SilenceError>> {
        Box::pin(async move {
            let record = RECORD + dispatch::draft_size(&draft);
            self.0.backlog().store().room(record).map_err(Refused::from)?;
            let fresh = SilenceId(Uuid::new_v4());
            // Regular expressions may take long, and everything else waits for the desk.
            let (of, shared) = (draft.clone(), self.0.clone());
            let weighed = tokio::task::spawn_blocking(move || {
                let compiled = dispatch::conditions(&of)?;
                Some((shared.reach(&compiled, of.id), compiled))
            });
            let (reach, compiled) = weighed.await.ok().flatten().unzip();
            let reach = reach.unwrap_or_default();
            let set = |desk: &mut Desk, now| desk.state.set_silence(draft, fresh, reach, now);
            let set = self.0.change_silences(set).await;
            drop(compiled);
            set
        })
    }

    fn expire(&self, id: SilenceId) -> BoxFuture<'_, Result<(), SilenceError>> {
        Box::pin(async move {
            self.0.change_silences(|desk, now| desk.state.expire_silence(id, now)).await
        })
    }
}

// === impl Shared ===

impl<T: Transport> Shared<T> {
    /// Changes the silences, and answers when that is on disk and effective for every alert; on disk only, if
    /// so many others begin that this lasts.
    async fn change_silences<R>(
        &self,
        change: impl FnOnce(&mut Desk, Moment) -> Result<R, SilenceError>,
    ) -> Result<R, SilenceError> {
        let (done, written) = self.change_desk(change)?;
        let until = Instant::now() + PATIENCE;
        while self.turn() && Instant::now() < until {
            // Long enough for whoever waits for the desk to get it.
            tokio::time::sleep(BREATH).await;
        }
        let store = self.backlog().store();
        store.durable(written).await.map_err(|_| Refused::StoreFailed)?;
        Ok(done)
    }

    fn change_desk<R>(
        &self,
        change: impl FnOnce(&mut Desk, Moment) -> Result<R, SilenceError>,
    ) -> Result<(R, Seq), SilenceError> {
        let mut desk = self.desk();
        if self.stopping.is_cancelled() {
            return Err(Refused::ShuttingDown.into());
        }
        let done = change(&mut desk, Moment::now())?;
        let written = self.submit_accepted(&mut desk);
        self.count_held(&mut desk);
        drop(desk);
        // When the next silence begins or ends may be another moment now.
        self.touch();
        Ok((done, written))
    }

    /// One step of what a silence means for the alerts. Answers whether there may be more.
    fn turn(&self) -> bool {
        let mut desk = self.desk();
        if !desk.state.is_turning() {
            self.count_held(&mut desk);
            return false;
        }
        let owed = desk.state.turn(Moment::now());
        self.submit_accepted(&mut desk);
        self.release(&mut desk, owed);
        true
    }

    /// What a silence takes by the alerts that it keeps quiet.
    fn reach(&self, conditions: &Matchers, edited: Option<SilenceId>) -> usize {
        let held = self.desk().state.held();
        let parts = held.chunks(PART);
        parts.map(|ids| self.desk().state.reach(ids, conditions, edited)).sum()
    }
}
