//! What must be known in memory about the queues on disk: which targets have one, and which groups
//! wait in it. The bodies stay on disk; a target's lane reads them in windows.
//!
//! # Who may overtake whom
//!
//! A publish must not overtake one of the same labels that waits. Those that wait are known by a hash
//! of their group key. After a start they are not: until a lane has read what it found on disk,
//! everything for that target goes behind.
//!
//! Nor must what is owed overtake a transition of its group that was queued while the target still needed every
//! one. There, what is not known after a start is read at once.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashbrown::HashMap;
use tokio::sync::Notify;

use crate::{
    api::TargetKey,
    dispatch::{Origin, Queued},
    store::{Failed, Op, QueueId, Seq, Store},
};

/// Records read at once to know which groups wait.
const PART: usize = 256;
/// So often while somebody waits for the answer.
const PARTS: usize = 64;
/// Groups that left, before those are forgotten whose end is on disk.
const LEFT: usize = 64;

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

/// What is kept in memory of a record that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// Hash of its group key.
    pub(crate) group: u64,
    /// It is one for a target that needs every transition.
    transition: bool,
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
    /// Groups of which nothing waits any more, and when that is on disk; some of them for longer.
    left: HashMap<u64, Seq>,
    /// There are or were transitions among what waits.
    transitions: bool,
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
        for (target, uid, record) in queued {
            known.add(&target, uid, record, seq);
            known.pending.push_back((seq, target));
        }
        drop(known);
        if news {
            self.submitted.notify_one();
        }
        seq
    }

    fn note(&self, queued: &Queued) -> (TargetKey, Arc<str>, Kept) {
        (queued.target.clone(), queued.uid.clone(), self.kept(queued))
    }

    /// What is kept in memory of a record.
    pub(crate) fn kept(&self, queued: &Queued) -> Kept {
        let group = self.group(&queued.notification.group_key);
        Kept { group, transition: matches!(queued.origin, Origin::Every(_)) }
    }

    /// Whether nothing waits for any target.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().queues.is_empty()
    }

    /// Whether a publish of this group has to go behind what waits for the target.
    pub(crate) fn stands_before(&self, target: &TargetKey, group_key: &str) -> bool {
        let known = self.lock();
        let Some(queue) = known.queues.get(target) else { return false };
        queue.unread > 0 || queue.groups.contains_key(&self.group(group_key))
    }

    /// Whether what is owed must wait because something of its group is queued; `None`: that is not known
    /// before [`Backlog::learn`] has read on.
    pub(crate) fn goes_first(&self, target: &TargetKey, group_key: &str) -> Option<bool> {
        let known = self.lock();
        let Some(queue) = known.queues.get(target) else { return Some(false) };
        if !queue.transitions && queue.unread == 0 {
            return Some(false);
        }
        let group = self.group(group_key);
        let leaves = || {
            let left = queue.left.get(&group);
            left.is_some_and(|written| *written > self.store.durable_seq())
        };
        let first = queue.groups.contains_key(&group) || leaves();
        (first || queue.unread == 0).then_some(first)
    }

    /// Whether transitions may wait for the target.
    pub(crate) fn has_transitions(&self, target: &TargetKey) -> bool {
        let known = self.lock();
        known.queues.get(target).is_some_and(|queue| queue.transitions || queue.unread > 0)
    }

    /// Reads on in what was there at the start, so that it is known which groups wait.
    ///
    /// # Errors
    /// [`Failed`] if the disk can't be read.
    pub(crate) fn learn(&self, target: &TargetKey) -> Result<(), Failed> {
        let queue = self.lock().queues.get(target).map(|queue| (queue.uid.clone(), queue.read));
        let Some((uid, after)) = queue else { return Ok(()) };
        let read = self.store.queued(target, &uid, after, PART)?;
        let found: Vec<_> = read.iter().map(|(id, queued)| (*id, self.kept(queued))).collect();
        self.read(target, &found);
        if read.len() < PART
            && let Some(queue) = self.lock().queues.get_mut(target)
        {
            // Something of it was not readable, or has gone.
            queue.unread = 0;
        }
        Ok(())
    }

    /// Whether something of this group waits for the target. What was there at the start is read for that, but
    /// not without end.
    pub(crate) fn holds(&self, target: &TargetKey, uid: &str, group_key: &str) -> bool {
        let group = self.group(group_key);
        for _ in 0..PARTS {
            let unread = {
                let known = self.lock();
                let Some(queue) = known.queues.get(target).filter(|queue| *queue.uid == *uid)
                else {
                    return false;
                };
                if queue.groups.contains_key(&group) {
                    return true;
                }
                queue.unread > 0
            };
            if !unread || self.learn(target).is_err() {
                return false;
            }
        }
        false
    }

    /// Whether more than one record of this group is known to wait for the target.
    pub(crate) fn holds_another(&self, target: &TargetKey, uid: &str, group: u64) -> bool {
        let known = self.lock();
        let queue = known.queues.get(target).filter(|queue| *queue.uid == *uid);
        queue.and_then(|queue| queue.groups.get(&group)).is_some_and(|count| *count > 1)
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

    /// Records were read, in order.
    pub(crate) fn read(&self, target: &TargetKey, records: &[(QueueId, Kept)]) {
        let mut known = self.lock();
        let Some(queue) = known.queues.get_mut(target).filter(|queue| queue.unread > 0) else {
            return;
        };
        for (id, kept) in records {
            if queue.unread == 0 {
                return;
            }
            if queue.read.is_some_and(|read| *id <= read) {
                continue;
            }
            queue.read = Some(*id);
            queue.unread -= 1;
            queue.add(*kept);
        }
    }

    /// A record has come to its end, which is on disk once `written` is durable.
    pub(crate) fn ended(&self, (target, uid): (&TargetKey, &str), group: u64, written: Seq) {
        let mut known = self.lock();
        let queue = known.queues.get_mut(target).filter(|queue| *queue.uid == *uid);
        let Some(queue) = queue else { return };
        if let Some(count) = queue.groups.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                queue.groups.remove(&group);
                if queue.left.len() >= LEFT {
                    let durable = self.store.durable_seq();
                    queue.left.retain(|_, written| *written > durable);
                }
                queue.left.insert(group, written);
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
        Self {
            uid,
            unread: 0,
            read: None,
            groups: HashMap::new(),
            left: HashMap::new(),
            transitions: false,
            last,
        }
    }

    fn add(&mut self, Kept { group, transition }: Kept) {
        *self.groups.entry(group).or_default() += 1;
        self.transitions |= transition;
    }
}

// === impl Known ===

impl Known {
    fn add(&mut self, target: &TargetKey, uid: Arc<str>, record: Kept, seq: Seq) {
        let queue =
            self.queues.entry(target.clone()).or_insert_with(|| Queue::new(uid.clone(), seq));
        if queue.uid != uid {
            // What waited for another object of that name was dropped.
            *queue = Queue::new(uid, seq);
        }
        queue.last = queue.last.max(seq);
        queue.add(record);
    }
}

fn enqueued(op: &Op) -> Option<&Queued> {
    match op {
        Op::Fact(crate::dispatch::Fact::Enqueue(queued)) => Some(queued),
        _ => None,
    }
}
