//! The lock on a run's folder: one process trains a run at a time.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::RunError;

/// The locked file; it contains the process number of the last owner.
const LOCK: &str = "run.lock";

/// The exclusive right to write to a run's folder.
///
/// An advisory lock of the operating system on a file in the folder. The system releases it when the process ends,
/// however it ends, so that a killed run can be resumed immediately. The file is never deleted: otherwise two processes
/// could hold locks on different files with the same name.
#[derive(Debug)]
#[must_use = "the folder is unlocked when the lock is dropped"]
pub struct RunLock {
    folder: PathBuf,
    /// Closing the file releases the lock.
    _file: File,
}

impl RunLock {
    /// Locks a run's folder and writes the owner's process number to the lock file.
    ///
    /// # Errors
    /// [`RunError::InUse`] with the owner's process number if another process holds the lock; [`RunError::Read`] if the
    /// folder does not exist; [`RunError::Lock`] if the file cannot be opened or the file system does not support
    /// locks.
    pub fn take(folder: &Path) -> Result<Self, RunError> {
        let path = folder.join(LOCK);
        let refused = |source: std::io::Error| RunError::Lock {
            path: path.clone(),
            source,
        };
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options
            .open(&path)
            .map_err(|source| match folder.is_dir() {
                true => refused(source),
                false => RunError::Read {
                    path: path.clone(),
                    source,
                },
            })?;
        let mut locked = file.try_lock();
        if matches!(locked, Err(TryLockError::WouldBlock)) {
            std::thread::sleep(WAIT);
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::InUse {
                    path: folder.to_owned(),
                    owner: owner(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(refused(source)),
        }
        // The lock holds even if its file cannot be written, as on a full disk.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self {
            folder: folder.to_owned(),
            _file: file,
        })
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a process is training the run; true if the system cannot tell.
    pub fn is_held(folder: &Path) -> bool {
        match File::open(folder.join(LOCK)) {
            Ok(file) => file.try_lock_shared().is_err(),
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }
}

/// The time to wait for a lock: an owner needs it to write its number, and [`RunLock::is_held`] takes the lock briefly.
const WAIT: Duration = Duration::from_millis(100);

/// The process whose number is in the file; `None` if it is unreadable.
fn owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let lock = RunLock::take(folder.path()).unwrap();
        let error = RunLock::take(folder.path()).unwrap_err();
        let id = std::process::id();
        assert!(
            matches!(&error, RunError::InUse { owner, .. } if *owner == Some(id)),
            "{error}"
        );
        assert!(error.to_string().contains(&format!("process {id}")));
        assert!(RunLock::is_held(folder.path()));
        drop(lock);
        assert!(!RunLock::is_held(folder.path()));
        drop(RunLock::take(folder.path()).unwrap());
        let missing = RunLock::take(&folder.path().join("none")).unwrap_err();
        assert!(matches!(missing, RunError::Read { .. }), "{missing}");
    }
}
