//! A run's checkpoints: the complete state, from which a resumed run is bit-identical to an uninterrupted one.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Failure, RefreshRecord, RunError, replace_file};
use crate::config::KeptCheckpoints;
use crate::files;
use crate::optimizers::OptimizerName;

/// The version of the format; increment it if older files can no longer be read.
const FORMAT: u64 = 1;
/// The number of kept checkpoints: the newest, and one more in case that is damaged.
const KEPT: usize = 2;
const PREFIX: &str = "checkpoint-";
const SUFFIX: &str = ".safetensors";
const HEADER: &str = "progress";
const HASH: &str = "sha256";
const MODEL: &str = "model";
const OPTIMIZER: &str = "optimizer";

/// The state of a run after a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The position in the run.
    pub header: CheckpointHeader,
    /// The state of model and optimizer.
    pub state: TrainerState,
}

/// The state of a model and its optimizer during training.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainerState {
    /// The model's parameters and buffers.
    pub model: Vec<u8>,
    /// The optimizer's state.
    pub optimizer: Vec<u8>,
}

/// The position in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointHeader {
    /// The version of the file format.
    pub format: u64,
    /// The number of earlier checkpoints of the run.
    pub number: u64,
    /// The optimizer in training.
    pub optimizer: OptimizerName,
    /// Its seed.
    pub seed: u64,
    /// Its current epoch, from 1.
    pub epoch: u64,
    /// The steps taken in this epoch.
    pub epoch_step: usize,
    /// The steps taken since the start.
    pub step: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Gradients computed.
    pub gradients: u64,
    /// Hessian-vector products computed.
    pub products: u64,
    /// Seconds spent in refreshes.
    pub refresh_seconds: f64,
    /// The number of rows in `metrics.csv`.
    pub rows: usize,
    /// The run's refreshes.
    pub refreshes: Vec<RefreshRecord>,
    /// The run's failures.
    pub failures: Vec<Failure>,
}

impl CheckpointHeader {
    /// The version of the format that this program reads and writes.
    pub const FORMAT: u64 = FORMAT;
}

impl Checkpoint {
    /// Writes the checkpoint atomically into a run's folder, then removes all but the newest two unless all are kept.
    ///
    /// # Errors
    /// [`RunError::Write`]; the older checkpoints remain.
    pub fn write(&self, folder: &Path, kept: KeptCheckpoints) -> Result<(), RunError> {
        self.write_to(&folder.join(format!("{PREFIX}{:08}{SUFFIX}", self.header.number)))?;
        if kept == KeptCheckpoints::All {
            return Ok(());
        }
        let mut files = files(folder);
        files.truncate(files.len().saturating_sub(KEPT));
        for old in files {
            // A leftover file is harmless.
            let _ = fs::remove_file(old);
        }
        Ok(())
    }

    /// Atomically replaces the file at `path`.
    ///
    /// # Errors
    /// [`RunError::Write`]; the old file remains.
    pub fn write_to(&self, path: &Path) -> Result<(), RunError> {
        let bytes = self.to_bytes().map_err(|reason| RunError::Write {
            path: path.to_owned(),
            source: std::io::Error::other(reason),
        })?;
        replace_file(path, &bytes)
    }

    /// Reads one file.
    ///
    /// # Errors
    /// [`RunError::Checkpoint`] if the file is missing, damaged or of another version.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let bytes = files::read(path).map_err(|error| error.to_string());
        let checkpoint = bytes.and_then(|bytes| Self::from_bytes(&bytes));
        checkpoint.map_err(|reason| RunError::Checkpoint {
            path: path.to_owned(),
            reason,
        })
    }

    /// The newest valid checkpoint in a run's folder, and the errors of newer ones; `None` if there is no file.
    ///
    /// # Errors
    /// [`RunError::Checkpoint`] if there are files but none is valid.
    pub fn read_newest(folder: &Path) -> Result<Option<(Self, Vec<RunError>)>, RunError> {
        let mut damaged = Vec::new();
        for path in files(folder).into_iter().rev() {
            match Self::read(&path) {
                Ok(checkpoint) => return Ok(Some((checkpoint, damaged))),
                Err(error) => damaged.push(error),
            }
        }
        match damaged.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    /// The valid checkpoints in a run's folder, the oldest first, and the errors of the others.
    pub fn read_all(folder: &Path) -> (Vec<Self>, Vec<RunError>) {
        let (mut good, mut damaged) = (Vec::new(), Vec::new());
        for path in files(folder) {
            match Self::read(&path) {
                Ok(checkpoint) => good.push(checkpoint),
                Err(error) => damaged.push(error),
            }
        }
        (good, damaged)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let text = serde_json::to_string(&self.header).map_err(|e| e.to_string())?;
        let parts = self.state.parts();
        let header = HashMap::from([
            (HASH.to_owned(), hash(&text, &parts)),
            (HEADER.to_owned(), text),
        ]);
        let view = |bytes| TensorView::new(Dtype::U8, vec![<[u8]>::len(bytes)], bytes);
        let views = parts.map(|(name, bytes)| (name, view(bytes)));
        let views: Vec<(&str, TensorView)> = views
            .into_iter()
            .map(|(name, view)| Ok((name, view?)))
            .collect::<Result<_, SafeTensorError>>()
            .map_err(|e| e.to_string())?;
        serialize(views, Some(header)).map_err(|e| e.to_string())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let field = |name: &str| {
            let value = header
                .metadata()
                .as_ref()
                .and_then(|fields| fields.get(name));
            value.ok_or_else(|| format!("it has no field `{name}`"))
        };
        let text = field(HEADER)?;
        let part = |name: &str| {
            let tensor = file.tensor(name).map_err(|e| e.to_string())?;
            Ok::<_, String>(tensor.data().to_vec())
        };
        let state = TrainerState {
            model: part(MODEL)?,
            optimizer: part(OPTIMIZER)?,
        };
        if *field(HASH)? != hash(text, &state.parts()) {
            return Err("its checksum does not match its content".to_owned());
        }
        let version: Version = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if version.format != FORMAT {
            let found = version.format;
            return Err(format!(
                "it has version {found}, but this program reads version {FORMAT}"
            ));
        }
        let header = serde_json::from_str(text).map_err(|e| e.to_string())?;
        Ok(Self { header, state })
    }
}

