//! One layer's block of the approximate Fisher matrix.

use burn::module::ParamId;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Gradients, Tensor};
use fosi_burn::{FlatLayout, Slot};

use super::arrangement::{Arrangement, Order};
use super::average::{Average, FactorValues};
use super::diagonal::Diagonal;
use super::kronecker::Kronecker;
use crate::error::RivalError;
use crate::recorder::{Call, Recorded, output_gradient};
use crate::state::Arrays;

/// A layer's parameters and their block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Path of the layer's first parameter.
    pub path: String,
    matrix: Matrix,
}

/// The block's form.
#[derive(Debug, Clone)]
enum Matrix {
    Kronecker(Box<Kronecker>),
    Diagonal(Box<Diagonal>),
}

impl Block {
    /// The block of a recorded layer; `None` if the layer is not trained.
    pub fn of(recorded: &Recorded, layout: &FlatLayout) -> Result<Option<Self>, RivalError> {
        let slot = |id: ParamId| layout.slots().iter().find(|slot| slot.id == id).cloned();
        let (weight, bias) = (slot(recorded.weight), recorded.bias.and_then(slot));
        let Some(first) = weight.as_ref().or(bias.as_ref()) else {
            return Ok(None);
        };
        let path = first.path.clone();
        let order = match &recorded.call {
            Call::Linear { .. } => Some(Order::Linear),
            Call::Conv { window, .. } if window.groups > 1 => None,
            Call::Conv { window, .. } if window.transposed => Some(Order::Transposed),
            Call::Conv { .. } => Some(Order::Conv),
            Call::Norm { .. } => None,
        };
        let matrix = match (order, weight) {
            (Some(order), Some(weight)) => {
                let arrangement = Arrangement {
                    weight,
                    bias,
                    order,
                };
                Matrix::Kronecker(Box::new(Kronecker::new(arrangement)))
            }
            (Some(_), None) => {
                let reason = "its bias is trained and its weight is frozen; freeze the bias, too";
                return Err(RivalError::Unsupported { path, reason });
            }
            (None, weight) => Matrix::Diagonal(Box::new(Diagonal::new(weight, bias))),
        };
        Ok(Some(Self { path, matrix }))
    }

    /// The block's parameters.
    pub fn slots(&self) -> Vec<&Slot> {
        match &self.matrix {
            Matrix::Kronecker(block) => {
                let arrangement = &block.arrangement;
                let bias = arrangement.bias.iter();
                std::iter::once(&arrangement.weight).chain(bias).collect()
            }
            Matrix::Diagonal(block) => block.parts().map(|part| &part.slot).collect(),
        }
    }

    /// A and G, or the diagonals of weight and bias, after at least one step.
    pub fn factors(&self) -> Result<Vec<FactorValues>, RivalError> {
        let read: Vec<Result<Option<FactorValues>, RivalError>> = match &self.matrix {
            Matrix::Kronecker(block) => block.factors.iter().map(Average::read).collect(),
            Matrix::Diagonal(block) => block.parts().map(|part| part.average.read()).collect(),
        };
        read.into_iter().filter_map(Result::transpose).collect()
    }

    /// Adds the statistics of a pass on `batch` examples, from the layer's call, the pass's gradients, and the
    /// gradients of the parameters.
    pub fn see(
        &mut self,
        recorded: &Recorded,
        batch: usize,
        gradients: &Gradients,
        parameters: &GradientsParams,
    ) {
        match (&mut self.matrix, &recorded.call) {
            (Matrix::Kronecker(block), Call::Linear { input, zeros }) => {
                block.see_rows(input, output_gradient(zeros, gradients), batch);
            }
            (
                Matrix::Kronecker(block),
                Call::Conv {
                    input,
                    zeros,
                    window,
                },
            ) => block.see_images(input, output_gradient(zeros, gradients), window),
            (Matrix::Diagonal(block), Call::Norm { input, zeros }) => {
                block.see_norm(input, &output_gradient(zeros, gradients));
            }
            (Matrix::Diagonal(block), Call::Conv { zeros, .. }) => {
                let weight: Option<Tensor<4>> = parameters.get(recorded.weight);
                block.see_grouped(weight, output_gradient(zeros, gradients));
            }
            _ => unreachable!("a layer's block has the form that its call has"),
        }
    }

    /// Updates the averages with the statistics of the step's passes, with the weight `share` in (0, 1].
    pub fn end_step(&mut self, share: f64) {
        match &mut self.matrix {
            Matrix::Kronecker(block) => {
                block.factors.iter_mut().for_each(|f| f.end_step(share));
            }
            Matrix::Diagonal(block) => {
                block
                    .parts_mut()
                    .for_each(|part| part.average.end_step(share));
            }
        }
    }

    /// Inverts the factors with the damping.
    pub fn invert(&mut self, damping: f64) -> Result<(), RivalError> {
        let Matrix::Kronecker(block) = &mut self.matrix else {
            return Ok(());
        };
        block.invert(damping)?.ok_or_else(|| RivalError::Singular {
            path: self.path.clone(),
            damping,
        })
    }

    /// `out` ← (block + λI)⁻¹v on the block's parameters; both vectors have length n. Kronecker blocks use the λ of
    /// their last inversion.
    pub fn solve(
        &self,
        damping: f64,
        vector: &[f64],
        out: &mut [f64],
        device: &Device,
    ) -> Result<(), RivalError> {
        match &self.matrix {
            Matrix::Kronecker(block) => block.solve(vector, out, device),
            Matrix::Diagonal(block) => block.apply(vector, out, |v, f| v / (f + damping)),
        }
    }

    /// `out` ← block·v on the block's parameters; both vectors have length n.
    pub fn multiply(
        &self,
        vector: &[f64],
        out: &mut [f64],
        device: &Device,
    ) -> Result<(), RivalError> {
        match &self.matrix {
            Matrix::Kronecker(block) => block.multiply(vector, out, device),
            Matrix::Diagonal(block) => block.apply(vector, out, |v, f| v * f),
        }
    }

    /// The number of floats in averages and inverses.
    pub fn kept_floats(&self) -> usize {
        match &self.matrix {
            Matrix::Kronecker(block) => block.kept_floats(),
            Matrix::Diagonal(block) => block.kept_floats(),
        }
    }

    /// Positions per example; 1 for diagonal blocks.
    pub fn positions(&self) -> usize {
        match &self.matrix {
            Matrix::Kronecker(block) => block.positions,
            Matrix::Diagonal(_) => 1,
        }
    }

    pub fn store(&self, arrays: &mut Arrays) -> Result<(), RivalError> {
        match &self.matrix {
            Matrix::Kronecker(block) => block.store(&self.path, arrays),
            Matrix::Diagonal(block) => block.store(arrays),
        }
    }

    /// The same block with the arrays of [`store`](Self::store) after at least one step.
    pub fn restored(
        &self,
        positions: usize,
        arrays: &mut Arrays,
        device: &Device,
    ) -> Result<Self, RivalError> {
        let path = self.path.clone();
        let matrix = match &self.matrix {
            Matrix::Kronecker(block) => {
                let block = block.restored(&path, positions, arrays, device)?;
                Matrix::Kronecker(Box::new(block))
            }
            Matrix::Diagonal(block) => Matrix::Diagonal(Box::new(block.restored(arrays, device)?)),
        };
        Ok(Self { path, matrix })
    }
}
