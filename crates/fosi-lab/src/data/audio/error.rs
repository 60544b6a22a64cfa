//! What can be wrong with a data set of sound.

use std::path::PathBuf;

use thiserror::Error;

use super::wav::WavError;
use crate::files::join_paths;

/// Lowest rate accepted, in samples a second.
pub(super) const LOWEST_RATE: u32 = 1_000;
/// Highest rate accepted, in samples a second.
pub(super) const HIGHEST_RATE: u32 = 384_000;

/// Sound that cannot be used; the message names the file, what was found and what is allowed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AudioError {
    /// Another format, a file that ends too early, or samples of a kind that isn't read.
    #[error(
        "{} can't be read as a WAV file: {source}; fetch or convert it again, or skip damaged files",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: WavError,
    },
    /// A rate at which nobody records sound.
    #[error(
        "{} claims {found} samples a second, allowed are {LOWEST_RATE} to {HIGHEST_RATE}",
        path.display()
    )]
    Rate {
        /// The file.
        path: PathBuf,
        /// Samples a second.
        found: u32,
    },
    /// A float sample that is no number.
    #[error("{}: sample {index} is not finite; convert the file again, or skip damaged files", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Position of the sample, from 0.
        index: usize,
    },
    /// The resampler refused.
    #[error("cannot resample from {from} to {to} samples a second: {source}")]
    Resample {
        /// Samples a second that there are.
        from: u32,
        /// Samples a second asked for.
        to: u32,
        /// The resampler's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// None of the places searched holds recordings.
    #[error(
        "no recordings named DIGIT_SPEAKER_INDEX.wav (such as 7_jackson_32.wav) in {}",
        join_paths(looked_in)
    )]
    NoRecordings {
        /// The folders searched.
        looked_in: Vec<PathBuf>,
    },
    /// A WAV among spoken digits whose name says nothing.
    #[error(
        "{} is not named DIGIT_SPEAKER_INDEX.wav, such as 7_jackson_32.wav; rename it or move it away",
        path.display()
    )]
    RecordingName {
        /// The file.
        path: PathBuf,
    },
    /// All recordings fall into one part.
    #[error(
        "{} has no recording to {purpose}: those with index 0 to 4 validate, the others train",
        directory.display()
    )]
    EmptyPart {
        /// The folder of recordings.
        directory: PathBuf,
        /// `train` or `validate`.
        purpose: &'static str,
    },
    /// One of AudioSet's lists is missing.
    #[error("missing file {name}: looked in {}", join_paths(looked_in))]
    MissingList {
        /// The file's name, or the names it may have.
        name: String,
        /// The folders searched.
        looked_in: Vec<PathBuf>,
    },
    /// A line of a list that doesn't say what it must.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The list.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What was found and what is allowed.
        reason: String,
    },
    /// A clip's label that is no class.
    #[error(
        "{}, line {line}: `{label}` is no class; allowed are the mids of class_labels_indices.csv",
        path.display()
    )]
    UnknownLabel {
        /// The list of clips.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// The label.
        label: String,
    },
    /// A clip that is on the list, but not on disk.
    #[error(
        "{}, line {line}: there is no WAV file of clip `{clip}` in {}; \
         fetch it, or skip damaged files",
        path.display(), join_paths(looked_in)
    )]
    NoClip {
        /// The list of clips.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// The clip, as the list names it.
        clip: String,
        /// The folders searched.
        looked_in: Vec<PathBuf>,
    },
}
