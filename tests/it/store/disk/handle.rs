//! The file on the disk, as redb sees it.

use std::io;
use std::sync::PoisonError;

use redb::StorageBackend;

use super::{BLOCK, Change, Disk, Kind, State, apply, cache::survive};

/// The file on the disk, as opened by one process in one life of the machine.
pub(in super::super) struct Handle {
    pub(super) disk: Disk,
    pub(super) boot: u64,
}

// === impl Handle ===

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        if state.boot != self.boot || !state.on {
            return Err(io::Error::other("the power is off"));
        }
        Ok(state.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.admit(self.boot, Kind::Read)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let from = state.seen.get(start..start.saturating_add(out.len()));
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.admit(self.boot, Kind::SetLen)?;
        state.allocated.split_off(&len.div_ceil(BLOCK));
        state.change(Change::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let admitted = state.admit(self.boot, Kind::Sync);
        state.syncs_waiting += 1;
        while state.sync_held && state.on && state.boot == self.boot {
            state = self.disk.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.syncs_waiting -= 1;
        if state.boot != self.boot || !state.on {
            return Err(io::Error::other("the power is off"));
        }
        if state.sync_ignored {
            return admitted;
        }
        let State { platter, unsynced, rng, .. } = &mut *state;
        let changes = std::mem::take(unsynced);
        match admitted {
            Ok(()) => changes.iter().for_each(|change| apply(platter, change)),
            Err(_) => survive(platter, changes, rng),
        }
        admitted
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let mut admitted = state.admit(self.boot, Kind::Write);
        if state.boot != self.boot || !state.on || state.read_only {
            return admitted;
        }
        let end = offset + data.len() as u64;
        assert!(end <= state.seen.len() as u64, "redb sets the length before it writes");
        if admitted.is_ok() {
            admitted = state.allocate(offset, data.len() as u64);
        }
        let done = match &admitted {
            Ok(()) => data.len(),
            Err(_) => state.rng.usize(0..data.len().max(1)),
        };
        state.change(Change::Write { offset, data: data[..done].to_vec() });
        admitted
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("boot", &self.boot).finish_non_exhaustive()
    }
}
