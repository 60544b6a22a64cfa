//! Why a path can't be followed.

use thiserror::Error;

use crate::config::ConfigError;
use crate::train::StepError;

/// What goes wrong with a study of curvature.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CurvatureError {
    /// Settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The training or an estimation.
    #[error(transparent)]
    Step(#[from] StepError),
    /// Steps that aren't along the run.
    #[error(
        "--at names step {step}, and the run has {steps} steps: name steps from 1 on in ascending order, or give more --steps"
    )]
    At {
        /// The step.
        step: u64,
        /// The run's.
        steps: u64,
    },
    /// More examples than there are.
    #[error("--{option} is {given}: allowed are 1 to {most}, the training examples")]
    Examples {
        /// The option.
        option: &'static str,
        /// What it was given.
        given: usize,
        /// The training examples.
        most: usize,
    },
    /// A task whose model has no such measure.
    #[error("this model doesn't tell its curvature")]
    Untold,
}
