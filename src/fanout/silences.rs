//! Silences: on disk before the answer, effective at once on what is owed.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    desk::{Desk, Shared},
    router::Router,
};
use crate::{
    clock::Moment,
    delivery::Transport,
    dispatch::{self, Owed},
    publish::{BoxFuture, Refused, Silence, SilenceDraft, SilenceError, SilenceId, Silences},
    store::Seq,
};

/// What the record of a silence takes beside its conditions and texts, roughly.
const RECORD: usize = 1_024;

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
            let of = draft.clone();
            let compiled = tokio::task::spawn_blocking(move || dispatch::conditions(&of)).await;
            let set = |desk: &mut Desk, now| desk.state.set_silence(draft, fresh, now);
            let set = self.0.change_silences(set).await;
            drop(compiled);
            set
        })
    }

    fn expire(&self, id: SilenceId) -> BoxFuture<'_, Result<(), SilenceError>> {
        Box::pin(async move {
            self.0.change_silences(|desk, now| Ok(((), desk.state.expire_silence(id, now)?))).await
        })
    }
}

// === impl Shared ===

impl<T: Transport> Shared<T> {
    async fn change_silences<R>(
        &self,
        change: impl FnOnce(&mut Desk, Moment) -> Result<(R, Owed), SilenceError>,
    ) -> Result<R, SilenceError> {
        let (done, written) = self.change_desk(change)?;
        let store = self.backlog().store();
        store.durable(written).await.map_err(|_| Refused::StoreFailed)?;
        Ok(done)
    }

    fn change_desk<R>(
        &self,
        change: impl FnOnce(&mut Desk, Moment) -> Result<(R, Owed), SilenceError>,
    ) -> Result<(R, Seq), SilenceError> {
        let mut desk = self.desk();
        if self.stopping.is_cancelled() {
            return Err(Refused::ShuttingDown.into());
        }
        let (done, owed) = change(&mut desk, Moment::now())?;
        let written = self.submit_accepted(&mut desk);
        self.release(&mut desk, owed);
        self.count_held(&mut desk);
        drop(desk);
        // When the next silence begins or ends may be another moment now.
        self.touch();
        Ok((done, written))
    }
}
