//! Whether there is room for new facts: on the file system, in the file, in memory.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    ops::RangeInclusive,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// What the system says about a file and the file system it is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileSystem {
    /// Bytes of the file system.
    pub(super) total: u64,
    /// Bytes that are free for us.
    pub(super) free: u64,
    /// Bytes of the file that have a place on the disk already.
    pub(super) backed: u64,
}

/// What is in the file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Content {
    /// Bytes of the file.
    pub(super) length: u64,
    /// Bytes of the records in it.
    pub(super) stored: u64,
    /// Bytes of the queues among them.
    pub(super) queued: u64,
}

/// Whether new facts may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Yes,
    DiskFull,
    StoreFull,
}

/// How much there may be.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    pub(super) low_water: RangeInclusive<u64>,
    pub(super) queue_bytes: u64,
    /// Bytes that may be in use in a file that is in memory.
    pub(super) memory: Option<u64>,
}

/// Asks the system.
pub(super) type Probe = Box<dyn Fn() -> io::Result<FileSystem> + Send + Sync>;

/// A file that only takes space, to be given up when there is none left.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

// === impl Room ===

impl Room {
    /// For an atomic.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Yes => 0,
            Self::DiskFull => 1,
            Self::StoreFull => 2,
        }
    }
}

// === impl FileSystem ===

impl FileSystem {
    /// Asks about `file`, whose inode has this number, in `directory`. An error of the kind `NotFound`:
    /// it is not there any more.
    pub(super) fn probe(directory: &Path, file: &Path, number: u64) -> io::Result<Self> {
        let stat = fs::metadata(file)?;
        if stat.ino() != number {
            return Err(io::Error::new(ErrorKind::NotFound, "another file has its name"));
        }
        let system = rustix::fs::statvfs(directory)?;
        Ok(Self {
            total: system.f_blocks.saturating_mul(system.f_frsize),
            free: system.f_bavail.saturating_mul(system.f_frsize),
            backed: stat.blocks().saturating_mul(512),
        })
    }
}

// === impl Bounds ===

impl Bounds {
    /// Whether new facts may come. `system`: nothing if the file is not on a disk.
    pub(super) fn judge(&self, system: Option<FileSystem>, content: Content) -> Room {
        let disk_full = system.is_some_and(|system| self.disk_full(system, content));
        let in_use = content.length - free_inside(content, content.length);
        if disk_full {
            Room::DiskFull
        } else if content.queued > self.queue_bytes || self.memory.is_some_and(|most| in_use > most)
        {
            Room::StoreFull
        } else {
            Room::Yes
        }
    }

    fn disk_full(&self, system: FileSystem, content: Content) -> bool {
        let low_water = self.low_water(system);
        // Free pages hold new facts, but the file may have to grow for other reasons.
        let inside = free_inside(content, system.backed);
        system.free.saturating_add(inside) < low_water || system.free < low_water / 16
    }

    /// Bytes that must stay free: one part in twenty, within the range.
    pub(super) fn low_water(&self, system: FileSystem) -> u64 {
        (system.total / 20).max(*self.low_water.start()).min(*self.low_water.end())
    }
}

/// Bytes of free pages within the part of the file that has a place, at least. redb knows the exact number
/// only after a walk through all pages; the trees take at most two and a half times what is in them.
fn free_inside(content: Content, backed: u64) -> u64 {
    const LEAST: u64 = 1024 * 1024;
    let used = content.stored.saturating_mul(5) / 2 + LEAST;
    content.length.min(backed).saturating_sub(used)
}

// === impl Reserve ===

impl Reserve {
    pub(super) fn new(path: PathBuf, bytes: u64) -> Self {
        Self { path, bytes }
    }

