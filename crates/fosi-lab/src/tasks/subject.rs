//! A task's model in training, independent of the optimizer: evaluation, sample, weights.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_store::{ModuleSnapshot, SafetensorsStore};
use fosi::Ranks;
use fosi::communicator::Numbers;
use fosi_burn::FlatLayout;

use super::Task;
use crate::data::Part;
use crate::interrupt::Interrupt;
use crate::train::{Evaluation, Sample, StepError};

/// A task's model in training.
pub(super) struct Subject<T: Task> {
    pub(super) task: Arc<T>,
    pub(super) model: T::Model,
    pub(super) device: Device,
    /// The maximum number of evaluated examples per part.
    pub(super) evaluated: usize,
    pub(super) interrupt: Interrupt,
}

impl<T: Task> Subject<T> {
    /// Mean loss and accuracy over a part of the data, of which each rank evaluates every P-th batch.
    pub(super) fn evaluate(&self, part: Part, ranks: &Ranks) -> Result<Evaluation, StepError> {
        let own = self.evaluate_own(part, ranks);
        let Some(communicator) = ranks.communicator() else {
            return own;
        };
        let (loss, accuracy) = own.as_ref().map_or((0.0, None), |e| (e.loss, e.accuracy));
        let interrupted = matches!(own, Err(StepError::Interrupted));
        let mut sums = [
            loss,
            accuracy.unwrap_or(0.0),
            f64::from(accuracy.is_some()),
            f64::from(own.is_err()),
            f64::from(interrupted),
        ];
        communicator.sum(Numbers::F64(&mut []), &mut sums);
        let [loss, accuracy, accuracies, failures, interrupts] = sums;
        own?;
        if interrupts > 0.0 {
            return Err(StepError::Interrupted);
        }
        if failures > 0.0 {
            return Err(StepError::Other(
                "another process could not evaluate its share".into(),
            ));
        }
        Ok(Evaluation {
            loss,
            accuracy: (accuracies > 0.0).then_some(accuracy),
        })
    }

    /// This rank's part of the means.
    fn evaluate_own(&self, part: Part, ranks: &Ranks) -> Result<Evaluation, StepError> {
        let model = self.model.valid();
        let device = self.device.clone().without_autodiff();
        let examples = self.task.data().examples(part).min(self.evaluated);
        let indices: Vec<u32> = (0..examples as u32).collect();
        let (mut loss, mut right) = (0.0, None);
        let batches = indices.chunks(self.task.evaluation_batch());
        for indices in batches.skip(ranks.rank()).step_by(ranks.size()) {
            if self.interrupt.requested() {
                return Err(StepError::Interrupted);
            }
            let share = indices.len() as f64 / examples as f64;
            let batch = self.task.batch(part, indices, &device);
            let score = self.task.score(&model, &batch);
            loss += scalar(score.loss)? * share;
            if let Some(accuracy) = score.accuracy {
                *right.get_or_insert(0.0) += scalar(accuracy)? * share;
            }
        }
        Ok(Evaluation {
            loss,
            accuracy: right,
        })
    }

    /// A file that illustrates what the model has learned.
    pub(super) fn sample(&self) -> Result<Option<Sample>, StepError> {
        let device = self.device.clone().without_autodiff();
        self.task
            .sample(&self.model.valid(), &device, &self.interrupt)
    }

    /// Parameters and buffers, as safetensors.
    pub(super) fn weights(&self) -> Result<Vec<u8>, StepError> {
        let layout = FlatLayout::of(&self.model).map_err(StepError::other)?;
        let parameters: Vec<f32> = layout.parameters(&self.model).map_err(StepError::other)?;
        if let Some(entry) = parameters.iter().find(|entry| !entry.is_finite()) {
            return Err(StepError::NotFinite {
                what: "a parameter",
                value: f64::from(*entry),
            });
        }
        let mut store = SafetensorsStore::from_bytes(None);
        // Visitors would miss the last update of batch norm's running statistics; `valid` applies it first.
        self.model
            .valid()
            .save_into(&mut store)
            .map_err(StepError::other)?;
        store.get_bytes().map_err(StepError::other)
    }

    /// Replaces parameters and buffers.
    pub(super) fn set_weights(&mut self, weights: &[u8]) -> Result<(), StepError> {
        let mut store = SafetensorsStore::from_bytes(Some(weights.to_vec()));
        self.model.load_from(&mut store).map_err(StepError::other)?;
        Ok(())
    }
}

fn scalar(tensor: Tensor<1>) -> Result<f64, StepError> {
    tensor.try_into_scalar::<f64>().map_err(StepError::other)
}
