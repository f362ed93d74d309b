//! The part of a target's queue that its lane has in hand: a few records, in order.
//!
//! One record of a group is under way at a time, and none overtakes an earlier one of its group.
//! That an earlier one has come to its end must be on disk before a later one of its group goes out: after a
//! crash the earlier one would be sent again, behind the later one.
//!
//! Records of other groups go past one that waits for its next attempt. So that one group does not fill
//! the window, only a few records of each are in hand; the others are passed over and fetched from where
//! they begin once those few have come to their end.

use std::{collections::VecDeque, sync::Arc};

use hashbrown::HashMap;

use tokio::time::Instant;

use super::backlog::Backlog;
use crate::{
    api::TargetKey,
    dispatch::Queued,
    store::{Failed, QueueId, Seq},
};

/// Records in hand.
const SIZE: usize = 64;
/// Of these, of one group: one to send and the next.
const OF_GROUP: usize = 2;
/// Records read at a time while those of one group are looked for.
const PART: usize = 16;

/// A lane's view of its target's queue.
#[derive(Debug, Default)]
pub(super) struct Window {
    records: VecDeque<Waiting>,
    /// The last record that was read.
    cursor: Option<QueueId>,
    /// Groups of which records up to there were passed over, and the id after which they begin. No more
    /// than have been in hand: a group that has nothing left there is fetched before reading goes on.
    passed: HashMap<u64, QueueId>,
    /// What was durable when the end of the queue was seen; `None`: there may be more.
    end: Option<Seq>,
    /// Groups of records that came to their end, and when that is on disk.
    ended: HashMap<u64, Seq>,
    /// What must be on disk before a record that is due may go out.
    blocked: Option<Seq>,
    /// The last submission about a record of this queue: until it is durable, the disk still shows
    /// what has come to its end.
    written: Seq,
}

#[derive(Debug)]
struct Waiting {
    id: QueueId,
    group: u64,
    queued: Queued,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Ready,
    UnderWay,
    /// Failed, or held back: not before then.
    Later(Instant),
}

/// What becomes of a record after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has come to its end.
    Ended,
    /// It is tried again at `at`; `attempts` have failed so far.
    Later { attempts: u32, at: Instant },
}

/// A record that was taken out to be sent. Hand it back by [`Window::settle`], [`Window::later`] or
/// [`Window::end`].
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: QueueId,
    pub(super) group: u64,
    pub(super) queued: Queued,
}

// === impl Window ===

impl Window {
    /// Reads on if there is room. Answers whether that changed anything: then look again for what may be
    /// sent.
    ///
    /// # Errors
    /// [`Failed`] if the disk can't be read.
    pub(super) fn fill(
        &mut self,
        backlog: &Backlog,
        owner: (&TargetKey, &Arc<str>),
    ) -> Result<bool, Failed> {
        if self.records.len() >= SIZE {
            return Ok(false);
        }
        let behind = self.passed.iter().find(|(group, _)| self.in_hand(**group) == 0);
        if let Some((&group, &after)) = behind {
            return self.fetch(backlog, owner, (group, after)).map(|()| true);
        }
        if self.end.is_some() {
            return Ok(false);
        }
        let store = backlog.store();
        let limit = SIZE - self.records.len();
        let durable = store.durable_seq();
        let read = store.queued(owner.0, owner.1, self.cursor, limit)?;
        if read.len() < limit {
            self.end = Some(durable);
        }
        let mut fresh = Vec::with_capacity(read.len());
        for (id, queued) in read {
            let kept = backlog.kept(&queued);
            let group = kept.group;
            fresh.push((id, kept));
            self.cursor = Some(id);
            if self.passed.contains_key(&group) {
                continue;
            }
            if self.in_hand(group) < OF_GROUP {
                self.records.push_back(Waiting { id, group, queued, stage: Stage::Ready });
            } else {
                self.passed.insert(group, QueueId(id.0.saturating_sub(1)));
            }
        }
        backlog.read(owner.0, &fresh);
        Ok(!fresh.is_empty())
    }

