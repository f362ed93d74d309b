//! A mark that stands in the data directory while a start opens the file: starts that did not come to an end,
//! whatever ended them, leave it behind.

use std::{
    fs,
    path::{Path, PathBuf},
};

pub(super) const NAME: &str = "fanfare.redb.opening";

/// Starts in a row that did not come to an end before the next reads every page of the file. One may have
/// been killed for other reasons, and reading all takes time.
const UNFINISHED: usize = 2;

/// A start that opens the file. Dropping it says that the start came to an end, a refusal or an error included.
#[derive(Debug)]
pub(super) struct Opening {
    mark: PathBuf,
    unfinished: usize,
}

// === impl Opening ===

impl Opening {
    pub(super) fn begin(dir: &Path) -> Self {
        let mark = dir.join(NAME);
        // One byte for each.
        let unfinished = fs::metadata(&mark).map_or(0, |found| found.len());
        let unfinished = usize::try_from(unfinished).unwrap_or(0).min(UNFINISHED);
        if let Err(error) = fs::write(&mark, &b"..."[..=unfinished]) {
            tracing::warn!(%error, "If this start does not come to an end, the next will not know");
        }
        Self { mark, unfinished }
    }

    /// Whether the file may be what ended the starts before.
    pub(super) fn is_suspect(&self) -> bool {
        self.unfinished >= UNFINISHED
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_suspect_after_two_starts_that_did_not_come_to_an_end() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Opening::begin(dir.path()).is_suspect());
        for unfinished in 0..5 {
            let opening = Opening::begin(dir.path());
            assert_eq!(opening.is_suspect(), unfinished >= 2, "{unfinished}");
            // As when the process is killed.
            std::mem::forget(opening);
        }
        drop(Opening::begin(dir.path()));
        assert!(!Opening::begin(dir.path()).is_suspect(), "one came to an end");
    }
}
