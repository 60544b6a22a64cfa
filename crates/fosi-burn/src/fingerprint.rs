//! Identification of Burn's optimizers by their steps on given gradients.

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::tensor::{Device, Tensor, TensorData};

use crate::error::BridgeError;
use crate::flat::FlatLayout;
use crate::quiet;

/// The positions to which an optimizer without state moves small parameters in a few steps with fixed gradients.
///
/// Burn's records hold neither the kind of an optimizer nor its settings: those of Adam and AdamW are
/// indistinguishable. The steps of an optimizer reveal both. Each trainable parameter is replaced by a small tensor of
/// the same rank, id and path, so that the groups of a [`ModuleOptimizer`] take effect. The steps are always taken on
/// the CPU.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fingerprint(Vec<f32>);

/// Enough steps for the decay of the second moment and for a maximum over the steps to take effect.
const STEPS: usize = 4;
/// Large, so that weight decay is visible next to the step.
const RATE: f64 = 1.0;
/// Magnitudes of the gradients, below and above typical stabilizing constants and clipping thresholds.
const MAGNITUDES: [f32; 4] = [1.0, 1e-4, 1e2, 1e-1];
/// Far above the rounding differences between instruction sets; settings with smaller effects are not distinguished.
const TOLERANCE: f32 = 1e-5;

/// The prefix of [`Fingerprint::to_bytes`]; Burn's own format starts differently.
const MARK: &[u8; 4] = b"rule";

impl Fingerprint {
    /// The fingerprint of `optimizer` for the trainable parameters of `module`.
    ///
    /// # Errors
    /// [`BridgeError::UnfitOptimizer`] where the optimizer panics.
    pub(crate) fn of<M: Module>(
        optimizer: &ModuleOptimizer,
        module: &M,
    ) -> Result<Self, BridgeError> {
        let mut module = module.clone().map(&mut Shrink {
            device: Device::flex().autodiff(),
            seen: 0,
        });
        let layout = FlatLayout::of(&module)?;
        let mut optimizer = optimizer.clone().load_record(OptimizerRecord::default());
        for step in 0..STEPS {
            let entry = |i| MAGNITUDES[(i + step) % MAGNITUDES.len()] * sample(i, step);
            let gradient: Vec<f32> = (0..layout.len()).map(entry).collect();
            let gradients = layout.to_gradients(&module, &gradient[..])?;
            module = quiet::catch(|| optimizer.step(RATE, module, gradients)).map_err(|panic| {
                BridgeError::UnfitOptimizer {
                    reason: panic.message().to_owned(),
                }
            })?;
        }
        Ok(Self(layout.parameters(&module)?))
    }

    /// Whether both come from the same rule with the same settings, as far as the steps reveal.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let close = |(a, b): (&f32, &f32)| {
            a.to_bits() == b.to_bits() || (a - b).abs() <= TOLERANCE * (a.abs() + b.abs() + 1e-3)
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(close)
    }

    /// The fingerprint as length-prefixed bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let len = (self.0.len() as u64).to_le_bytes();
        let numbers = self.0.iter().flat_map(|x| x.to_le_bytes());
        MARK.iter().copied().chain(len).chain(numbers).collect()
    }

    /// The fingerprint at the start of `bytes`, if any, and the remaining bytes; `None` if it is truncated.
    pub(crate) fn split(bytes: &[u8]) -> Option<(Option<Self>, &[u8])> {
        let Some(rest) = bytes.strip_prefix(MARK) else {
            return Some((None, bytes));
        };
        let (len, rest) = rest.split_first_chunk()?;
        let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
        let (numbers, rest) = rest.split_at_checked(len.checked_mul(size_of::<f32>())?)?;
        let numbers = numbers.as_chunks().0.iter();
        let numbers = numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Some((Some(Self(numbers)), rest))
    }
}

/// A pseudorandom number with a magnitude from 1 to 2 and either sign, for each index and step.
fn sample(index: usize, step: usize) -> f32 {
    let counter = (index as u64) << 3 | step as u64;
    let hash = (counter + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let magnitude = 1.0 + (hash >> 40) as f32 / (1 << 24) as f32;
    if hash >> 39 & 1 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// Replaces trainable parameters by small tensors.
struct Shrink {
    device: Device,
    seen: usize,
}

impl ModuleMapper for Shrink {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let shape = [if D <= 2 { 4 } else { 2 }; D];
        let entries: usize = shape.iter().product();
        let values = self.seen..self.seen + entries;
        self.seen = values.end;
        let values: Vec<f32> = values.map(|i| sample(i, STEPS)).collect();
        let value = Tensor::from_data(TensorData::new(values, shape), &self.device);
        param.map(|_| value.require_grad())
    }
}