    /// Looks for the next records of a group that were passed over.
    fn fetch(
        &mut self,
        backlog: &Backlog,
        (target, uid): (&TargetKey, &Arc<str>),
        (group, mut after): (u64, QueueId),
    ) -> Result<(), Failed> {
        let read = backlog.store().queued(target, uid, Some(after), PART)?;
        let mut over = read.len() < PART;
        for (id, queued) in read {
            if self.cursor.is_none_or(|cursor| id > cursor) {
                over = true;
                break;
            }
            if backlog.group(&queued.notification.group_key) == group {
                if self.in_hand(group) == OF_GROUP {
                    over = false;
                    break;
                }
                self.records.push_back(Waiting { id, group, queued, stage: Stage::Ready });
            }
            after = id;
        }
        if over {
            self.passed.remove(&group);
        } else {
            self.passed.insert(group, after);
        }
        Ok(())
    }

    /// Records of a group in hand.
    fn in_hand(&self, group: u64) -> usize {
        self.records.iter().filter(|waiting| waiting.group == group).count()
    }

    /// New records may be on disk.
    pub(super) fn look_again(&mut self) {
        self.end = None;
    }

    /// The next record that may be sent, now under way.
    pub(super) fn take(&mut self, now: Instant, durable: Seq) -> Option<Record> {
        self.ended.retain(|_, written| *written > durable);
        self.blocked = None;
        let mut before = Vec::new();
        for waiting in &mut self.records {
            if before.contains(&waiting.group) {
                continue;
            }
            let due = match waiting.stage {
                Stage::Ready => true,
                Stage::Later(at) => at <= now,
                Stage::UnderWay => false,
            };
            let blocked = self.ended.get(&waiting.group).copied().filter(|_| due);
            self.blocked = self.blocked.into_iter().chain(blocked).min();
            if due && blocked.is_none() {
                waiting.stage = Stage::UnderWay;
                let Waiting { id, group, ref queued, .. } = *waiting;
                return Some(Record { id, group, queued: queued.clone() });
            }
            before.push(waiting.group);
        }
        None
    }

    /// Takes the outcome of an attempt, which is on disk once `written` is durable.
    pub(super) fn settle(&mut self, id: QueueId, fate: Fate, written: Seq) {
        self.written = self.written.max(written);
        match fate {
            Fate::Ended => self.end(id, written),
            Fate::Later { attempts, at } => {
                self.later(id, at);
                if let Some(waiting) = self.records.iter_mut().find(|waiting| waiting.id == id) {
                    waiting.queued.attempts = attempts;
                }
            }
        }
    }

    /// Not before `at`.
    pub(super) fn later(&mut self, id: QueueId, at: Instant) {
        if let Some(waiting) = self.records.iter_mut().find(|waiting| waiting.id == id) {
            waiting.stage = Stage::Later(at);
        }
    }

    /// Come to its end, which is on disk once `written` is durable.
    pub(super) fn end(&mut self, id: QueueId, written: Seq) {
        self.written = self.written.max(written);
        if let Some(at) = self.records.iter().position(|waiting| waiting.id == id)
            && let Some(waiting) = self.records.remove(at)
        {
            self.ended.insert(waiting.group, written);
        }
    }

    /// What must be durable before the next record that is due may go out; `None`: nothing.
    pub(super) fn blocked(&self) -> Option<Seq> {
        self.blocked
    }

    /// What must be durable before the disk shows the queue as it is; `None`: it does.
    pub(super) fn unwritten(&self, durable: Seq) -> Option<Seq> {
        (self.written > durable).then_some(self.written)
    }

    /// When the first record that waits for its next attempt, and for nothing else, is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let mut before = Vec::new();
        let mut due: Option<Instant> = None;
        for waiting in &self.records {
            if before.contains(&waiting.group) {
                continue;
            }
            if let Stage::Later(at) = waiting.stage {
                due = Some(due.map_or(at, |due| due.min(at)));
            }
            before.push(waiting.group);
        }
        due
    }

    /// What was durable when the end of the queue was seen, if nothing of it is left in hand.
    pub(super) fn emptied(&self) -> Option<Seq> {
        self.end.filter(|_| self.records.is_empty() && self.passed.is_empty())
    }

    /// Nothing can be sent for a while: lets go of everything in hand, unless something is under way
    /// or not on disk yet. Reading starts over when there is reason to.
    pub(super) fn let_go(&mut self, durable: Seq) -> bool {
        let busy = self.records.iter().any(|waiting| waiting.stage == Stage::UnderWay);
        let possible = !busy && self.written <= durable;
        if possible {
            *self = Self { written: self.written, ..Self::default() };
        }
        possible
    }
}
