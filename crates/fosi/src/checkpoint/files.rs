//! Files, replaced as a whole.

use std::path::Path;

use crate::error::Error;

/// The bytes of a file.
///
/// # Errors
/// [`Error::Io`].
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| io_error(path, source))
}

/// Replaces a file by `bytes`: see [`replace`].
///
/// # Errors
/// [`Error::Io`]; an older file of that name is then untouched.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, bytes).map_err(|source| io_error(path, source))
}

/// Replaces a file by `bytes`: written beside it, synced, renamed, the folder synced. A new file is as readable as any
/// other that the user makes; one that is replaced keeps its permissions.
///
/// `tempfile` removes the new file wherever one of these steps fails (`atomic-write-file` 0.3 leaves it behind where
/// the last ones do).
///
/// # Errors
/// The system's; an older file of that name is then untouched.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The system takes off what the user's mask says.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    if let Ok(old) = path.metadata() {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The rename itself must survive a crash. Elsewhere a folder can't be opened, nor one that may be written but not
    // read.
    #[cfg(unix)]
    if let Ok(folder) = std::fs::File::open(folder) {
        folder.sync_all()?;
    }
    Ok(())
}

fn io_error(path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        path: path.to_path_buf(),
        source,
    }
}
