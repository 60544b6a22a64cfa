//! Why there is no such problem.

use thiserror::Error;

use crate::data::DataError;
use crate::names::UnknownName;

/// A problem that can't be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// No problem has this name.
    #[error(transparent)]
    Name(#[from] UnknownName),
    /// The data that it is about can't be read.
    #[error(transparent)]
    Data(#[from] DataError),
}
