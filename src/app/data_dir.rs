//! The directory for durable state, held by one process at a time.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// A locked data directory. The lock goes with the process, however it ends.
#[derive(Debug)]
pub(super) struct DataDir {
    _lock: File,
}

/// The directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be created.
    #[error("create data directory {path}")]
    Create {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its lock file can't be opened.
    #[error("open {path}; the data directory must be writable")]
    Open {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process holds it.
    #[error(
        "data directory {0} is in use by another fanfare process; stop it or give another --data-dir"
    )]
    InUse(PathBuf),
}

// === impl DataDir ===

impl DataDir {
    /// Creates the directory if need be and locks it.
    pub(super) fn lock(directory: &Path) -> Result<Self, Error> {
        fs::create_dir_all(directory)
            .map_err(|source| Error::Create { path: directory.to_owned(), source })?;
        let path = directory.join("lock");
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = opened.map_err(|source| Error::Open { path: path.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(directory.to_owned())),
            Err(TryLockError::Error(source)) => Err(Error::Open { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_holder_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("made/for/us");
        let first = DataDir::lock(&data).unwrap();
        assert!(matches!(DataDir::lock(&data), Err(Error::InUse(_))));
        drop(first);
        DataDir::lock(&data).unwrap();
    }

    #[test]
    fn file_in_the_way_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDir::lock(file.path()).unwrap_err();
        assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
    }
}
