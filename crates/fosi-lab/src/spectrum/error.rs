//! Errors in measuring spectra.

use std::path::PathBuf;

use thiserror::Error;

use super::places::Place;
use crate::optimizers::OptimizerName;
use crate::runs::RunError;
use crate::train::StepError;

/// An error in a measurement of spectra.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpectrumError {
    /// An error in the run's folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// An error in the model or an estimation.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The run's final parameters cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The parameters do not belong to the model.
    #[error(
        "the parameters at {place} cannot be loaded: {source}; use undamaged files of the run and the program that \
         made them"
    )]
    Parameters {
        /// The place.
        place: Place,
        /// The error.
        source: StepError,
    },
    /// The run does not have this optimizer or seed.
    #[error(
        "the run in {} has no {optimizer} with seed {seed}: it has {}",
        run.display(),
        there.join(", ")
    )]
    NotInRun {
        /// The run's folder.
        run: PathBuf,
        /// The optimizer.
        optimizer: OptimizerName,
        /// The seed.
        seed: u64,
        /// The run's optimizers and seeds.
        there: Vec<String>,
    },
    /// An option was given that the run determines.
    #[error(
        "--{option} has no effect with --run, which determines task, data and model: allowed besides it are {allowed}"
    )]
    DecidedByRun {
        /// The given option.
        option: String,
        /// The allowed options.
        allowed: String,
    },
    /// The run has another task.
    #[error("the run in {} is of task {of_run}, not {given}: leave the task out", run.display())]
    OtherTask {
        /// The run's folder.
        run: PathBuf,
        /// The run's task.
        of_run: String,
        /// The given task.
        given: String,
    },
    /// More examples are requested than exist.
    #[error("--large is {given}: allowed are 1 to {most}, the training examples")]
    Examples {
        /// The given number.
        given: usize,
        /// The number of training examples.
        most: usize,
    },
    /// The model does not support this measurement.
    #[error("this model does not support measuring the spectrum")]
    Untold,
}
