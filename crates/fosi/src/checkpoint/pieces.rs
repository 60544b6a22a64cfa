//! Checkpoints of sharded vectors, written vector by vector as they are gathered, and read in shards, so that no process
//! holds a whole checkpoint in memory. The bytes are those of [`serialize`](super::serialize).

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use safetensors::tensor::{Metadata, TensorInfo};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::container::{METADATA, check_sum, damaged, dtype, element, entry, parse};
use super::contents::Contents;
use super::files::{Replacement, io_error};
use crate::error::Error;
use crate::space::{Array, ElementType, Space};

/// An array of a checkpoint, or the vectors that it is made from.
pub(crate) enum Part<'a, S: Space> {
    Numbers(Array),
    Vector(&'a S::Vector),
    Basis(&'a S::Basis),
}

/// Named arrays.
pub(crate) type Parts<'a, S> = Vec<(String, Part<'a, S>)>;

impl<S: Space> Part<'_, S> {
    pub(super) fn numbers(values: &Vec<f64>) -> Self {
        Self::Numbers(Array::from_rows(&[values]))
    }

    pub(super) fn whole(self, space: &S) -> Array {
        match self {
            Self::Numbers(array) => array,
            Self::Vector(x) => space.export(x),
            Self::Basis(basis) => space.export_basis(basis),
        }
    }

    /// The number of its pieces.
    fn pieces(&self, space: &S) -> usize {
        match self {
            Self::Numbers(_) | Self::Vector(_) => 1,
            Self::Basis(basis) => space.size(basis).max(1),
        }
    }

    /// A piece, usually a vector. All ranks must call it.
    fn piece(&self, space: &S, index: usize) -> Array {
        match self {
            Self::Numbers(array) => array.clone(),
            Self::Vector(x) => space.export(x),
            Self::Basis(basis) if space.size(basis) == 0 => space.export_basis(basis),
            Self::Basis(basis) => space.export_column(basis, index),
        }
    }
}

/// A file's description of an array.
#[derive(Clone)]
struct Described {
    name: String,
    element: ElementType,
    shape: [usize; 2],
}

impl Described {
    /// Adds the description to the checksum, before the array's bytes.
    fn update(&self, hasher: &mut crc32fast::Hasher) {
        let (name, shape) = (&self.name, self.shape);
        hasher.update(format!("{name} {:?} {shape:?}", dtype(self.element)).as_bytes());
    }
}

/// Writes a checkpoint. All ranks call it; they gather the pieces together, and rank 0 writes them.
///
/// # Errors
/// [`Error::Io`] or [`Error::Checkpoint`] on all ranks; an existing file is then unchanged.
pub(super) fn write<S: Space>(
    space: &S,
    path: &Path,
    header: &impl Serialize,
    mut parts: Parts<'_, S>,
) -> Result<(), Error> {
    let ranks = space.ranks();
    let header = serde_json::to_string(header).map_err(|e| Error::Checkpoint(e.to_string()));
    let header = ranks.fail_together(header)?;
    // The checksum precedes the data that it covers, so every piece is gathered twice.
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header.as_bytes());
    let mut arrays = Vec::new();
    for (name, part) in &parts {
        let pieces = part.pieces(space);
        for index in 0..pieces {
            let piece = part.piece(space, index);
            if index == 0 {
                let described = Described {
                    name: name.clone(),
                    element: piece.element,
                    shape: [pieces.min(pieces * piece.len()), piece.shape[1]],
                };
                described.update(&mut hasher);
                arrays.push(described);
            }
            hasher.update(&piece.bytes);
        }
    }
    let sum = format!("{:08x}", hasher.finalize());
    let mut order: Vec<usize> = (0..arrays.len()).collect();
    order.sort_by(|&a, &b| dtype(arrays[b].element).cmp(&dtype(arrays[a].element)));
    let ordered = order.iter().map(|&i| &arrays[i]);
    let start = ranks.fail_together(head(sum + &header, ordered))?;

    let begun = match ranks.rank() {
        0 => Replacement::start(path).map(Some),
        _ => Ok(None),
    };
    let failed = |source| io_error(path, source);
    let mut file = ranks.fail_together(begun.map_err(failed))?;
    let mut written = file.as_mut().map_or(Ok(()), |file| file.write(&start));
    for index in order {
        let part = &parts[index].1;
        for index in 0..part.pieces(space) {
            let piece = part.piece(space, index);
            // The other ranks gather all pieces even if writing fails here.
            if let (Some(file), Ok(())) = (&mut file, &written) {
                written = file.write(&piece.bytes);
            }
        }
    }
    let finished = match file {
        Some(file) => written.and_then(|()| file.finish()),
        None => Ok(()),
    };
    ranks.fail_together(finished.map_err(failed))
}

