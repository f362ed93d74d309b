//! Files of a directory as parsed documents, read again only when they changed.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde_json::Value;

/// Most bytes of one file.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Most files of the directory.
const MAX_FILES: usize = 10_000;
/// Most documents of one file.
const MAX_DOCUMENTS: usize = 10_000;
/// Most keys and values of one file: what ten thousand objects need.
const MAX_NODES: usize = 500_000;

/// Every file of the directory as it was last read.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: BTreeMap<PathBuf, File>,
    problem: Option<ReadProblem>,
}

#[derive(Debug)]
struct File {
    stamp: Stamp,
    /// Of the last reading that worked: an edit that breaks the file takes nothing away.
    documents: Vec<Value>,
    problem: Option<ReadProblem>,
}

/// What changes when a file does.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    target: Option<PathBuf>,
}

/// Why a file or the directory can't be read. Never holds content: a file may hold Secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadProblem {
    /// The directory can't be listed.
    #[error("{0}: the directory can't be read ({1}); what was read before stays in use")]
    Directory(String, io::ErrorKind),
    /// Too many files.
    #[error("{0}: more than {MAX_FILES} files; the rest is left out")]
    TooManyFiles(String),
    /// The file can't be read.
    #[error("{0}: can't be read ({1})")]
    Unreadable(String, io::ErrorKind),
    /// The file is too large.
    #[error("{0}: larger than 4 MiB; split it")]
    TooLarge(String),
    /// The file is not YAML.
    #[error("{file}: not valid YAML or JSON{place}; what was read before stays in use")]
    Syntax {
        /// Name of the file.
        file: String,
        /// ` at line L, column C`, if known.
        place: String,
    },
    /// Too many documents.
    #[error("{0}: more than {MAX_DOCUMENTS} documents; split it")]
    TooManyDocuments(String),
}

// === impl Files ===

impl Files {
    /// Reads what changed since the last call; says whether anything did.
    pub(super) fn refresh(&mut self, directory: &Path) -> bool {
        let found = match list(directory) {
            Ok(found) => found,
            Err(error) => {
                let problem = ReadProblem::Directory(name(directory), error.kind());
                let changed = self.problem.as_ref() != Some(&problem);
                self.problem = Some(problem);
                return changed;
            }
        };
        let problem = (found.len() > MAX_FILES).then(|| ReadProblem::TooManyFiles(name(directory)));
        let mut changed = self.problem != problem;
        self.problem = problem;
        let before = self.files.len();
        self.files.retain(|path, _| found.contains_key(path));
        changed |= self.files.len() != before;
        for (path, stamp) in found.into_iter().take(MAX_FILES) {
            let held = self.files.get(&path);
            if held.is_some_and(|file| file.stamp == stamp) {
                continue;
            }
            changed = true;
            let (documents, problem) = match read(&path, stamp.length) {
                Ok(documents) => (documents, None),
                Err(problem) => (
                    self.files.remove(&path).map(|file| file.documents).unwrap_or_default(),
                    Some(problem),
                ),
            };
            self.files.insert(path, File { stamp, documents, problem });
        }
        changed
    }

    /// Every document with the name of its file, in the order of names.
    pub(super) fn documents(&self) -> impl Iterator<Item = (String, &Value)> {
        self.files
            .iter()
            .flat_map(|(path, file)| file.documents.iter().map(|value| (name(path), value)))
    }

    /// What can't be read now.
    pub(super) fn problems(&self) -> impl Iterator<Item = &ReadProblem> {
        self.files.values().filter_map(|file| file.problem.as_ref()).chain(&self.problem)
    }
}

fn list(directory: &Path) -> io::Result<BTreeMap<PathBuf, Stamp>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let manifest = path
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| matches!(extension, "yaml" | "yml" | "json"));
        if !manifest {
            continue;
        }
        let Ok(meta) = fs::metadata(&path) else { continue };
        if meta.is_file() {
            let target = fs::canonicalize(&path).ok();
            let stamp = Stamp { modified: meta.modified().ok(), length: meta.len(), target };
            found.insert(path, stamp);
        }
    }
    Ok(found)
}

fn read(path: &Path, length: u64) -> Result<Vec<Value>, ReadProblem> {
    if length > MAX_BYTES {
        return Err(ReadProblem::TooLarge(name(path)));
    }
    let text = fs::read_to_string(path)
        .map_err(|error| ReadProblem::Unreadable(name(path), error.kind()))?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: MAX_DOCUMENTS + 1,
            max_nodes: MAX_NODES,
        },
    };
    let documents = serde_saphyr::from_multiple_with_options::<Value>(&text, options);
    let documents = documents.map_err(|error| {
        let place = error
            .location()
            .map(|at| format!(" at line {}, column {}", at.line(), at.column()))
            .unwrap_or_default();
        ReadProblem::Syntax { file: name(path), place }
    })?;
    if documents.len() > MAX_DOCUMENTS {
        return Err(ReadProblem::TooManyDocuments(name(path)));
    }
    Ok(documents)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(files: &Files) -> Vec<String> {
        files.documents().map(|(file, value)| format!("{file}:{value}")).collect()
    }

    #[test]
    fn every_document_of_every_manifest_is_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), "a: 1\n---\na: 2\n").unwrap();
        fs::write(dir.path().join("b.json"), "{\"b\": 1}").unwrap();
        fs::write(dir.path().join("c.txt"), "c").unwrap();
        let mut files = Files::default();
        assert!(files.refresh(dir.path()));
        assert_eq!(documents(&files), ["a.yaml:{\"a\":1}", "a.yaml:{\"a\":2}", "b.json:{\"b\":1}"]);
        assert!(!files.refresh(dir.path()), "nothing changed");
    }

    #[test]
    fn broken_edit_keeps_what_was_read_and_shows_no_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        fs::write(&path, "a: 1").unwrap();
        let mut files = Files::default();
        files.refresh(dir.path());
        fs::write(&path, "a: [hunter2").unwrap();
        assert!(files.refresh(dir.path()));
        assert_eq!(documents(&files), ["a.yaml:{\"a\":1}"]);
        let problem = files.problems().next().unwrap().to_string();
        assert!(problem.starts_with("a.yaml: not valid YAML or JSON at line 1"), "{problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
        fs::remove_file(&path).unwrap();
        assert!(files.refresh(dir.path()));
        assert!(documents(&files).is_empty() && files.problems().next().is_none());
    }

    #[test]
    fn as_many_documents_as_promised_are_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), "a: 1\n---\n".repeat(MAX_DOCUMENTS - 1)).unwrap();
        let mut files = Files::default();
        files.refresh(dir.path());
        assert_eq!(files.problems().next(), None);
        assert!(files.documents().count() >= MAX_DOCUMENTS - 1);
    }

    #[test]
    fn vanished_directory_keeps_what_was_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), "a: 1").unwrap();
        let mut files = Files::default();
        files.refresh(dir.path());
        fs::remove_dir_all(dir.path()).unwrap();
        assert!(files.refresh(dir.path()));
        assert_eq!(documents(&files).len(), 1);
        assert_eq!(files.problems().count(), 1);
    }
}
