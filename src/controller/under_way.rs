//! Work on objects, one task each: whose task ended is known also when it panicked.

use std::collections::HashMap;

use tokio::task::{Id, JoinError, JoinSet};

use super::ledger::ObjectKey;

/// Tasks that run, and whose they are. Dropping it aborts them.
#[derive(Debug)]
pub(super) struct UnderWay<T> {
    tasks: JoinSet<T>,
    keys: HashMap<Id, ObjectKey>,
}

// === impl UnderWay ===

impl<T: Send + 'static> UnderWay<T> {
    pub(super) fn new() -> Self {
        Self { tasks: JoinSet::new(), keys: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn begin(&mut self, key: ObjectKey, work: impl Future<Output = T> + Send + 'static) {
        let task = self.tasks.spawn(work);
        self.keys.insert(task.id(), key);
    }

    /// The next one that ends, and what came of it; `None` while nothing runs.
    pub(super) async fn next(&mut self) -> Option<(ObjectKey, Result<T, JoinError>)> {
        let (id, result) = match self.tasks.join_next_with_id().await? {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let key = self.keys.remove(&id).expect("every task was begun with a key");
        Some((key, result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::TargetKey;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::Target(TargetKey::new("a", name))
    }

    #[tokio::test]
    async fn a_task_that_panics_is_known_by_its_object() {
        let mut tasks = UnderWay::new();
        assert!(tasks.next().await.is_none());
        tasks.begin(key("ends"), async { 7 });
        let (ended, result) = tasks.next().await.unwrap();
        assert_eq!((ended, result.unwrap()), (key("ends"), 7));
        tasks.begin(key("panics"), async { panic!("on purpose") });
        let (ended, result) = tasks.next().await.unwrap();
        assert_eq!(ended, key("panics"));
        assert!(result.unwrap_err().is_panic());
        assert_eq!((tasks.len(), tasks.keys.len()), (0, 0));
    }
}
