//! CIFAR-10's binary version (Krizhevsky 2009): six files of records with a label and 3×32×32 pixels each.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::RECORD;
use super::{ImageSplit, Images, ImagesError};
use crate::data::DataError;
use crate::data::file::{first_file, read_file};

const SIDE: usize = 32;
const CHANNELS: usize = 3;
const TRAIN_FILES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
const TEST_FILE: &str = "test_batch.bin";

/// The names of the classes, in the order of their labels. The order is alphabetical, so that class folders with the
/// same images get the same labels.
pub const CIFAR10_CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// The location of CIFAR-10's binary files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CifarFiles {
    directory: PathBuf,
}

impl CifarFiles {
    /// The width and height of an image.
    pub(super) const SIZE: (usize, usize) = (SIDE, SIDE);

    /// The first of `directory` and `directory/cifar-10-batches-bin` that contains one of the files.
    ///
    /// # Errors
    /// [`DataError::Read`] if the system does not report whether a file exists.
    pub fn find(directory: &Path) -> Result<Option<Self>, DataError> {
        for directory in [directory.to_owned(), directory.join("cifar-10-batches-bin")] {
            let files = Self { directory };
            if first_file(files.paths())?.is_some() {
                return Ok(Some(files));
            }
        }
        Ok(None)
    }

    /// The folder of the files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The five files of training images, then the file of test images.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> + '_ {
        TRAIN_FILES
            .iter()
            .chain([&TEST_FILE])
            .map(|name| self.directory.join(name))
    }

    /// The number of training images, from the files' lengths.
    ///
    /// # Errors
    /// [`DataError`] with the file's name if one is missing or ends inside a record.
    pub(super) fn count_train(&self) -> Result<usize, DataError> {
        let mut count = 0;
        for path in self.paths().take(TRAIN_FILES.len()) {
            let Ok(metadata) = path.metadata() else {
                return Err(ImagesError::MissingBatch { path }.into());
            };
            count += records(&path, metadata.len() as usize)?;
        }
        Ok(count)
    }

    /// Reads all six files: `data_batch_1.bin` to `data_batch_5.bin` for training, `test_batch.bin` for testing.
    ///
    /// The number of records is arbitrary but must be the same in all files (10,000 in the published files).
    ///
    /// # Errors
    /// [`DataError`] with the file's name if one is missing, ends inside a record, has another number of records than
    /// the first, or has a label that is not a class.
    pub fn read(&self) -> Result<ImageSplit, DataError> {
        let paths: Vec<PathBuf> = self.paths().collect();
        let mut train = read_cifar10_file(&paths[0])?;
        let records = train.len();
        let mut test = None;
        for path in &paths[1..] {
            let part = read_cifar10_file(path)?;
            if part.len() != records {
                return Err(ImagesError::RecordCount {
                    path: path.clone(),
                    found: part.len(),
                    first: paths[0].clone(),
                    expected: records,
                }
                .into());
            }
            if path.ends_with(TEST_FILE) {
                test = Some(part);
            } else {
                train.pixels.extend(part.pixels);
                train.labels.extend(part.labels);
            }
        }
        let path = self.directory.join(TEST_FILE);
        Ok(ImageSplit {
            train,
            test: test.ok_or(ImagesError::MissingBatch { path })?,
            skipped: Vec::new(),
        })
    }
}

/// The number of records in a file of `length` bytes.
fn records(path: &Path, length: usize) -> Result<usize, DataError> {
    match length % RECORD {
        0 => Ok(length / RECORD),
        _ => Err(ImagesError::CutRecord {
            path: path.to_owned(),
            found: length,
        }
        .into()),
    }
}

/// Reads one file of records: one byte for the label, below 10, then 1,024 bytes each for red, green and blue, row by
/// row.
///
/// # Errors
/// [`DataError`] with the file's name if it is missing, empty, ends inside a record or has a label that is not a class.
pub fn read_cifar10_file(path: &Path) -> Result<Images, DataError> {
    let bytes = read_file(path).map_err(|error| match error {
        DataError::Read { path, source } if source.kind() == ErrorKind::NotFound => {
            ImagesError::MissingBatch { path }.into()
        }
        other => other,
    })?;
    if bytes.is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
            what: "images",
        });
    }
    let count = records(path, bytes.len())?;
    let mut pixels = Vec::with_capacity(count * (RECORD - 1));
    let mut labels = Vec::with_capacity(count);
    for (index, record) in bytes.chunks_exact(RECORD).enumerate() {
        let label = record[0];
        if usize::from(label) >= CIFAR10_CLASSES.len() {
            return Err(DataError::LabelOutOfRange {
                path: path.to_owned(),
                index,
                label,
                classes: CIFAR10_CLASSES.len(),
            });
        }
        labels.push(label);
        pixels.extend_from_slice(&record[1..]);
    }
    Ok(Images {
        width: SIDE,
        height: SIDE,
        channels: CHANNELS,
        pixels,
        labels,
        class_names: CIFAR10_CLASSES.map(str::to_owned).to_vec(),
    })
}
