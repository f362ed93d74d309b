//! What the store depends on.

use std::ops::RangeInclusive;

const MIB: usize = 1024 * 1024;

/// Bounds of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Memory for pages of the file, in bytes. Facts are written in the order of their ids and read once at
    /// start, so that a few pages are all that is asked for again.
    pub cache_bytes: usize,
    /// Bytes that may wait to be written before new facts are refused.
    pub max_pending: usize,
    /// Bytes of all queues together before new facts are refused.
    pub queue_bytes: u64,
    /// Bytes of dead letters kept; the oldest go first.
    pub dead_letter_bytes: u64,
    /// Bytes of delivery history kept; the oldest go first.
    pub history_bytes: u64,
    /// Bytes of idempotency keys and their results kept; the oldest go first.
    pub key_bytes: u64,
    /// Bytes that must stay free on the file system: 5 % of it, but within this range.
    pub low_water: RangeInclusive<u64>,
    /// Bytes set aside in a file of their own, given up when the disk is full so that outcomes can still be
    /// written; 0: none.
    pub reserve_bytes: u64,
    /// A start leaves `Loaded::alerts` empty: the caller takes them one by one from [`super::Redb::restore`],
    /// which needs no memory for all of them at once.
    pub stream_alerts: bool,
    /// Bytes that everything together may take when nothing is on disk.
    pub memory_bytes: usize,
}

// === impl Settings ===

impl Settings {
    /// What fits a process that may use `limit` bytes of memory.
    #[must_use]
    pub fn for_memory(limit: usize) -> Self {
        Self {
            cache_bytes: (limit / 32).clamp(4 * MIB, 16 * MIB),
            max_pending: (limit / 16).clamp(4 * MIB, 64 * MIB),
            queue_bytes: 4096 * MIB as u64,
            dead_letter_bytes: 64 * MIB as u64,
            history_bytes: 32 * MIB as u64,
            key_bytes: 32 * MIB as u64,
            low_water: 64 * MIB as u64..=512 * MIB as u64,
            reserve_bytes: 16 * MIB as u64,
            stream_alerts: false,
            memory_bytes: (limit / 4).max(16 * MIB),
        }
    }

    /// The same for a store that lives in memory: everything kept for later takes its part of
    /// [`Self::memory_bytes`].
    pub(super) fn within_memory(mut self) -> Self {
        let part = |parts: u64| self.memory_bytes as u64 / parts;
        self.queue_bytes = self.queue_bytes.min(part(4));
        self.dead_letter_bytes = self.dead_letter_bytes.min(part(16));
        self.history_bytes = self.history_bytes.min(part(16));
        self.key_bytes = self.key_bytes.min(part(16));
        self.cache_bytes = self.cache_bytes.min(4 * MIB);
        self
    }
}
