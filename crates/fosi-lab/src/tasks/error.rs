//! Why a task can't be set up.

use std::error::Error;

use thiserror::Error;

use crate::config::DeviceName;
use crate::data::DataError;
use crate::models::weights::WeightsError;
use crate::runs::RunError;

/// Why a task can't be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// Its data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Its weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The task needs weights, and none were named.
    #[error(
        "task tl trains on the features of a ResNet-18: name its weights with --weights FILE ({hint}), \
         or --weights random for features of random weights, which show the machinery, not transfer"
    )]
    NoWeights {
        /// Where to get them.
        hint: &'static str,
    },
    /// A device that this machine doesn't have.
    #[error(
        "there is no device for --device {device}: {reason}; there are: {}",
        available.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    NoDevice {
        /// The device given.
        device: DeviceName,
        /// What is missing.
        reason: String,
        /// The devices that there are.
        available: Vec<DeviceName>,
    },
    /// The user ended it.
    #[error("interrupted while {doing}; {kept}")]
    Interrupted {
        /// What was interrupted.
        doing: &'static str,
        /// What is left for the next start.
        kept: String,
    },
    /// A folder that can't be written.
    #[error(transparent)]
    Folder(#[from] RunError),
    /// Anything else.
    #[error("cannot set up the task: {0}")]
    Other(Box<dyn Error + Send + Sync>),
}

impl TaskError {
    /// Of another library.
    pub(super) fn other(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Other(Box::new(error))
    }
}

/// A note for each file that was left out.
pub(super) fn left_out<'a>(skipped: impl IntoIterator<Item = &'a DataError>) -> Vec<String> {
    let note = |error| format!("Left out: {error}");
    skipped.into_iter().map(note).collect()
}
