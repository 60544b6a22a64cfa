//! Records in the format of Burn's optimizers: one that holds FOSI's state, and conversions of others.

use std::collections::HashMap;

use burn::module::ParamId;
use burn::optim::OptimizerRecord;
use burn::store::RecordError;
use burn::tensor::{Bytes, DType, TensorData};
use burn_pack::{Reader, Scalar, Tensor, Writer};

/// Name of the state in the record, after a parameter's id, since Burn's records only hold states of parameters.
pub(crate) const STATE: &str = "fosi";

/// Stores `state` as a tensor of bytes that belongs to the parameter `id`.
pub(crate) fn to_record(state: Vec<u8>, id: ParamId) -> Result<OptimizerRecord, RecordError> {
    let id = id.val();
    let (name, shape) = (format!("{id}.{STATE}"), [state.len()]);
    let tensor = Tensor::new(
        name,
        DType::U8,
        shape,
        Some(id),
        Bytes::from_bytes_vec(state),
    );
    // Burn requires the rank of the parameter; the state does not depend on it.
    let writer = Writer::new(vec![tensor]).with_scalar(&format!("{id}.__rank"), Scalar::UInt(1));
    OptimizerRecord::from_bytes(writer.into_bytes()?)
}

/// The state in a record from [`to_record`]; `None` for other records.
pub(crate) fn from_record(record: OptimizerRecord) -> Result<Option<Vec<u8>>, RecordError> {
    let reader = Reader::from_bytes(record.into_bytes()?)?;
    for tensor in reader.into_tensors()? {
        let (name, dtype, _, _, bytes) = tensor.into_parts()?;
        if dtype == DType::U8 && name.split('.').next_back() == Some(STATE) {
            return Ok(Some(bytes.to_vec()));
        }
    }
    Ok(None)
}

/// Whether the type is a 16-bit float.
pub(crate) fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// Converts tensors in half precision to f32, in an optimizer state in Burn's format.
pub(crate) fn widened(state: Bytes) -> Result<Bytes, RecordError> {
    rewritten(
        state,
        |mut tensor| {
            if is_half(tensor.dtype) {
                let (name, dtype, shape, id, bytes) = tensor.into_parts()?;
                let data = TensorData::from_bytes(bytes, shape, dtype).convert_dtype(DType::F32);
                let (bytes, shape, dtype) = data.into_parts();
                tensor = Tensor::new(name, dtype, shape, id, bytes);
            }
            Ok(tensor)
        },
        str::to_owned,
    )
}

/// Renames the parameters' ids in an optimizer state in Burn's format. Entries of the parameter with id 7 are named
/// `7`, or `7.` and a field.
pub(crate) fn renamed(state: Bytes, now: &HashMap<u64, u64>) -> Result<Bytes, RecordError> {
    let rename = |name: &str| -> String {
        let (id, field) = name.split_at(name.find('.').unwrap_or(name.len()));
        let id = id.parse().ok().and_then(|id: u64| now.get(&id));
        id.map_or_else(|| name.to_owned(), |id| format!("{id}{field}"))
    };
    let tensor = |tensor: Tensor| {
        let (name, dtype, shape, id, bytes) = tensor.into_parts()?;
        let id = id.map(|id| now.get(&id).copied().unwrap_or(id));
        Ok(Tensor::new(rename(&name), dtype, shape, id, bytes))
    };
    rewritten(state, tensor, rename)
}

/// Rewrites the tensors, and the names of scalars and paths, of a record in Burn's format.
fn rewritten(
    state: Bytes,
    tensor: impl Fn(Tensor) -> Result<Tensor, RecordError>,
    key: impl Fn(&str) -> String,
) -> Result<Bytes, RecordError> {
    let reader = Reader::from_bytes(state)?;
    let (scalars, paths) = (reader.scalars().clone(), reader.metadata().clone());
    let tensors = reader.into_tensors()?.into_iter().map(tensor);
    let mut writer = Writer::new(tensors.collect::<Result<Vec<_>, _>>()?);
    for (name, value) in scalars {
        writer = writer.with_scalar(&key(&name), value);
    }
    for (name, path) in paths {
        writer = writer.with_metadata(&key(&name), &path);
    }
    Ok(writer.into_bytes()?)
}
