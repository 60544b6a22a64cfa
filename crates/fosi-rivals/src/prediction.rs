//! A network's outputs, and the distribution of targets that its loss takes them for.

use burn::tensor::Tensor;

/// The outputs of a network on a batch, and which loss they go into.
///
/// A loss here is the mean over the batch's N examples of −w·log p(y|z) up to constants, with a distribution p that the
/// outputs z determine. It gives the Fisher matrix F = E_x E_{y~p}[∇log p ∇log pᵀ]·w, in which the targets are the model's own
/// and not the data's.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// Outputs z, batch×k: one row an example, before softmax or sigmoid.
    pub outputs: Tensor<2>,
    /// The distribution of the targets.
    pub targets: Targets,
    /// w, the factor on an example's loss; the constructors set 1.
    pub weight: f64,
}

/// A distribution of targets, and the loss that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Targets {
    /// Normal with variance ½ around each output: Σⱼ(zⱼ − yⱼ)², as kfac-jax has it.
    Normal,
    /// One of k classes: softmax cross-entropy.
    Categorical,
    /// k independent numbers, 0 or 1: sigmoid cross-entropy, summed over the outputs.
    Bernoulli,
}

impl Prediction {
    /// For the squared error, summed over the outputs, mean over the batch. `outputs` may have any shape whose first
    /// dimension is the batch.
    pub fn squared_error<const D: usize>(outputs: Tensor<D>) -> Self {
        Self::new(outputs, Targets::Normal)
    }

    /// For softmax cross-entropy, mean over the batch.
    pub fn softmax(scores: Tensor<2>) -> Self {
        Self::new(scores, Targets::Categorical)
    }

    /// For sigmoid cross-entropy, summed over the outputs, mean over the batch.
    pub fn sigmoid<const D: usize>(scores: Tensor<D>) -> Self {
        Self::new(scores, Targets::Bernoulli)
    }

    /// With another factor on the loss: 1/k where it is a mean over the outputs, too.
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
