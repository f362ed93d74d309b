//! Every task of the process, by name. One that ends before it is told to ends the process.

use std::{future::Future, time::Duration};

use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

/// The tasks of one stage of the process and the token that tells them to end.
#[derive(Debug)]
pub(super) struct Tasks {
    set: JoinSet<&'static str>,
    stop: CancellationToken,
}

/// A task ended although nobody told it to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unexpected {
    /// It returned.
    #[error("task {0} ended unexpectedly")]
    Ended(&'static str),
    /// It panicked.
    #[error("a task panicked; its message stands before this line in the log")]
    Panicked,
}

// === impl Tasks ===

impl Tasks {
    pub(super) fn new() -> Self {
        Self { set: JoinSet::new(), stop: CancellationToken::new() }
    }

    /// A token that resolves when the tasks shall end.
    pub(super) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.set.spawn(async move {
            task.await;
            name
        });
    }

    /// Resolves when a task ends although nobody told it to.
    pub(super) async fn watch(&mut self) -> Unexpected {
        match self.set.join_next().await {
            Some(Ok(name)) => Unexpected::Ended(name),
            Some(Err(_)) => Unexpected::Panicked,
            None => std::future::pending().await,
        }
    }

    /// Tells the tasks to end and waits for them, at most `grace`. Says whether all ended by then;
    /// the others are aborted.
    pub(super) async fn end(&mut self, grace: Duration) -> bool {
        self.stop.cancel();
        let all = async { while self.set.join_next().await.is_some() {} };
        let ended = timeout(grace, all).await.is_ok();
        self.set.shutdown().await;
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn early_end_and_panic_are_reported() {
        let mut tasks = Tasks::new();
        tasks.spawn("short", async {});
        assert_eq!(tasks.watch().await, Unexpected::Ended("short"));
        tasks.spawn("bad", async { panic!("on purpose") });
        assert_eq!(tasks.watch().await, Unexpected::Panicked);
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_end_when_told_and_stuck_ones_are_aborted() {
        let mut tasks = Tasks::new();
        let stop = tasks.stop();
        tasks.spawn("good", async move { stop.cancelled().await });
        assert!(tasks.end(Duration::from_secs(1)).await);
        let mut tasks = Tasks::new();
        tasks.spawn("stuck", std::future::pending());
        assert!(!tasks.end(Duration::from_secs(1)).await);
    }
}
