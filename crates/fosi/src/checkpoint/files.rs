//! Reading files, and replacing them atomically.

use std::path::Path;

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
    use std::io::Write;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The system applies the user's umask.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    if let Ok(old) = path.metadata() {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The rename itself must survive a crash. On other systems a folder cannot be opened, nor can a folder without read
    // permission.
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
