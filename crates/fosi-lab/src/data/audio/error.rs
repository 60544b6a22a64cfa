//! Errors in a data set of sound.

use std::path::PathBuf;

use thiserror::Error;

use super::wav::WavError;
use crate::files::join_paths;

/// The lowest accepted rate, in samples per second.
pub(super) const LOWEST_RATE: u32 = 1_000;
/// The highest accepted rate, in samples per second.
pub(super) const HIGHEST_RATE: u32 = 384_000;

/// Sound that cannot be used; the message names the file, what was found and what is allowed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The file has another format, ends early, or has samples of an unsupported kind.
    #[error(
        "{} cannot be read as a WAV file: {source}; fetch or convert it again, or skip damaged files",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The error.
        source: WavError,
    },
    /// The rate is implausible.
    #[error(
        "{} states {found} samples per second; allowed are {LOWEST_RATE} to {HIGHEST_RATE}",
        path.display()
    )]
    Rate {
        /// The file.
        path: PathBuf,
        /// Samples per second.
        found: u32,
    },
    /// A floating-point sample is not finite.
    #[error("{}: sample {index} is not finite; convert the file again, or skip damaged files", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The position of the sample, from 0.
        index: usize,
    },
    /// The resampler failed.
    #[error("cannot resample from {from} to {to} samples per second: {source}")]
    Resample {
        /// The given number of samples per second.
        from: u32,
        /// The requested number of samples per second.
        to: u32,
        /// The resampler's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No folder contains recordings.
    #[error(
        "no recordings named DIGIT_SPEAKER_INDEX.wav (such as 7_jackson_32.wav) in {}",
        join_paths(looked_in)
    )]
    NoRecordings {
        /// The searched folders.
        looked_in: Vec<PathBuf>,
    },
    /// A WAV file among spoken digits has an invalid name.
    #[error(
        "{} is not named DIGIT_SPEAKER_INDEX.wav, such as 7_jackson_32.wav; rename it or move it away",
        path.display()
    )]
    RecordingName {
        /// The file.
        path: PathBuf,
    },
    /// All recordings belong to one part.
    #[error(
        "{} has no recording to {purpose}: those with index 0 to 4 validate, the others train",
        directory.display()
    )]
    EmptyPart {
        /// The folder of the recordings.
        directory: PathBuf,
        /// `train` or `validate`.
        purpose: &'static str,
    },
    /// One of AudioSet's lists is missing.
    #[error("missing file {name}: looked in {}", join_paths(looked_in))]
    MissingList {
        /// The file's name, or the allowed names.
        name: String,
        /// The searched folders.
        looked_in: Vec<PathBuf>,
    },
    /// A line of a list is malformed.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What was found and what is allowed.
        reason: String,
    },
    /// A clip's label is not a class.
    #[error(
        "{}, line {line}: `{label}` is not a class; allowed are the mids of class_labels_indices.csv",
        path.display()
    )]
    UnknownLabel {
        /// The list of clips.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The label.
        label: String,
    },
    /// A listed clip has no file.
    #[error(
        "{}, line {line}: there is no WAV file of clip `{clip}` in {}; \
         fetch it, or skip damaged files",
        path.display(), join_paths(looked_in)
    )]
    NoClip {
        /// The list of clips.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The clip's name in the list.
        clip: String,
        /// The searched folders.
        looked_in: Vec<PathBuf>,
    },
}
