//! A disk in memory that forgets, reorders and tears what was not synced, and fails on demand.
//!
//! What a sync confirmed is on the platter for good. Everything younger is only in the page cache:
//! [`Disk::power_cut`] lets a random part of it survive, in whole sectors of 512 bytes. A failed sync
//! behaves as on ext4, XFS and Btrfs: part of the data is lost and no later sync brings it back.

mod cache;
mod handle;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub(super) use cache::{Change, apply};
pub(super) use handle::Handle;

use cache::survive;

/// What a file system allocates at a time.
const BLOCK: u64 = 4_096;

pub(super) const EIO: i32 = 5;
pub(super) const ENOSPC: i32 = 28;
pub(super) const EROFS: i32 = 30;

/// Clones are the same disk.
#[derive(Clone)]
pub(super) struct Disk(Arc<Shared>);

/// What the file was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
    Sync,
    SetLen,
}

/// Lets an operation fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    /// `None`: any that changes something.
    pub(super) kind: Option<Kind>,
    /// The how-many-th of its kind from now on, from 1.
    pub(super) nth: u64,
    /// The error number.
    pub(super) errno: i32,
    /// Whether all later ones fail too.
    pub(super) lasting: bool,
}

/// Operations since the power came on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) reads: u64,
    pub(super) writes: u64,
    pub(super) syncs: u64,
    pub(super) set_lens: u64,
}

/// Holds syncs back.
#[must_use]
pub(super) struct Held(Disk);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
struct State {
    /// What a power cut leaves for certain.
    platter: Vec<u8>,
    /// Since the last sync, in order.
    unsynced: Vec<Change>,
    /// What reads see: the platter and the page cache.
    seen: Vec<u8>,
    journal: Option<Vec<Change>>,
    rng: fastrand::Rng,
    boot: u64,
    on: bool,
    cut_in: Option<u64>,
    counts: Counts,
    fault: Option<Fault>,
    capacity: Option<u64>,
    allocated: std::collections::BTreeSet<u64>,
    read_only: bool,
    sync_ignored: bool,
    sync_held: bool,
    syncs_waiting: usize,
}

