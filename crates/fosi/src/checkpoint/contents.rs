//! The contents of a checkpoint, a header and arrays, as bytes and in a file, on one rank or several.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::container::{deserialize, serialize};
use super::files::{read, write_atomically};
use super::pieces::{self, Part, Parts};
use crate::error::Error;
use crate::ranks::Ranks;
use crate::space::{Array, Space};

/// What a file holds: header, arrays by name, and the checksum over both, which has been verified.
pub(crate) type Contents<H> = (H, HashMap<String, Array>, u32);

/// The bytes of a checkpoint. With vectors in shards, all ranks call it together.
///
/// # Errors
/// [`Error::Checkpoint`] where the header cannot be written.
pub(crate) fn to_bytes<S: Space>(
    space: &S,
    header: &impl Serialize,
    parts: Parts<'_, S>,
) -> Result<Vec<u8>, Error> {
    let whole = |(name, part): (String, Part<'_, S>)| (name, part.whole(space));
    let arrays: Vec<(String, Array)> = parts.into_iter().map(whole).collect();
    serialize(header, &arrays)
}

/// Atomically writes a checkpoint. All ranks call it together, and rank 0 writes; shards are gathered one vector at a time.
///
/// # Errors
/// That of `contents`, [`Error::Checkpoint`] and [`Error::Io`], on all ranks; an existing file is then unchanged.
pub(crate) fn save<S: Space, H: Serialize>(
    space: &S,
    path: &Path,
    contents: Result<(H, Parts<'_, S>), Error>,
) -> Result<(), Error> {
    let ranks = space.ranks();
    let (header, parts) = ranks.fail_together(contents)?;
    if ranks.is_sharded() {
        return pieces::write(space, path, &header, parts);
    }
    let written = match ranks.rank() {
        0 => to_bytes(space, &header, parts).and_then(|bytes| write_atomically(path, &bytes)),
        _ => Ok(()),
    };
    ranks.fail_together(written)
}

/// Reads a checkpoint on this rank: all of it, or with shards the part of each array's vectors that `part` returns, given the
/// array's name and the vectors' length.
///
/// # Errors
/// [`Error::Io`], and [`Error::Checkpoint`] where the file is damaged or has another version or kind.
pub(crate) fn load<H: DeserializeOwned>(
    ranks: &Ranks,
    path: &Path,
    version: u32,
    kind: &str,
    part: impl Fn(&str, usize) -> Range<usize>,
) -> Result<Contents<H>, Error> {
    match ranks.is_sharded() {
        true => pieces::read(path, version, kind, part),
        false => deserialize(&read(path)?, version, kind),
    }
}
