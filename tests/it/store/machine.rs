//! A machine with a simulated disk that runs a store under load, loses its power and starts again.

use std::{
    collections::VecDeque,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use fanfare::store::{self, Failed, Loaded, Op, OpenError, Redb, Seq, Settings, Store as _};

use super::disk::Disk;
use super::load::Load;
use super::model::{Ids, Picture};

const MIB: usize = 1024 * 1024;
/// Nothing on a simulated disk takes long unless it is held.
const DEADLINE: Duration = Duration::from_mins(1);

/// One machine: its disk, what was written to it and what of that was confirmed.
pub(super) struct Machine {
    pub(super) disk: Disk,
    pub(super) load: Load,
    /// What everything confirmed amounts to.
    acked: Picture,
    /// Submitted since, not confirmed.
    pending: VecDeque<(Seq, Vec<Op>)>,
    runtime: tokio::runtime::Runtime,
    /// Times that the store was opened.
    pub(super) starts: u64,
}

/// Why a start is no good.
#[derive(Debug)]
pub(super) enum Bad {
    /// The file can't be opened although the disk works.
    Open(OpenError),
    /// What was found fits no prefix of what was submitted.
    Lost(String),
    /// It panicked.
    Panic,
}

pub(super) fn settings() -> Settings {
    Settings { cache_bytes: MIB, ..Settings::for_memory(256 * MIB) }
}

// === impl Bad ===

impl std::fmt::Display for Bad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(error) => write!(f, "it does not open: {error:?}"),
            Self::Lost(what) => f.write_str(what),
            Self::Panic => f.write_str("it panicked"),
        }
    }
}

// === impl Machine ===

impl Machine {
    /// With an empty store. A store is made whole under another name before it gets its own: a power
    /// cut while it is made leaves none.
    pub(super) fn new(seed: u64) -> Self {
        let disk = Disk::new(seed);
        let (store, _) = store::open_backend(disk.open(), settings()).unwrap();
        store.close();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self {
            disk,
            load: Load::new(seed),
            acked: Picture::default(),
            pending: VecDeque::new(),
            runtime,
            starts: 0,
        }
    }

    /// Opens the store. What it holds must be what some prefix of the submissions amounts to, with
    /// everything confirmed in it. `None`: the power failed meanwhile.
    pub(super) fn start(&mut self) -> Result<Option<Arc<Redb>>, Bad> {
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let (store, loaded) = store::open_backend(self.disk.open(), settings())?;
            let picture = self.disk.is_on().then(|| Picture::of(&store, &loaded).unwrap());
            Ok((picture, store, loaded))
        }));
        match opened {
            _ if !self.disk.is_on() => Ok(None),
            Err(_) => Err(Bad::Panic),
            Ok(Err(error)) => Err(Bad::Open(error)),
            Ok(Ok((Some((picture, ids)), store, loaded))) => {
                self.accept(picture, ids, &loaded)?;
                Ok(Some(store))
            }
            Ok(Ok((None, ..))) => Ok(None),
        }
    }

    fn accept(&mut self, found: Picture, ids: Ids, loaded: &Loaded) -> Result<(), Bad> {
        self.starts += 1;
        if loaded.set_aside > 0 || loaded.damaged.is_some() {
            return Err(Bad::Lost(format!("{} records set aside", loaded.set_aside)));
        }
        let mut expected = self.acked.clone();
        let mut pending = self.pending.iter();
        while expected != found {
            let Some((_, ops)) = pending.next() else {
                let difference = self.acked.difference(&found).unwrap_or_default();
                let open = self.pending.len();
                return Err(Bad::Lost(format!("{open} unconfirmed; {difference}")));
            };
            expected.apply(ops, &self.load.ids);
        }
        self.load.ids = ids;
        self.load.ahead = found.clone();
        self.acked = found;
        self.pending.clear();
        Ok(())
    }

    /// Submits something; whether it was waited for and confirmed.
    pub(super) fn step(&mut self, store: &Redb) -> Result<Seq, Failed> {
        let lazy = self.load.rng.u8(0..3) == 0;
        let seq = self.submit(store, lazy);
        if self.load.rng.u8(0..4) == 0 {
            self.wait(store, seq)?;
        }
        self.confirm(store.durable_seq());
        Ok(seq)
    }

    /// Submits something.
    pub(super) fn submit(&mut self, store: &Redb, lazy: bool) -> Seq {
        let ops = self.load.ops(store);
        let seq = store.submit(ops.clone(), lazy);
        self.pending.push_back((seq, ops));
        seq
    }

    /// Waits until `seq` is on disk.
    pub(super) fn wait(&mut self, store: &Redb, seq: Seq) -> Result<(), Failed> {
        // Somebody waits: what was lazy is not any more.
        store.submit(Vec::new(), false);
        self.block_on(store.durable(seq))?;
        self.confirm(seq);
        Ok(())
    }

    /// Works until the power fails.
    pub(super) fn work_until_cut(&mut self, store: &Redb) {
        while self.disk.is_on() && self.step(store).is_ok() {}
        self.confirm(store.durable_seq());
    }

    /// `future`'s value; panics if it takes for ever.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async {
            tokio::time::timeout(DEADLINE, future).await.expect("the store answers in time")
        })
    }

    /// Everything up to `seq` is on disk, says the store.
    fn confirm(&mut self, seq: Seq) {
        while self.pending.front().is_some_and(|(first, _)| *first <= seq) {
            let (_, ops) = self.pending.pop_front().expect("it is not empty");
            self.acked.apply(&ops, &self.load.ids);
        }
    }
}
