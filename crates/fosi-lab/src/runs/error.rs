//! What can go wrong with a run's folder.

use std::path::PathBuf;

use thiserror::Error;

/// A run folder that cannot be made, written or read; the message names the path and says what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The folder is already there.
    #[error(
        "the run folder {} exists: give another --name, or move it away (runs are never overwritten)",
        path.display()
    )]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A file where a folder belongs.
    #[error("{} is a file, and a folder is needed there: give another folder (--out, --cache), or move the file away", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// A link to nothing, or to itself, where a folder belongs.
    #[error("{} is a link that leads nowhere, and a folder is needed there: give another folder (--out, --cache), or mend the link", path.display())]
    BrokenLink {
        /// The link.
        path: PathBuf,
    },
    /// The operating system refused to write.
    #[error("cannot write {}: {source}{}", path.display(), remedy(source))]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A run that is given twice where several are read.
    #[error("the run {} is given twice: it would count twice; give it once", path.display())]
    Repeated {
        /// The run's folder.
        path: PathBuf,
    },
    /// Another process trains the run.
    #[error("the run {} is being trained by {}: wait until it ends, or end it", path.display(), process(owner))]
    InUse {
        /// The run's folder.
        path: PathBuf,
        /// The process that has the lock, where it has said so.
        owner: Option<u32>,
    },
    /// The lock's file can't be opened or locked.
    #[error("cannot lock {}: {source}; runs are kept where files can be locked", path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The operating system refused to read.
    #[error("cannot read {}: {source}; is {} a run's folder, as `fosi train` makes them?", path.display(), parent(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// `metrics.csv` isn't as this program writes it.
    #[error(
        "{} is damaged at line {line}: {reason}; put back a copy of the file, or do without the run",
        path.display()
    )]
    Metrics {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// `run.json` isn't as this program writes it.
    #[error("{} is damaged: {reason}; put back a copy of the file, or do without the run", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// A checkpoint that can't be used.
    #[error("the checkpoint {} can't be used: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A checkpoint of another run.
    #[error("the checkpoint in {} is of {found}, which this run doesn't train", path.display())]
    OtherRun {
        /// The run's folder.
        path: PathBuf,
        /// Optimizer and seed of the checkpoint.
        found: String,
    },
    /// `run.json` comes from another version of the program.
    #[error(
        "{} has format {found}, this program reads format {known}: use the program's version that wrote it",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u64,
        /// The format known.
        known: u64,
    },
}

/// What to do about a disk without room; other reasons speak for themselves.
fn remedy(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match source.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            "; what was written before is whole: make room, and resume with `fosi train --resume RUN` where the run has \
             checkpoints"
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
