//! Averages over steps.

use burn::tensor::{Device, FloatDType, Tensor};

use crate::error::RivalError;
use crate::numbers::{read, tensor};
use crate::state::Arrays;

/// The entries of a factor or a diagonal.
#[derive(Debug, Clone, PartialEq)]
pub struct FactorValues {
    /// Rows and columns, or the number of entries of a diagonal.
    pub shape: Vec<usize>,
    /// The entries, row by row.
    pub entries: Vec<f32>,
}

/// A weighted mean, in f32, over steps of statistics, each the sum over the passes of a step.
#[derive(Debug, Clone)]
pub(super) struct Average<const D: usize> {
    value: Option<Tensor<D>>,
    /// The sum over the current step's passes so far.
    seen: Option<Tensor<D>>,
}

impl<const D: usize> Default for Average<D> {
    fn default() -> Self {
        Self {
            value: None,
            seen: None,
        }
    }
}

impl<const D: usize> Average<D> {
    pub fn of(value: Tensor<D>) -> Self {
        Self {
            value: Some(value),
            seen: None,
        }
    }

    /// The mean; `None` before the first step.
    pub fn value(&self) -> Option<&Tensor<D>> {
        self.value.as_ref()
    }

    /// The mean on the host.
    pub fn read(&self) -> Result<Option<FactorValues>, RivalError> {
        let read = |value: &Tensor<D>| {
            Ok(FactorValues {
                shape: value.dims().to_vec(),
                entries: read(value)?,
            })
        };
        self.value.as_ref().map(read).transpose()
    }

    /// Adds the statistic of a pass.
    pub fn see(&mut self, new: Tensor<D>) {
        let new = new.cast(FloatDType::F32);
        self.seen = Some(match self.seen.take() {
            Some(sum) => sum + new,
            None => new,
        });
    }

    /// Adds a statistic that is the same in each pass, in the first pass only.
    pub fn see_once(&mut self, new: impl FnOnce() -> Tensor<D>) {
        if self.seen.is_none() {
            self.see(new());
        }
    }

    /// Ends a step: value ← (1 − share)·value + share·seen.
    pub fn end_step(&mut self, share: f64) {
        self.value = match (self.value.take(), self.seen.take()) {
            (Some(old), Some(new)) => Some(old * (1.0 - share) + new * share),
            (old, new) => new.or(old),
        };
    }

    pub fn store(&self, name: &str, arrays: &mut Arrays) -> Result<(), RivalError> {
        if let Some(value) = &self.value {
            arrays.put(name, &read(value)?);
        }
        Ok(())
    }
}

/// The array `name` as a tensor.
pub(super) fn take<const D: usize>(
    name: &str,
    shape: [usize; D],
    arrays: &mut Arrays,
    device: &Device,
) -> Result<Tensor<D>, RivalError> {
    let values = arrays.take(name, shape.iter().product())?;
    Ok(tensor(values, shape, device))
}
