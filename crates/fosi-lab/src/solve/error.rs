//! Why a problem can't be given to a solver, or a kept run can't be used.

use std::path::PathBuf;

use thiserror::Error;

use crate::runs::RunError;

/// What goes wrong with runs of solvers.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SolveError {
    /// n² numbers are too many.
    #[error(
        "bfgs keeps n² numbers, and {problem} has n = {n}, above {most}: leave bfgs out, or take lbfgs with a larger \
         --memory"
    )]
    TooLarge {
        /// The problem.
        problem: &'static str,
        /// Its n.
        n: usize,
        /// The largest n.
        most: usize,
    },
    /// The operating system refused to read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of a kept run isn't as this program writes it.
    #[error("{} is damaged: {reason}; move it away, and the run is made again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file can't be written.
    #[error(transparent)]
    Write(#[from] RunError),
}
