//! Data, a model and an optimizer behind two traits, so that the training loop is independent of the framework.

use std::ops::ControlFlow;

use fosi::Interventions;
use fosi::space::Array;
use fosi::timing::Timing;
use thiserror::Error;

use super::{MeasuredSpectrum, SpectrumPlan};
use crate::config::{HvpPrecision, TrainConfig};
use crate::data::Part;
use crate::optimizers::OptimizerName;
use crate::runs::{DataDescription, ModelDescription, RefreshRecord, TrainerState};

/// Data and a model that any optimizer can train from the same start.
pub trait Workload {
    /// The model and its size.
    fn model(&self) -> ModelDescription;

    /// The data and its size.
    fn data(&self) -> DataDescription;

    /// Notes on the preparation of data and model for readers of the results: times, omitted files.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// The measured cost of a gradient on a curvature batch in the precision of Hessian-vector products; an estimation
    /// computes one or two per product. `None` if no optimizer uses products.
    ///
    /// # Errors
    /// If the gradient cannot be computed.
    fn gradient_cost(&self) -> Result<Option<GradientCost>, StepError> {
        Ok(None)
    }

    /// The same data and model with other settings, for which [`TrainConfig::has_task_of`] must hold.
    fn with_config(&self, config: &TrainConfig) -> Box<dyn Workload + '_>;

    /// A model at its starting point, which is the same for all optimizers with the same `seed`.
    ///
    /// # Errors
    /// If the optimizer cannot be created.
    fn trainer(
        &self,
        optimizer: OptimizerName,
        seed: u64,
    ) -> Result<Box<dyn Trainer + '_>, StepError>;
}

/// A model with its optimizer.
pub trait Trainer {
    /// Takes one optimizer step on the mean loss of each of `batches` (indices of training examples), in order, with a
    /// refresh of the spectrum before a step if due. `on_event` is called at each refresh and each step and may end the
    /// epoch after a step.
    ///
    /// # Errors
    /// If training cannot continue, for example after a non-finite gradient, or with [`StepError::Interrupted`]; model
    /// and optimizer are then as before the step. A refused refresh is not an error.
    fn train(
        &mut self,
        batches: &[&[u32]],
        on_event: &mut dyn FnMut(TrainEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StepError>;

    /// Mean loss and accuracy on a part of the data at the current parameters.
    ///
    /// # Errors
    /// If they cannot be computed; [`StepError::Interrupted`].
    fn evaluate(&mut self, part: Part) -> Result<Evaluation, StepError>;

    /// How much of the loss's curvature the estimates capture at the current parameters, after a refresh if one is due.
    /// Empty if the model does not support this.
    ///
    /// # Errors
    /// If an estimation fails; [`StepError::Interrupted`].
    fn curvature(&mut self, _plan: &CurvaturePlan) -> Result<Vec<HeldCurvature>, StepError> {
        Ok(Vec::new())
    }

    /// The measurements of `plan` at the current parameters; `previous` are the leading directions at other parameters
    /// of the same model, if any. `None` if the model does not support this.
    ///
    /// # Errors
    /// If an estimation fails; [`StepError::Interrupted`].
    fn spectrum(
        &mut self,
        _plan: &SpectrumPlan,
        _previous: &[Array],
    ) -> Result<Option<MeasuredSpectrum>, StepError> {
        Ok(None)
    }

    /// A file that illustrates what the model has learned.
    ///
    /// # Errors
    /// If it cannot be computed.
    fn sample(&mut self) -> Result<Option<Sample>, StepError> {
        Ok(None)
    }

    /// The model's parameters and buffers.
    ///
    /// # Errors
    /// If they cannot be serialised or are not finite.
    fn weights(&self) -> Result<Vec<u8>, StepError>;

    /// The optimizer's state.
    ///
    /// # Errors
    /// If it cannot be serialised.
    fn optimizer_state(&self) -> Result<Vec<u8>, StepError>;

    /// The state of model and optimizer, from which training resumes with the same bits.
    ///
    /// # Errors
    /// If it cannot be serialised.
    fn state(&self) -> Result<TrainerState, StepError> {
        Ok(TrainerState {
            model: self.weights()?,
            optimizer: self.optimizer_state()?,
        })
    }

    /// Replaces the model's parameters and buffers by an earlier result of [`weights`](Self::weights); the optimizer
    /// keeps its state.
    ///
    /// # Errors
    /// If they belong to another model.
    fn set_weights(&mut self, weights: &[u8]) -> Result<(), StepError>;

    /// Restores a state and the cost up to it.
    ///
    /// # Errors
    /// If it belongs to another model or optimizer.
    fn restore(&mut self, state: &TrainerState, cost: Cost) -> Result<(), StepError>;

    /// The cost since the start.
    fn cost(&self) -> Cost;

    /// The measured times of steps and refreshes, if they determine the interval.
    fn timing(&self) -> Option<Timing> {
        None
    }

    /// The interventions of FOSI's safeguards or, under the paper's algorithm, those that they would have made.
    fn interventions(&self) -> Interventions {
        Interventions::default()
    }
}

/// Events during training.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainEvent {
    /// An estimation of the spectrum starts.
    Refreshing,
    /// The estimation finished or was refused.
    Refreshed(Box<RefreshRecord>),
    /// A step was taken.
    Stepped {
        /// The mean loss of the batch before the step.
        loss: f64,
    },
}

/// The cost of a gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientCost {
    /// The precision.
    pub precision: HvpPrecision,
    /// Seconds for a full curvature batch.
    pub seconds: f64,
    /// The number of examples in the timing.
    pub examples: usize,
}

