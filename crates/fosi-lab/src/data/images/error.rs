//! What can be wrong with a data set of images.

use std::path::PathBuf;

use thiserror::Error;

/// Bytes of a record of CIFAR-10's binary version: a label, and the pixels of three planes.
pub(super) const RECORD: usize = 1 + 3 * 32 * 32;

/// Images that cannot be used; the message names the file, what was found and what is allowed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImagesError {
    /// The folder holds neither the binary version of CIFAR-10 nor class folders.
    #[error(
        "{} holds no images: allowed are data_batch_1.bin to data_batch_5.bin and test_batch.bin \
         (CIFAR-10 binary version), or folders train/CLASS and test/CLASS of .jpg and .png files",
        directory.display()
    )]
    NoImages {
        /// The folder searched.
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
        /// Its length in bytes.
        found: usize,
    },
    /// CIFAR-10's files must hold equally many records.
    #[error(
        "{} holds {found} records, {} holds {expected}: they must be as many; fetch the files again",
        path.display(), first.display()
    )]
    RecordCount {
        /// The file.
        path: PathBuf,
        /// Its number of records.
        found: usize,
        /// The file it is compared with.
        first: PathBuf,
        /// Number of records of that one.
        expected: usize,
    },
    /// One of `train` and `test` is missing.
    #[error(
        "{} has no folder {part}/: class folders are laid out as train/CLASS/IMAGE and test/CLASS/IMAGE",
        directory.display()
    )]
    NoPart {
        /// The folder searched.
        directory: PathBuf,
        /// `train` or `test`.
        part: &'static str,
    },
    /// No class at all, or more than a label can number.
    #[error("{} holds {found} class folders, allowed are 1 to 256", path.display())]
    ClassCount {
        /// The folder of classes.
        path: PathBuf,
        /// How many it holds.
        found: usize,
    },
    /// Training and test have different classes.
    #[error("train/ and test/ of {} must have the same classes{}{}",
        directory.display(), only("train", only_train), only("test", only_test))]
    ClassesDiffer {
        /// The folder that holds both.
        directory: PathBuf,
        /// Classes that test lacks.
        only_train: Vec<String>,
        /// Classes that training lacks.
        only_test: Vec<String>,
    },
    /// A class without an image.
    #[error("{} holds no image: a class needs at least one .jpg or .png file", path.display())]
    EmptyClass {
        /// The class's folder.
        path: PathBuf,
    },
    /// Something else lies among the images.
    #[error(
        "{} is no image by its name: allowed in a class's folder are .jpg, .jpeg and .png files; \
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
        /// The decoder's reason.
        source: image::ImageError,
    },
    /// A JPEG that ends before its end marker; decoders would fill the rest with grey.
    #[error("{} is a truncated JPEG; fetch it again, or skip damaged files", path.display())]
    CutJpeg {
        /// The file.
        path: PathBuf,
    },
    /// The header promises more pixels than the file can hold.
    #[error(
        "{} claims {width}×{height} pixels, which its {bytes} bytes cannot hold; \
         fetch it again, or skip damaged files",
        path.display()
    )]
    Claim {
        /// The file.
        path: PathBuf,
        /// Width claimed.
        width: u32,
        /// Height claimed.
        height: u32,
        /// Length of the file in bytes.
        bytes: usize,
    },
    /// Images of several sizes where no size was asked for.
    #[error(
        "{} is {}×{}, the images before it are {}×{}: scale all to one size, or skip damaged files",
        path.display(), found.0, found.1, expected.0, expected.1
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Its width and height.
        found: (usize, usize),
        /// Width and height of the first image.
        expected: (usize, usize),
    },
}

fn only(part: &str, names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("; only in {part}/: {}", names.join(", ")),
    }
}
