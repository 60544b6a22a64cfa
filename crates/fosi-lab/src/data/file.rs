//! The files of a data set; every error includes the path.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::DataError;
use crate::files;

/// What to do with a damaged file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Damaged {
    /// Return an error.
    #[default]
    Refuse,
    /// Skip and count it.
    Skip,
}

/// The content of a file.
///
/// # Errors
/// [`DataError::Read`], also for folders, devices and pipes.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    files::read(path).map_err(|source| read_error(path, source))
}

/// The content of a UTF-8 text without a byte-order mark.
///
/// # Errors
/// Those of [`read_file`].
pub(super) fn read_text_file(path: &Path) -> Result<String, DataError> {
    files::read_text(path).map_err(|source| read_error(path, source))
}

/// Opens a file for reading.
///
/// # Errors
/// Those of [`read_file`].
pub(super) fn open_file(path: &Path) -> Result<File, DataError> {
    files::open(path).map_err(|source| read_error(path, source))
}

/// The first of `paths` that exists and is not a folder, even if it is a broken link; reading it then reports the
/// error.
///
/// # Errors
/// [`DataError::Read`] if the system does not report whether something exists: in a folder without search permission,
/// or behind a circular link.
pub(super) fn first_file(
    paths: impl IntoIterator<Item = PathBuf>,
) -> Result<Option<PathBuf>, DataError> {
    for path in paths {
        match path.metadata() {
            Ok(kind) if kind.is_dir() => {}
            Ok(_) => return Ok(Some(path)),
            Err(error) if is_absent(error.kind()) => {
                if path.is_symlink() {
                    return Ok(Some(path));
                }
            }
            Err(source) => return Err(read_error(&path, source)),
        }
    }
    Ok(None)
}

/// The entries of a folder that are not hidden, sorted by name.
///
/// # Errors
/// [`DataError::Read`].
pub(super) fn visible_entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let refused = |source| read_error(folder, source);
    let mut paths = Vec::new();
    for entry in folder.read_dir().map_err(refused)? {
        let entry = entry.map_err(refused)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether nothing exists, or can exist, under the name.
fn is_absent(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
    )
}

fn read_error(path: &Path, source: std::io::Error) -> DataError {
    DataError::Read {
        path: path.to_owned(),
        source,
    }
}
