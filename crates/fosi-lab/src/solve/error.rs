//! Errors of the runs of solvers.

use std::path::PathBuf;

use thiserror::Error;

use crate::runs::RunError;

/// An error in the runs of solvers.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SolveError {
    /// The dense matrix with n² numbers would be too large.
    #[error(
        "bfgs keeps n² numbers, and {problem} has n = {n}, above {most}: leave bfgs out, or use lbfgs with a larger \
         --memory"
    )]
    TooLarge {
        /// The problem's name.
        problem: &'static str,
        /// The problem's n.
        n: usize,
        /// The largest allowed n.
        most: usize,
    },
    /// The operating system refused to read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file of a run is damaged.
    #[error("{} is damaged: {reason}; move it away, and the run is made again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The error.
        reason: String,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] RunError),
}
