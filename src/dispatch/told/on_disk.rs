//! An entry of the notification log as it is on disk.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Says, Told};
use crate::{
    api::TargetKey,
    dispatch::{GroupEntry, Said, ToldEntry, millis::Millis},
};

// === impl Told ===

impl Told {
    /// What the log says. A version that it does not know may have been told since.
    pub(in crate::dispatch) fn restore(entry: &ToldEntry, version: u32) -> Self {
        let millis = |at: Timestamp| (at > Timestamp::UNIX_EPOCH).then(|| Millis::from(at));
        let last = entry.last.map(|Said { incident, status, version }| Says {
            incident,
            status,
            version,
            decided: false,
        });
        let skipped = entry.skipped.unwrap_or(0);
        let known = skipped == version || last.is_some_and(|last| last.version == version);
        Self {
            at: millis(entry.at),
            resumed_at: entry.resumed_at.and_then(millis),
            last,
            count: entry.count,
            skipped,
            dead_lettered: entry.dead_lettered.unwrap_or(0),
            maybe_firing: entry.maybe_firing || !known,
            maybe_resolved: entry.maybe_resolved || !known,
            ..Self::default()
        }
    }

    /// The same for a group.
    pub(in crate::dispatch) fn restore_group(entry: &GroupEntry) -> Self {
        let millis = |at: Timestamp| (at > Timestamp::UNIX_EPOCH).then(|| Millis::from(at));
        Self {
            at: millis(entry.at),
            resumed_at: entry.resumed_at.and_then(millis),
            count: entry.count,
            ..Self::default()
        }
    }

    /// The entry as written to the log. `looked_for`: a later start asks who may know of an attempt that is
    /// under way, whether or not the log says so.
    pub(in crate::dispatch) fn record(
        &self,
        target: TargetKey,
        uid: Arc<str>,
        looked_for: bool,
    ) -> ToldEntry {
        let version = |version: u32| (version != 0).then_some(version);
        ToldEntry {
            target,
            uid,
            last: self.last.map(|Says { incident, status, version, .. }| Said {
                incident,
                status,
                version,
            }),
            at: self.at.map_or(Timestamp::UNIX_EPOCH, Timestamp::from),
            count: self.count,
            maybe_firing: self.maybe_firing || (!looked_for && self.may_know()),
            maybe_resolved: self.maybe_resolved,
            skipped: version(self.skipped),
            dead_lettered: version(self.dead_lettered),
            resumed_at: self.resumed_at.map(Timestamp::from),
        }
    }
}