// === impl Disk ===

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self::with_image(seed, Vec::new())
    }

    /// A disk on which `image` is safe.
    pub(super) fn with_image(seed: u64, image: Vec<u8>) -> Self {
        let state = State {
            platter: image.clone(),
            unsynced: Vec::new(),
            allocated: (0..(image.len() as u64).div_ceil(BLOCK)).collect(),
            seen: image,
            journal: None,
            rng: fastrand::Rng::with_seed(seed),
            boot: 1,
            on: true,
            cut_in: None,
            counts: Counts::default(),
            fault: None,
            capacity: None,
            read_only: false,
            sync_ignored: false,
            sync_held: false,
            syncs_waiting: 0,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }

    /// The file, for one process.
    pub(super) fn open(&self) -> Handle {
        Handle { disk: self.clone(), boot: self.state().boot }
    }

    /// The power fails; what is open is dead from now on.
    pub(super) fn power_cut(&self) {
        self.state().on = false;
        self.0.changed.notify_all();
    }

    /// The power fails at the `nth` change (write, length, sync) from now on, which is not done.
    pub(super) fn power_cut_at(&self, nth: u64) {
        self.state().cut_in = Some(nth);
    }

    /// The power returns: part of what was not synced has survived. Faults are gone.
    pub(super) fn power_on(&self) {
        let mut state = self.state();
        let State { platter, unsynced, seen, rng, .. } = &mut *state;
        survive(platter, std::mem::take(unsynced), rng);
        seen.clone_from(platter);
        state.reboot();
    }

    /// The process died, the machine did not: everything written is still there. Faults are gone.
    pub(super) fn process_died(&self) {
        self.state().reboot();
    }

    /// The page cache was dropped: what a failed sync lost is gone from sight too.
    pub(super) fn drop_caches(&self) {
        let mut state = self.state();
        let mut seen = state.platter.clone();
        for change in &state.unsynced {
            apply(&mut seen, change);
        }
        state.seen = seen;
    }

    pub(super) fn is_on(&self) -> bool {
        self.state().on
    }

    pub(super) fn fail(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// Whether the fault has struck.
    pub(super) fn fault_struck(&self) -> bool {
        self.state().fault.is_some_and(|fault| fault.nth == 0)
    }

    pub(super) fn heal(&self) {
        let mut state = self.state();
        state.fault = None;
        state.read_only = false;
        state.capacity = None;
    }

    /// Room for so many bytes; beyond them a write fails with `ENOSPC`, also within a length that
    /// was set before (files are sparse).
    pub(super) fn limit(&self, bytes: u64) {
        self.state().capacity = Some(bytes);
    }

    /// Bytes that take up room.
    pub(super) fn used(&self) -> u64 {
        self.state().allocated.len() as u64 * BLOCK
    }

    pub(super) fn make_read_only(&self) {
        self.state().read_only = true;
    }

    /// From now on a sync does nothing and says that all is well: the control of every power test.
    pub(super) fn ignore_syncs(&self) {
        self.state().sync_ignored = true;
    }

    /// Syncs wait until [`Self::release_syncs`], or until what this returns is dropped: a test that
    /// fails must not wait for them for ever.
    pub(super) fn hold_syncs(&self) -> Held {
        self.state().sync_held = true;
        Held(self.clone())
    }

    pub(super) fn release_syncs(&self) {
        self.state().sync_held = false;
        self.0.changed.notify_all();
    }

    pub(super) fn syncs_waiting(&self) -> usize {
        self.state().syncs_waiting
    }

    pub(super) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// What reads see now.
    pub(super) fn image(&self) -> Vec<u8> {
        self.state().seen.clone()
    }

    /// Starts to keep every change.
    pub(super) fn record(&self) {
        self.state().journal = Some(Vec::new());
    }

    pub(super) fn journal(&self) -> Vec<Change> {
        self.state().journal.clone().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.release_syncs();
    }
}

// === impl State ===

impl State {
    fn reboot(&mut self) {
        self.boot += 1;
        self.on = true;
        self.cut_in = None;
        self.counts = Counts::default();
        self.fault = None;
        self.capacity = None;
        self.read_only = false;
        self.sync_held = false;
    }

    /// Counts the operation; an error if it is not to be done.
    fn admit(&mut self, boot: u64, kind: Kind) -> io::Result<()> {
        if boot != self.boot || !self.on {
            return Err(io::Error::other("the power is off"));
        }
        let changes = kind != Kind::Read;
        if changes && let Some(left) = &mut self.cut_in {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.on = false;
                return Err(io::Error::other("the power is off"));
            }
        }
        match kind {
            Kind::Read => self.counts.reads += 1,
            Kind::Write => self.counts.writes += 1,
            Kind::Sync => self.counts.syncs += 1,
            Kind::SetLen => self.counts.set_lens += 1,
        }
        if self.read_only && matches!(kind, Kind::Write | Kind::SetLen) {
            return Err(io::Error::from_raw_os_error(EROFS));
        }
        match &mut self.fault {
            Some(fault) if fault.kind.map_or(changes, |wanted| wanted == kind) => {
                if fault.nth == 0 && !fault.lasting {
                    return Ok(());
                }
                fault.nth = fault.nth.saturating_sub(1);
                if fault.nth == 0 {
                    return Err(io::Error::from_raw_os_error(fault.errno));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        if let Some(journal) = &mut self.journal {
            journal.push(change.clone());
        }
        self.unsynced.push(change);
    }

    fn allocate(&mut self, offset: u64, length: u64) -> io::Result<()> {
        for block in offset / BLOCK..(offset + length).div_ceil(BLOCK) {
            if !self.allocated.contains(&block)
                && self
                    .capacity
                    .is_some_and(|most| (self.allocated.len() as u64 + 1) * BLOCK > most)
            {
                return Err(io::Error::from_raw_os_error(ENOSPC));
            }
            self.allocated.insert(block);
        }
        Ok(())
    }
}
