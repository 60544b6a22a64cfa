//! The folder of a study's runs: `OUT/runs/<task>-<optimizer>-<steps>-<seed>-<hash of the settings>.json`. Several
//! processes may share it; each run is claimed by one process.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::PaysError;
use super::record::Record;
use crate::config::TrainConfig;
use crate::files;
use crate::runs::{DataDescription, RunError, replace_file};

/// The number of hash digits in a file's name.
const DIGITS: usize = 12;

/// The stored runs of a study.
#[derive(Debug)]
pub struct KeptRuns {
    folder: PathBuf,
    /// The runs read so far, by name.
    read: RefCell<HashMap<String, Record>>,
}

impl KeptRuns {
    /// The runs in `out`; nothing is created or read yet.
    pub fn new(out: &Path) -> Self {
        Self {
            folder: out.join("runs"),
            read: RefCell::default(),
        }
    }

    /// The run with these settings, if it exists.
    ///
    /// # Errors
    /// [`PaysError::Damaged`], [`PaysError::Read`].
    pub fn find(&self, settings: &TrainConfig) -> Result<Option<Record>, PaysError> {
        let name = name(settings);
        if let Some(record) = self.read.borrow().get(&name) {
            return Ok(Some(record.clone()));
        }
        let path = self.path(&name);
        let record = match files::read_text(&path) {
            Ok(text) => record_of(&text, settings).map_err(|reason| PaysError::Damaged {
                path: path.clone(),
                reason,
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(PaysError::Read { path, source }),
        };
        self.read.borrow_mut().insert(name, record.clone());
        Ok(Some(record))
    }

    /// The file of a run that was made on other data, among those read so far.
    pub fn made_on_other(&self, data: &DataDescription) -> Option<PathBuf> {
        let read = self.read.borrow();
        let mut others = read.iter().filter(|(_, run)| !run.data.is_same_as(data));
        others.next().map(|(name, _)| self.path(name))
    }

    /// The right to make the run with these settings; `None` while another process holds it, or if the run exists by
    /// now.
    ///
    /// # Errors
    /// [`PaysError::Write`] if the folder cannot be written.
    pub fn claim(&self, settings: &TrainConfig) -> Result<Option<Claim>, PaysError> {
        let name = name(settings);
        let folder = self.folder.join("making").join(&name);
        let failed = |path: &Path, source| {
            PaysError::from(RunError::Write {
                path: path.to_owned(),
                source,
            })
        };
        fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))?;
        let path = folder.join("lock");
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let lock = match options.open(&path) {
            // Another process has just stored the run and removed the folder.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|source| failed(&path, source))?,
        };
        match lock.try_lock() {
            // Its owner may have removed it in the meantime.
            Ok(()) if !path.exists() => return Ok(None),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(RunError::Lock { path, source }.into()),
        }
        let claim = Claim {
            folder,
            target: self.path(&name),
            _lock: lock,
        };
        // Its owner may have stored the run before this claim.
        if claim.target.exists() {
            return Ok(None);
        }
        claim
            .clear()
            .map_err(|source| failed(&claim.folder, source))?;
        Ok(Some(claim))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }
}

/// The exclusive right to make a run, until it is dropped.
#[derive(Debug)]
pub struct Claim {
    folder: PathBuf,
    target: PathBuf,
    /// Closing the file releases the lock.
    _lock: File,
}

impl Claim {
    /// A folder for the run's temporary files, removed with the claim.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stores the run.
    ///
    /// # Errors
    /// [`PaysError::Write`].
    pub fn keep(self, record: &Record) -> Result<(), PaysError> {
        let mut text = serde_json::to_vec_pretty(record).map_err(|error| RunError::Write {
            path: self.target.clone(),
            source: error.into(),
        })?;
        text.push(b'\n');
        Ok(replace_file(&self.target, &text)?)
    }

    /// Removes the files of a killed owner.
    fn clear(&self) -> std::io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Leftover files are harmless: the next claim removes them.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn name(settings: &TrainConfig) -> String {
    let optimizer = settings.optimizers.first().map(ToString::to_string);
    let seed = settings.seeds.first().copied().unwrap_or_default();
    // The settings contain no maps, so that equal settings have equal texts.
    let text = serde_json::to_string(settings).unwrap_or_default();
    let hash = format!("{:x}", Sha256::digest(text));
    format!(
        "{}-{}-{}-{seed}-{}",
        settings.task,
        optimizer.unwrap_or_default(),
        settings.length.steps(1),
        &hash[..DIGITS]
    )
}

fn record_of(text: &str, settings: &TrainConfig) -> Result<Record, String> {
    let record: Record = files::json_of_format(text, Record::FORMAT)?;
    if record.settings != *settings {
        return Err("its settings do not match its name".to_owned());
    }
    Ok(record)
}
