//! The interface of a task.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use fosi_rivals::{Prediction, Recorder};

use crate::data::Part;
use crate::interrupt::Interrupt;
use crate::runs::DataDescription;
use crate::train::{Sample, StepError};

/// Data, a model and a loss.
pub(crate) trait Task: Send + Sync + 'static {
    /// The model's type.
    type Model: Module + 'static;
    /// A few examples as tensors.
    type Batch: Send + 'static;

    /// A description of the model, such as `logistic regression, 784 inputs, 10 classes`.
    fn name(&self) -> String;

    /// The data and its size.
    fn data(&self) -> DataDescription;

    /// SHA-256 of all examples, in hexadecimal digits.
    fn checksum(&self) -> String;

    /// Notes on the preparation of the data: times, omitted files.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// The initial model.
    fn init(&self, seed: u64, device: &Device) -> Self::Model;

    /// The examples `indices` of a part of the data, each below the part's size.
    fn batch(&self, part: Part, indices: &[u32], device: &Device) -> Self::Batch;

    /// Mean loss over the batch, in the model's float type.
    fn loss(&self, model: &Self::Model, batch: &Self::Batch) -> Tensor<1>;

    /// The model's outputs on the batch, in its float type, with every layer called through `recorder`, and the kind of
    /// loss; `None` if K-FAC does not support the model's layers.
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

    /// Mean loss and accuracy on the batch, for a model without autodiff.
    fn score(&self, model: &Self::Model, batch: &Self::Batch) -> Score;

    /// The number of examples per evaluation batch.
    fn evaluation_batch(&self) -> usize;

    /// A file that illustrates what the model, which is without autodiff, has learned. Long computations check the
    /// interrupt.
    fn sample(
        &self,
        _model: &Self::Model,
        _device: &Device,
        _interrupt: &Interrupt,
    ) -> Result<Option<Sample>, StepError> {
        Ok(None)
    }
}

/// The quality of a model on a batch.
pub(crate) struct Score {
    /// Mean loss.
    pub(crate) loss: Tensor<1>,
    /// The fraction of correctly classified examples, if the task is classification.
    pub(crate) accuracy: Option<Tensor<1>>,
}
