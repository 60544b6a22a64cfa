//! Reading files, and replacing them atomically.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The bytes of a file.
///
/// # Errors
/// [`Error::Io`].
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| io_error(path, source))
}

/// Atomically replaces a file by `bytes`; see [`replace`].
///
/// # Errors
/// [`Error::Io`]; an existing file is then unchanged.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, bytes).map_err(|source| io_error(path, source))
}

/// Atomically replaces a file by `bytes`: writes them to a new file in the same folder, syncs it, renames it, and syncs
/// the folder. A new file gets the user's default permissions; a replaced file keeps its own.
///
/// `tempfile` removes the new file if any of these steps fails (`atomic-write-file` 0.3 leaves it behind if a late step
/// fails).
///
/// # Errors
/// The system's; an existing file is then unchanged.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = Replacement::start(path)?;
    file.write(bytes)?;
    file.finish()
}

/// A new file that replaces an existing one once it is complete.
pub(super) struct Replacement {
    file: BufWriter<tempfile::NamedTempFile>,
    path: PathBuf,
}

impl Replacement {
    pub(super) fn start(path: &Path) -> std::io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The system applies the user's umask.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        Ok(Self {
            file: BufWriter::new(builder.tempfile_in(folder(path))?),
            path: path.to_path_buf(),
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)
    }

    pub(super) fn finish(self) -> std::io::Result<()> {
        let file = self.file.into_inner()?;
        let path = &self.path;
        if let Ok(old) = path.metadata() {
            file.as_file().set_permissions(old.permissions())?;
        }
        file.as_file().sync_all()?;
        file.persist(path)?;
        // The rename itself must survive a crash. On other systems a folder cannot be opened, nor can a folder without
        // read permission.
        #[cfg(unix)]
        if let Ok(folder) = std::fs::File::open(folder(path)) {
            folder.sync_all()?;
        }
        Ok(())
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

pub(super) fn io_error(path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        path: path.to_path_buf(),
        source,
    }
}