/// The head of a file with these arrays, in this order.
fn head<'a>(entry: String, arrays: impl Iterator<Item = &'a Described>) -> Result<Vec<u8>, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Checkpoint(error.to_string());
    let mut end = 0;
    let info = |array: &Described| {
        let bits = dtype(array.element).bitsize();
        let start = end;
        end += array.shape[0] * array.shape[1] * bits / 8;
        let info = TensorInfo {
            dtype: dtype(array.element),
            shape: array.shape.to_vec(),
            data_offsets: (start, end),
        };
        (array.name.clone(), info)
    };
    let infos = arrays.map(info).collect();
    let entries = HashMap::from([(METADATA.to_owned(), entry)]);
    let metadata = Metadata::new(Some(entries), infos).map_err(|e| failed(&e))?;
    let mut text = serde_json::to_string(&metadata)
        .map_err(|e| failed(&e))?
        .into_bytes();
    text.resize(text.len().next_multiple_of(LENGTH), b' ');
    let mut head = (text.len() as u64).to_le_bytes().to_vec();
    head.append(&mut text);
    Ok(head)
}

/// The size of the number at the start of a file, which gives the length of the description; the length is a multiple of
/// it.
const LENGTH: usize = 8;
/// The maximum length of the description.
const LONGEST: u64 = 100_000_000;

/// The header of a file, a part of each array's vectors, and the file's checksum, which is verified; `part` returns the
/// part's range, given the array's name and the vectors' length.
///
/// # Errors
/// [`Error::Io`], and [`Error::Checkpoint`] where the file is damaged or has another version or kind.
pub(super) fn read<H: DeserializeOwned>(
    path: &Path,
    version: u32,
    kind: &str,
    part: impl Fn(&str, usize) -> Range<usize>,
) -> Result<Contents<H>, Error> {
    let failed = |source| io_error(path, source);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut count = [0; LENGTH];
    file.read_exact(&mut count).map_err(failed)?;
    let count = u64::from_le_bytes(count);
    let data = count.saturating_add(LENGTH as u64);
    if count > LONGEST || data > length {
        return Err(damaged(&"it ends before its arrays begin"));
    }
    let mut text = vec![0; count as usize];
    file.read_exact(&mut text).map_err(failed)?;
    let metadata: Metadata = serde_json::from_slice(&text).map_err(|e| damaged(&e))?;
    let (sum, header) = entry(metadata.metadata().as_ref())?;
    let mut arrays: Vec<(String, &TensorInfo)> = metadata.tensors().into_iter().collect();
    arrays.sort_by(|a, b| a.0.cmp(&b.0));
    let ends = arrays.iter().map(|(_, info)| info.data_offsets.1 as u64);
    if data.saturating_add(ends.max().unwrap_or(0)) != length {
        return Err(damaged(&"its length isn't that of its arrays"));
    }
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header.as_bytes());
    let mut found = HashMap::new();
    for (name, info) in arrays {
        let &[rows, dim] = &info.shape[..] else {
            return Err(damaged(&format!("array {name:?} is not a list of vectors")));
        };
        let unknown = || damaged(&format!("array {name:?} holds {:?}", info.dtype));
        let described = Described {
            element: element(info.dtype).ok_or_else(unknown)?,
            shape: [rows, dim],
            name,
        };
        let (start, end) = info.data_offsets;
        let size = dtype(described.element).bitsize() / 8;
        let bytes = rows.checked_mul(dim).and_then(|n| n.checked_mul(size));
        let bytes = bytes.filter(|bytes| start.checked_add(*bytes) == Some(end));
        let Some(bytes) = bytes else {
            let name = &described.name;
            return Err(damaged(&format!(
                "array {name:?} has another size than it says"
            )));
        };
        let start = data + start as u64;
        described.update(&mut hasher);
        hash(&mut file, start, bytes, &mut hasher).map_err(failed)?;
        let part = part(&described.name, dim);
        let array = read_part(&mut file, start, &described, part).map_err(failed)?;
        found.insert(described.name, array);
    }
    let checksum = hasher.finalize();
    check_sum(checksum, sum)?;
    Ok((parse(header, version, kind)?, found, checksum))
}

/// Adds a stretch of a file to a checksum.
fn hash(
    file: &mut File,
    start: u64,
    mut bytes: usize,
    hasher: &mut crc32fast::Hasher,
) -> std::io::Result<()> {
    let mut buffer = vec![0; bytes.min(1 << 20)];
    file.seek(SeekFrom::Start(start))?;
    while bytes > 0 {
        let count = bytes.min(buffer.len());
        file.read_exact(&mut buffer[..count])?;
        hasher.update(&buffer[..count]);
        bytes -= count;
    }
    Ok(())
}

/// The given part of each vector of an array.
fn read_part(
    file: &mut File,
    start: u64,
    array: &Described,
    part: Range<usize>,
) -> std::io::Result<Array> {
    let [rows, dim] = array.shape;
    let size = dtype(array.element).bitsize() / 8;
    let mut bytes = Vec::new();
    if !part.is_empty() {
        let row = part.len() * size;
        bytes.resize(rows * row, 0);
        for (i, bytes) in bytes.chunks_exact_mut(row).enumerate() {
            let at = (i * dim + part.start) * size;
            file.seek(SeekFrom::Start(start + at as u64))?;
            file.read_exact(bytes)?;
        }
    }
    Ok(Array {
        element: array.element,
        shape: array.shape,
        part,
        bytes,
    })
}
