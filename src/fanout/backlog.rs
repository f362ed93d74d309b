//! What must be known in memory about the queues on disk: which targets have one, and which groups
//! wait in it. The bodies stay on disk; a target's lane reads them in windows.
//!
//! # Who may overtake whom
//!
//! A publish must not overtake one of the same labels that waits. Those that wait are known by a hash
//! of their group key. After a start they are not: until a lane has read what it found on disk,
//! everything for that target goes behind.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashbrown::HashMap;
use tokio::sync::Notify;

use crate::{
    api::TargetKey,
    dispatch::Queued,
    store::{Op, QueueId, Seq, Store},
};

/// Everything that waits on disk, as far as memory must know it. Shared by engine and router.
#[derive(Debug)]
pub(crate) struct Backlog {
    store: Arc<dyn Store>,
    known: Mutex<Known>,
    hasher: RandomState,
    /// Something was submitted that lanes must hear of once it is durable.
    pub(crate) submitted: Notify,
}

#[derive(Debug, Default)]
struct Known {
    queues: BTreeMap<TargetKey, Queue>,
    /// In the order of submission: targets whose lanes must look once this is durable.
    pending: VecDeque<(Seq, TargetKey)>,
}

/// The queue of one target.
#[derive(Debug)]
struct Queue {
    uid: Arc<str>,
    /// Records that were there at the start and have not been read yet.
    unread: u64,
    /// The last of them that was read: what a lane reads again counts once.
    read: Option<QueueId>,
    /// Hashes of the group keys of what waits, and how many records of each.
    groups: HashMap<u64, u32>,
    /// The last submission of a new record.
    last: Seq,
}

// === impl Backlog ===

impl Backlog {
    /// What `store` found when it was opened.
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let queues = store.queues().into_iter().map(|(target, uid, size)| {
            let queue = Queue { unread: size.records, ..Queue::new(uid, Seq::default()) };
            (target, queue)
        });
        let known = Known { queues: queues.collect(), pending: VecDeque::new() };
        Self {
            known: Mutex::new(known),
            store,
            hasher: RandomState::new(),
            submitted: Notify::new(),
        }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Hash of a group key.
    pub(crate) fn group(&self, group_key: &str) -> u64 {
        self.hasher.hash_one(group_key)
    }

    /// Submits `ops`; the lanes of targets that get a new record hear of it once it is durable.
    pub(crate) fn submit(&self, ops: Vec<Op>, lazy: bool) -> Seq {
        let mut known = self.lock();
        let queued: Vec<_> = ops.iter().filter_map(enqueued).map(|it| self.note(it)).collect();
        let seq = self.store.submit(ops, lazy);
        let news = !queued.is_empty();
        for (target, uid, group) in queued {
            known.add(&target, uid, group, seq);
            known.pending.push_back((seq, target));
        }
        drop(known);
        if news {
            self.submitted.notify_one();
        }
        seq
    }

    fn note(&self, queued: &Queued) -> (TargetKey, Arc<str>, u64) {
        let group = self.group(&queued.notification.group_key);
        (queued.target.clone(), queued.uid.clone(), group)
    }

    /// Whether a publish of this group has to go behind what waits for the target.
    pub(crate) fn stands_before(&self, target: &TargetKey, group_key: &str) -> bool {
        let known = self.lock();
        let Some(queue) = known.queues.get(target) else { return false };
        queue.unread > 0 || queue.groups.contains_key(&self.group(group_key))
    }

    /// Whether something of this group is known to wait for the target.
    pub(crate) fn holds(&self, target: &TargetKey, uid: &str, group_key: &str) -> bool {
        let known = self.lock();
        let queue = known.queues.get(target).filter(|queue| *queue.uid == *uid);
        queue.is_some_and(|queue| queue.groups.contains_key(&self.group(group_key)))
    }

    /// The UID of the object that the target's queue is for; `None`: nothing waits.
    pub(crate) fn uid(&self, target: &TargetKey) -> Option<Arc<str>> {
        Some(self.lock().queues.get(target)?.uid.clone())
    }

    /// Every target that has a queue, with the UID that it is for.
    pub(crate) fn targets(&self) -> Vec<(TargetKey, Arc<str>)> {
        let known = self.lock();
        known.queues.iter().map(|(target, queue)| (target.clone(), queue.uid.clone())).collect()
    }

    /// A lane has read records, in order: id, group.
    pub(crate) fn read(&self, target: &TargetKey, records: &[(QueueId, u64)]) {
        let mut known = self.lock();
        let Some(queue) = known.queues.get_mut(target).filter(|queue| queue.unread > 0) else {
            return;
        };
        for (id, group) in records {
            if queue.unread == 0 {
                return;
            }
            if queue.read.is_some_and(|read| *id <= read) {
                continue;
            }
            queue.read = Some(*id);
            queue.unread -= 1;
            *queue.groups.entry(*group).or_default() += 1;
        }
    }

    /// A record has come to its end.
    pub(crate) fn ended(&self, target: &TargetKey, group: u64) {
        let mut known = self.lock();
        let Some(queue) = known.queues.get_mut(target) else { return };
        if let Some(count) = queue.groups.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                queue.groups.remove(&group);
            }
        }
    }

    /// A lane has seen the end of a queue that was complete up to `seen` and has nothing of it in
    /// hand: if nothing came since, nothing waits. Answers whether that is so.
    pub(crate) fn emptied(&self, target: &TargetKey, seen: Seq) -> bool {
        let mut known = self.lock();
        let empty = known.queues.get(target).is_none_or(|queue| queue.last <= seen);
        if empty {
            known.queues.remove(target);
        }
        empty
    }

    /// Forgets a queue that was dropped.
    pub(crate) fn forget(&self, target: &TargetKey) {
        self.lock().queues.remove(target);
    }

    /// The first submission that somebody must hear of.
    pub(crate) fn next_pending(&self) -> Option<Seq> {
        self.lock().pending.front().map(|(seq, _)| *seq)
    }

    /// The targets whose new records are durable.
    pub(crate) fn take_pending(&self, durable: Seq) -> Vec<TargetKey> {
        let mut known = self.lock();
        let mut targets = Vec::new();
        while let Some((_, target)) = known.pending.pop_front_if(|(seq, _)| *seq <= durable) {
            if targets.last() != Some(&target) {
                targets.push(target);
            }
        }
        targets
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Queue ===

impl Queue {
    fn new(uid: Arc<str>, last: Seq) -> Self {
        Self { uid, unread: 0, read: None, groups: HashMap::new(), last }
    }
}

// === impl Known ===

impl Known {
    fn add(&mut self, target: &TargetKey, uid: Arc<str>, group: u64, seq: Seq) {
        let queue =
            self.queues.entry(target.clone()).or_insert_with(|| Queue::new(uid.clone(), seq));
        if queue.uid != uid {
            // What waited for another object of that name was dropped.
            *queue = Queue::new(uid, seq);
        }
        queue.last = queue.last.max(seq);
        *queue.groups.entry(group).or_default() += 1;
    }
}

fn enqueued(op: &Op) -> Option<&Queued> {
    match op {
        Op::Fact(crate::dispatch::Fact::Enqueue(queued)) => Some(queued),
        _ => None,
    }
}
