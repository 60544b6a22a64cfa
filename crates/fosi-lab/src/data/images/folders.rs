//! Class folders: `train/CLASS/IMAGE` and `test/CLASS/IMAGE`, with JPEG and PNG files.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::decode::{Planes, decode};
use super::{Damaged, DataError, ImageSplit, Images, ImagesError};

const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];
const CHANNELS: usize = 3;
/// Labels are bytes.
const MOST_CLASSES: usize = 256;

/// Reads `directory/train/CLASS/IMAGE` and `directory/test/CLASS/IMAGE`.
///
/// Classes are numbered in the order of their names, which must be the same in both parts; a class's images come in
/// the order of theirs. Files are `.jpg`, `.jpeg` or `.png`; hidden ones (`.name`) are passed over. Every image becomes
/// red, green and blue of 8 bits, transparency is dropped. With `size` (width, height) all are scaled to it
/// (bilinear); without, they must have the first one's size. Files are decoded on all threads; the result doesn't
/// depend on their number.
///
/// # Errors
/// [`DataError`] that names the file or class: a missing part, classes that differ, a class without images, and,
/// unless `damaged` says to skip them, files that are no images, don't decode or differ in size.
pub fn class_folders(
    directory: &Path,
    size: Option<(usize, usize)>,
    damaged: Damaged,
) -> Result<ImageSplit, DataError> {
    let train = classes(directory, "train")?;
    let test = classes(directory, "test")?;
    if train != test {
        let only = |a: &BTreeSet<OsString>, b: &BTreeSet<OsString>| {
            let names = a.difference(b);
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
        classes: train.into_iter().collect(),
        size,
        expected: size,
        damaged,
        skipped: Vec::new(),
    };
    let train = reader.read(&directory.join("train"))?;
    let test = reader.read(&directory.join("test"))?;
    Ok(ImageSplit {
        train,
        test,
        skipped: reader.skipped,
    })
}

/// Names of the folders in `directory/part`.
fn classes(directory: &Path, part: &'static str) -> Result<BTreeSet<OsString>, DataError> {
    let path = directory.join(part);
    if !path.is_dir() {
        return Err(ImagesError::NoPart {
            directory: directory.to_owned(),
            part,
        }
        .into());
    }
    let folders = entries(&path)?.into_iter().filter(|path| path.is_dir());
    let names: BTreeSet<OsString> = folders.map(|path| file_name(&path)).collect();
    match names.len() {
        1..=MOST_CLASSES => Ok(names),
        found => Err(ImagesError::ClassCount { path, found }.into()),
    }
}

/// Reads both parts, which must have one size.
struct Reader {
    /// Names of the classes' folders, which need not be UTF-8.
    classes: Vec<OsString>,
    /// What to scale to.
    size: Option<(usize, usize)>,
    /// What images must have: `size`, else what the first image had.
    expected: Option<(usize, usize)>,
    damaged: Damaged,
    skipped: Vec<DataError>,
}

impl Reader {
    fn read(&mut self, part: &Path) -> Result<Images, DataError> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for label in 0..self.classes.len() {
            let folder = part.join(&self.classes[label]);
            let before = labels.len();
            let size = self.size;
            let decoded: Vec<Result<Planes, DataError>> = entries(&folder)?
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
                return Err(ImagesError::EmptyClass { path: folder }.into());
            }
        }
        let (width, height) = self.expected.unwrap_or_default();
        Ok(Images {
            width,
            height,
            channels: CHANNELS,
            pixels,
            labels,
            class_names: self
                .classes
                .iter()
                .map(|name| name.to_string_lossy().into())
                .collect(),
        })
    }

    /// The image if it can be used; none where it is to be skipped.
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

/// What lies in a folder and isn't hidden, in the order of the names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let read_error = |source| DataError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(read_error)? {
        let path = entry.map_err(read_error)?.path();
        if !file_name(&path).as_encoded_bytes().starts_with(b".") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> OsString {
    path.file_name().unwrap_or_default().to_owned()
}
