//! A data set's files, with the path in every error.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::DataError;
use crate::files;

/// What to do with a damaged file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Damaged {
    /// It is an error.
    #[default]
    Refuse,
    /// Leave it out and count it.
    Skip,
}

/// The whole content of a file.
///
/// # Errors
/// [`DataError::Read`], also for a folder, a device and a pipe.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    files::read(path).map_err(|source| read_error(path, source))
}

/// A text in UTF-8, without a byte-order mark.
///
/// # Errors
/// As [`read_file`].
pub(super) fn read_text_file(path: &Path) -> Result<String, DataError> {
    files::read_text(path).map_err(|source| read_error(path, source))
}

/// A file to read from.
///
/// # Errors
/// As [`read_file`].
pub(super) fn open_file(path: &Path) -> Result<File, DataError> {
    files::open(path).map_err(|source| read_error(path, source))
}

/// The first of `paths` where something other than a folder lies, be it a link to nothing: reading it then says what is
/// wrong.
///
/// # Errors
/// [`DataError::Read`] where the system doesn't tell whether something is there: in a folder that may not be searched,
/// or behind a link that leads to itself.
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

/// What lies in a folder and isn't hidden, in the order of the names.
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

/// Whether nothing is there, or nothing can be by that name.
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
