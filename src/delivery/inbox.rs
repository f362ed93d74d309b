//! What Log targets received, for people who try things out.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::{alert::Notification, api::TargetKey};

/// Notifications kept.
const CAPACITY: usize = 1_000;

/// The newest notifications that Log targets received; older ones make room.
#[derive(Debug, Default)]
pub struct LogInbox {
    entries: Mutex<VecDeque<InboxEntry>>,
}

/// One notification as a Log target received it.
#[derive(Clone, Debug)]
pub struct InboxEntry {
    /// Which target.
    pub target: TargetKey,
    /// When.
    pub at: Timestamp,
    /// What.
    pub notification: Arc<Notification>,
}

// === impl LogInbox ===

impl LogInbox {
    /// Takes one in.
    pub fn push(&self, entry: InboxEntry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == CAPACITY {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// The newest `limit`, newest first.
    #[must_use]
    pub fn recent(&self, limit: usize) -> Vec<InboxEntry> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().rev().take(limit).cloned().collect()
    }
}
