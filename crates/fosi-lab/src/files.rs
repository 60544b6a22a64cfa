//! Reading files that users name, which may be anything.

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// What some editors and spreadsheets put before a text in UTF-8.
pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Opens a file; links are followed. A folder, a pipe and a device are refused before one of them blocks or never ends.
///
/// # Errors
/// The system's, and that of a path where no file lies.
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
/// # Errors
/// As [`open`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    // A file may be sparse, and longer than memory.
    bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The content of a text in UTF-8, without a byte-order mark.
///
/// # Errors
/// As [`open`]; [`ErrorKind::InvalidData`] names the first byte that is no UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    text(read(path)?)
}

/// What a JSON text of the format `known` holds; its field `format` says which it has.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn json_of_format<T: DeserializeOwned>(
    text: &str,
    known: u64,
) -> std::result::Result<T, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(found) if found == known => {}
        Some(other) => return Err(format!("it has format {other}, and {known} is known")),
        None => return Err("it has no format".to_owned()),
    }
    // From the text again: its errors name line and column.
    serde_json::from_str(text).map_err(|e| e.to_string())
}

/// The text of what `source` gives, which may be a pipe, up to `limit` bytes.
///
/// # Errors
/// As [`read_text`]; [`ErrorKind::InvalidData`] where there is more.
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
        let reason = format!("it is no text in UTF-8: see byte {at}, on line {line}");
        Error::new(ErrorKind::InvalidData, reason)
    })?;
    Ok(match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Paths for a message: `a and b`.
pub(crate) fn join_paths(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    names.join(" and ")
}

/// Has the system write a folder's entries to the disk; elsewhere than on Unix a folder can't be opened.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    match cfg!(unix) {
        true => File::open(path)?.sync_all(),
        false => Ok(()),
    }
}
