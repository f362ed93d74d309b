//! Records of queues that are being sent: not those that go when their queue is full.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Number of the target, id of the record.
type Key = (u32, u64);

/// Which records are being sent; shared by the committer and those who send. Holds as many as there are
/// attempts under way, and for a moment those whose end is not on disk yet.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// How often each was claimed: the end of an attempt may come to the committer after the next claim.
    claimed: HashMap<Key, u32>,
    /// Those that give way in the commit that is being made.
    going: HashSet<Key>,
}

// === impl Claims ===

impl Claims {
    /// Claims a record, unless it gives way just now.
    pub(super) fn claim(&self, key: Key) -> bool {
        let mut known = self.lock();
        let stays = !known.going.contains(&key);
        if stays {
            *known.claimed.entry(key).or_default() += 1;
        }
        stays
    }

    /// An attempt has ended, and the record waits on.
    pub(super) fn release(&self, key: Key) {
        let mut known = self.lock();
        if let Some(times) = known.claimed.get_mut(&key) {
            *times -= 1;
            if *times == 0 {
                known.claimed.remove(&key);
            }
        }
    }

    /// The record is gone.
    pub(super) fn forget(&self, key: Key) {
        self.lock().claimed.remove(&key);
    }

    /// Lets a record give way, unless it is being sent. Answers whether it does.
    pub(super) fn evict(&self, key: Key) -> bool {
        let mut known = self.lock();
        let free = !known.claimed.contains_key(&key);
        if free {
            known.going.insert(key);
        }
        free
    }

    /// What gave way is off the disk: a look there tells.
    pub(super) fn committed(&self) {
        self.lock().going.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_sent_stays_and_what_gives_way_is_not_sent() {
        let claims = Claims::default();
        assert!(claims.claim((1, 1)) && !claims.evict((1, 1)));
        assert!(claims.evict((1, 2)) && !claims.claim((1, 2)));
        claims.committed();
        assert!(claims.claim((1, 2)), "the disk says that it is gone");
        claims.forget((1, 2));
        assert!(claims.evict((1, 2)));
    }

    #[test]
    fn an_attempt_that_ended_does_not_release_the_next_one() {
        let claims = Claims::default();
        assert!(claims.claim((1, 1)) && claims.claim((1, 1)));
        claims.release((1, 1));
        assert!(!claims.evict((1, 1)));
        claims.release((1, 1));
        claims.release((1, 1));
        assert!(claims.evict((1, 1)));
    }
}
