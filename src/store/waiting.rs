//! Who waits for what to be on disk.
//!
//! Each is called once, by the commit that is theirs. With one signal for all of them everybody who came
//! during a commit would be woken by its end only to find that theirs is the next.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Everybody who waits, in no order.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Vec<Waiter>>);

#[derive(Debug)]
struct Waiter {
    seq: u64,
    call: oneshot::Sender<()>,
}

// === impl Waiting ===

impl Waiting {
    /// Waits for `seq`, unless it is decided by now what became of it. Whoever decides that calls
    /// afterwards, so nobody is forgotten.
    pub(super) fn join(
        &self,
        seq: u64,
        decided: impl FnOnce() -> bool,
    ) -> Option<oneshot::Receiver<()>> {
        let mut waiters = self.lock();
        if decided() {
            return None;
        }
        let (call, called) = oneshot::channel();
        waiters.push(Waiter { seq, call });
        Some(called)
    }

    /// Everything up to `seq` is on disk.
    pub(super) fn call(&self, seq: u64) {
        let called: Vec<Waiter> = self.lock().extract_if(.., |it| it.seq <= seq).collect();
        for waiter in called {
            // Who has left need not know.
            let _ = waiter.call.send(());
        }
    }

    /// Nothing more becomes durable.
    pub(super) fn call_all(&self) {
        self.call(u64::MAX);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_called_by_the_commit_that_is_theirs() {
        let waiting = Waiting::default();
        let mut of = [2, 1, 3].map(|seq| waiting.join(seq, || false).unwrap());
        waiting.call(2);
        assert_eq!(of.each_mut().map(|it| it.try_recv().is_ok()), [true, true, false]);
        waiting.call_all();
        assert!(of[2].try_recv().is_ok() && waiting.lock().is_empty());
    }

    #[test]
    fn nobody_waits_for_what_is_decided() {
        let waiting = Waiting::default();
        assert!(waiting.join(1, || true).is_none());
        assert!(waiting.lock().is_empty());
    }
}
