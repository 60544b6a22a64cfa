//! Flat vectors, on the host or on a device, and the conversion of their blocks to and from a module's tensors.

use std::ops::Range;

use burn::tensor::{
    DType, Device, Element, ElementEq, FloatDType, Tensor, TensorData, Transaction,
};

use crate::error::BridgeError;

/// A vector of all trainable parameters, or of a gradient, in the order of a [`FlatLayout`](crate::FlatLayout).
///
/// It is a slice on the host (`[f32]` or `[f64]`) or a `Tensor<1>` on any device, whose entries are then never copied
/// to the host. Values read into it are converted to its float type. (Its methods are internal to this crate and may
/// change.)
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a flat vector",
    note = "a `Vec` or an array is given as a slice: `&values[..]`"
)]
pub trait FlatVector {
    /// Number of entries.
    #[doc(hidden)]
    fn entries(&self) -> usize;

    /// The entries in `range` as a tensor with the shape, float type, device and autodiff context of `like`.
    #[doc(hidden)]
    fn block<const D: usize>(&self, range: Range<usize>, like: &Tensor<D>) -> Tensor<D>;

    /// The entries in `range` as a block, in this vector's float type.
    #[doc(hidden)]
    fn part(&self, range: Range<usize>) -> Block;

    /// Assigns the values of `blocks`, which are in order and do not overlap; entries between them become 0.
    #[doc(hidden)]
    fn assign(&mut self, blocks: Vec<Block>) -> Result<(), BridgeError>;

    /// Assigns the values of `blocks`, except to entries that equal the block's value when rounded to its float type.
    /// Returns whether any block has a narrower type than the vector.
    #[doc(hidden)]
    fn assign_unless_rounded(&mut self, blocks: Vec<Block>) -> Result<bool, BridgeError>;
}

/// Values for a part of a flat vector.
#[derive(Debug)]
pub struct Block {
    /// Its range in the vector.
    pub range: Range<usize>,
    /// Its entries.
    pub values: Tensor<1>,
}

impl<E: Element> FlatVector for [E] {
    fn entries(&self) -> usize {
        self.len()
    }

    fn block<const D: usize>(&self, range: Range<usize>, like: &Tensor<D>) -> Tensor<D> {
        let data = TensorData::new(self[range].to_vec(), like.shape());
        Tensor::from_data(data, (&like.device(), like.dtype()))
    }

    fn part(&self, range: Range<usize>) -> Block {
        let data = TensorData::new(self[range.clone()].to_vec(), [range.len()]);
        let values = Tensor::from_data(data, (&Device::flex(), E::dtype()));
        Block { range, values }
    }

    fn assign(&mut self, blocks: Vec<Block>) -> Result<(), BridgeError> {
        let zero = E::from_elem(0);
        let mut end = 0;
        read(blocks, |range, data| {
            self[end..range.start].fill(zero);
            end = range.end;
            let data = cast::<E>(data)?;
            self[range].copy_from_slice(entries(&data)?);
            Ok(())
        })?;
        self[end..].fill(zero);
        Ok(())
    }

    fn assign_unless_rounded(&mut self, blocks: Vec<Block>) -> Result<bool, BridgeError> {
        let narrower = |block: &Block| rounds(block.values.dtype(), E::dtype());
        let any = blocks.iter().any(narrower);
        read(blocks, |range, data| {
            let dtype = data.dtype();
            let data = cast::<E>(data)?;
            let (own, values) = (&mut self[range], entries(&data)?);
            if !rounds(dtype, E::dtype()) {
                own.copy_from_slice(values);
                return Ok(());
            }
            // The same rounding as in `block`.
            let rounded = TensorData::new(own.to_vec(), [own.len()]).try_cast(dtype);
            let rounded = cast::<E>(rounded.map_err(|error| BridgeError::Read(error.into()))?)?;
            for ((own, value), rounded) in own.iter_mut().zip(values).zip(entries(&rounded)?) {
                if !ElementEq::eq(value, rounded) {
                    *own = *value;
                }
            }
            Ok(())
        })?;
        Ok(any)
    }
}

impl FlatVector for Tensor<1> {
    fn entries(&self) -> usize {
        self.dims()[0]
    }

