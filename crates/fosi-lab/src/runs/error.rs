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
    #[error("{} is a file, and a folder is needed there: give another --out, or move the file away", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused to write.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The operating system refused to read.
    #[error("cannot read {}: {source}; is {} a run's folder?", path.display(), parent(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// `metrics.csv` isn't as this program writes it.
    #[error("{} is damaged at line {line}: {reason}", path.display())]
    Metrics {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// `run.json` isn't as this program writes it.
    #[error("{} is damaged: {reason}", path.display())]
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

fn parent(path: &std::path::Path) -> String {
    let parent = path.parent().unwrap_or(path);
    parent.display().to_string()
}
