//! Which targets have a lane at work, and how a lane hears of news.
//!
//! What waits for a target is kept by [`State`](crate::dispatch::State) and by the store. A lane is the
//! task that works it off; it lives while there is something to do or to wait for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use tokio::sync::Notify;

use crate::api::TargetKey;

/// All lanes at work. Bounded by the number of targets.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    inner: Mutex<Inner>,
    /// A lane needs a task.
    pub(crate) opened: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    lanes: HashMap<TargetKey, Entry>,
    opened: Vec<(TargetKey, Arc<Notify>)>,
}

#[derive(Debug)]
struct Entry {
    news: Arc<Notify>,
    /// Something came that the lane has not looked at yet.
    unseen: bool,
}

// === impl Lanes ===

impl Lanes {
    /// There is something to do, or to look at again, for a target.
    pub(crate) fn wake(&self, key: &TargetKey) {
        let mut inner = self.lock();
        if let Some(lane) = inner.lanes.get_mut(key) {
            lane.unseen = true;
            lane.news.notify_one();
            return;
        }
        let news = Arc::new(Notify::new());
        inner.lanes.insert(key.clone(), Entry { news: news.clone(), unseen: true });
        inner.opened.push((key.clone(), news));
        drop(inner);
        self.opened.notify_one();
    }

    /// Something changed that concerns the target's lane, if it has one.
    pub(crate) fn stir(&self, key: &TargetKey) {
        if let Some(lane) = self.lock().lanes.get_mut(key) {
            lane.unseen = true;
            lane.news.notify_one();
        }
    }

    /// A lane is going to look at everything. Answers whether there is news.
    pub(crate) fn look(&self, key: &TargetKey) -> bool {
        let mut inner = self.lock();
        inner.lanes.get_mut(key).is_some_and(|lane| std::mem::take(&mut lane.unseen))
    }

    /// Lanes that were opened since the last call. Each needs one task, which ends by
    /// [`Lanes::close`].
    pub(crate) fn take_opened(&self) -> Vec<(TargetKey, Arc<Notify>)> {
        std::mem::take(&mut self.lock().opened)
    }

    /// Ends a lane; false if something came that it has not looked at.
    pub(crate) fn close(&self, key: &TargetKey) -> bool {
        let mut inner = self.lock();
        let done = inner.lanes.get(key).is_none_or(|lane| !lane.unseen);
        if done {
            inner.lanes.remove(key);
        }
        done
    }

    /// Whether [`Lanes::take_opened`] has something to give.
    pub(crate) fn has_opened(&self) -> bool {
        !self.lock().opened.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