    fn block<const D: usize>(&self, range: Range<usize>, like: &Tensor<D>) -> Tensor<D> {
        let block = self.clone().slice([range]).reshape(like.shape());
        let block = block.to_device(&like.device());
        in_context_of(block.cast(FloatDType::from(like.dtype())), like)
    }

    fn part(&self, range: Range<usize>) -> Block {
        let values = self.clone().slice([range.clone()]);
        Block { range, values }
    }

    fn assign(&mut self, blocks: Vec<Block>) -> Result<(), BridgeError> {
        let device = self.device().without_autodiff();
        let dtype = FloatDType::from(self.dtype());
        let zeros = |len: usize| Tensor::zeros([len], (&device, dtype.into()));
        let mut end = 0;
        // Empty tensors are skipped, since some devices reject them.
        let mut parts = Vec::with_capacity(blocks.len());
        for Block { range, values } in blocks {
            if end < range.start {
                parts.push(zeros(range.start - end));
            }
            if !range.is_empty() {
                parts.push(values.to_device(&device).cast(dtype));
            }
            end = range.end;
        }
        if end < self.entries() {
            parts.push(zeros(self.entries() - end));
        }
        *self = match parts.is_empty() {
            true => zeros(0),
            false => Tensor::cat(parts, 0),
        };
        Ok(())
    }

    fn assign_unless_rounded(&mut self, mut blocks: Vec<Block>) -> Result<bool, BridgeError> {
        let wide = self.dtype();
        let mut any = false;
        for block in &mut blocks {
            let narrow = block.values.dtype();
            if !rounds(narrow, wide) {
                continue;
            }
            any = true;
            if block.range.is_empty() {
                continue;
            }
            let values = block.values.clone();
            let own = self.clone().slice([block.range.clone()]);
            let own = own.to_device(&values.device());
            let rounded = own.clone().cast(FloatDType::from(narrow));
            let changed = rounded.not_equal(values.clone());
            block.values = own.mask_where(changed, values.cast(FloatDType::from(wide)));
        }
        self.assign(blocks)?;
        Ok(any)
    }
}

/// Moves `tensor`, which has no autodiff, to the autodiff context of `like`.
pub(crate) fn in_context_of<const D: usize>(tensor: Tensor<D>, like: &Tensor<D>) -> Tensor<D> {
    match like.gradient_checkpointing_strategy() {
        Some(strategy) => tensor
            .autodiff()
            .with_gradient_checkpointing_strategy(strategy),
        None => tensor,
    }
}

/// Whether a conversion from `wide` to `narrow` loses digits.
fn rounds(narrow: DType, wide: DType) -> bool {
    narrow.size() < wide.size()
}

/// The number of entries read per transaction: large enough for few synchronisations with an asynchronous device, and
/// small enough that Burn's copies of shared tensors on a CPU stay in cache.
const TOGETHER: usize = 1 << 18;

/// Passes the entries of each block and their range to `take`.
fn read(
    blocks: Vec<Block>,
    mut take: impl FnMut(Range<usize>, TensorData) -> Result<(), BridgeError>,
) -> Result<(), BridgeError> {
    let mut blocks = blocks.into_iter().peekable();
    while let Some(Block { range, values }) = blocks.next() {
        let mut entries = range.len();
        let mut ranges = vec![range];
        let mut transaction = Transaction::default().register(values);
        while let Some(Block { range, values }) =
            blocks.next_if(|block| entries + block.range.len() <= TOGETHER)
        {
            entries += range.len();
            ranges.push(range);
            transaction = transaction.register(values);
        }
        let values = transaction.try_execute();
        let values = values.map_err(|error| BridgeError::Read(error.into()))?;
        for (range, data) in ranges.into_iter().zip(values) {
            take(range, data)?;
        }
    }
    Ok(())
}

fn cast<E: Element>(data: TensorData) -> Result<TensorData, BridgeError> {
    let data = data.try_cast_as::<E>();
    data.map_err(|error| BridgeError::Read(error.into()))
}

fn entries<E: Element>(data: &TensorData) -> Result<&[E], BridgeError> {
    let values = data.as_slice::<E>();
    values.map_err(|error| BridgeError::Read(error.into()))
}
