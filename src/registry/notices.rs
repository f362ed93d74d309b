//! What people should hear of once: from whoever did it to the controller that tells it as a
//! Kubernetes event.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::api::{Reason, RouteKey, TargetKey};

/// Notices that wait, and objects whose last notice is remembered.
const MOST: usize = 1_024;
/// Between two notices of one object and reason.
const GAP: Duration = Duration::from_mins(10);

/// The object that a notice is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A target.
    Target(TargetKey),
    /// A route.
    Route(RouteKey),
}

/// Something to tell about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The object.
    pub about: About,
    /// What kind of thing happened.
    pub reason: Reason,
    /// What happened and how to mend it, for people; never a secret.
    pub message: String,
}

/// Notices that wait to be told: one per object and reason, the newest text counts, and at most one
/// in ten minutes. Bounded; one reader, and nobody waits for it.
#[derive(Debug, Default)]
pub struct Notices {
    queue: Mutex<BTreeMap<(About, Reason), Kept>>,
    notify: Notify,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    message: String,
    /// How many were noted since the last one was told.
    count: u64,
    told: Option<Instant>,
}

// === impl Notices ===

impl Notices {
    /// Has `message` told as an event of `reason` about an object.
    pub fn note(&self, about: impl Into<About>, reason: Reason, message: impl Into<String>) {
        let key = (about.into(), reason);
        let mut queue = self.lock();
        if queue.len() >= MOST && !queue.contains_key(&key) {
            let told = queue.iter().find(|(_, kept)| kept.count == 0);
            let Some(told) = told.map(|(key, _)| key.clone()) else {
                self.dropped.fetch_add(1, Relaxed);
                return;
            };
            queue.remove(&told);
        }
        let kept = queue.entry(key).or_default();
        kept.message = message.into();
        kept.count += 1;
        drop(queue);
        self.notify.notify_one();
    }

    /// Waits until something is due to be told and takes all of it.
    pub async fn drain(&self) -> Vec<Notice> {
        loop {
            let notified = self.notify.notified();
            let (taken, next) = self.take(Instant::now());
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

    /// Notices that found no place, since the last call.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Relaxed)
    }

    /// What is due at `now`, and when the next comes due.
    fn take(&self, now: Instant) -> (Vec<Notice>, Option<Instant>) {
        let mut queue = self.lock();
        let (mut taken, mut next) = (Vec::new(), None::<Instant>);
        queue.retain(|(about, reason), kept| {
            let due = kept.told.map_or(now, |told| told + GAP);
            let news = kept.count > 0;
            if due > now {
                if news {
                    next = Some(next.map_or(due, |next| next.min(due)));
                }
                return true;
            }
            if news {
                let message = kept.take();
                kept.told = Some(now);
                taken.push(Notice { about: about.clone(), reason: *reason, message });
            }
            news
        });
        (taken, next)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(About, Reason), Kept>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Kept ===

impl Kept {
    fn take(&mut self) -> String {
        let message = std::mem::take(&mut self.message);
        match std::mem::take(&mut self.count) {
            0 | 1 => message,
            count => format!("{message} (the newest of {count} in the last minutes)"),
        }
    }
}

// === impl About ===

impl From<TargetKey> for About {
    fn from(key: TargetKey) -> Self {
        Self::Target(key)
    }
}

impl From<RouteKey> for About {
    fn from(key: RouteKey) -> Self {
        Self::Route(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> TargetKey {
        TargetKey::new("a", name)
    }

    fn messages(notices: Vec<Notice>) -> Vec<String> {
        notices.into_iter().map(|notice| notice.message).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_text_of_an_object_and_reason_is_told() {
        let notices = Notices::default();
        notices.note(target("x"), Reason::DeadLettered, "old");
        notices.note(target("x"), Reason::DeadLettered, "new");
        notices.note(target("x"), Reason::LeftOpen, "other reason");
        notices.note(RouteKey::new("a", "x"), Reason::DeadLettered, "a route");
        let told = messages(notices.drain().await);
        assert_eq!(told.len(), 3);
        assert!(told.contains(&"new (the newest of 2 in the last minutes)".to_owned()), "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_again_waits_ten_minutes() {
        let notices = Notices::default();
        let start = Instant::now();
        for round in 0..3 {
            notices.note(target("x"), Reason::DeadLettered, format!("round {round}"));
            assert_eq!(messages(notices.drain().await), [format!("round {round}")]);
            assert_eq!(start.elapsed(), GAP * round);
        }
        notices.note(target("y"), Reason::DeadLettered, "another");
        assert_eq!(messages(notices.drain().await), ["another"]);
        assert_eq!(start.elapsed(), GAP * 2);
    }

    #[test]
    fn what_finds_no_place_is_counted() {
        let notices = Notices::default();
        let start = Instant::now();
        for index in 0..MOST + 3 {
            notices.note(target(&index.to_string()), Reason::DeadLettered, "");
        }
        assert_eq!(notices.take_dropped(), 3);
        assert_eq!(notices.take(start).0.len(), MOST);
        notices.note(target("new"), Reason::DeadLettered, "");
        assert_eq!(notices.take_dropped(), 0, "what was told makes room");
        assert_eq!(notices.take(start).0.len(), 1);
    }
}
