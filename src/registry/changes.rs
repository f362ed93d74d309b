//! Who has something new to show: from whoever observes to the controller that projects.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::Notices;
use crate::api::TargetKey;

/// Targets whose live state changed in a way that status shows, and notices to tell. Shared by whoever
/// observes and the controller that projects; bounded by the number of targets. One reader.
#[derive(Debug, Default)]
pub struct Changes {
    marks: Mutex<Marks>,
    notify: Notify,
    notices: Notices,
}

/// What will be shown at a moment known in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Later {
    /// A pause ends.
    Pause,
    /// A turn of the circuit is shown.
    Circuit,
}

#[derive(Debug, Default)]
struct Marks {
    dirty: BTreeSet<TargetKey>,
    later: BTreeMap<(TargetKey, Later), Instant>,
}

// === impl Changes ===

impl Changes {
    /// Notes that `key` has something new to show.
    pub fn mark(&self, key: &TargetKey) {
        self.lock().dirty.insert(key.clone());
        self.notify.notify_one();
    }

    /// What is to be told besides.
    #[must_use]
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// Notes that `key` will have something new to show at `when`; the latest moment named for a
    /// target and cause counts.
    pub fn mark_at(&self, key: &TargetKey, cause: Later, when: Instant) {
        let mut marks = self.lock();
        let at = marks.later.entry((key.clone(), cause)).or_insert(when);
        *at = when.max(*at);
        drop(marks);
        self.notify.notify_one();
    }

    /// Waits until something is marked and takes all of it.
    pub async fn drain(&self) -> BTreeSet<TargetKey> {
        loop {
            let notified = self.notify.notified();
            let (taken, next) = self.lock().take(Instant::now());
            if !taken.is_empty() {
                return taken;
            }
            match next {
                None => notified.await,
                Some(when) => {
                    tokio::select! {
                        () = notified => {}
                        () = sleep_until(when) => {}
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Marks ===

impl Marks {
    /// What is due at `now`, and when the next comes due.
    fn take(&mut self, now: Instant) -> (BTreeSet<TargetKey>, Option<Instant>) {
        let mut taken = std::mem::take(&mut self.dirty);
        self.later.retain(|(key, _), when| {
            let due = *when <= now;
            if due {
                taken.insert(key.clone());
            }
            !due
        });
        (taken, self.later.values().min().copied())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn marks_are_taken_once_and_later_ones_when_due() {
        let changes = Changes::default();
        let (now, later) = (TargetKey::new("a", "now"), TargetKey::new("a", "later"));
        let start = Instant::now();
        changes.mark_at(&later, Later::Pause, start + Duration::from_secs(30));
        changes.mark(&now);
        changes.mark(&now);
        assert_eq!(changes.drain().await, BTreeSet::from([now]));
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(changes.drain().await, BTreeSet::from([later]));
        assert_eq!(start.elapsed(), Duration::from_secs(30));
    }
}
