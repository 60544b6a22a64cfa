//! How many colour images there are, without reading them.

use std::fs;
use std::path::{Path, PathBuf};

use super::{CIFAR10_CLASSES, CifarFiles, DataError, ImagesError};
use crate::config::TrainConfig;

/// Bytes of a record of CIFAR-10's binary version: a label and 3×32×32 pixels.
const RECORD: u64 = 1 + 3 * 32 * 32;
const TRAIN_FILES: usize = 5;

/// What [`ColourSplit::open`](super::ColourSplit::open) gives, in numbers: from the lengths of CIFAR-10's binary files, or
/// from the names of class folders' files and the size of the first image. Damaged files are counted with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColourCounts {
    /// Training images.
    pub train: usize,
    /// Validation images.
    pub validation: usize,
    /// Width and height of an image.
    pub size: (usize, usize),
    /// Classes.
    pub classes: usize,
}

impl ColourCounts {
    /// Counts the images of a run.
    ///
    /// # Errors
    /// [`DataError`] with the name of a file that is missing, cut or no image, and [`DataError::NoDirectory`].
    pub fn of(config: &TrainConfig) -> Result<Self, DataError> {
        let data = config.data;
        let directory = config.data_dir.as_deref();
        let directory = directory.ok_or(DataError::NoDirectory { data })?;
        let (all, size, classes) = match CifarFiles::find(directory)? {
            Some(files) => (binary(&files)?, (32, 32), CIFAR10_CLASSES.len()),
            None => folders(directory)?,
        };
        let held_out = all / super::colour_split::HELD_OUT_TENTH;
        let limited = |count: usize, limit: Option<usize>| count.min(limit.unwrap_or(count));
        Ok(Self {
            train: limited(all - held_out, config.examples),
            validation: limited(held_out, config.eval_examples),
            size,
            classes,
        })
    }
}

/// Training images in the binary files.
fn binary(files: &CifarFiles) -> Result<usize, DataError> {
    let mut count = 0;
    for path in files.paths().take(TRAIN_FILES) {
        let Ok(metadata) = fs::metadata(&path) else {
            return Err(ImagesError::MissingBatch { path }.into());
        };
        let found = metadata.len();
        if found % RECORD != 0 {
            let found = found as usize;
            return Err(ImagesError::CutRecord { path, found }.into());
        }
        count += (found / RECORD) as usize;
    }
    Ok(count)
}

/// Training images in class folders, their size and the number of classes.
fn folders(directory: &Path) -> Result<(usize, (usize, usize), usize), DataError> {
    let places = [directory.to_owned(), directory.join("cifar10")];
    let train = places.iter().map(|place| place.join("train"));
    let Some(train) = train.into_iter().find(|folder| folder.is_dir()) else {
        let directory = directory.to_owned();
        return Err(ImagesError::NoImages { directory }.into());
    };
    let classes: Vec<PathBuf> = entries(&train)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect();
    let (mut count, mut size) = (0, None);
    for class in &classes {
        let files = entries(class)?;
        count += files.len();
        if size.is_none() {
            size = files
                .iter()
                .find_map(|file| image::image_dimensions(file).ok());
        }
    }
    match size {
        Some((width, height)) => Ok((count, (width as usize, height as usize), classes.len())),
        None => Err(ImagesError::EmptyClass { path: train }.into()),
    }
}

/// What lies in a folder and isn't hidden, in the order of the names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let read_error = |source| DataError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(read_error)? {
        let entry = entry.map_err(read_error)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