/// The quality of a model on some data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// The fraction of correctly classified examples, if the task is classification.
    pub accuracy: Option<f64>,
}

/// The training examples for estimates of the curvature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurvaturePlan {
    /// The batch of the next step, for the estimate `raw` and for a refresh that is due.
    pub batch: Vec<u32>,
    /// The examples of the estimates `raw-N`.
    pub samples: Vec<Vec<u32>>,
    /// The examples whose Hessian represents the loss's.
    pub large: Vec<u32>,
}

/// How much of the loss's curvature an estimate captures.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldCurvature {
    /// `raw`: from the batch; `raw-N`: from N examples; `kept`: the pairs that FOSI uses.
    pub estimate: String,
    /// The trace of the loss's Hessian within the estimate's k directions, divided by the sum of its own k largest
    /// eigenvalues.
    pub captured: f64,
    /// The sum of the estimate's eigenvalues, divided by the same sum.
    pub eigenvalue_ratio: f64,
}

/// A file that illustrates what a model has learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its kind, for the file's name: `text`, `reconstructions`.
    pub name: &'static str,
    /// The file's extension: `txt`, `png`.
    pub extension: &'static str,
    /// The content.
    pub bytes: Vec<u8>,
}

/// The cost since the start of a training run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Gradients, without those inside Hessian-vector products.
    pub gradients: u64,
    /// Hessian-vector products.
    pub products: u64,
    /// Seconds in refreshes.
    pub refresh_seconds: f64,
}

/// The reason why an optimizer cannot continue. The run's other optimizers do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StepError {
    /// A number is not finite.
    #[error("{what} is {value}: the training diverged; a smaller --lr or --alpha may help")]
    NotFinite {
        /// The quantity: the gradient, the training loss.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// No step can be taken with the gradient.
    #[error(
        "the gradient {what}: the training diverged; a smaller --lr or --alpha, or --clip-gradient, may help"
    )]
    Gradient {
        /// The defect of the gradient.
        what: String,
    },
    /// The user interrupted the run; the optimizer did not fail.
    #[error("interrupted")]
    Interrupted,
    /// Any other error.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl StepError {
    /// Wraps an error of another library.
    pub fn other(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Other(Box::new(error))
    }

    pub(super) fn check_finite(what: &'static str, value: f64) -> Result<(), Self> {
        if value.is_finite() {
            Ok(())
        } else {
            Err(Self::NotFinite { what, value })
        }
    }
}
