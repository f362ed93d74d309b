//! Opening a store in any storage: checks before anything is changed, then loading.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use redb::{Builder, Database, ReadableDatabase as _, StorageBackend};

use super::{
    Failed, Loaded, OpenError, Redb, Settings,
    committer::Committer,
    envelope::FORMAT,
    fault::{During as _, Fault},
    figures::Figures,
    gauge::Gauge,
    load::{Format, Found, Refusal, check_format, initialize, load, write_format},
    memory::Memory,
    panics::{apart, guarded},
    shared::Shared,
    space::{Bounds, Probe, Reserve},
    tables,
    watched::{OnDamage, Watch, Watched},
};

/// What depends on where the store lives.
pub(super) struct Place {
    /// For messages.
    pub(super) subject: String,
    /// Read every page before trusting any.
    pub(super) check: bool,
    /// Where a damaged file was moved to just now.
    pub(super) damaged: Option<PathBuf>,
    pub(super) probe: Option<Probe>,
    pub(super) reserve: Option<Reserve>,
    pub(super) memory: Option<u64>,
    pub(super) on_damage: OnDamage,
}

/// Opens a store in any storage: how tests simulate disks.
///
/// # Errors
/// [`OpenError`].
pub fn open_backend(
    backend: impl StorageBackend,
    settings: Settings,
) -> Result<(Arc<Redb>, Loaded), OpenError> {
    open_at(backend, settings, Place::nowhere())
}

/// A store that lives in memory and ends with the process.
///
/// # Errors
/// [`OpenError`] when no thread can be started for it.
pub fn in_memory(settings: Settings) -> Result<Arc<Redb>, OpenError> {
    let memory = Some(settings.memory_bytes as u64);
    let settings = settings.within_memory();
    let place = Place { subject: "the store".to_owned(), memory, ..Place::nowhere() };
    Ok(open_at(Memory::default(), settings, place)?.0)
}

/// Opens a store.
pub(super) fn open_at(
    backend: impl StorageBackend,
    settings: Settings,
    place: Place,
) -> Result<(Arc<Redb>, Loaded), OpenError> {
    let subject = place.subject.clone();
    // A database that redb left by a panic may panic again when it is dropped, whatever was to be answered.
    let opened = apart("open the file", || Ok(open_unguarded(backend, settings, place)));
    opened.unwrap_or_else(|fault| Err(refused(fault.into(), &subject)))
}

fn open_unguarded(
    backend: impl StorageBackend,
    settings: Settings,
    place: Place,
) -> Result<(Arc<Redb>, Loaded), OpenError> {
    let figures = Figures::new();
    let syncs = figures.sync.clone();
    let on_sync = Box::new(move |took: Duration| syncs.observe(took.as_secs_f64()));
    let reserve = place.reserve.map(Arc::new);
    let kept = reserve.clone();
    let on_full = Box::new(move || kept.as_ref().is_some_and(|reserve| reserve.give_up()));
    let watch = Watch::new(on_sync, place.on_damage, on_full);
    let opened = guarded("open the file", || {
        let mut builder = Builder::new();
        builder.set_cache_size(settings.cache_bytes);
        builder.set_check_integrity_on_open(place.check);
        Ok(builder.create_with_backend(Watched::new(backend, watch.clone())))
    });
    let subject = &place.subject;
    let database = match opened {
        Ok(Ok(database)) => database,
        Ok(Err(error)) => return Err(open_error(error.into(), subject)),
        Err(fault) => return Err(refused(fault.into(), subject)),
    };
    let found = guarded("load the store", || Ok(prepare(&database, !settings.stream_alerts)));
    let mut found = match found.unwrap_or_else(|fault| Err(fault.into())) {
        Ok(found) => found,
        Err(refusal) => {
            // Whatever dropping it would write is not wanted in a file that is not ours to change.
            watch.stop(Failed { step: "open the file", message: "it was refused".into() });
            return Err(refused(refusal, subject));
        }
    };
    found.writer.letters.budget = settings.dead_letter_bytes;
    found.writer.history.budget = settings.history_bytes;
    found.writer.keys.budget = settings.key_bytes;
    let set_aside = found.bad();
    if found.untidy() {
        let tidied = guarded("tidy up the store", || tidy(&database, &mut found));
        tidied.map_err(|fault| refused(fault.into(), subject))?;
    }
    let Found { alerts, groups, silences, writer, .. } = found;
    let damaged = place.damaged.clone();
    let loaded = Loaded { alerts, groups, silences, set_aside, damaged };
    let bounds = Bounds {
        low_water: settings.low_water,
        queue_bytes: settings.queue_bytes,
        memory: place.memory,
    };
    let gauge = Gauge::new(bounds, place.probe, watch.clone());
    gauge.wrote(writer.stored_bytes(), writer.queued_bytes());
    let watched = (figures, watch, gauge);
    let shared = Shared::new(database, watched, &writer, settings.max_pending);
    shared.count(&writer);
    shared.damaged(place.damaged);
    let mut committer = Committer { shared: Arc::new(shared), writer, reserve };
    committer.look().map_err(|fault| refused(fault.into(), subject))?;
    Ok((Redb::start(committer)?, loaded))
}

/// Checks before it changes, then loads.
fn prepare(database: &Database, keep: bool) -> Result<Found, Refusal> {
    let format = check_format(&database.begin_read().during("read the file")?)?;
    if format == Format::New {
        write(database, initialize)?;
    } else if tables::incomplete(&database.begin_read().during("read the file")?)? {
        write(database, tables::create)?;
    }
    let found = load(&database.begin_read().during("read the file")?, keep)?;
    if format == Format::Earlier {
        write(database, write_format)?;
    }
    Ok(found)
}

fn tidy(database: &Database, found: &mut Found) -> Result<(), Fault> {
    write(database, |txn| found.tidy(txn, Timestamp::now()))
}

/// One commit.
pub(super) fn write(
    database: &Database,
    change: impl FnOnce(&redb::WriteTransaction) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut txn = database.begin_write().during("begin a commit")?;
    txn.set_quick_repair(true);
    change(&txn)?;
    txn.commit().during("commit")
}

/// What redb says when it does not open a file.
pub(super) fn open_error(error: redb::Error, subject: &str) -> OpenError {
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            OpenError::InUse(subject.to_owned())
        }
        redb::Error::UpgradeRequired(found) => OpenError::UnknownVersion {
            subject: subject.to_owned(),
            what: "redb's file format",
            found: found.into(),
            known: super::file::REDB_FORMAT.into(),
        },
        error => refused(Fault::new("open the file", &error).into(), subject),
    }
}

fn refused(refusal: Refusal, subject: &str) -> OpenError {
    let subject = subject.to_owned();
    match refusal {
        Refusal::Version { what, found } => {
            OpenError::UnknownVersion { subject, what, found, known: FORMAT }
        }
        Refusal::Fault(Fault { message, damage: true, .. }) => {
            OpenError::Damaged { subject, message }
        }
        Refusal::Fault(Fault { step, message, .. }) => OpenError::Io { step, subject, message },
    }
}

// === impl Place ===

impl Place {
    /// No file system is asked, nothing is known.
    pub(super) fn nowhere() -> Self {
        Self {
            subject: "the storage".to_owned(),
            check: false,
            damaged: None,
            probe: None,
            reserve: None,
            memory: None,
            on_damage: Box::new(|| {}),
        }
    }
}
