//! Conversion of arrays and a header to bytes with a checksum, and back.

use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::contents::Contents;
use crate::error::Error;
use crate::space::{Array, ElementType};

/// The metadata entry, which holds the checksum in [`CHECKSUM`] hexadecimal digits, then the header.
pub(super) const METADATA: &str = "fosi";
const CHECKSUM: usize = 8;

/// The kind of a file whose header has no `kind`.
pub(super) const OPTIMIZER: &str = "an optimizer's state";

/// Removes and returns an array; an error if it is missing.
pub(crate) fn take(arrays: &mut HashMap<String, Array>, name: &str) -> Result<Array, Error> {
    let missing = || Error::Checkpoint(format!("it lacks the array {name:?}"));
    arrays.remove(name).ok_or_else(missing)
}

/// The file format's name of an element type.
pub(super) fn dtype(element: ElementType) -> Dtype {
    match element {
        ElementType::F32 => Dtype::F32,
        ElementType::F64 => Dtype::F64,
        ElementType::BF16 => Dtype::BF16,
        ElementType::U8 => Dtype::U8,
    }
}

/// The element type of a file's array; `None` for a type that no space stores.
pub(super) fn element(dtype: Dtype) -> Option<ElementType> {
    const ALL: [ElementType; 4] = [
        ElementType::F32,
        ElementType::F64,
        ElementType::BF16,
        ElementType::U8,
    ];
    ALL.into_iter()
        .find(|element| self::dtype(*element) == dtype)
}

/// CRC-32 over the header and the arrays, with their names, types and shapes.
fn checksum<'a>(
    header: &str,
    arrays: impl Iterator<Item = (&'a str, Dtype, &'a [usize], &'a [u8])>,
) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header.as_bytes());
    for (name, dtype, shape, bytes) in arrays {
        hasher.update(format!("{name} {dtype:?} {shape:?}").as_bytes());
        hasher.update(bytes);
    }
    hasher.finalize()
}

/// The bytes of a header and arrays; equal inputs give equal bytes.
///
/// # Errors
/// [`Error::Checkpoint`] where the header cannot be written as JSON.
pub(crate) fn serialize(
    header: &impl Serialize,
    arrays: &[(String, Array)],
) -> Result<Vec<u8>, Error> {
    let damaged = |error: &dyn std::fmt::Display| Error::Checkpoint(error.to_string());
    let header = serde_json::to_string(header).map_err(|e| damaged(&e))?;
    let mut sorted: Vec<_> = arrays.iter().map(|(name, a)| (name.as_str(), a)).collect();
    sorted.sort_by_key(|(name, _)| *name);
    let sum = checksum(
        &header,
        sorted
            .iter()
            .map(|(name, a)| (*name, dtype(a.element), &a.shape[..], &a.bytes[..])),
    );
    // A single entry: the order of several would vary between runs, and equal states must give equal bytes.
    let metadata = HashMap::from([(METADATA.into(), format!("{sum:08x}{header}"))]);
    let views: Result<Vec<_>, _> = sorted
        .iter()
        .map(|(name, a)| {
            Ok((
                *name,
                TensorView::new(dtype(a.element), a.shape.to_vec(), &a.bytes)?,
            ))
        })
        .collect();
    let views = views.map_err(|e: safetensors::SafeTensorError| damaged(&e))?;
    safetensors::serialize(views, Some(metadata)).map_err(|e| damaged(&e))
}

/// The contents of bytes with this format `version`. The header's `kind`, by default an optimizer's state,
/// must equal `kind`.
///
/// # Errors
/// [`Error::Checkpoint`] where the bytes are damaged, or of another version or kind.
pub(crate) fn deserialize<H: DeserializeOwned>(
    bytes: &[u8],
    version: u32,
    kind: &str,
) -> Result<Contents<H>, Error> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(&e))?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(&e))?;
    let (sum, header) = entry(metadata.metadata().as_ref())?;
    let mut views = file.tensors();
    views.sort_by(|a, b| a.0.cmp(&b.0));
    let checksum = checksum(
        header,
        views
            .iter()
            .map(|(name, v)| (name.as_str(), v.dtype(), v.shape(), v.data())),
    );
    check_sum(checksum, sum)?;
    let header: H = parse(header, version, kind)?;
    let mut arrays = HashMap::new();
    for (name, view) in views {
        let &[rows, dim] = view.shape() else {
            return Err(damaged(&format!("array {name:?} is not a list of vectors")));
        };
        let unknown = || damaged(&format!("array {name:?} holds {:?}", view.dtype()));
        let array = Array {
            element: element(view.dtype()).ok_or_else(unknown)?,
            shape: [rows, dim],
            part: 0..dim,
            bytes: view.data().to_vec(),
        };
        arrays.insert(name, array);
    }
    Ok((header, arrays, checksum))
}

/// An error unless a file's checksum is the one that it says.
pub(super) fn check_sum(checksum: u32, said: &str) -> Result<(), Error> {
    let found = format!("{checksum:08x}");
    match found == said {
        true => Ok(()),
        false => Err(damaged(&format!("its checksum is {found}, not {said}"))),
    }
}

/// The checksum and the header in a file's metadata.
pub(super) fn entry(metadata: Option<&HashMap<String, String>>) -> Result<(&str, &str), Error> {
    let entry = metadata.and_then(|metadata| metadata.get(METADATA));
    let foreign = || Error::Checkpoint("it was not written by this library".into());
    let split = entry.and_then(|entry| entry.split_at_checked(CHECKSUM));
    split.ok_or_else(foreign)
}

/// The error for a damaged file.
pub(super) fn damaged(error: &dyn std::fmt::Display) -> Error {
    Error::Checkpoint(format!("it is damaged: {error}"))
}

/// The header of a file of this `version` and `kind`.
pub(super) fn parse<H: DeserializeOwned>(
    header: &str,
    version: u32,
    kind: &str,
) -> Result<H, Error> {
    let value: serde_json::Value = serde_json::from_str(header).map_err(|e| damaged(&e))?;
    let found = value.get("kind").and_then(serde_json::Value::as_str);
    let found = found.unwrap_or(OPTIMIZER);
    if found != kind {
        return Err(Error::Checkpoint(format!("it holds {found}, not {kind}")));
    }
    let found = value.get("version").and_then(serde_json::Value::as_u64);
    if found != Some(u64::from(version)) {
        let found = found.map_or("none".into(), |v| v.to_string());
        let message =
            format!("its format is version {found}, and this library reads version {version}");
        return Err(Error::Checkpoint(message));
    }
    serde_json::from_value(value).map_err(|e| damaged(&e))
}
