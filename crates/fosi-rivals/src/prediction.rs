//! A network's outputs, and the distribution of targets that the loss assumes.

use burn::tensor::Tensor;

/// The outputs of a network on a batch, and the kind of loss.
///
/// The loss is the mean over the batch's N examples of −w·log p(y|z), up to constants, with a distribution p given by
/// the outputs z. Its Fisher matrix is F = E_x E_{y~p}[∇log p ∇log pᵀ]·w, with targets y from the model, not from the
/// data.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// Outputs z, batch×k: one row per example, before softmax or sigmoid.
    pub outputs: Tensor<2>,
    /// The distribution of the targets.
    pub targets: Targets,
    /// w, the factor on an example's loss; the constructors set 1.
    pub weight: f64,
}

/// A distribution of targets, and the corresponding loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Targets {
    /// Normal with variance ½ around each output: Σⱼ(zⱼ − yⱼ)², as in kfac-jax.
    Normal,
    /// One of k classes: softmax cross-entropy.
    Categorical,
    /// k independent numbers, 0 or 1: sigmoid cross-entropy, summed over the outputs.
    Bernoulli,
}

impl Prediction {
    /// The squared error, summed over the outputs and averaged over the batch. `outputs` may have any shape whose first
    /// dimension is the batch.
    pub fn squared_error<const D: usize>(outputs: Tensor<D>) -> Self {
        Self::new(outputs, Targets::Normal)
    }

    /// Softmax cross-entropy, averaged over the batch.
    pub fn softmax(scores: Tensor<2>) -> Self {
        Self::new(scores, Targets::Categorical)
    }

    /// Sigmoid cross-entropy, summed over the outputs and averaged over the batch.
    pub fn sigmoid<const D: usize>(scores: Tensor<D>) -> Self {
        Self::new(scores, Targets::Bernoulli)
    }

    /// Sets the factor w on the loss: 1/k for a loss that is also averaged over the outputs.
    pub fn with_weight(self, weight: f64) -> Self {
        Self { weight, ..self }
    }

    fn new<const D: usize>(outputs: Tensor<D>, targets: Targets) -> Self {
        let batch = outputs.dims()[0];
        let entries = outputs.shape().num_elements();
        let outputs = outputs.reshape([batch, entries / batch.max(1)]);
        Self {
            outputs,
            targets,
            weight: 1.0,
        }
    }
}
