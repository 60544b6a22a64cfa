//! IDX, MNIST's format: two zero bytes, the element type (8: unsigned byte), the number of axes, the length of each
//! axis as a big-endian u32, then the elements. Gzip compression is detected by content, not by name.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::DataError;
use super::file::open_file;

/// The images in an IDX file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxImages {
    /// Pixel rows of an image.
    pub rows: usize,
    /// Pixel columns of an image.
    pub columns: usize,
    /// The number of images.
    pub count: usize,
    /// count×rows×columns bytes, image by image, row by row.
    pub pixels: Vec<u8>,
}

/// Reads an IDX file of images (three axes: image, row, column).
///
/// Memory use is bounded by the file's size, whatever its header states.
///
/// # Errors
/// [`DataError`] with the file's name if it is unreadable, damaged, empty or contains labels.
pub fn read_images(path: &Path) -> Result<IdxImages, DataError> {
    let (axes, pixels) = read_idx::<3>(path)?;
    let [count, rows, columns] = axes;
    let what = if count == 0 { "images" } else { "pixels" };
    if pixels.is_empty() {
        let path = path.to_owned();
        return Err(DataError::Empty { path, what });
    }
    Ok(IdxImages {
        rows,
        columns,
        count,
        pixels,
    })
}

/// Reads an IDX file of labels (one axis), which must be below `classes`.
///
/// # Errors
/// [`DataError`] with the file's name if it is unreadable, damaged, empty, or contains images or a label out of range.
pub fn read_labels(path: &Path, classes: usize) -> Result<Vec<u8>, DataError> {
    let (_, labels) = read_idx::<1>(path)?;
    if labels.is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
            what: "labels",
        });
    }
    let wrong = labels
        .iter()
        .position(|&label| usize::from(label) >= classes);
    match wrong {
        None => Ok(labels),
        Some(index) => Err(DataError::LabelOutOfRange {
            path: path.to_owned(),
            index,
            label: labels[index],
            classes,
        }),
    }
}

/// The lengths of the `AXES` axes, and the elements.
fn read_idx<const AXES: usize>(path: &Path) -> Result<([usize; AXES], Vec<u8>), DataError> {
    let mut source = Source::open(path)?;
    let magic = source.read_up_to(4)?;
    check_magic::<AXES>(path, &magic)?;

    let header = source.read_up_to(4 * AXES as u64)?;
    let header_length = 4 + 4 * AXES as u64;
    if header.len() < 4 * AXES {
        return Err(source.truncated(u128::from(header_length), 4 + header.len() as u64));
    }
    let mut axes = [0usize; AXES];
    for (axis, bytes) in axes.iter_mut().zip(header.chunks_exact(4)) {
        *axis = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    }

    // Three u32 axes fit into u128. `read_up_to` allocates only for existing data, so a false length costs no memory.
    let length: u128 = axes.iter().map(|&axis| axis as u128).product();
    let expected = u128::from(header_length) + length;
    let elements = source.read_up_to(u64::try_from(length).unwrap_or(u64::MAX))?;
    if (elements.len() as u128) < length {
        return Err(source.truncated(expected, header_length + elements.len() as u64));
    }
    if !source.read_up_to(1)?.is_empty() {
        let path = path.to_owned();
        return Err(DataError::TrailingBytes { path, expected });
    }
    Ok((axes, elements))
}

fn check_magic<const AXES: usize>(path: &Path, magic: &[u8]) -> Result<(), DataError> {
    let kind = |axes: usize| if axes == 3 { "images" } else { "labels" };
    match magic {
        [0, 0, 8, axes] if usize::from(*axes) == AXES => Ok(()),
        [0, 0, 8, axes @ (1 | 3)] => Err(DataError::WrongKind {
            path: path.to_owned(),
            found: kind(usize::from(*axes)),
            expected: kind(AXES),
        }),
        [] => Err(DataError::Empty {
            path: path.to_owned(),
            what: kind(AXES),
        }),
        _ => Err(DataError::NotIdx {
            path: path.to_owned(),
            found: magic.to_vec(),
        }),
    }
}

/// The content of a file, decompressed if it starts like gzip.
struct Source<'a> {
    path: &'a Path,
    compressed: bool,
    reader: Box<dyn Read>,
}

impl<'a> Source<'a> {
    fn open(path: &'a Path) -> Result<Self, DataError> {
        let read_error = |source| DataError::Read {
            path: path.to_owned(),
            source,
        };
        let mut file = BufReader::new(open_file(path)?);
        let start = file.fill_buf().map_err(read_error)?;
        let compressed = start.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read> = if compressed {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        Ok(Self {
            path,
            compressed,
            reader,
        })
    }

    /// The next `limit` bytes, or all remaining bytes.
    fn read_up_to(&mut self, limit: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        match (&mut self.reader).take(limit).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(source) if self.compressed && is_damage(&source) => Err(DataError::Gzip {
                path: self.path.to_owned(),
                source,
            }),
            Err(source) => Err(DataError::Read {
                path: self.path.to_owned(),
                source,
            }),
        }
    }

    fn truncated(&self, expected: u128, found: u64) -> DataError {
        DataError::Truncated {
            path: self.path.to_owned(),
            expected,
            found,
        }
    }
}

fn is_damage(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData
    )
}
