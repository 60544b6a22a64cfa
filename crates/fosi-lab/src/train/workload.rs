//! What is trained: data, a model and an optimizer, behind two traits, so that the loop knows no framework.

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

/// Data and a model that can be trained on it from the same start by any optimizer.
pub trait Workload {
    /// The model and its size.
    fn model(&self) -> ModelDescription;

    /// The data and its size.
    fn data(&self) -> DataDescription;

    /// What a reader of the results should know about how data and model came about: times, files left out.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// What a gradient on a curvature batch costs in the precision of Hessian-vector products, which an estimation
    /// takes one or two of a product; measured here and now. `None` where no optimizer takes products.
    ///
    /// # Errors
    /// When it can't be computed.
    fn gradient_cost(&self) -> Result<Option<GradientCost>, StepError> {
        Ok(None)
    }

    /// The same data and model with other settings, where [`TrainConfig::has_task_of`] says that they ask for these.
    fn with_config(&self, config: &TrainConfig) -> Box<dyn Workload + '_>;

    /// A model at its starting point, the same for every optimizer with the same `seed`.
    ///
    /// # Errors
    /// When the optimizer can't be set up.
    fn trainer(
        &self,
        optimizer: OptimizerName,
        seed: u64,
    ) -> Result<Box<dyn Trainer + '_>, StepError>;
}

/// A model together with the optimizer that trains it.
pub trait Trainer {
    /// One optimizer step on the mean loss of each of `batches` (indices of training examples), in their order,
    /// refreshing the spectrum first where it is due. `on_event` is called at each refresh and each step, and may
    /// end the epoch after a step.
    ///
    /// # Errors
    /// When it cannot continue, as with a gradient that isn't finite; model and optimizer are then as before the step,
    /// as they are with [`StepError::Interrupted`]. A refresh that is refused is no error.
    fn train(
        &mut self,
        batches: &[&[u32]],
        on_event: &mut dyn FnMut(TrainEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StepError>;

    /// Mean loss and accuracy over a part of the data at the current parameters.
    ///
    /// # Errors
    /// When they can't be computed; [`StepError::Interrupted`].
    fn evaluate(&mut self, part: Part) -> Result<Evaluation, StepError>;

    /// How much of the loss's curvature estimates hold here; a refresh that is due comes first. Empty where the model
    /// doesn't tell.
    ///
    /// # Errors
    /// When an estimation fails; [`StepError::Interrupted`].
    fn curvature(&mut self, _plan: &CurvaturePlan) -> Result<Vec<HeldCurvature>, StepError> {
        Ok(Vec::new())
    }

    /// What `plan` asks for of the Hessian here; `previous`: the leading directions at other parameters of the same model,
    /// if any. None where the model doesn't tell.
    ///
    /// # Errors
    /// When an estimation fails; [`StepError::Interrupted`].
    fn spectrum(
        &mut self,
        _plan: &SpectrumPlan,
        _previous: &[Array],
    ) -> Result<Option<MeasuredSpectrum>, StepError> {
        Ok(None)
    }

    /// Something to look at that shows what the model has learned.
    ///
    /// # Errors
    /// When it can't be computed.
    fn sample(&mut self) -> Result<Option<Sample>, StepError> {
        Ok(None)
    }

    /// The model's parameters and buffers.
    ///
    /// # Errors
    /// When they can't be serialised, or aren't finite.
    fn weights(&self) -> Result<Vec<u8>, StepError>;

    /// The optimizer's state.
    ///
    /// # Errors
    /// When it can't be serialised.
    fn optimizer_state(&self) -> Result<Vec<u8>, StepError>;

    /// The state of model and optimizer, from which training resumes with the same bits.
    ///
    /// # Errors
    /// When it can't be serialised.
    fn state(&self) -> Result<TrainerState, StepError> {
        Ok(TrainerState {
            model: self.weights()?,
            optimizer: self.optimizer_state()?,
        })
    }

    /// Replaces the model's parameters and buffers by those that [`weights`](Self::weights) gave; the optimizer keeps its
    /// state.
    ///
    /// # Errors
    /// When they are of another model.
    fn set_weights(&mut self, weights: &[u8]) -> Result<(), StepError>;

    /// Restores a state, together with what had been spent until then.
    ///
    /// # Errors
    /// When it is of another model or optimizer.
    fn restore(&mut self, state: &TrainerState, cost: Cost) -> Result<(), StepError>;

    /// What was spent since the start.
    fn cost(&self) -> Cost;

    /// The measured times of steps and refreshes, where the interval follows from them.
    fn timing(&self) -> Option<Timing> {
        None
    }

    /// What FOSI's safeguards have done or, under the paper's algorithm, would have.
    fn interventions(&self) -> Interventions {
        Interventions::default()
    }
}

/// What happens while a model is trained.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainEvent {
    /// The spectrum is estimated before the next step.
    Refreshing,
    /// It has been, or the estimation was refused.
    Refreshed(Box<RefreshRecord>),
    /// A step was taken.
    Stepped {
        /// Mean loss of the batch before the step.
        loss: f64,
    },
}

/// What a gradient costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientCost {
    /// The precision in which it is taken.
    pub precision: HvpPrecision,
    /// Seconds for a whole curvature batch.
    pub seconds: f64,
    /// Examples on which it was timed.
    pub examples: usize,
}

/// How good a model is on some data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Share classified rightly, 0 to 1, where the task is to classify.
    pub accuracy: Option<f64>,
}

/// Estimates of the curvature, by the training examples that they see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurvaturePlan {
    /// The batch of the next step: of estimate `raw`, and of a refresh that is due.
    pub batch: Vec<u32>,
    /// Of estimates `raw-N`.
    pub samples: Vec<Vec<u32>>,
    /// Those whose Hessian counts as the loss's.
    pub large: Vec<u32>,
}

/// How much of the loss's curvature an estimate holds.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldCurvature {
    /// `raw`: of the batch; `raw-N`: of N examples; `kept`: what FOSI steps with.
    pub estimate: String,
    /// The trace of the loss's Hessian within the estimate's k directions over the sum of its own k largest eigenvalues.
    pub captured: f64,
    /// The sum of the estimate's eigenvalues over that sum.
    pub eigenvalue_ratio: f64,
}

/// A file that shows what a model has learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What it is, for the file's name: `text`, `reconstructions`.
    pub name: &'static str,
    /// The file's extension: `txt`, `png`.
    pub extension: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

/// What was spent since the start of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Gradients, those inside Hessian-vector products left out.
    pub gradients: u64,
    /// Hessian-vector products.
    pub products: u64,
    /// Seconds in refreshes.
    pub refresh_seconds: f64,
}

/// Why an optimizer cannot continue. The others of the run do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StepError {
    /// A number that training can't survive.
    #[error("{what} is {value}: the training diverged; a smaller --lr or --alpha may help")]
    NotFinite {
        /// What isn't finite: the gradient, the training loss.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// A gradient with which no step can be taken.
    #[error(
        "the gradient {what}: the training diverged; a smaller --lr or --alpha, or --clip-gradient, may help"
    )]
    Gradient {
        /// What is wrong with it.
        what: String,
    },
    /// The user ended it: no failure of the optimizer.
    #[error("interrupted")]
    Interrupted,
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl StepError {
    /// Of another library.
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
