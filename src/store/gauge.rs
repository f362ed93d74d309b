//! How much room there is for new facts: as last seen, and looking again.

use std::{
    io::ErrorKind,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    Full,
    fault::Fault,
    shared::now,
    space::{Bounds, Content, FileSystem, Probe, Room},
    watched::Watch,
};

/// While there is room the space is looked at no more often than this.
const SAMPLE: Duration = Duration::from_secs(1);
/// Nothing is refused because of what was seen longer ago than this.
const FRESH: Duration = Duration::from_millis(100);

/// What is known of the space.
pub(super) struct Gauge {
    bounds: Bounds,
    /// `None`: the file is not on a disk.
    probe: Option<Probe>,
    watch: Arc<Watch>,
    content: Mutex<Content>,
    /// One look at a time, or an older one could be noted after a newer one.
    looking: Mutex<()>,
    room: AtomicU8,
    /// [`Self::room`] as last logged.
    logged: AtomicU8,
    free: AtomicU64,
    wanted: AtomicBool,
    /// Milliseconds since `started`; 0 before the first look.
    looked: AtomicU64,
    started: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

// === impl Gauge ===

impl Gauge {
    pub(super) fn new(bounds: Bounds, probe: Option<Probe>, watch: Arc<Watch>) -> Self {
        Self {
            bounds,
            probe,
            watch,
            content: Mutex::default(),
            looking: Mutex::default(),
            room: AtomicU8::default(),
            logged: AtomicU8::default(),
            free: AtomicU64::default(),
            wanted: AtomicBool::default(),
            looked: AtomicU64::default(),
            started: now(),
        }
    }

    /// Whether new facts may come, as far as is known; lock-free.
    pub(super) fn room(&self) -> Result<(), Full> {
        if self.watch.ran_out() {
            return Err(Full::Disk);
        }
        match self.room.load(Ordering::Relaxed) {
            0 => Ok(()),
            1 => Err(Full::Disk),
            _ => Err(Full::Records),
        }
    }

    /// Bytes that were free when the space was last looked at.
    pub(super) fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    pub(super) fn low_water(&self, system: FileSystem) -> u64 {
        self.bounds.low_water(system)
    }

    /// Whether somebody should be called to look: nobody has for a while. Says so once.
    pub(super) fn want_look(&self) -> bool {
        self.age() >= millis(SAMPLE) && !self.wanted.swap(true, Ordering::Relaxed)
    }

    /// Whether the committer should look now: it was asked to, has just written, or met the end of the
    /// space.
    pub(super) fn look_due(&self, wrote: bool) -> bool {
        let asked = self.wanted.swap(false, Ordering::Relaxed);
        asked || self.watch.ran_out() || wrote && self.age() >= millis(SAMPLE)
    }

    /// Whether what is known is too old to refuse anybody because of it.
    pub(super) fn is_stale(&self) -> bool {
        self.probe.is_some() && self.age() >= millis(FRESH)
    }

    /// Asks the system; a file that is not there any more is a fault, as the next start would not find what
    /// is written.
    pub(super) fn look(&self) -> Result<Option<FileSystem>, Fault> {
        let _one = lock(&self.looking);
        self.watch.look_at_space_again();
        let system = match self.probe.as_ref().map(|probe| probe()) {
            Some(Err(error)) if error.kind() == ErrorKind::NotFound => {
                // For the committer, which ends with it, whoever else finds it first.
                self.wanted.store(true, Ordering::Relaxed);
                return Err(Fault {
                    step: "find the file",
                    message: format!("it was deleted or moved while in use ({error})"),
                    damage: false,
                });
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "Can't ask for free space");
                None
            }
            asked => asked.and_then(Result::ok),
        };
        let room = self.bounds.judge(system, self.content());
        self.note(room, system.map_or(0, |system| system.free));
        Ok(system)
    }

    /// Holds what was just written against the store's own limits, which need no question to the
    /// system: within the second between two looks they could be exceeded many times over. A full disk
    /// stays full until the next look.
    pub(super) fn wrote(&self, stored: u64, queued: u64) {
        {
            let mut content = lock(&self.content);
            (content.stored, content.queued) = (stored, queued);
        }
        let room = self.bounds.judge(None, self.content());
        if self.room.load(Ordering::Relaxed) != Room::DiskFull.code() {
            self.room.store(room.code(), Ordering::Relaxed);
        }
    }

    fn content(&self) -> Content {
        Content { length: self.watch.length(), ..*lock(&self.content) }
    }

    fn note(&self, room: Room, free: u64) {
        self.free.store(free, Ordering::Relaxed);
        self.looked.store(millis(now().duration_since(self.started)).max(1), Ordering::Relaxed);
        let code = room.code();
        self.room.store(code, Ordering::Relaxed);
        let before = self.logged.swap(code, Ordering::Relaxed);
        if before == 0 && code != 0 {
            tracing::warn!(
                free_bytes = free,
                disk = code == 1,
                "The store is full: new alerts are refused, deliveries go on"
            );
        } else if before != 0 && code == 0 {
            tracing::info!(free_bytes = free, "The store has room again");
        }
    }

    /// Milliseconds since the last look.
    fn age(&self) -> u64 {
        match self.looked.load(Ordering::Relaxed) {
            0 => u64::MAX,
            looked => millis(now().duration_since(self.started)).saturating_sub(looked),
        }
    }
}

impl std::fmt::Debug for Gauge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gauge").field("room", &self.room()).finish_non_exhaustive()
    }
}
