//! Reads or counts colour images in either layout: CIFAR-10's binary version or class folders.

use std::path::{Path, PathBuf};

use super::folders::{class_folders, list_classes};
use super::{CIFAR10_CLASSES, CifarFiles, ImageSplit, Images, ImagesError};
use crate::data::file::Damaged;
use crate::data::{DataError, draw};

/// One in this many training images is for validation: 5,000 of CIFAR-10's 50,000.
const HELD_OUT_TENTH: usize = 10;
const HOLD_OUT_SEED: u64 = 0;

/// The colour images of a run.
///
/// The published training images are split: nine tenths for training, one tenth for validation. The test images are
/// unused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColourImages {
    /// The folder of the images; see [`colour_images`].
    pub directory: PathBuf,
    /// What to do with damaged files.
    pub damaged: Damaged,
    /// The maximum number of training images.
    pub train_limit: Option<usize>,
    /// The maximum number of validation images.
    pub validation_limit: Option<usize>,
}

/// Training and validation images of one size, with the same classes.
#[derive(Debug)]
pub struct ColourSplit {
    /// The training images.
    pub train: Images,
    /// The validation images.
    pub validation: Images,
    /// Errors of skipped files; empty unless damaged files are skipped.
    pub skipped: Vec<DataError>,
}

/// The numbers of [`ColourImages::read`]'s result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColourCounts {
    /// The number of training images.
    pub train: usize,
    /// The number of validation images.
    pub validation: usize,
    /// The width and height of an image.
    pub size: (usize, usize),
    /// The number of classes.
    pub classes: usize,
}

impl ColourImages {
    /// Reads the images.
    ///
    /// # Errors
    /// [`DataError`] with the file's name if one is missing or damaged.
    pub fn read(&self) -> Result<ColourSplit, DataError> {
        let ImageSplit { train, skipped, .. } = colour_images(&self.directory, None, self.damaged)?;
        let (train, validation) = train.hold_out(train.len() / HELD_OUT_TENTH, HOLD_OUT_SEED);
        Ok(ColourSplit {
            train: limited(train, self.train_limit),
            validation: limited(validation, self.validation_limit),
            skipped,
        })
    }

    /// Counts the images without reading them: from the lengths of CIFAR-10's binary files, or from the class folders'
    /// file names and the first image's size. Damaged files are counted, too.
    ///
    /// # Errors
    /// [`DataError`] with the name of a file that is missing, truncated or not an image.
    pub fn count(&self) -> Result<ColourCounts, DataError> {
        let (all, size, classes) = match CifarFiles::find(&self.directory)? {
            Some(files) => (
                files.count_train()?,
                CifarFiles::SIZE,
                CIFAR10_CLASSES.len(),
            ),
            None => count_in_folders(&self.directory)?,
        };
        let held_out = all / HELD_OUT_TENTH;
        let limited = |count: usize, limit: Option<usize>| count.min(limit.unwrap_or(count));
        Ok(ColourCounts {
            train: limited(all - held_out, self.train_limit),
            validation: limited(held_out, self.validation_limit),
            size,
            classes,
        })
    }
}

fn limited(images: Images, limit: Option<usize>) -> Images {
    match limit {
        Some(limit) => images.gather(&draw(images.len(), limit)),
        None => images,
    }
}

/// The number of training images in class folders, their size and the number of classes.
fn count_in_folders(directory: &Path) -> Result<(usize, (usize, usize), usize), DataError> {
    let root = find_class_folders(directory)?;
    let classes = list_classes(&root, "train")?;
    let files = || classes.values().flatten();
    match files().find_map(|file| image::image_dimensions(file).ok()) {
        Some((width, height)) => {
            let size = (width as usize, height as usize);
            Ok((files().count(), size, classes.len()))
        }
        None => Err(ImagesError::EmptyClass {
            path: root.join("train"),
        }
        .into()),
    }
}

/// Colour images from `directory`: CIFAR-10's binary version if its files are there (or in `cifar-10-batches-bin`),
/// otherwise class folders there (or in `cifar10`).
///
/// `size` is the width and height to which all images are scaled. Without it, the images in class folders must have the
/// same size; those of the binary version are 32×32.
///
/// # Errors
/// [`DataError`] with the file's name if one is missing or damaged, or if training and test classes differ.
pub fn colour_images(
    directory: &Path,
    size: Option<(usize, usize)>,
    damaged: Damaged,
) -> Result<ImageSplit, DataError> {
    if let Some(files) = CifarFiles::find(directory)? {
        let split = files.read()?;
        return Ok(match size {
            Some(size) if size != (split.train.width, split.train.height) => ImageSplit {
                train: split.train.resized(size.0, size.1),
                test: split.test.resized(size.0, size.1),
                skipped: split.skipped,
            },
            _ => split,
        });
    }
    class_folders(&find_class_folders(directory)?, size, damaged)
}

/// The first of `directory` and `directory/cifar10` that contains a part's folder.
fn find_class_folders(directory: &Path) -> Result<PathBuf, DataError> {
    let folders = [directory.to_owned(), directory.join("cifar10")];
    let has_part = |folder: &PathBuf| folder.join("train").is_dir() || folder.join("test").is_dir();
    folders.into_iter().find(has_part).ok_or_else(|| {
        let directory = directory.to_owned();
        ImagesError::NoImages { directory }.into()
    })
}
