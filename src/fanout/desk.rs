//! Everything of the router that changes together, under one lock.
//!
//! # Why a mutex and not a task that owns the state
//!
//! Taking an alert in costs microseconds and needs an answer at once; so does taking and settling
//! one notification. A short lock does that without a channel's queue, copy and wake-up per alert,
//! and pushes back on whoever posts too much. Facts are handed to the store under the same lock under
//! which they were made, so that their order is that of the changes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashbrown::HashMap;
use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    backlog::Backlog, courier::Courier, lanes::Lanes, policy::LastLimits, unsaved::Unsaved,
};
use crate::{
    alert::Member,
    api::TargetKey,
    clock::Moment,
    dispatch::{Counts, Owed, Plan, State},
    registry::Snapshot,
    store::{Op, Seq},
};

/// Slots made ready under one lock.
pub(super) const PART: usize = 1_024;

/// What router and lanes share.
#[derive(Debug)]
pub(super) struct Shared<T> {
    pub(super) courier: Arc<Courier<T>>,
    pub(super) lanes: Lanes,
    /// No new alerts any more; what is ready is still sent.
    pub(super) stopping: CancellationToken,
    /// Cancelled once there is a plan: it is known who needs every transition.
    pub(super) listed: CancellationToken,
    /// Something was submitted that is to be released once it is durable.
    pub(super) submitted: Notify,
    /// There are facts or outcomes that are not submitted yet.
    pub(super) dirty: Notify,
    /// Held while dead letters are replayed.
    pub(super) replaying: tokio::sync::Mutex<()>,
    desk: Mutex<Desk>,
}

/// Everything that changes together.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) state: State,
    /// The picture that `state` was last configured with; incomplete before the first time.
    pub(super) snapshot: Arc<Snapshot>,
    /// What was made of that picture.
    pub(super) plan: Arc<Plan>,
    /// Alerts that nobody is told of before what was submitted with them is on disk, in order.
    pending: VecDeque<(Seq, Owed)>,
    /// The last submission, and the last one that senders wait for.
    last: Seq,
    accepted: Seq,
    /// Deliveries that the disk does not know yet.
    pub(super) unsaved: Unsaved,
    /// Outcomes that are not submitted yet: history, dead letters.
    pub(super) outcomes: Vec<Op>,
    /// What the metrics say already.
    pub(super) counted: Counts,
    /// When the next real notification may be tried at a target that is held back by its health.
    pub(super) trials: HashMap<TargetKey, Instant>,
    /// When a target's suspension ended, or its address was last out of bounds: `maxAge` counts from here
    /// at the earliest.
    pub(super) resumed: HashMap<TargetKey, Timestamp>,
    /// How often a notification could not be made, by its id.
    pub(super) unusable: HashMap<Arc<str>, u8>,
    pub(super) limits: LastLimits,
    /// Alerts in one digest where a larger one was refused.
    pub(super) digests: HashMap<TargetKey, usize>,
}

// === impl Desk ===

impl Desk {
    fn new(state: State) -> Self {
        Self {
            state,
            snapshot: Arc::default(),
            plan: Arc::default(),
            pending: VecDeque::new(),
            last: Seq::default(),
            accepted: Seq::default(),
            unsaved: Unsaved::default(),
            outcomes: Vec::new(),
            counted: Counts::default(),
            trials: HashMap::new(),
            resumed: HashMap::new(),
            unusable: HashMap::new(),
            limits: LastLimits::default(),
            digests: HashMap::new(),
        }
    }
}

// === impl Shared ===

impl<T> Shared<T> {
    pub(super) fn new(courier: Arc<Courier<T>>, state: State) -> Self {
        Self {
            courier,
            lanes: Lanes::default(),
            stopping: CancellationToken::new(),
            listed: CancellationToken::new(),
            submitted: Notify::new(),
            dirty: Notify::new(),
            replaying: tokio::sync::Mutex::default(),
            desk: Mutex::new(Desk::new(state)),
        }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn backlog(&self) -> &Backlog {
        self.courier.backlog()
    }

    /// The picture that the state works with.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.desk().snapshot.clone()
    }

    /// What `target` was told and must be reminded of.
    pub(super) fn reminders(&self, target: &TargetKey, now: Timestamp) -> Vec<Member> {
        self.desk().state.reminders(target, now)
    }

    /// Hands over every fact and outcome there is. Answers the last submission: everything that
    /// changed so far is durable with it.
    pub(super) fn submit(&self, desk: &mut Desk, lazy: bool) -> Seq {
        self.note_ended(desk);
        let facts = desk.state.take_facts();
        let mut ops: Vec<Op> = facts.into_iter().map(Op::Fact).collect();
        ops.append(&mut desk.outcomes);
        if !ops.is_empty() {
            desk.last = self.backlog().submit(ops, lazy);
            desk.unsaved.submitted(desk.last, self.backlog().store().durable_seq());
        }
        desk.last
    }

    /// The same for what a sender waits for: what was accepted so far is durable with the answer.
    pub(super) fn submit_accepted(&self, desk: &mut Desk) -> Seq {
        let before = desk.last;
        if self.submit(desk, false) > before {
            desk.accepted = desk.last;
        }
        desk.accepted
    }

    /// Lets `owed` be sent once what was accepted so far is durable; at once if it is.
    pub(super) fn release(&self, desk: &mut Desk, owed: Owed) {
        if owed.is_empty() {
            return;
        }
        desk.pending.push_back((desk.accepted, owed));
        if desk.accepted > self.backlog().store().durable_seq() || !self.release_part(desk) {
            self.submitted.notify_one();
        }
    }

    /// Makes ready what is durable, but not too much at a time. Answers whether that was all.
    pub(super) fn release_part(&self, desk: &mut Desk) -> bool {
        let durable = self.backlog().store().durable_seq();
        let mut room = PART;
        while let Some((seq, owed)) = desk.pending.front_mut() {
            if *seq > durable || room == 0 {
                return *seq > durable;
            }
            let part = owed.take_part(room);
            room -= part.len();
            if owed.is_empty() {
                desk.pending.pop_front();
            }
            for key in desk.state.enqueue(part, Moment::now()) {
                self.lanes.wake(&key);
            }
        }
        true
    }

    /// The first submission that something waits for.
    pub(super) fn next_pending(&self) -> Option<Seq> {
        let desk = self.desk();
        let own = desk.pending.front().map(|(seq, _)| *seq);
        let queued = self.backlog().next_pending();
        own.into_iter().chain(queued).min()
    }

    /// Something changed that is to be written soon, and may change when the next timer is due.
    pub(super) fn touch(&self) {
        self.dirty.notify_one();
    }
}
