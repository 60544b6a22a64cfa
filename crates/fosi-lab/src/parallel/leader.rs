//! Rank 0: a workload and trainers that tell the other ranks of each call.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use fosi::Interventions;
use fosi::communicator::Communicator;
use fosi::timing::Timing;

use super::message::{Call, send, tell};
use crate::config::TrainConfig;
use crate::data::Part;
use crate::optimizers::OptimizerName;
use crate::runs::{DataDescription, ModelDescription, TrainerState};
use crate::train::{
    Cost, Evaluation, GradientCost, Sample, StepError, TrainEvent, Trainer, Workload,
};

/// A workload on all ranks, seen from rank 0.
pub struct Leader {
    workload: Box<dyn Workload>,
    communicator: Arc<dyn Communicator>,
}

impl fmt::Debug for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leader")
            .field("communicator", &self.communicator)
            .finish_non_exhaustive()
    }
}

impl Leader {
    /// Opens a workload on all ranks; `open` opens rank 0's.
    ///
    /// # Errors
    /// That of `open`; of `refuse`, with the message, where another rank fails.
    pub fn open<E: fmt::Display>(
        config: &TrainConfig,
        communicator: Arc<dyn Communicator>,
        open: impl FnOnce() -> Result<Box<dyn Workload>, E>,
        refuse: impl FnOnce(fosi::Error) -> E,
    ) -> Result<Self, E> {
        tell(&*communicator, &Call::Open(Box::new(config.clone())));
        let workload = together(&communicator, open(), refuse)?;
        Ok(Self {
            workload,
            communicator,
        })
    }
}

/// This rank's result, unless another rank has failed.
pub(super) fn together<R, E: fmt::Display>(
    communicator: &Arc<dyn Communicator>,
    own: Result<R, E>,
    refuse: impl FnOnce(fosi::Error) -> E,
) -> Result<R, E> {
    fosi::Ranks::replicated(Arc::clone(communicator)).fail_together_with(own, refuse)
}

/// Lets the other ranks end. Rank 0 calls it last, whatever the outcome.
pub fn end(communicator: &dyn Communicator) {
    tell(communicator, &Call::End);
}

impl Workload for Leader {
    fn model(&self) -> ModelDescription {
        self.workload.model()
    }

    fn data(&self) -> DataDescription {
        self.workload.data()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.workload.notes();
        notes.push(format!(
            "Each of {} processes took its share of every batch",
            self.communicator.size()
        ));
        notes
    }

    fn gradient_cost(&self) -> Result<Option<GradientCost>, StepError> {
        self.workload.gradient_cost()
    }

    fn with_config(&self, config: &TrainConfig) -> Box<dyn Workload + '_> {
        // For studies, which run on one process.
        self.workload.with_config(config)
    }

    fn trainer(
        &self,
        optimizer: OptimizerName,
        seed: u64,
    ) -> Result<Box<dyn Trainer + '_>, StepError> {
        tell(&*self.communicator, &Call::Trainer(optimizer, seed));
        let trainer = self.workload.trainer(optimizer, seed);
        let trainer = together(&self.communicator, trainer, StepError::other)?;
        Ok(Box::new(Leading {
            trainer,
            communicator: &*self.communicator,
        }))
    }
}

/// A trainer on all ranks, seen from rank 0. Models and optimizers are the same on all of them, so that files are made
/// here alone.
struct Leading<'a> {
    trainer: Box<dyn Trainer + 'a>,
    communicator: &'a dyn Communicator,
}

impl Trainer for Leading<'_> {
    fn train(
        &mut self,
        batches: &[&[u32]],
        on_event: &mut dyn FnMut(TrainEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StepError> {
        let all = batches.iter().map(|batch| batch.to_vec()).collect();
        tell(self.communicator, &Call::Train(all));
        self.trainer.train(batches, on_event)
    }

    fn evaluate(&mut self, part: Part) -> Result<Evaluation, StepError> {
        let validation = part == Part::Validation;
        tell(self.communicator, &Call::Evaluate { validation });
        self.trainer.evaluate(part)
    }

    fn sample(&mut self) -> Result<Option<Sample>, StepError> {
        self.trainer.sample()
    }

    fn weights(&self) -> Result<Vec<u8>, StepError> {
        self.trainer.weights()
    }

    fn optimizer_state(&self) -> Result<Vec<u8>, StepError> {
        self.trainer.optimizer_state()
    }

    fn set_weights(&mut self, weights: &[u8]) -> Result<(), StepError> {
        tell(self.communicator, &Call::SetWeights);
        send(self.communicator, weights);
        self.trainer.set_weights(weights)
    }

    fn restore(&mut self, state: &TrainerState, cost: Cost) -> Result<(), StepError> {
        tell(self.communicator, &Call::Restore);
        send(self.communicator, &state.model);
        send(self.communicator, &state.optimizer);
        self.trainer.restore(state, cost)
    }

    fn cost(&self) -> Cost {
        self.trainer.cost()
    }

    fn timing(&self) -> Option<Timing> {
        self.trainer.timing()
    }

    fn interventions(&self) -> Interventions {
        self.trainer.interventions()
    }
}
