//! `fanfare crd`: the custom resource definitions as YAML.

use std::{fs, io, io::Write, path::Path};

use crate::api;

/// One definition: the name of its file and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Name of the file, for example `publishtargets.fanfare.dev.yaml`.
    pub name: String,
    /// The definition as YAML.
    pub yaml: String,
}

/// The definitions could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A definition has no YAML form.
    #[error("render {name} as YAML")]
    Render {
        /// Name of the file.
        name: String,
        /// The cause.
        source: serde_saphyr::ser::Error,
    },
    /// A file or directory could not be written.
    #[error("write {path}")]
    Write {
        /// The file or directory.
        path: String,
        /// The cause.
        source: io::Error,
    },
}

/// Both definitions as files.
///
/// # Errors
/// When a definition has no YAML form.
pub fn crds() -> Result<Vec<File>, Error> {
    api::crd::all()
        .iter()
        .map(|crd| {
            let name = format!("{}.yaml", crd.metadata.name.as_deref().unwrap_or("crd"));
            match serde_saphyr::to_string(crd) {
                Ok(yaml) => Ok(File { name, yaml }),
                Err(source) => Err(Error::Render { name, source }),
            }
        })
        .collect()
}

/// Writes both definitions into a directory, which is created if need be.
///
/// # Errors
/// When a definition has no YAML form or a file cannot be written.
pub fn write(directory: &Path) -> Result<(), Error> {
    let failed = |path: &Path, source| Error::Write { path: path.display().to_string(), source };
    fs::create_dir_all(directory).map_err(|source| failed(directory, source))?;
    for file in crds()? {
        let path = directory.join(&file.name);
        fs::write(&path, &file.yaml).map_err(|source| failed(&path, source))?;
    }
    Ok(())
}

/// Prints both definitions as one stream of YAML documents.
///
/// # Errors
/// When a definition has no YAML form or the output is closed.
pub fn print(mut out: impl Write) -> Result<(), Error> {
    for file in crds()? {
        write!(out, "---\n{}", file.yaml)
            .map_err(|source| Error::Write { path: "standard output".to_owned(), source })?;
    }
    Ok(())
}
