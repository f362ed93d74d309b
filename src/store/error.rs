//! Why a store can't be opened.

use std::{io, path::PathBuf};

/// The store can't be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory can't be created or synced.
    #[error("prepare data directory {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system refuses the file.
    #[error("{step} {subject}: {message}; check that the volume is mounted, writable and healthy")]
    Io {
        /// What was being done.
        step: &'static str,
        /// With what.
        subject: String,
        /// What the system said.
        message: String,
    },
    /// Something else than a file has its name.
    #[error(
        "{path} is a {kind}, not a file; move it away or give another --data-dir, and start again"
    )]
    NoFile {
        /// Where.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// Another process holds the file.
    #[error("{0} is in use by another process; stop it or give another --data-dir")]
    InUse(String),
    /// Another version of the program wrote the file.
    #[error(
        "{subject} has {what} {found}, this program knows {known}; start the program that wrote it, or one that is newer, or move the file away"
    )]
    UnknownVersion {
        /// The file.
        subject: String,
        /// What the version is of.
        what: &'static str,
        /// Version found.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// The content is damaged and can't be moved aside.
    #[error("{subject} is damaged: {message}")]
    Damaged {
        /// The file.
        subject: String,
        /// How it shows.
        message: String,
    },
    /// The committer's thread can't be started.
    #[error("start the thread that writes to the store")]
    Thread(#[source] io::Error),
}
