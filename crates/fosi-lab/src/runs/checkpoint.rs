//! A run's checkpoints: all that a resumed run needs to give the same bits as one that never stopped.

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

/// Raise it when older files can no longer be read.
const FORMAT: u64 = 1;
/// Good files kept: the newest, and one in case it is damaged.
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
    /// How far the run is.
    pub header: CheckpointHeader,
    /// Model and optimizer.
    pub state: TrainerState,
}

/// A model and its optimizer in the middle of training.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainerState {
    /// The model's parameters and buffers.
    pub model: Vec<u8>,
    /// The optimizer's state.
    pub optimizer: Vec<u8>,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointHeader {
    /// Version of the file.
    pub format: u64,
    /// Checkpoints of the run before this one.
    pub number: u64,
    /// The optimizer in training, and its seed.
    pub optimizer: OptimizerName,
    /// Its seed.
    pub seed: u64,
    /// Its epoch, from 1.
    pub epoch: u64,
    /// Steps that it has taken in this epoch.
    pub epoch_step: usize,
    /// Steps that it has taken.
    pub step: u64,
    /// Seconds that it has trained.
    pub seconds: f64,
    /// Gradients that it has computed.
    pub gradients: u64,
    /// Products that it has computed.
    pub products: u64,
    /// Seconds that it has spent in refreshes.
    pub refresh_seconds: f64,
    /// Rows of `metrics.csv`.
    pub rows: usize,
    /// Refreshes of the run.
    pub refreshes: Vec<RefreshRecord>,
    /// Failures of the run.
    pub failures: Vec<Failure>,
}

impl CheckpointHeader {
    /// The version that this program writes and reads.
    pub const FORMAT: u64 = FORMAT;
}

impl Checkpoint {
    /// Writes the checkpoint into a run's folder: beside the older ones, synced, renamed; then removes all but the
    /// newest two, unless all are kept.
    ///
    /// # Errors
    /// [`RunError::Write`]; the older ones then stay.
    pub fn write(&self, folder: &Path, kept: KeptCheckpoints) -> Result<(), RunError> {
        self.write_to(&folder.join(format!("{PREFIX}{:08}{SUFFIX}", self.header.number)))?;
        if kept == KeptCheckpoints::All {
            return Ok(());
        }
        let mut files = files(folder);
        files.truncate(files.len().saturating_sub(KEPT));
        for old in files {
            // One too many does no harm.
            let _ = fs::remove_file(old);
        }
        Ok(())
    }

    /// Replaces the file at `path`.
    ///
    /// # Errors
    /// [`RunError::Write`]; the old one then stays.
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
    /// [`RunError::Checkpoint`] where it is missing, damaged or of another version.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let bytes = files::read(path).map_err(|error| error.to_string());
        let checkpoint = bytes.and_then(|bytes| Self::from_bytes(&bytes));
        checkpoint.map_err(|reason| RunError::Checkpoint {
            path: path.to_owned(),
            reason,
        })
    }

    /// The newest good checkpoint of a run's folder, and what is wrong with newer ones; `None` where there is no file.
    ///
    /// # Errors
    /// [`RunError::Checkpoint`] where there are files, and none is good.
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

    /// The good checkpoints of a run's folder, the oldest first, and what is wrong with the others.
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
            return Err("its checksum doesn't fit its content".to_owned());
        }
        let version: Version = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if version.format != FORMAT {
            let found = version.format;
            return Err(format!(
                "it is of version {found}, this program reads version {FORMAT}"
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

/// Over the header and each part with its name and length.
fn hash(header: &str, parts: &[(&str, &[u8])]) -> String {
    let mut hash = Sha256::new();
    for (name, bytes) in std::iter::once(&(HEADER, header.as_bytes())).chain(parts) {
        hash.update(name.as_bytes());
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    format!("{:x}", hash.finalize())
}

/// Checkpoints in a folder, the oldest first.
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
            // Spaces that pad the header mean nothing, nor do letters of hexadecimal digits… all else is noticed.
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
