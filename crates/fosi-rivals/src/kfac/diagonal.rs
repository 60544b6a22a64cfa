//! Diagonal blocks, for batch norm and grouped convolutions.

use burn::tensor::{Device, Tensor};
use fosi_burn::Slot;

use super::average::{Average, take};
use crate::error::RivalError;
use crate::numbers::read_doubles;
use crate::state::Arrays;

/// The diagonals of a layer's parameters, weight or scale first.
#[derive(Debug, Clone)]
pub(super) struct Diagonal {
    pub weight: Option<Part>,
    pub bias: Option<Part>,
}

/// The diagonal of one parameter.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub slot: Slot,
    pub average: Average<1>,
}

impl Part {
    fn new(slot: Slot) -> Self {
        Self {
            slot,
            average: Average::default(),
        }
    }
}

impl Diagonal {
    pub fn new(weight: Option<Slot>, bias: Option<Slot>) -> Self {
        Self {
            weight: weight.map(Part::new),
            bias: bias.map(Part::new),
        }
    }

    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.weight.iter().chain(&self.bias)
    }

    pub fn parts_mut(&mut self) -> impl Iterator<Item = &mut Part> {
        self.weight.iter_mut().chain(&mut self.bias)
    }

    /// Adds a pass of batch norm: normalised inputs and output gradients, batch×channels×positions.
    pub fn see_norm(&mut self, inputs: &Tensor<3>, outputs: &Tensor<3>) {
        if let Some(scale) = &mut self.weight {
            let gradients = (inputs.clone() * outputs.clone()).sum_dim(2);
            scale.average.see(mean_square(gradients));
        }
        self.see_shift(outputs.clone());
    }

    /// Adds a pass of a grouped convolution: the weight's gradient, summed over the examples, and the output gradients,
    /// batch×channels×height×width.
    pub fn see_grouped(&mut self, weight: Option<Tensor<4>>, outputs: Tensor<4>) {
        let [batch, channels, height, width] = outputs.dims();
        if let (Some(part), Some(gradient)) = (&mut self.weight, weight) {
            let gradient = gradient.reshape([part.slot.len()]);
            // As in kfac-jax for layers of unknown structure.
            part.average.see(gradient.square() / batch as f64);
        }
        self.see_shift(outputs.reshape([batch, channels, height * width]));
    }

    fn see_shift(&mut self, outputs: Tensor<3>) {
        if let Some(shift) = &mut self.bias {
            shift.average.see(mean_square(outputs.sum_dim(2)));
        }
    }

    /// `out` ← f(v, diagonal), entry by entry.
    pub fn apply(
        &self,
        vector: &[f64],
        out: &mut [f64],
        f: impl Fn(f64, f64) -> f64,
    ) -> Result<(), RivalError> {
        for part in self.parts() {
            let Some(average) = part.average.value() else {
                continue;
            };
            let range = part.slot.range();
            let diagonal = read_doubles(average)?;
            let entries = vector[range.clone()].iter().zip(&diagonal);
            for (out, (v, diagonal)) in out[range].iter_mut().zip(entries) {
                *out = f(*v, *diagonal);
            }
        }
        Ok(())
    }

    pub fn kept_floats(&self) -> usize {
        let known = self.parts().filter(|part| part.average.value().is_some());
        known.map(|part| part.slot.len()).sum()
    }

    pub fn store(&self, arrays: &mut Arrays) -> Result<(), RivalError> {
        let mut parts = self.parts();
        parts.try_for_each(|part| part.average.store(&part.slot.path, arrays))
    }

    /// The same block with the arrays of [`store`](Self::store) after at least one step.
    pub fn restored(&self, arrays: &mut Arrays, device: &Device) -> Result<Self, RivalError> {
        let mut restored = self.clone();
        for part in restored.parts_mut() {
            let value = take(&part.slot.path, [part.slot.len()], arrays, device)?;
            part.average = Average::of(value);
        }
        Ok(restored)
    }
}

/// The mean over the batch of the squared entries of batch×channels×1.
fn mean_square(sums: Tensor<3>) -> Tensor<1> {
    let [_, channels, _] = sums.dims();
    sums.square().mean_dim(0).reshape([channels])
}
