//! Class folders: `train/CLASS/IMAGE` and `test/CLASS/IMAGE`, with JPEG and PNG files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::decode::{Planes, decode};
use super::{ImageSplit, Images, ImagesError};
use crate::data::DataError;
use crate::data::file::{Damaged, visible_entries};

const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];
const CHANNELS: usize = 3;
/// Labels are single bytes.
const MOST_CLASSES: usize = 256;

/// Reads `directory/train/CLASS/IMAGE` and `directory/test/CLASS/IMAGE`.
///
/// Classes are numbered in the order of their names, which must be the same in both parts; the images of a class are
/// sorted by name. Files are `.jpg`, `.jpeg` or `.png`; hidden files (`.name`) are ignored. Every image is converted to
/// 8-bit red, green and blue, without transparency. With `size` (width, height), all are scaled to it (bilinear);
/// without, they must have the first image's size. Files are decoded on all threads; the result does not depend on
/// their number.
///
/// # Errors
/// [`DataError`] with the file or class for a missing part, differing classes, a class without images and, unless
/// `damaged` says to skip them, files that are not images, cannot be decoded or differ in size.
pub fn class_folders(
    directory: &Path,
    size: Option<(usize, usize)>,
    damaged: Damaged,
) -> Result<ImageSplit, DataError> {
    let train = list_classes(directory, "train")?;
    let test = list_classes(directory, "test")?;
    if !train.keys().eq(test.keys()) {
        let only = |a: &Classes, b: &Classes| {
            let names = a.keys().filter(|name| !b.contains_key(*name));
            names.map(|name| name.to_string_lossy().into()).collect()
        };
        return Err(ImagesError::ClassesDiffer {
            directory: directory.to_owned(),
            only_train: only(&train, &test),
            only_test: only(&test, &train),
        }
        .into());
    }
    let mut reader = Reader {
        size,
        expected: size,
        damaged,
        skipped: Vec::new(),
    };
    let train = reader.read(&directory.join("train"), &train)?;
    let test = reader.read(&directory.join("test"), &test)?;
    Ok(ImageSplit {
        train,
        test,
        skipped: reader.skipped,
    })
}

/// The names of the classes, which need not be UTF-8, with their files, sorted by name.
pub(super) type Classes = BTreeMap<OsString, Vec<PathBuf>>;

/// The classes in `directory/part`, one per folder.
///
/// # Errors
/// [`ImagesError::NoPart`], [`ImagesError::ClassCount`]; [`DataError::Read`] with the folder's name.
pub(super) fn list_classes(directory: &Path, part: &'static str) -> Result<Classes, DataError> {
    let path = directory.join(part);
    if !path.is_dir() {
        return Err(ImagesError::NoPart {
            directory: directory.to_owned(),
            part,
        }
        .into());
    }
    let mut classes = Classes::new();
    for folder in visible_entries(&path)? {
        if let Some(name) = folder.file_name().filter(|_| folder.is_dir()) {
            classes.insert(name.to_owned(), visible_entries(&folder)?);
        }
    }
    match classes.len() {
        1..=MOST_CLASSES => Ok(classes),
        found => Err(ImagesError::ClassCount { path, found }.into()),
    }
}

/// Reads both parts, whose images must have one size.
struct Reader {
    /// The size to which images are scaled.
    size: Option<(usize, usize)>,
    /// The required size: `size` or that of the first image.
    expected: Option<(usize, usize)>,
    damaged: Damaged,
    skipped: Vec<DataError>,
}

impl Reader {
    fn read(&mut self, part: &Path, classes: &Classes) -> Result<Images, DataError> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for (label, (name, files)) in classes.iter().enumerate() {
            let before = labels.len();
            let size = self.size;
            let decoded: Vec<Result<Planes, DataError>> = files
                .par_iter()
                .map(|path| decode_named(path, size))
                .collect();
            for planes in decoded {
                if let Some(planes) = self.accept(planes)? {
                    pixels.extend(planes.pixels);
                    labels.push(label as u8);
                }
            }
            if labels.len() == before {
                let path = part.join(name);
                return Err(ImagesError::EmptyClass { path }.into());
            }
        }
        let (width, height) = self.expected.unwrap_or_default();
        Ok(Images {
            width,
            height,
            channels: CHANNELS,
            pixels,
            labels,
            class_names: classes
                .keys()
                .map(|name| name.to_string_lossy().into())
                .collect(),
        })
    }

    /// The image if it can be used; `None` if it is skipped.
    fn accept(&mut self, decoded: Result<Planes, DataError>) -> Result<Option<Planes>, DataError> {
        let checked = decoded.and_then(|planes| {
            let found = (planes.width, planes.height);
            let expected = *self.expected.get_or_insert(found);
            if found == expected {
                return Ok(planes);
            }
            let path = planes.path;
            Err(ImagesError::Size {
                path,
                found,
                expected,
            }
            .into())
        });
        match (checked, self.damaged) {
            (Ok(planes), _) => Ok(Some(planes)),
            (Err(error), Damaged::Refuse) => Err(error),
            (Err(error), Damaged::Skip) => {
                self.skipped.push(error);
                Ok(None)
            }
        }
    }
}

fn decode_named(path: &Path, size: Option<(usize, usize)>) -> Result<Planes, DataError> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    let is_image = extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()));
    match is_image {
        true => decode(path, size),
        false => Err(ImagesError::NotAnImage {
            path: path.to_owned(),
        }
        .into()),
    }
}
