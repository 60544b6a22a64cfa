//! Errors in a data set of images.

use std::path::PathBuf;

use thiserror::Error;

/// The bytes of a record in CIFAR-10's binary version: a label and the pixels of three planes.
pub(super) const RECORD: usize = 1 + 3 * 32 * 32;

/// Images that cannot be used; the message names the file, what was found and what is allowed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImagesError {
    /// The folder contains neither CIFAR-10's binary version nor class folders.
    #[error(
        "{} contains no images: allowed are data_batch_1.bin to data_batch_5.bin and test_batch.bin \
         (CIFAR-10 binary version), or folders train/CLASS and test/CLASS of .jpg and .png files",
        directory.display()
    )]
    NoImages {
        /// The searched folder.
        directory: PathBuf,
    },
    /// One of the six files of CIFAR-10's binary version is missing.
    #[error("missing file {}: CIFAR-10's binary version is six files; fetch it again", path.display())]
    MissingBatch {
        /// The file.
        path: PathBuf,
    },
    /// The file ends inside a record.
    #[error(
        "{} is truncated: it has {found} bytes, but a record (label and 3×32×32 pixels) is {RECORD}; \
         fetch the file again",
        path.display()
    )]
    CutRecord {
        /// The file.
        path: PathBuf,
        /// The file's length in bytes.
        found: usize,
    },
    /// CIFAR-10's files have different numbers of records.
    #[error(
        "{} contains {found} records, but {} contains {expected}: the numbers must be equal; fetch the files again",
        path.display(), first.display()
    )]
    RecordCount {
        /// The file.
        path: PathBuf,
        /// The number of its records.
        found: usize,
        /// The file with which it is compared.
        first: PathBuf,
        /// The number of records in that file.
        expected: usize,
    },
    /// One of `train` and `test` is missing.
    #[error(
        "{} has no folder {part}/: class folders are laid out as train/CLASS/IMAGE and test/CLASS/IMAGE",
        directory.display()
    )]
    NoPart {
        /// The searched folder.
        directory: PathBuf,
        /// `train` or `test`.
        part: &'static str,
    },
    /// There are no classes, or more than a label can number.
    #[error("{} contains {found} class folders; allowed are 1 to 256", path.display())]
    ClassCount {
        /// The folder of classes.
        path: PathBuf,
        /// The number of class folders.
        found: usize,
    },
    /// Training and test classes differ.
    #[error("train/ and test/ of {} must have the same classes{}{}",
        directory.display(), only("train", only_train), only("test", only_test))]
    ClassesDiffer {
        /// The folder that contains both.
        directory: PathBuf,
        /// The classes missing in `test`.
        only_train: Vec<String>,
        /// The classes missing in `train`.
        only_test: Vec<String>,
    },
    /// A class has no images.
    #[error("{} contains no image: a class needs at least one .jpg or .png file", path.display())]
    EmptyClass {
        /// The class's folder.
        path: PathBuf,
    },
    /// A class folder contains something other than images.
    #[error(
        "{} does not have an image's name: a class folder may contain .jpg, .jpeg and .png files; \
         move it away, or skip damaged files",
        path.display()
    )]
    NotAnImage {
        /// The file or folder.
        path: PathBuf,
    },
    /// The decoder refused the file.
    #[error("{} is a damaged image: {source}; fetch it again, or skip damaged files", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The decoder's error.
        source: image::ImageError,
    },
    /// A JPEG file ends before its end marker; decoders would fill the rest with grey.
    #[error("{} is a truncated JPEG; fetch it again, or skip damaged files", path.display())]
    CutJpeg {
        /// The file.
        path: PathBuf,
    },
    /// The header states more pixels than the file can contain.
    #[error(
        "{} states {width}×{height} pixels, which its {bytes} bytes cannot hold; \
         fetch it again, or skip damaged files",
        path.display()
    )]
    Claim {
        /// The file.
        path: PathBuf,
        /// The stated width.
        width: u32,
        /// The stated height.
        height: u32,
        /// The length of the file in bytes.
        bytes: usize,
    },
    /// The images have several sizes, but no size was given for scaling.
    #[error(
        "{} is {}×{}, but the preceding images are {}×{}: scale all to one size, or skip damaged files",
        path.display(), found.0, found.1, expected.0, expected.1
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// The file's width and height.
        found: (usize, usize),
        /// The width and height of the first image.
        expected: (usize, usize),
    },
}

fn only(part: &str, names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("; only in {part}/: {}", names.join(", ")),
    }
}
