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
    /// It is a link to nothing.
    #[error(
        "data directory {path} is a symbolic link to {leads_to}, which does not exist; create that directory (is its volume mounted?) or give another --data-dir"
    )]
    Dangling {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        leads_to: PathBuf,
    },
    /// Something else than a directory, or than a file, has that name.
    #[error("{path} is not a {wanted}; move it away or give another --data-dir, and start again")]
    Kind {
        /// What is in the way.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
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
        refuse_dangling(directory)?;
        let is_directory = |path: &Path| fs::metadata(path).map(|found| found.is_dir());
        if is_directory(directory).is_ok_and(|is| !is) {
            return Err(Error::Kind { path: directory.to_owned(), wanted: "directory" });
        }
        fs::create_dir_all(directory)
            .map_err(|source| Error::Create { path: directory.to_owned(), source })?;
        let path = directory.join("lock");
        // A pipe would wait for somebody at its other end.
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(Error::Kind { path, wanted: "file" });
        }
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = opened.map_err(|source| Error::Open { path: path.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(directory.to_owned())),
            Err(TryLockError::Error(source)) => Err(Error::Open { path, source }),
        }
    }
}

/// Names a link that leads nowhere: what making a directory says about it is that it exists.
fn refuse_dangling(directory: &Path) -> Result<(), Error> {
    for path in directory.ancestors() {
        if let Ok(leads_to) = fs::read_link(path)
            && !path.exists()
        {
            return Err(Error::Dangling { path: path.to_owned(), leads_to });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

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
    fn link_to_nothing_is_named_with_where_it_leads() {
        let dir = tempfile::tempdir().unwrap();
        let (link, nowhere) = (dir.path().join("link"), dir.path().join("nowhere"));
        symlink(&nowhere, &link).unwrap();
        for asked in [link.clone(), link.join("below")] {
            let text = DataDir::lock(&asked).unwrap_err().to_string();
            for part in [&link, &nowhere] {
                assert!(text.contains(&part.display().to_string()), "{text}");
            }
            assert!(text.contains("volume mounted"), "{text}");
        }
        assert!(!nowhere.exists());
        fs::create_dir(&nowhere).unwrap();
        DataDir::lock(&link).unwrap();
    }

    #[test]
    fn lock_that_is_no_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("lock")).unwrap();
        let text = DataDir::lock(dir.path()).unwrap_err().to_string();
        assert!(text.contains("lock is not a file"), "{text}");
    }

    #[test]
    fn file_in_the_way_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDir::lock(file.path()).unwrap_err();
        assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
    }
}
