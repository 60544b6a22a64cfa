//! Errors in creating a problem.

use thiserror::Error;

use crate::data::DataError;
use crate::names::UnknownName;

/// A problem cannot be created.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// No problem has this name.
    #[error(transparent)]
    Name(#[from] UnknownName),
    /// The problem's data cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
}
