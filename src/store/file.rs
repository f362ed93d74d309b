//! The store as a file in the data directory: made whole or not at all, refused if another version wrote
//! it, moved aside if it is damaged, never deleted.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use redb::{Builder, ReadableDatabase as _, backends::FileBackend};

use super::{
    Loaded, OpenError, Redb, Settings,
    envelope::FORMAT,
    fault::During as _,
    load::{Refusal, check_format, initialize},
    open::{Place, open_at, open_error, write},
    opening::{self, Opening},
    panics::apart,
    space::{FileSystem, Reserve},
};

/// Format of redb's files.
pub(super) const REDB_FORMAT: u8 = 3;

const NAME: &str = "fanfare.redb";
/// Being made; gets its name once it is complete.
const NEW: &str = "fanfare.redb.new";
/// Asks the next start to read every page of the file before it trusts any.
const SUSPECT: &str = "fanfare.redb.suspect";
const RESERVE: &str = "fanfare.reserve";

/// Opens `fanfare.redb` in `dir`, which is created if need be. A damaged file is moved aside and a new
/// one is begun; [`Loaded::damaged`] says where it is.
///
/// # Errors
/// [`OpenError`]: nothing was changed.
pub fn open(dir: &Path, settings: Settings) -> Result<(Arc<Redb>, Loaded), OpenError> {
    prepare_directory(dir)?;
    let path = dir.join(NAME);
    for name in [NAME, NEW, RESERVE, SUSPECT, opening::NAME] {
        refuse_other_kinds(&dir.join(name))?;
    }
    if !path.exists() {
        create(dir, &path)?;
    }
    let opening = Opening::begin(dir);
    let check = dir.join(SUSPECT).exists() || opening.is_suspect();
    let opened =
        refuse_unknown(&path).and_then(|()| open_file(dir, &path, settings.clone(), (check, None)));
    let opened = match opened {
        Err(OpenError::Damaged { message, .. }) => {
            let aside = move_aside(dir, &path)?;
            tracing::error!(
                error = message,
                moved_to = %aside.display(),
                "The store is damaged; it was moved aside and a new one begins"
            );
            create(dir, &path)?;
            open_file(dir, &path, settings, (false, Some(aside)))?
        }
        opened => opened?,
    };
    let _ = fs::remove_file(dir.join(SUSPECT));
    Ok(opened)
}

fn open_file(
    dir: &Path,
    path: &Path,
    settings: Settings,
    (check, damaged): (bool, Option<PathBuf>),
) -> Result<(Arc<Redb>, Loaded), OpenError> {
    let file = File::options().read(true).write(true).open(path);
    let file = file.map_err(|error| io_error("open", path, &error))?;
    let backend = FileBackend::new(file);
    let backend = backend.map_err(|error| open_error(error.into(), &text(path)))?;
    let number = fs::metadata(path).map_err(|error| io_error("read", path, &error))?.ino();
    let (probe_dir, probe_path) = (dir.to_owned(), path.to_owned());
    let suspect = dir.join(SUSPECT);
    let place = Place {
        subject: text(path),
        check,
        damaged,
        probe: Some(Box::new(move || FileSystem::probe(&probe_dir, &probe_path, number))),
        reserve: Some(Reserve::new(dir.join(RESERVE), settings.reserve_bytes)),
        memory: None,
        on_damage: Box::new(move || {
            if let Err(error) = File::create(&suspect) {
                tracing::error!(%error, "The next start will not know that the file is suspect");
            }
        }),
    };
    open_at(backend, settings, place)
}

/// Makes an empty store. A crash on the way leaves nothing that looks like a store.
fn create(dir: &Path, path: &Path) -> Result<(), OpenError> {
    let new = dir.join(NEW);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("remove", &new, &error));
        }
        _ => {}
    }
    let subject = text(&new);
    let database = Builder::new().create(&new);
    let database = database.map_err(|error| open_error(error.into(), &subject))?;
    let made =
        write(&database, initialize).and_then(|()| database.close().during("close the new file"));
    made.map_err(|fault| OpenError::Io { step: fault.step, subject, message: fault.message })?;
    name(&new, path).map_err(|error| io_error("name", path, &error))?;
    sync_directory(dir)
}

