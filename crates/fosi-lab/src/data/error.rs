//! What can be wrong with a data set.

use std::path::PathBuf;

use thiserror::Error;

use super::{AudioError, DataName, ImagesError, TextError};
use crate::files::join_paths;

/// A data set that cannot be used; the message names the file, what was found and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The data set lies in files, and no folder was named.
    #[error(
        "the data set `{data}` is read from files: name their folder with --data-dir DIR \
         (or use the embedded `digits`)"
    )]
    NoDirectory {
        /// The data set.
        data: DataName,
    },
    /// None of the places in which the file may lie holds it.
    #[error(
        "missing file {name} (plain or with .gz): looked in {}; \
         give the folder that holds it with --data-dir",
        join_paths(.looked_in)
    )]
    Missing {
        /// The file's name.
        name: String,
        /// The folders searched.
        looked_in: Vec<PathBuf>,
    },
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The gzip stream is damaged or ends early.
    #[error("{} is damaged gzip: {source}; fetch the file again", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// The decoder's reason.
        source: std::io::Error,
    },
    /// The file does not start as an IDX file of unsigned bytes.
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
    /// An IDX file of the other kind: images where labels belong, or labels where images belong.
    #[error(
        "{} holds {found}, {expected} are expected there: are the two files swapped?",
        path.display()
    )]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// The file ends before what its header promises.
    #[error(
        "{} is truncated: its header promises {expected} bytes, it has {found}; fetch the file again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes that the header promises, the header included.
        expected: u128,
        /// Bytes there are.
        found: u64,
    },
    /// The file goes on after what its header promises.
    #[error(
        "{} goes on after the {expected} bytes that its header promises; fetch the file again",
        path.display()
    )]
    TrailingBytes {
        /// The file.
        path: PathBuf,
        /// Bytes that the header promises, the header included.
        expected: u128,
    },
    /// Nothing to train on.
    #[error("{} is empty: it holds no {what}; at least one is needed", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// `images`, `labels` or `pixels`.
        what: &'static str,
    },
    /// A file of images and its file of labels have different lengths.
    #[error(
        "{} holds {image_count} images, but {} holds {label_count} labels: they must be as many",
        images.display(), labels.display()
    )]
    CountMismatch {
        /// The file of images.
        images: PathBuf,
        /// How many it holds.
        image_count: usize,
        /// The file of labels.
        labels: PathBuf,
        /// How many it holds.
        label_count: usize,
    },
    /// Training and validation images differ in size.
    #[error(
        "{} holds images of {}×{}, training has {}×{}: they must be of one size",
        path.display(), found.0, found.1, expected.0, expected.1
    )]
    SizeMismatch {
        /// The file of validation images.
        path: PathBuf,
        /// Its rows and columns.
        found: (usize, usize),
        /// Rows and columns of the training images.
        expected: (usize, usize),
    },
    /// A label that is no class.
    #[error(
        "{}: label {index} is {label}, allowed are 0 to {}",
        path.display(), classes.saturating_sub(1)
    )]
    LabelOutOfRange {
        /// The file of labels.
        path: PathBuf,
        /// Position of the label, from 0.
        index: usize,
        /// The label.
        label: u8,
        /// Number of classes.
        classes: usize,
    },
    /// Colour images.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// Text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Sound.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// A line of the embedded digits that isn't 64 pixels and a class.
    #[error("the embedded digits are damaged at line {line}: {reason}; build the program again")]
    Embedded {
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}
