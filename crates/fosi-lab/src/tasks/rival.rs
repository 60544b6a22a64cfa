//! The training of a task's model with an optimizer that FOSI is compared with.

use std::ops::ControlFlow;
use std::sync::Arc;

use burn::tensor::Tensor;
use fosi::Ranks;
use fosi_rivals::kfac::Momentum;
use fosi_rivals::{
    AdaHessian, AdaHessianConfig, Kfac, KfacConfig, Lbfgs, LbfgsConfig, Loss, Prediction, Recorder,
    Rival, RivalError, Soap, SoapConfig,
};

use super::Task;
use super::subject::Subject;
use super::trainer::BATCHES_AHEAD;
use crate::config::{KfacChoice, LearningRate, TrainConfig};
use crate::data::{Part, Prefetch};
use crate::optimizers::Family;
use crate::runs::TrainerState;
use crate::train::{Cost, Evaluation, Sample, StepError, TrainEvent, Trainer};

/// A task's model with a rival.
pub(super) struct RivalTrainer<T: Task> {
    pub(super) subject: Subject<T>,
    pub(super) rival: Box<dyn Rival<T::Model>>,
    pub(super) learning_rate: LearningRate,
    /// The cost before the rival was created or restored.
    pub(super) spent: Cost,
}

/// The loss of a task on one batch.
struct BatchLoss<'a, T: Task> {
    task: &'a T,
    batch: &'a T::Batch,
}

impl<T: Task> Loss<T::Model> for BatchLoss<'_, T> {
    fn loss(&self, model: &T::Model) -> Tensor<1> {
        self.task.loss(model, self.batch)
    }

    fn predict(&self, model: &T::Model, recorder: &mut Recorder) -> Option<Prediction> {
        self.task.predict(model, self.batch, recorder)
    }
}

/// The rival of a family; `None` for a base. K-FAC inspects the layers on two examples.
///
/// # Errors
/// [`RivalError`] for settings that are not allowed, or for a layer that K-FAC does not support.
pub(super) fn rival_of<T: Task>(
    family: Family,
    config: &TrainConfig,
    subject: &Subject<T>,
    seed: u64,
) -> Result<Option<Box<dyn Rival<T::Model>>>, RivalError> {
    let model = &subject.model;
    Ok(Some(match family {
        Family::Kfac => {
            let batch = subject.task.batch(Part::Train, &[0, 1], &subject.device);
            let loss = BatchLoss {
                task: subject.task.as_ref(),
                batch: &batch,
            };
            Box::new(Kfac::new(model, &loss, kfac_config(config, seed))?)
        }
        Family::Lbfgs => {
            let history = config.history;
            let settings = LbfgsConfig {
                history,
                ..LbfgsConfig::default()
            };
            Box::new(Lbfgs::new(model, settings)?)
        }
        Family::Soap => {
            let settings = SoapConfig {
                weight_decay: config.weight_decay,
                ..SoapConfig::default()
            };
            Box::new(Soap::new(model, settings)?)
        }
        Family::AdaHessian => {
            let settings = AdaHessianConfig {
                seed,
                ..AdaHessianConfig::default()
            };
            Box::new(AdaHessian::new(model, settings)?)
        }
        _ => return Ok(None),
    }))
}

fn kfac_config(config: &TrainConfig, seed: u64) -> KfacConfig {
    KfacConfig {
        adaptive_learning_rate: config.kfac_rate == KfacChoice::Adaptive,
        momentum: match config.kfac_momentum {
            KfacChoice::Adaptive => Momentum::Adaptive,
            KfacChoice::Fixed => Momentum::Fixed(config.momentum),
        },
        initial_damping: config.damping,
        seed,
        ..KfacConfig::default()
    }
}

impl<T: Task> Trainer for RivalTrainer<T> {
    fn train(
        &mut self,
        batches: &[&[u32]],
        on_event: &mut dyn FnMut(TrainEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StepError> {
        let task = Arc::clone(&self.subject.task);
        let (made_by, device) = (Arc::clone(&task), self.subject.device.clone());
        let indices: Vec<Vec<u32>> = batches.iter().map(|batch| batch.to_vec()).collect();
        let make = move |index: usize| made_by.batch(Part::Train, &indices[index], &device);
        let made = Prefetch::new(batches.len(), BATCHES_AHEAD, make);
        for batch in made.map_err(StepError::other)? {
            let loss = BatchLoss {
                task: task.as_ref(),
                batch: &batch,
            };
            let rate = self.learning_rate.at(self.rival.steps());
            let done = self
                .rival
                .step(rate, &mut self.subject.model, &loss)
                .map_err(StepError::other)?;
            if on_event(TrainEvent::Stepped { loss: done.loss }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn evaluate(&mut self, part: Part) -> Result<Evaluation, StepError> {
        self.subject.evaluate(part, &Ranks::ALONE)
    }

    fn sample(&mut self) -> Result<Option<Sample>, StepError> {
        self.subject.sample()
    }

    fn weights(&self) -> Result<Vec<u8>, StepError> {
        self.subject.weights()
    }

    fn optimizer_state(&self) -> Result<Vec<u8>, StepError> {
        self.rival.to_bytes().map_err(StepError::other)
    }

    fn set_weights(&mut self, weights: &[u8]) -> Result<(), StepError> {
        self.subject.set_weights(weights)
    }

    fn restore(&mut self, state: &TrainerState, cost: Cost) -> Result<(), StepError> {
        self.set_weights(&state.model)?;
        self.rival
            .load(&state.optimizer)
            .map_err(StepError::other)?;
        self.spent = cost;
        Ok(())
    }

    /// Every forward and backward pass counts as a gradient: in steps, in K-FAC's factors and in line searches.
    fn cost(&self) -> Cost {
        let own = self.rival.cost();
        Cost {
            gradients: self.spent.gradients + own.gradients + own.factor_updates + own.line_search,
            products: self.spent.products + own.products,
            refresh_seconds: 0.0,
        }
    }
}
