//! The block T·A⊗G of a dense or convolutional layer.

use burn::tensor::{Device, Tensor};

use super::arrangement::Arrangement;
use super::average::{Average, take};
use super::inverse::{Factor, damped_inverses};
use super::patches::patches;
use crate::error::RivalError;
use crate::numbers::{read, read_doubles, tensor};
use crate::recorder::Window;
use crate::state::Arrays;

/// The maximum number of entries of a matrix of patches; larger batches of images are processed in slices.
const MOST_ENTRIES: usize = 1 << 24;

/// T·A⊗G, where T is the number of positions per example.
#[derive(Debug, Clone)]
pub(super) struct Kronecker {
    pub arrangement: Arrangement,
    pub positions: usize,
    /// A and G.
    pub factors: [Average<2>; 2],
    /// Inverses of the damped factors.
    inverses: Option<[Tensor<2>; 2]>,
}

impl Kronecker {
    pub fn new(arrangement: Arrangement) -> Self {
        Self {
            arrangement,
            positions: 1,
            factors: Default::default(),
            inverses: None,
        }
    }

    /// Adds a pass of a dense layer on `batch` examples: inputs and output gradients, one row per position.
    pub fn see_rows(&mut self, inputs: &Tensor<2>, outputs: Tensor<2>, batch: usize) {
        let rows = inputs.dims()[0];
        self.positions = rows / batch;
        let [a, g] = &mut self.factors;
        let biased = self.arrangement.bias.is_some();
        a.see_once(|| second_moment(with_ones(inputs.clone(), biased)) / rows as f64);
        g.see(second_moment(outputs) / rows as f64);
    }

    /// Adds a pass of a convolution: images and output gradients, batch×channels×height×width.
    pub fn see_images(&mut self, inputs: &Tensor<4>, outputs: Tensor<4>, window: &Window) {
        let [batch, channels, height, width] = outputs.dims();
        self.positions = height * width;
        let rows = batch * height * width;
        let outputs = outputs.permute([0, 2, 3, 1]).reshape([rows, channels]);
        let [a, g] = &mut self.factors;
        let biased = self.arrangement.bias.is_some();
        a.see_once(|| input_moment(inputs, window, [height, width], biased));
        g.see(second_moment(outputs) / rows as f64);
    }

    /// Inverts the factors with the damping. `None` if a damped factor is not positive definite.
    pub fn invert(&mut self, damping: f64) -> Result<Option<()>, RivalError> {
        let [Some(a), Some(g)] = self.factors.each_ref().map(Average::value) else {
            return Ok(Some(()));
        };
        let host = |factor: &Tensor<2>| {
            Ok::<_, RivalError>(Factor {
                size: factor.dims()[0],
                entries: read_doubles(factor)?,
            })
        };
        let both = [host(a)?, host(g)?];
        let Some(inverses) = damped_inverses(&both, damping / self.positions as f64) else {
            return Ok(None);
        };
        let device = a.device();
        self.inverses = Some(inverses.map(|factor| {
            let entries = factor.entries.into_iter().map(|x| x as f32).collect();
            tensor(entries, [factor.size, factor.size], &device)
        }));
        Ok(Some(()))
    }

    /// `out` ← (block + λI)⁻¹v with the λ of the last inversion.
    pub fn solve(&self, v: &[f64], out: &mut [f64], device: &Device) -> Result<(), RivalError> {
        let Some([a, g]) = &self.inverses else {
            return Ok(());
        };
        let v = self.arrangement.to_matrix(v, device);
        let product = a.clone().matmul(v).matmul(g.clone()) / self.positions as f64;
        self.arrangement.write(product, out)
    }

    /// `out` ← block·v.
    pub fn multiply(&self, v: &[f64], out: &mut [f64], device: &Device) -> Result<(), RivalError> {
        let [Some(a), Some(g)] = self.factors.each_ref().map(Average::value) else {
            return Ok(());
        };
        let v = self.arrangement.to_matrix(v, device);
        let product = a.clone().matmul(v).matmul(g.clone()) * self.positions as f64;
        self.arrangement.write(product, out)
    }

    /// The number of floats in factors and inverses.
    pub fn kept_floats(&self) -> usize {
        let factors = self.factors.iter().filter_map(Average::value);
        let all = factors.chain(self.inverses.iter().flatten());
        all.map(|matrix| matrix.shape().num_elements()).sum()
    }

    pub fn store(&self, path: &str, arrays: &mut Arrays) -> Result<(), RivalError> {
        for (name, factor) in ["input", "output"].iter().zip(&self.factors) {
            factor.store(&format!("{path}/{name}"), arrays)?;
        }
        for (name, inverse) in ["input", "output"]
            .iter()
            .zip(self.inverses.iter().flatten())
        {
            arrays.put(format!("{path}/{name}_inverse"), &read(inverse)?);
        }
        Ok(())
    }

    /// The same block with the arrays of [`store`](Self::store) after at least one step.
    pub fn restored(
        &self,
        path: &str,
        positions: usize,
        arrays: &mut Arrays,
        device: &Device,
    ) -> Result<Self, RivalError> {
        let [rows, columns] = self.arrangement.sizes();
        let mut square =
            |name: &str, size: usize| take(&format!("{path}/{name}"), [size, size], arrays, device);
        Ok(Self {
            arrangement: self.arrangement.clone(),
            positions,
            factors: [
                Average::of(square("input", rows)?),
                Average::of(square("output", columns)?),
            ],
            inverses: Some([
                square("input_inverse", rows)?,
                square("output_inverse", columns)?,
            ]),
        })
    }
}

/// XᵀX.
fn second_moment(rows: Tensor<2>) -> Tensor<2> {
    rows.clone().transpose().matmul(rows)
}

/// The mean over examples and positions of aaᵀ, for the entries a that the convolution reads.
fn input_moment(
    input: &Tensor<4>,
    window: &Window,
    outputs: [usize; 2],
    biased: bool,
) -> Tensor<2> {
    let [batch, channels, ..] = input.dims();
    let positions = outputs[0] * outputs[1];
    let columns = channels * window.kernel[0] * window.kernel[1];
    let slice = (MOST_ENTRIES / (positions * columns).max(1)).clamp(1, batch.max(1));
    let size = columns + usize::from(biased);
    let mut sum = Tensor::zeros([size, size], (&input.device(), input.dtype()));
    for start in (0..batch).step_by(slice) {
        let images = input
            .clone()
            .slice_dim(0, start..(start + slice).min(batch));
        sum = sum + second_moment(with_ones(patches(images, window, outputs), biased));
    }
    sum / (batch * positions) as f64
}

/// The rows, extended by a last entry of 1 for the bias.
fn with_ones(rows: Tensor<2>, biased: bool) -> Tensor<2> {
    if !biased {
        return rows;
    }
    let ones = Tensor::ones([rows.dims()[0], 1], (&rows.device(), rows.dtype()));
    Tensor::cat(vec![rows, ones], 1)
}
