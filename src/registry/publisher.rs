//! Hands snapshots to readers.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{Registry, Snapshot};

/// The registry together with its readers: they see what was published last, always whole.
#[derive(Debug)]
pub struct Publisher {
    registry: Registry,
    sender: watch::Sender<Arc<Snapshot>>,
}

// === impl Publisher ===

impl Publisher {
    /// The longest that a change may wait for others to be published with it.
    pub const COALESCE: Duration = Duration::from_millis(20);

    /// A publisher of `registry`; readers start with its present snapshot.
    #[must_use]
    pub fn new(mut registry: Registry) -> Self {
        let (sender, _) = watch::channel(registry.snapshot());
        Self { registry, sender }
    }

    /// The registry, to change it. Readers see changes after [`Publisher::publish`].
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// A reader.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.sender.subscribe()
    }

    /// Shows readers what changed; answers whether anything did.
    pub fn publish(&mut self) -> bool {
        let next = self.registry.snapshot();
        self.sender.send_if_modified(|shown| {
            let changed = !Arc::ptr_eq(shown, &next);
            *shown = next;
            changed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::target;
    use super::*;

    #[test]
    fn readers_are_woken_by_changes_only() {
        let mut publisher = Publisher::new(Registry::default());
        let reader = publisher.subscribe();
        assert!(!publisher.publish());
        publisher.registry().apply_target(Ok(target("a/x").build()));
        assert!(!reader.has_changed().unwrap());
        assert!(publisher.publish());
        assert!(reader.has_changed().unwrap());
        assert_eq!(reader.borrow().targets.len(), 1);
        publisher.registry().apply_target(Ok(target("a/x").build()));
        assert!(!publisher.publish());
    }
}
