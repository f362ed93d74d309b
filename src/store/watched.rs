//! The storage under redb, watched: how long it syncs, how long the file is, what failed first. Once
//! something failed, or the store gave up, nothing more reaches it.

use std::{
    io::{self, ErrorKind},
    ops::Bound,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use redb::{BackendError, StorageBackend};

use super::{Failed, fault::Fault};

/// Called with the time each sync took.
type OnSync = Box<dyn Fn(Duration) + Send + Sync>;
/// Called with what is damage rather than a refusing disk: the next start must look closely.
pub(super) type OnDamage = Box<dyn Fn() + Send + Sync>;
/// Called when the disk is full; says whether it made some space, so that what did not fit may be tried once
/// more.
type OnFull = Box<dyn Fn() -> bool + Send + Sync>;

/// Storage that is watched.
#[derive(Debug)]
pub(super) struct Watched<B> {
    storage: B,
    watch: Arc<Watch>,
}

/// What is seen of it from outside.
pub(super) struct Watch {
    length: AtomicU64,
    stopped: OnceLock<Failed>,
    on_sync: OnSync,
    on_damage: OnDamage,
    on_full: OnFull,
    /// The disk was full and nobody has looked at it since.
    ran_out: AtomicBool,
}

// === impl Watch ===

impl Watch {
    pub(super) fn new(on_sync: OnSync, on_damage: OnDamage, on_full: OnFull) -> Arc<Self> {
        Arc::new(Self {
            length: AtomicU64::new(0),
            stopped: OnceLock::new(),
            on_sync,
            on_damage,
            on_full,
            ran_out: AtomicBool::new(false),
        })
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    /// From now on nothing is written. Returns what was the first failure.
    pub(super) fn stop(&self, why: Failed) -> Failed {
        self.stopped.get_or_init(|| why).clone()
    }

    /// Something failed. Returns what was the first failure: what the storage said is closer to the cause
    /// than what redb made of it.
    pub(super) fn fail(&self, fault: Fault) -> Failed {
        if fault.damage {
            self.damaged();
        }
        self.stop(fault.failed())
    }

    /// The content is not to be trusted.
    pub(super) fn damaged(&self) {
        (self.on_damage)();
    }

    /// Whether the disk was full when something was last written.
    pub(super) fn ran_out(&self) -> bool {
        self.ran_out.load(Ordering::Relaxed)
    }

    /// The next to ask will be told what is seen from now on.
    pub(super) fn look_at_space_again(&self) {
        self.ran_out.store(false, Ordering::Relaxed);
    }

    /// Runs what takes space. On a full disk that is tried again once space was made: redb has not heard of
    /// it, and what was written in part is written once more in full. A failed sync is never tried again:
    /// nobody knows what it left undone.
    fn with_space(&self, run: impl Fn() -> io::Result<()>) -> io::Result<()> {
        loop {
            let result = run();
            let full = |error: &io::Error| {
                matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            };
            if !result.as_ref().is_err_and(full) {
                return result;
            }
            self.ran_out.store(true, Ordering::Relaxed);
            if !(self.on_full)() {
                return result;
            }
        }
    }

    fn running(&self) -> io::Result<()> {
        match self.stopped.get() {
            None => Ok(()),
            Some(failed) => Err(io::Error::other(failed.clone())),
        }
    }

    fn note<T>(&self, step: &'static str, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            self.stop(Failed { step, message: error.to_string().into() });
        })
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("length", &self.length()).finish_non_exhaustive()
    }
}

// === impl Watched ===

impl<B: StorageBackend> Watched<B> {
    pub(super) fn new(storage: B, watch: Arc<Watch>) -> Self {
        Self { storage, watch }
    }
}

#[expect(clippy::disallowed_methods, reason = "what is measured is the disk, on the real clock")]
fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    (run(), start.elapsed())
}

impl<B: StorageBackend> StorageBackend for Watched<B> {
    fn len(&self) -> io::Result<u64> {
        let length = self.storage.len()?;
        self.watch.length.store(length, Ordering::Relaxed);
        Ok(length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.storage.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.watch.running()?;
        let resized = self.watch.with_space(|| self.storage.set_len(length));
        self.watch.note("resize the file", resized)?;
        self.watch.length.store(length, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.watch.running()?;
        let (result, took) = timed(|| self.storage.sync_data());
        (self.watch.on_sync)(took);
        self.watch.note("sync the file", result)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.watch.running()?;
        let written = self.watch.with_space(|| self.storage.write(offset, data));
        self.watch.note("write to the file", written)
    }

    fn close(&self) -> io::Result<()> {
        self.storage.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.storage.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.storage.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.storage.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.storage.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.storage.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.storage.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    #[test]
    fn nothing_is_written_once_it_has_stopped() {
        let watch = Watch::new(Box::new(|_| {}), Box::new(|| {}), Box::new(|| false));
        let storage = Watched::new(InMemoryBackend::new(), watch.clone());
        storage.set_len(8).unwrap();
        storage.write(0, b"before").unwrap();
        let failed = |message: &str| Failed { step: "try", message: message.into() };
        watch.stop(failed("first"));
        assert_eq!(&*watch.stop(failed("second")).message, "first");
        assert!(storage.write(0, b"after").is_err());
        assert!(storage.set_len(99).is_err());
        assert!(storage.sync_data().is_err());
        let mut found = [0; 6];
        storage.read(0, &mut found).unwrap();
        assert_eq!((&found, watch.length()), (b"before", 8));
    }

    /// Refuses writes until somebody made space.
    #[derive(Debug)]
    struct Full(InMemoryBackend, Arc<AtomicBool>);

    impl StorageBackend for Full {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }

        fn set_len(&self, length: u64) -> io::Result<()> {
            self.0.set_len(length)
        }

        fn sync_data(&self) -> io::Result<()> {
            if self.1.load(Ordering::Relaxed) { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            if self.1.load(Ordering::Relaxed) {
                return Err(ErrorKind::StorageFull.into());
            }
            self.0.write(offset, data)
        }
    }

    #[test]
    fn write_without_space_is_tried_again_once_some_was_made_and_a_sync_never() {
        let full = Arc::new(AtomicBool::new(true));
        let given = full.clone();
        let on_full = Box::new(move || given.swap(false, Ordering::Relaxed));
        let watch = Watch::new(Box::new(|_| {}), Box::new(|| {}), on_full);
        let storage = Watched::new(Full(InMemoryBackend::new(), full.clone()), watch.clone());
        storage.set_len(8).unwrap();
        storage.write(0, b"whole").unwrap();
        assert!(watch.ran_out(), "new facts must wait for the next look");
        watch.look_at_space_again();
        full.store(true, Ordering::Relaxed);
        storage.sync_data().unwrap_err();
        assert!(!watch.ran_out() && full.load(Ordering::Relaxed), "nothing was given up for it");
        storage.write(0, b"after").unwrap_err();
    }

    #[test]
    fn the_first_failure_stops_it() {
        let watch = Watch::new(Box::new(|_| {}), Box::new(|| {}), Box::new(|| false));
        let storage = Watched::new(InMemoryBackend::new(), watch.clone());
        storage.write(0, b"beyond the end").unwrap_err();
        let error = storage.sync_data().unwrap_err();
        assert!(error.to_string().contains("write to the file"), "{error}");
    }
}
