//! What one task differs in from another.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use fosi_rivals::{Prediction, Recorder};

use crate::data::Part;
use crate::interrupt::Interrupt;
use crate::runs::DataDescription;
use crate::train::{Sample, StepError};

/// Data, a model and a loss.
pub(crate) trait Task: Send + Sync + 'static {
    /// What is trained.
    type Model: Module + 'static;
    /// A few examples as tensors.
    type Batch: Send + 'static;

    /// The model in words, such as `logistic regression, 784 inputs, 10 classes`.
    fn name(&self) -> String;

    /// The data and its size.
    fn data(&self) -> DataDescription;

    /// SHA-256 of all examples, in hexadecimal digits.
    fn checksum(&self) -> String;

    /// How the data came about: times, files left out.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// A model at its starting point.
    fn init(&self, seed: u64, device: &Device) -> Self::Model;

    /// The examples `indices` of a part of the data, each below the part's size.
    fn batch(&self, part: Part, indices: &[u32], device: &Device) -> Self::Batch;

    /// Mean loss over the batch, in the model's float type.
    fn loss(&self, model: &Self::Model, batch: &Self::Batch) -> Tensor<1>;

    /// The model's outputs on the batch, in its float type, every layer called through `recorder`, and the kind of loss;
    /// none where K-FAC doesn't know the model's layers.
    fn predict(
        &self,
        _model: &Self::Model,
        _batch: &Self::Batch,
        _recorder: &mut Recorder,
    ) -> Option<Prediction> {
        None
    }

    /// The loss whose Hessian is estimated.
    fn curvature_loss(&self, model: &Self::Model, batch: &Self::Batch) -> Tensor<1> {
        self.loss(model, batch)
    }

    /// Mean loss and accuracy over the batch, of a model off the autodiff graph.
    fn score(&self, model: &Self::Model, batch: &Self::Batch) -> Score;

    /// Examples to evaluate at once.
    fn evaluation_batch(&self) -> usize;

    /// Something to look at that shows what the model has learned; the model is off the autodiff graph. What takes long
    /// looks at the interrupt.
    fn sample(
        &self,
        _model: &Self::Model,
        _device: &Device,
        _interrupt: &Interrupt,
    ) -> Result<Option<Sample>, StepError> {
        Ok(None)
    }
}

/// How good a model is on a batch.
pub(crate) struct Score {
    /// Mean loss.
    pub(crate) loss: Tensor<1>,
    /// Share classified rightly, where the task is to classify.
    pub(crate) accuracy: Option<Tensor<1>>,
}