/// Refuses what is no file, and what leads nowhere, without opening it: opening a pipe waits for somebody at
/// its other end.
fn refuse_other_kinds(path: &Path) -> Result<(), OpenError> {
    let (found, link) = match (fs::metadata(path), fs::symlink_metadata(path)) {
        (Ok(found), _) if found.is_file() => return Ok(()),
        (Ok(found), _) => (found.file_type(), false),
        (Err(_), Ok(found)) if found.is_symlink() => (found.file_type(), true),
        (Err(error), _) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        (Err(error), _) => return Err(io_error("look at", path, &error)),
    };
    let kind = match found {
        _ if link => "symbolic link that leads nowhere",
        found if found.is_dir() => "directory",
        found if found.is_fifo() => "named pipe",
        found if found.is_socket() => "socket",
        _ => "device",
    };
    Err(OpenError::NoFile { path: path.to_owned(), kind })
}

/// Gives the new file its name, unless another process was faster: its file is the store then.
fn name(new: &Path, path: &Path) -> io::Result<()> {
    use rustix::{
        fs::{CWD, RenameFlags, renameat_with},
        io::Errno,
    };
    match renameat_with(CWD, new, CWD, path, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => fs::remove_file(new),
        // Not every file system can do that; the lock of the data directory is what is left.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => fs::rename(new, path),
        named => Ok(named?),
    }
}

/// Refuses a file of another version without changing a byte of it.
fn refuse_unknown(path: &Path) -> Result<(), OpenError> {
    let unknown = |what, found, known| {
        Err(OpenError::UnknownVersion { subject: text(path), what, found, known })
    };
    let found = redb_format(path).map_err(|error| io_error("read", path, &error))?;
    if let Some(found) = found.filter(|found| *found > REDB_FORMAT) {
        return unknown("redb's file format", found.into(), REDB_FORMAT.into());
    }
    let file = path.to_owned();
    let checked = apart("read the file", move || {
        // Opens only what was closed in order. Anything else is looked at later, by the one who mends it.
        let database = match Builder::new().set_cache_size(1024 * 1024).open_read_only(file) {
            Ok(database) => database,
            Err(error @ redb::DatabaseError::DatabaseAlreadyOpen) => return Ok(Err(error)),
            Err(_) => return Ok(Ok(None)),
        };
        Ok(Ok(match check_format(&database.begin_read().during("read the file")?) {
            Err(Refusal::Version { found, .. }) => Some(found),
            _ => None,
        }))
    });
    match checked {
        Ok(Err(error)) => Err(open_error(error.into(), &text(path))),
        Ok(Ok(Some(found))) => unknown("a file format", found, FORMAT),
        // The thread that met it may hold the file for good.
        Err(fault) if fault.damage => {
            Err(OpenError::Damaged { subject: text(path), message: fault.message })
        }
        Ok(Ok(None)) | Err(_) => Ok(()),
    }
}

/// The format that both halves of redb's header agree on.
fn redb_format(path: &Path) -> io::Result<Option<u8>> {
    const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
    const FIRST: usize = 64;
    const SECOND: usize = 192;
    let mut header = Vec::new();
    File::open(path)?.take(SECOND as u64 + 1).read_to_end(&mut header)?;
    let found = header.get(FIRST).filter(|first| header.get(SECOND) == Some(first));
    Ok(found.copied().filter(|_| header.starts_with(MAGIC)))
}

/// Gives a damaged file another name.
fn move_aside(dir: &Path, path: &Path) -> Result<PathBuf, OpenError> {
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%S%.6fZ").to_string();
    let aside = dir.join(format!("{NAME}.damaged-{time}"));
    fs::rename(path, &aside).map_err(|error| io_error("move aside", path, &error))?;
    sync_directory(dir)?;
    Ok(aside)
}

/// Makes the directory, and makes it and its way from the root last.
fn prepare_directory(dir: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Directory { path: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(failed)?;
    if !dir.join(NAME).exists() {
        let full = dir.canonicalize().map_err(failed)?;
        for parent in full.ancestors().skip(1) {
            // Those above may be others' and closed to us; then they were not made by us either.
            let _ = File::open(parent).and_then(|parent| parent.sync_all());
        }
    }
    Ok(())
}

fn sync_directory(dir: &Path) -> Result<(), OpenError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| OpenError::Directory { path: dir.to_owned(), source })
}

fn io_error(step: &'static str, path: &Path, error: &io::Error) -> OpenError {
    OpenError::Io { step, subject: text(path), message: error.to_string() }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