#[derive(Deserialize)]
struct Version {
    format: u64,
}

impl TrainerState {
    fn parts(&self) -> [(&'static str, &[u8]); 2] {
        [(MODEL, &self.model), (OPTIMIZER, &self.optimizer)]
    }
}

/// The hash of the header and of each part's name, length and bytes.
fn hash(header: &str, parts: &[(&str, &[u8])]) -> String {
    let mut hash = Sha256::new();
    for (name, bytes) in std::iter::once(&(HEADER, header.as_bytes())).chain(parts) {
        hash.update(name.as_bytes());
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    format!("{:x}", hash.finalize())
}

/// The checkpoint files in a folder, the oldest first.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            name.is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
        })
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(number: u64) -> Checkpoint {
        Checkpoint {
            header: CheckpointHeader {
                format: FORMAT,
                number,
                optimizer: "fosi-hb".parse().unwrap(),
                seed: 3,
                epoch: 2,
                epoch_step: 5,
                step: 28,
                seconds: 0.1 + 0.2,
                gradients: 28,
                products: 40,
                refresh_seconds: 1e-9,
                rows: 1,
                refreshes: Vec::new(),
                failures: Vec::new(),
            },
            state: TrainerState {
                model: (0..=255).collect(),
                optimizer: vec![7; 100],
            },
        }
    }

    #[test]
    fn the_newest_is_read_back_and_two_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Checkpoint::read_newest(folder.path()).unwrap().is_none());
        for number in 0..4 {
            checkpoint(number)
                .write(folder.path(), KeptCheckpoints::Newest)
                .unwrap();
        }
        assert_eq!(files(folder.path()).len(), 2);
        let (newest, damaged) = Checkpoint::read_newest(folder.path()).unwrap().unwrap();
        assert_eq!(newest, checkpoint(3));
        assert!(damaged.is_empty());
        checkpoint(4)
            .write(folder.path(), KeptCheckpoints::All)
            .unwrap();
        let (all, damaged) = Checkpoint::read_all(folder.path());
        assert_eq!(all, [checkpoint(2), checkpoint(3), checkpoint(4)]);
        assert!(damaged.is_empty());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed_and_the_one_before_used() {
        let folder = tempfile::tempdir().unwrap();
        checkpoint(0)
            .write(folder.path(), KeptCheckpoints::Newest)
            .unwrap();
        checkpoint(1)
            .write(folder.path(), KeptCheckpoints::Newest)
            .unwrap();
        let path = files(folder.path())[1].clone();
        let good = fs::read(&path).unwrap();
        let damaged_by = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let (found, damaged) = Checkpoint::read_newest(folder.path()).unwrap().unwrap();
            assert_eq!(found, checkpoint(0));
            assert!(damaged[0].to_string().contains("checkpoint-00000001"));
        };
        for position in 0..good.len() {
            let mut flipped = good.clone();
            flipped[position] ^= 1 << (position % 8);
            // Only spaces that pad the header may change without effect; every other change is detected.
            if Checkpoint::from_bytes(&flipped) == Ok(checkpoint(1)) {
                assert_eq!(good[position], b' ', "at {position}");
                continue;
            }
            damaged_by(&flipped);
            damaged_by(&good[..position]);
        }
        fs::write(&path, b"").unwrap();
        fs::write(&files(folder.path())[0], b"").unwrap();
        let error = Checkpoint::read_newest(folder.path()).unwrap_err();
        assert!(error.to_string().contains("checkpoint-00000001"), "{error}");
    }

    #[test]
    fn another_version_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut other = checkpoint(0);
        other.header.format = 9;
        other.write(folder.path(), KeptCheckpoints::Newest).unwrap();
        let error = Checkpoint::read_newest(folder.path())
            .unwrap_err()
            .to_string();
        assert!(error.contains("version 9"), "{error}");
    }
}
