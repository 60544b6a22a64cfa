//! Errors of a study.

use std::path::PathBuf;

use thiserror::Error;

use crate::config::ConfigError;
use crate::runs::RunError;

/// An error in a study of what FOSI saves.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PaysError {
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Invalid settings of a variant.
    #[error("in --variant {name}: {source}")]
    Variant {
        /// The variant.
        name: String,
        /// The error.
        source: Box<ConfigError>,
    },
    /// The length is not given.
    #[error(
        "--steps is missing: the study compares FOSI after S steps with its base; give --steps S"
    )]
    NoSteps,
    /// The lengths of the base's runs are too close to each other.
    #[error(
        "--steps {steps} is too few: the base runs for 0.8, 1, 1.25 and 1.5 times as many; at least {least} are needed"
    )]
    TooFewSteps {
        /// The given number of steps.
        steps: usize,
        /// The minimum.
        least: usize,
    },
    /// The option has no effect in a study.
    #[error("--{option} has no effect in a study: {instead}")]
    NoEffect {
        /// The option.
        option: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// A variant sets an option that would also change its base.
    #[error(
        "--variant {name} sets --{option}, which base and variants share: set it for the whole study"
    )]
    NotFosi {
        /// The variant.
        name: String,
        /// The option.
        option: String,
    },
    /// The runs were made on other data.
    #[error(
        "the data has changed since {} was made: give the study another --out, or restore its data",
        path.display()
    )]
    ChangedData {
        /// The file of an existing run.
        path: PathBuf,
    },
    /// The operating system refused to read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
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
