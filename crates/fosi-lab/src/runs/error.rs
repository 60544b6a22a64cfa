//! Errors in a run's folder.

use std::path::PathBuf;

use thiserror::Error;

/// A run folder cannot be created, written or read. The message names the path and a remedy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The folder already exists.
    #[error(
        "the run folder {} exists: give another --name, or move it away (runs are never overwritten)",
        path.display()
    )]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// There is a file in place of a folder.
    #[error("{} is a file, not a folder: give another folder (--out, --cache), or move the file away", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// There is a broken or circular link in place of a folder.
    #[error(
        "{} is a link that leads nowhere, not a folder: give another folder (--out, --cache), or repair the link",
        path.display()
    )]
    BrokenLink {
        /// The link.
        path: PathBuf,
    },
    /// The operating system refused to write.
    #[error("cannot write {}: {source}{}", path.display(), remedy(source))]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A run is given twice.
    #[error("the run {} is given twice: give it once", path.display())]
    Repeated {
        /// The run's folder.
        path: PathBuf,
    },
    /// Another process is training the run.
    #[error("the run {} is being trained by {}: wait until it ends, or end it", path.display(), process(owner))]
    InUse {
        /// The run's folder.
        path: PathBuf,
        /// The process that holds the lock, if known.
        owner: Option<u32>,
    },
    /// The lock file cannot be opened or locked.
    #[error("cannot lock {}: {source}; runs need a file system with file locks", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The operating system refused to read.
    #[error("cannot read {}: {source}; is {} a run's folder, as `fosi train` makes them?", path.display(), parent(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// `metrics.csv` is damaged.
    #[error(
        "{} is damaged at line {line}: {reason}; put back a copy of the file, or leave the run out",
        path.display()
    )]
    Metrics {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The error.
        reason: String,
    },
    /// `run.json` is damaged.
    #[error("{} is damaged: {reason}; put back a copy of the file, or leave the run out", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The error, with line and column.
        reason: String,
    },
    /// A checkpoint cannot be used.
    #[error("the checkpoint {} cannot be used: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// The error.
        reason: String,
    },
    /// The checkpoint belongs to another run.
    #[error("the checkpoint in {} belongs to {found}, which this run does not train", path.display())]
    OtherRun {
        /// The run's folder.
        path: PathBuf,
        /// The checkpoint's optimizer and seed.
        found: String,
    },
    /// `run.json` was written by another version of the program.
    #[error(
        "{} has format {found}, but this program reads format {known}: use the version that wrote it",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: u64,
        /// The format that this program reads.
        known: u64,
    },
}

impl RunError {
    /// Whether a run's files are there and cannot be used as they are.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Metrics { .. } | Self::Record { .. } | Self::Format { .. }
        )
    }
}

/// The remedy for a full disk; other errors are self-explanatory.
fn remedy(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match source.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            "; everything written before is intact: free some space, and resume with `fosi train --resume RUN` \
             if the run has checkpoints"
        }
        _ => "",
    }
}

fn process(owner: &Option<u32>) -> String {
    owner.map_or_else(
        || "another process".to_owned(),
        |id| format!("process {id}"),
    )
}

fn parent(path: &std::path::Path) -> String {
    let parent = path.parent().unwrap_or(path);
    parent.display().to_string()
}
