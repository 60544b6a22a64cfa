//! An optimizer's state as bytes: safetensors with a JSON header, which holds the format's version and a checksum.

use std::collections::{BTreeMap, HashMap};

use fosi_burn::FlatLayout;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::RivalError;

/// The version of the format of all states in this crate.
const VERSION: u32 = 1;
/// The metadata entry with the header.
const METADATA: &str = "fosi-rivals";

/// Named arrays of one dimension.
#[derive(Debug, Default)]
pub(crate) struct Arrays(BTreeMap<String, Stored>);

#[derive(Debug)]
struct Stored {
    dtype: Dtype,
    len: usize,
    bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Header<H> {
    version: u32,
    optimizer: String,
    parameters: String,
    checksum: u32,
    state: H,
}

impl Arrays {
    pub fn put(&mut self, name: impl Into<String>, values: &[f32]) {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.store(name.into(), Dtype::F32, values.len(), bytes);
    }

    pub fn put_bytes(&mut self, name: impl Into<String>, bytes: &[u8]) {
        self.store(name.into(), Dtype::U8, bytes.len(), bytes.to_vec());
    }

    fn store(&mut self, name: String, dtype: Dtype, len: usize, bytes: Vec<u8>) {
        self.0.insert(name, Stored { dtype, len, bytes });
    }

    /// Removes and returns an array of `len` entries.
    pub fn take(&mut self, name: &str, len: usize) -> Result<Vec<f32>, RivalError> {
        let bytes = self.take_stored(name, Dtype::F32, len)?;
        let chunks = bytes.as_chunks().0.iter();
        Ok(chunks.map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    pub fn take_bytes(&mut self, name: &str, len: usize) -> Result<Vec<u8>, RivalError> {
        self.take_stored(name, Dtype::U8, len)
    }

    fn take_stored(&mut self, name: &str, dtype: Dtype, len: usize) -> Result<Vec<u8>, RivalError> {
        let missing = || RivalError::State(format!("it lacks the array {name:?}"));
        let found = self.0.remove(name).ok_or_else(missing)?;
        if found.dtype != dtype || found.len != len {
            return Err(RivalError::State(format!(
                "the array {name:?} has {} entries of {:?}, not {len} of {dtype:?}",
                found.len, found.dtype
            )));
        }
        Ok(found.bytes)
    }

    /// CRC-32 over the state in the header and the arrays.
    fn checksum(&self, state: &serde_json::Value) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(state.to_string().as_bytes());
        for (name, array) in &self.0 {
            hasher.update(name.as_bytes());
            hasher.update(&array.bytes);
        }
        hasher.finalize()
    }
}

/// The bytes of the state of the optimizer `name` for parameters of `layout`.
pub(crate) fn serialize(
    name: &str,
    layout: &FlatLayout,
    state: impl Serialize,
    arrays: &Arrays,
) -> Result<Vec<u8>, RivalError> {
    // Entries are sorted by name, both when written and when read.
    let state = serde_json::to_value(state).map_err(unreadable)?;
    let header = Header {
        version: VERSION,
        optimizer: name.to_owned(),
        parameters: signature(layout),
        checksum: arrays.checksum(&state),
        state,
    };
    let header = serde_json::to_string(&header).map_err(unreadable)?;
    let views = arrays.0.iter().map(|(name, array)| {
        let view = TensorView::new(array.dtype, vec![array.len], &array.bytes)?;
        Ok((name, view))
    });
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    let metadata = HashMap::from([(METADATA.to_owned(), header)]);
    safetensors::serialize(views.map_err(unreadable)?, Some(metadata)).map_err(unreadable)
}

/// The state and the arrays from bytes of the optimizer `name` for parameters of `layout`.
pub(crate) fn deserialize<H: DeserializeOwned>(
    name: &str,
    layout: &FlatLayout,
    bytes: &[u8],
) -> Result<(H, Arrays), RivalError> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
    let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    let entry = metadata.metadata().as_ref().and_then(|m| m.get(METADATA));
    let entry = entry.ok_or_else(|| RivalError::State("it has no header".to_owned()))?;
    let header: Header<serde_json::Value> = serde_json::from_str(entry).map_err(unreadable)?;
    let mut arrays = Arrays::default();
    for (name, view) in file.tensors() {
        let (len, bytes) = (view.shape().iter().product(), view.data().to_vec());
        arrays.store(name, view.dtype(), len, bytes);
    }
    let own = signature(layout);
    let differs = [
        ("version", header.version.to_string(), VERSION.to_string()),
        ("optimizer", header.optimizer, name.to_owned()),
        ("parameters", header.parameters, own),
        (
            "checksum",
            header.checksum.to_string(),
            arrays.checksum(&header.state).to_string(),
        ),
    ];
    if let Some((what, theirs, own)) = differs.into_iter().find(|(_, a, b)| a != b) {
        return Err(RivalError::State(format!(
            "its {what} is {theirs}, not {own}"
        )));
    }
    Ok((
        serde_json::from_value(header.state).map_err(unreadable)?,
        arrays,
    ))
}

fn unreadable(error: impl std::fmt::Display) -> RivalError {
    RivalError::State(error.to_string())
}

/// Paths and shapes of all parameters.
fn signature(layout: &FlatLayout) -> String {
    let slot = |slot: &fosi_burn::Slot| format!("{} {:?}", slot.path, slot.shape);
    let slots: Vec<String> = layout.slots().iter().map(slot).collect();
    slots.join(", ")
}
