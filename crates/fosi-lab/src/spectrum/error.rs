//! Why a spectrum can't be measured.

use std::path::PathBuf;

use thiserror::Error;

use super::places::Place;
use crate::optimizers::OptimizerName;
use crate::runs::RunError;
use crate::train::StepError;

/// What goes wrong with a measurement of spectra.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpectrumError {
    /// The run's folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The model, or an estimation.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The run's final parameters can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Parameters that aren't the model's.
    #[error(
        "the parameters at {place} can't be loaded: {source}; measure where the run's files are whole, with the program that made \
         them"
    )]
    Parameters {
        /// The place.
        place: Place,
        /// What is wrong with them.
        source: StepError,
    },
    /// An optimizer or a seed that the run doesn't have.
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
        /// What the run has.
        there: Vec<String>,
    },
    /// Options that the run's own settings decide.
    #[error(
        "--{option} has no effect with --run, whose task, data and model are the run's: allowed beside it are {allowed}"
    )]
    DecidedByRun {
        /// The option given.
        option: String,
        /// Those that may be given.
        allowed: String,
    },
    /// Another task than the run's.
    #[error("the run in {} is of task {of_run}, not {given}: leave the task out", run.display())]
    OtherTask {
        /// The run's folder.
        run: PathBuf,
        /// The run's task.
        of_run: String,
        /// The task given.
        given: String,
    },
    /// More examples than there are.
    #[error("--large is {given}: allowed are 1 to {most}, the training examples")]
    Examples {
        /// What was given.
        given: usize,
        /// The training examples.
        most: usize,
    },
    /// A model that has no such measure.
    #[error("this model doesn't tell its spectrum")]
    Untold,
}
