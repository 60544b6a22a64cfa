//! Reads user-given paths, which may point to anything.

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// The mark that some editors and spreadsheets write before UTF-8 text.
pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Opens a file and follows links. Folders, pipes and devices are refused, because reading them may block or never end.
///
/// # Errors
/// The system's error, or one for a path that is not a file.
pub(crate) fn open(path: &Path) -> Result<File> {
    let kind = fs::metadata(path)?;
    if kind.is_file() {
        return File::open(path);
    }
    Err(match kind.is_dir() {
        true => Error::new(ErrorKind::IsADirectory, "it is a folder, not a file"),
        false => Error::new(
            ErrorKind::InvalidInput,
            "it is a device or a pipe, not a file",
        ),
    })
}

/// The content of a file.
///
/// Those of [`open`].
/// As [`open`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    // The file may be sparse and longer than the memory.
    bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The content of a UTF-8 text without a byte-order mark.
///
/// # Errors
/// Those of [`open`]; [`ErrorKind::InvalidData`] names the first invalid byte.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    text(read(path)?)
}

/// Parses a JSON text of the format `known`, which its field `format` states.
///
/// # Errors
/// A description of the error.
pub(crate) fn json_of_format<T: DeserializeOwned>(
    text: &str,
    known: u64,
) -> std::result::Result<T, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(found) if found == known => {}
        Some(other) => {
            return Err(format!(
                "it has format {other}, but this program reads format {known}"
            ));
        }
        None => return Err("it has no format".to_owned()),
    }
    // Parses the text again, because the errors then include line and column.
    serde_json::from_str(text).map_err(|e| e.to_string())
}

/// Reads a text of at most `limit` bytes from a path, which may be a pipe.
///
/// # Errors
/// Those of [`read_text`]; [`ErrorKind::InvalidData`] for longer texts.
pub(crate) fn read_short_text(path: &Path, limit: u64) -> Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let reason = format!("it has more than {limit} bytes");
        return Err(Error::new(ErrorKind::InvalidData, reason));
    }
    text(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..at]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        let reason = format!("it is not valid UTF-8: see byte {at}, on line {line}");
        Error::new(ErrorKind::InvalidData, reason)
    })?;
    Ok(match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Lists paths for a message: `a and b`.
pub(crate) fn join_paths(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    names.join(" and ")
}

/// Syncs a folder's entries to the disk; only Unix can open a folder.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    match cfg!(unix) {
        true => File::open(path)?.sync_all(),
        false => Ok(()),
    }
}
