//! Errors of a curvature study.

use thiserror::Error;

use crate::config::ConfigError;
use crate::train::StepError;

/// An error in a study of curvature.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CurvatureError {
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An error in the training or an estimation.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The steps are not along the run.
    #[error(
        "--at names step {step}, and the run has {steps} steps: name steps from 1 on in ascending order, or give more --steps"
    )]
    At {
        /// The step.
        step: u64,
        /// The number of the run's steps.
        steps: u64,
    },
    /// More examples are requested than exist.
    #[error("--{option} is {given}: allowed are 1 to {most}, the training examples")]
    Examples {
        /// The option.
        option: &'static str,
        /// The given number.
        given: usize,
        /// The number of training examples.
        most: usize,
    },
    /// The model does not support this measurement.
    #[error("this model does not support measuring the curvature")]
    Untold,
}
