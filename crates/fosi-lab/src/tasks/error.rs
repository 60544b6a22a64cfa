//! Errors in setting up a task.

use std::error::Error;

use thiserror::Error;

use crate::config::DeviceName;
use crate::data::DataError;
use crate::models::weights::WeightsError;
use crate::runs::RunError;

/// A task cannot be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// An error in the data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An error in the weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The task needs weights, but none were given.
    #[error(
        "task tl trains on the features of a ResNet-18: name its weights with --weights FILE ({hint}), \
         or --weights random for features of random weights, which test the program, not transfer learning"
    )]
    NoWeights {
        /// Where to obtain the weights.
        hint: &'static str,
    },
    /// The machine does not have the device.
    #[error(
        "there is no device for --device {device}: {reason}; there are: {}",
        available.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    NoDevice {
        /// The given device.
        device: DeviceName,
        /// The reason.
        reason: String,
        /// The available devices.
        available: Vec<DeviceName>,
    },
    /// Several processes cannot train with this setting.
    #[error("{what} runs in one process only: {instead}")]
    OneProcess {
        /// The option.
        what: String,
        /// The advice.
        instead: &'static str,
    },
    /// Another of several processes cannot set up the task.
    #[error(transparent)]
    OtherProcess(fosi::Error),
    /// The user interrupted the setup.
    #[error("interrupted while {doing}; {kept}")]
    Interrupted {
        /// The interrupted operation.
        doing: &'static str,
        /// What is kept for the next start.
        kept: String,
    },
    /// An error in writing a folder.
    #[error(transparent)]
    Folder(#[from] RunError),
    /// Any other error.
    #[error("cannot set up the task: {0}")]
    Other(Box<dyn Error + Send + Sync>),
}

impl TaskError {
    /// Wraps an error of another library.
    pub(super) fn other(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Other(Box::new(error))
    }
}

/// A note for each omitted file.
pub(super) fn left_out<'a>(skipped: impl IntoIterator<Item = &'a DataError>) -> Vec<String> {
    let note = |error| format!("Left out: {error}");
    skipped.into_iter().map(note).collect()
}
