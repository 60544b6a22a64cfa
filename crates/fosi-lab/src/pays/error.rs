//! Why a study can't be made.

use std::path::PathBuf;

use thiserror::Error;

use crate::config::ConfigError;
use crate::runs::RunError;

/// What goes wrong with a study of what FOSI saves.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PaysError {
    /// Settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Settings of a variant.
    #[error("in --variant {name}: {source}")]
    Variant {
        /// The variant.
        name: String,
        /// What is wrong.
        source: Box<ConfigError>,
    },
    /// The length isn't given.
    #[error(
        "--steps is missing: the study compares FOSI after S steps with its base; give --steps S"
    )]
    NoSteps,
    /// The lengths of the base's runs are too close to each other.
    #[error(
        "--steps {steps} is too few: the base runs for 0.8, 1, 1.25 and 1.5 times as many; at least {least} are needed"
    )]
    TooFewSteps {
        /// Steps given.
        steps: usize,
        /// The fewest.
        least: usize,
    },
    /// An option of `fosi train` that a study has no use for.
    #[error("--{option} has no effect in a study: {instead}")]
    NoEffect {
        /// The option.
        option: &'static str,
        /// What to give in its place.
        instead: &'static str,
    },
    /// A variant with an option that would change its base, too.
    #[error(
        "--variant {name} sets --{option}, which is not FOSI's alone: base and variants share it; give it to the study"
    )]
    NotFosi {
        /// The variant.
        name: String,
        /// The option.
        option: String,
    },
    /// Runs on other data.
    #[error(
        "the data has changed since {} was made: give the study another --out, or give it back its data",
        path.display()
    )]
    ChangedData {
        /// A kept run.
        path: PathBuf,
    },
    /// The operating system refused to read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
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
