//! What waits to be sent, per target. Each target has a lane of its own, so that what waits for one
//! never stands in front of another.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashbrown::{HashMap, HashSet};
use tokio::sync::Notify;

use crate::{api::TargetKey, dispatch::Slot};

/// All lanes that have work. Bounded by the number of slots: a slot waits at most once.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    queues: Mutex<Queues>,
    /// A lane needs a task.
    pub(crate) opened: Notify,
}

#[derive(Debug, Default)]
struct Queues {
    lanes: HashMap<TargetKey, Queue>,
    opened: Vec<(TargetKey, Arc<Notify>)>,
}

#[derive(Debug, Default)]
struct Queue {
    ready: VecDeque<Slot>,
    waiting: HashSet<Slot>,
    news: Arc<Notify>,
}

// === impl Lanes ===

impl Lanes {
    /// Puts slots at the end of their lanes, unless they wait there already.
    pub(crate) fn push(&self, slots: impl IntoIterator<Item = Slot>) {
        let mut queues = self.lock();
        for slot in slots {
            let Queues { lanes, opened } = &mut *queues;
            let queue = lanes.entry(slot.target.clone()).or_insert_with(|| {
                let queue = Queue::default();
                opened.push((slot.target.clone(), queue.news.clone()));
                queue
            });
            if queue.waiting.insert(slot.clone()) {
                queue.ready.push_back(slot);
                queue.news.notify_one();
            }
        }
        if !queues.opened.is_empty() {
            self.opened.notify_one();
        }
    }

    /// The next slot of a lane.
    pub(crate) fn pop(&self, key: &TargetKey) -> Option<Slot> {
        let mut queues = self.lock();
        let queue = queues.lanes.get_mut(key)?;
        let slot = queue.ready.pop_front()?;
        queue.waiting.remove(&slot);
        Some(slot)
    }

    /// Puts a slot back where it came from.
    pub(crate) fn put_back(&self, slot: Slot) {
        let mut queues = self.lock();
        if let Some(queue) = queues.lanes.get_mut(&slot.target)
            && queue.waiting.insert(slot.clone())
        {
            queue.ready.push_front(slot);
        }
    }

    /// Lanes that were opened since the last call. Each needs one task, which ends by
    /// [`Lanes::close`].
    pub(crate) fn take_opened(&self) -> Vec<(TargetKey, Arc<Notify>)> {
        std::mem::take(&mut self.lock().opened)
    }

    /// Ends a lane in which nothing waits; false if something does.
    pub(crate) fn close(&self, key: &TargetKey) -> bool {
        let mut queues = self.lock();
        let empty = queues.lanes.get(key).is_none_or(|queue| queue.ready.is_empty());
        if empty {
            queues.lanes.remove(key);
        }
        empty
    }

    /// Whether [`Lanes::take_opened`] has something to give.
    pub(crate) fn has_opened(&self) -> bool {
        !self.lock().opened.is_empty()
    }

    /// Slots that wait, in all lanes.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().lanes.values().map(|queue| queue.ready.len()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
