//! A folder for a test's files, deleted at the end of the test.

use std::fs;
use std::path::{Path, PathBuf};

use fosi_lab::data::DataError;

pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// The error; its message must name the file.
pub fn named<T: std::fmt::Debug>(result: Result<T, DataError>, path: &Path) -> DataError {
    let error = result.unwrap_err();
    let message = error.to_string();
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    error
}

/// The folder of the real data, if it exists.
pub fn real_data(part: &str) -> Option<PathBuf> {
    let Some(directory) = std::env::var_os("FOSI_DATA_DIR") else {
        eprintln!("skipped: FOSI_DATA_DIR names no folder with {part}");
        return None;
    };
    let path = PathBuf::from(directory).join(part);
    if !path.exists() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path)
}
