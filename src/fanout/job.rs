//! One attempt of a lane, from the moment it is decided to its record.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    desk::{Desk, Shared},
    gate::Pass,
    metrics::NotificationOutcome,
    records::About,
    window::{Fate, Record},
};
use crate::{
    alert::Notification,
    api::RouteKey,
    delivery::Transport,
    dispatch::{Origin, Ticket},
    registry::Target,
    store::{QueueId, Seq},
};

/// One attempt and what belongs to it. Dropped before its end, it counts as cancelled.
pub(super) struct Job<T> {
    pub(super) shared: Arc<Shared<T>>,
    pub(super) target: Arc<Target>,
    pub(super) notification: Arc<Notification>,
    pub(super) pass: Pass,
    pub(super) work: Work,
}

/// Where a notification comes from, and where its outcome belongs.
pub(super) enum Work {
    /// It is owed, or several are that go out as one, once this is on disk.
    Slot(Vec<Ticket>, Option<Seq>),
    /// It waited on disk.
    Record(Record),
}

/// What a lane has to know of the end of an attempt.
pub(super) enum Ended {
    /// Everything is with the state.
    Slot,
    /// What becomes of the record, and the submission that says so.
    Record(QueueId, Fate, Seq),
}

/// Counts an attempt that is dropped before its end.
struct CutOff<'a, T> {
    shared: &'a Shared<T>,
    target: &'a Target,
    notification: &'a Arc<Notification>,
    route: Option<RouteKey>,
    number: u32,
    began: Instant,
    armed: bool,
}

// === impl Job ===

impl<T: Transport> Job<T> {
    pub(super) async fn run(self) -> Ended {
        let Self { shared, target, notification, pass, work } = self;
        if let Work::Slot(_, Some(seq)) = work
            && shared.backlog().store().durable(seq).await.is_err()
        {
            return shared.give_back(work);
        }
        let mut cut_off = CutOff {
            shared: &shared,
            target: &target,
            notification: &notification,
            route: work.route().cloned(),
            number: work.attempts() + 1,
            began: Instant::now(),
            armed: true,
        };
        let sending = shared.courier.deliver(&target, &notification, pass);
        let sent = AssertUnwindSafe(sending).catch_unwind().await;
        cut_off.armed = false;
        drop(cut_off);
        match sent {
            Ok(attempt) => shared.settle(&target, &notification, work, &attempt),
            Err(_) => shared.settle_unusable(&target, &notification, work),
        }
    }
}

// === impl Shared ===

impl<T> Shared<T> {
    /// What must be on disk before a notification may go out; `None`: nothing. The disk may say that the
    /// target surely heard nothing of this, or not know yet what it was told last.
    pub(super) fn must_be_durable(&self, desk: &mut Desk, tickets: &[Ticket]) -> Option<Seq> {
        let durable = self.backlog().store().durable_seq();
        let mut needs =
            |ticket: &Ticket| ticket.must_commit() || desk.unsaved.has(ticket.slot(), durable);
        let needed = tickets.iter().any(&mut needs);
        needed.then(|| self.submit(desk, false))
    }
}

// === impl Work ===

impl Work {
    /// The route; `None` for what was published.
    pub(super) fn route(&self) -> Option<&RouteKey> {
        match self {
            Self::Slot(tickets, _) => tickets.first().map(Ticket::route),
            Self::Record(record) => record.route(),
        }
    }

    /// Attempts that failed so far.
    pub(super) fn attempts(&self) -> u32 {
        match self {
            Self::Slot(tickets, _) => tickets.iter().map(Ticket::attempts).max().unwrap_or(0),
            Self::Record(record) => record.queued.attempts,
        }
    }
}

// === impl Record ===

impl Record {
    /// The route; `None` for what was published.
    pub(super) fn route(&self) -> Option<&RouteKey> {
        match &self.queued.origin {
            Origin::Every(route) | Origin::Replay(Some(route)) => Some(route),
            Origin::Publish | Origin::Replay(None) => None,
        }
    }

    /// It is one for a target that needs every transition.
    pub(super) fn transition(&self) -> bool {
        matches!(self.queued.origin, Origin::Every(_))
    }
}

// === impl CutOff ===

impl<T> Drop for CutOff<'_, T> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let Self { shared, target, notification, number, began, .. } = *self;
        shared.courier.metrics().notified(target.kind, NotificationOutcome::Cancelled, 1);
        let about = About { target: &target.key, route: self.route.as_ref(), notification };
        let op = about.cut_off(number, began.elapsed(), Timestamp::now());
        shared.desk().outcomes.push(op);
        shared.touch();
    }
}
