//! Taking alerts in: a 2xx means that they are on disk.
//!
//! Before the first full list of both kinds there is no plan, and nobody knows who needs every transition:
//! senders wait a moment for it. If it does not come (the API server is away), alerts are written all
//! the same and routed afterwards, each with its latest state. When the disk is nearly full or can't keep up, only new alerts are refused:
//! re-sends need no write, and resolves make room.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::{desk::Shared, router::Router};
use crate::{
    alert::{Alert, Status},
    clock::Moment,
    delivery::Transport,
    dispatch::State,
    publish::{Accepted, BoxFuture, Intake, Refused, Source},
    store::{Full, Seq},
};

/// How long senders wait for the first lists; they give up after ten seconds themselves.
const FIRST_LISTS: Duration = Duration::from_secs(5);
/// Alerts taken in under one lock.
const CHUNK: usize = 256;
/// Roughly what the record of an alert takes at least.
const RECORD: usize = 256;

// === impl Router ===

impl<T: Transport> Intake for Router<T> {
    fn accept(
        &self,
        alerts: Vec<Alert>,
        source: Source,
    ) -> BoxFuture<'_, Result<Accepted, Refused>> {
        Box::pin(async move { self.0.accept(alerts, source).await })
    }
}

// === impl Shared ===

impl<T: Transport> Shared<T> {
    async fn accept(&self, alerts: Vec<Alert>, source: Source) -> Result<Accepted, Refused> {
        if !self.listed.is_cancelled() {
            let _ = timeout(FIRST_LISTS, self.listed.cancelled()).await;
        }
        let store = self.backlog().store();
        if store.room(0).is_err() {
            store.look_again().await;
        }
        let mut full = None;
        let mut total = Accepted::default();
        let mut written = Seq::default();
        let mut rest = alerts.into_iter();
        loop {
            let chunk: Vec<Alert> = rest.by_ref().take(CHUNK).collect();
            let (part, seq, refusal) = self.accept_chunk(chunk, source)?;
            full = full.or(refusal);
            total.alerts += part.alerts;
            total.unrouted += part.unrouted;
            total.refused += part.refused;
            total.crowded += part.crowded;
            written = written.max(seq);
            if rest.len() == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.courier.metrics().unrouted.inc_by(total.unrouted as u64);
        // Whoever leaves here loses nothing: what is owed waits for the disk on its own.
        store.durable(written).await.map_err(|_| Refused::StoreFailed)?;
        match full {
            Some(full) if total.refused > 0 => Err(full.into()),
            None if total.alerts == 0 && total.refused > 0 => Err(total.refusal()),
            _ => Ok(total),
        }
    }

    fn accept_chunk(
        &self,
        mut alerts: Vec<Alert>,
        source: Source,
    ) -> Result<(Accepted, Seq, Option<Full>), Refused> {
        let now = Moment::now();
        let mut desk = self.desk();
        if self.stopping.is_cancelled() {
            return Err(Refused::ShuttingDown);
        }
        // What waits to be written counts in full, these alerts roughly: a re-send may cost nothing, and no
        // other chunk comes between this and its own weight.
        let full = self.backlog().store().room(alerts.len() * RECORD).err();
        let mut refused = 0;
        if full.is_some() {
            let before = alerts.len();
            alerts.retain(|alert| is_taken(&desk.state, alert, now.wall));
            refused = before - alerts.len();
        }
        let due = desk.state.next_due(now);
        let (mut accepted, owed) = desk.state.accept(alerts, source, now);
        let sooner = |next: Duration| due.is_none_or(|due| next < due);
        if desk.state.next_due(now).is_some_and(sooner) {
            // A group's first flush may be nearer than everything that was waited for.
            self.touch();
        }
        accepted.refused += refused;
        if !desk.snapshot.complete {
            // Nobody knows yet.
            accepted.unrouted = 0;
        }
        let seq = self.submit_accepted(&mut desk);
        self.release(&mut desk, owed);
        self.count_held(&mut desk);
        Ok((accepted, seq, full))
    }
}

/// Whether an alert is taken although nothing new is.
fn is_taken(state: &State, alert: &Alert, now: Timestamp) -> bool {
    alert.status(now) == Status::Resolved || state.holds(&alert.labels)
}

// === impl Refused ===

impl From<Full> for Refused {
    fn from(full: Full) -> Self {
        match full {
            Full::Disk => Self::DiskFull,
            Full::Records => Self::StoreFull,
            Full::Behind => Self::Behind,
        }
    }
}
