//! Errors in a data set.

use std::path::PathBuf;

use thiserror::Error;

use super::{AudioError, DataName, ImagesError, TextError};
use crate::files::join_paths;

/// A data set that cannot be used; the message names the file, the defect and a remedy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The data set needs files, but no folder was given.
    #[error(
        "the data set `{data}` is read from files: name their folder with --data-dir DIR \
         (or use the embedded `digits`)"
    )]
    NoDirectory {
        /// The data set.
        data: DataName,
    },
    /// The file is in none of the possible places.
    #[error(
        "missing file {name} (plain or with .gz): looked in {}; \
         give the folder that holds it with --data-dir",
        join_paths(.looked_in)
    )]
    Missing {
        /// The file's name.
        name: String,
        /// The searched folders.
        looked_in: Vec<PathBuf>,
    },
    /// The operating system refused to read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The gzip stream is damaged or ends early.
    #[error("{} is damaged gzip: {source}; fetch the file again", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// The decoder's error.
        source: std::io::Error,
    },
    /// The file does not start like an IDX file of unsigned bytes.
    #[error(
        "{} is not an IDX file of unsigned bytes: it starts with {found:02x?}, allowed is \
         [00, 00, 08, 03] (images) or [00, 00, 08, 01] (labels)",
        path.display()
    )]
    NotIdx {
        /// The file.
        path: PathBuf,
        /// Its first bytes, at most four.
        found: Vec<u8>,
    },
    /// The IDX file contains images instead of labels, or labels instead of images.
    #[error(
        "{} contains {found} instead of {expected}: are the two files swapped?",
        path.display()
    )]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// The kind found.
        found: &'static str,
        /// The expected kind.
        expected: &'static str,
    },
    /// The file is shorter than its header states.
    #[error(
        "{} is truncated: its header states {expected} bytes, but it has {found}; fetch the file again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The number of bytes stated by the header, including the header.
        expected: u128,
        /// The number of bytes in the file.
        found: u64,
    },
    /// The file is longer than its header states.
    #[error(
        "{} continues after the {expected} bytes that its header states; fetch the file again",
        path.display()
    )]
    TrailingBytes {
        /// The file.
        path: PathBuf,
        /// The number of bytes stated by the header, including the header.
        expected: u128,
    },
    /// There are no examples.
    #[error("{} is empty: it contains no {what}; at least one is needed", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// `images`, `labels` or `pixels`.
        what: &'static str,
    },
    /// The numbers of images and labels differ.
    #[error(
        "{} contains {image_count} images, but {} contains {label_count} labels: the numbers must be equal",
        images.display(), labels.display()
    )]
    CountMismatch {
        /// The file of images.
        images: PathBuf,
        /// The number of images.
        image_count: usize,
        /// The file of labels.
        labels: PathBuf,
        /// The number of labels.
        label_count: usize,
    },
    /// Training and validation images differ in size.
    #[error(
        "{} contains images of {}×{}, but training has {}×{}: the sizes must be equal",
        path.display(), found.0, found.1, expected.0, expected.1
    )]
    SizeMismatch {
        /// The file of validation images.
        path: PathBuf,
        /// The rows and columns of its images.
        found: (usize, usize),
        /// The rows and columns of the training images.
        expected: (usize, usize),
    },
    /// A label is not a class.
    #[error(
        "{}: label {index} is {label}, allowed are 0 to {}",
        path.display(), classes.saturating_sub(1)
    )]
    LabelOutOfRange {
        /// The file of labels.
        path: PathBuf,
        /// The position of the label, from 0.
        index: usize,
        /// The label.
        label: u8,
        /// The number of classes.
        classes: usize,
    },
    /// An error in colour images.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// An error in a text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// An error in sound.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// A line of the embedded digits is not 64 pixels and a class.
    #[error("the embedded digits are damaged at line {line}: {reason}; build the program again")]
    Embedded {
        /// The line, from 1.
        line: usize,
        /// The error.
        reason: String,
    },
}