    /// Takes the space if there is plenty beyond `low_water`, gives it back when hardly any is left.
    pub(super) fn adjust(&self, free: u64, low_water: u64) {
        let held = fs::metadata(&self.path).is_ok_and(|file| file.len() >= self.bytes);
        if held && free < self.bytes {
            self.give_up();
        } else if !held
            && self.bytes > 0
            && free > low_water.saturating_add(2 * self.bytes)
            && let Err(error) = self.take()
        {
            tracing::warn!(%error, path = %self.path.display(), "The store has no reserve of space");
            // Half a reserve helps nobody.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Gives the space back; says whether there was some.
    pub(super) fn give_up(&self) -> bool {
        let held = fs::metadata(&self.path).is_ok_and(|file| file.len() > 0);
        match fs::remove_file(&self.path) {
            Ok(()) => {
                // Some file systems let others have the space only once this is on the disk.
                let _ =
                    self.path.parent().map(|dir| File::open(dir).and_then(|dir| dir.sync_all()));
                tracing::warn!(
                    bytes = self.bytes,
                    "The disk is full; the store's reserve is in use"
                );
                held
            }
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => {
                tracing::error!(%error, "The disk is full and the reserve can't be given up");
                false
            }
        }
    }

    fn take(&self) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        let flags = rustix::fs::FallocateFlags::empty();
        if rustix::fs::fallocate(&file, flags, 0, self.bytes).is_ok() {
            return Ok(());
        }
        // A file system that can't allocate ahead gets bytes.
        let zeros = [0; 8 * 1024];
        let mut left = self.bytes;
        while left > 0 {
            let part = usize::try_from(left).map_or(zeros.len(), |left| left.min(zeros.len()));
            file.write_all(&zeros[..part])?;
            left -= part as u64;
        }
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;
    const GIB: u64 = 1024 * MIB;

    fn bounds() -> Bounds {
        Bounds { low_water: 64 * MIB..=512 * MIB, queue_bytes: 100 * MIB, memory: None }
    }

    fn system(total: u64, free: u64) -> FileSystem {
        FileSystem { total, free, backed: 0 }
    }

    #[test]
    fn one_part_in_twenty_must_stay_free_within_bounds() {
        let full = |total, free| bounds().judge(Some(system(total, free)), Content::default());
        for (total, mark) in [(GIB, 64 * MIB), (4000 * MIB, 200 * MIB), (900 * GIB, 512 * MIB)] {
            assert_eq!(full(total, mark - 1), Room::DiskFull, "{total}");
            assert_eq!(full(total, mark), Room::Yes, "{total}");
        }
    }

    #[test]
    fn free_pages_of_the_file_count_as_room() {
        let system = FileSystem { total: GIB, free: 8 * MIB, backed: 500 * MIB };
        let content = |stored| Content { length: 500 * MIB, stored, queued: 0 };
        assert_eq!(bounds().judge(Some(system), content(200 * MIB)), Room::DiskFull);
        assert_eq!(bounds().judge(Some(system), content(100 * MIB)), Room::Yes, "drained");
        let sparse = Some(FileSystem { backed: 10 * MIB, ..system });
        assert_eq!(bounds().judge(sparse, content(0)), Room::DiskFull, "pages without a place");
        let none = Some(FileSystem { free: MIB, ..system });
        assert_eq!(bounds().judge(none, content(0)), Room::DiskFull, "the file can't grow");
    }

    #[test]
    fn queues_and_memory_are_bounded() {
        let queued = Content { queued: 100 * MIB + 1, ..Content::default() };
        assert_eq!(bounds().judge(None, queued), Room::StoreFull);
        let memory = Bounds { memory: Some(50 * MIB), ..bounds() };
        let content = |stored| Content { length: 128 * MIB, stored, queued: 0 };
        assert_eq!(memory.judge(None, content(40 * MIB)), Room::StoreFull);
        assert_eq!(memory.judge(None, content(10 * MIB)), Room::Yes, "free pages are no use");
    }

    #[test]
    fn reserve_is_taken_given_up_and_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        let reserve = Reserve::new(path.clone(), MIB);
        let held = || fs::metadata(&path).map_or(0, |file| file.len());
        reserve.adjust(3 * MIB, 2 * MIB);
        assert_eq!(held(), 0, "too little beyond the mark");
        reserve.adjust(5 * MIB, 2 * MIB);
        assert_eq!(held(), MIB);
        reserve.adjust(MIB, 2 * MIB);
        assert_eq!(held(), MIB, "new facts are refused, outcomes have space");
        reserve.adjust(MIB - 1, 2 * MIB);
        assert_eq!(held(), 0);
        reserve.adjust(5 * MIB, 2 * MIB);
        assert_eq!(held(), MIB);
    }

    #[test]
    fn the_system_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, vec![1; 100_000]).unwrap();
        File::open(&path).unwrap().sync_all().unwrap();
        let number = fs::metadata(&path).unwrap().ino();
        let system = FileSystem::probe(dir.path(), &path, number).unwrap();
        assert!(system.total >= system.free && system.free > 0, "{system:?}");
        assert!(system.backed >= 100_000, "{system:?}");
        let other = FileSystem::probe(dir.path(), &path, number + 1).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::NotFound);
    }
}
