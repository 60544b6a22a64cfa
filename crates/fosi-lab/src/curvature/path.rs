//! One training run that is paused at some steps to compare estimates.

use std::ops::ControlFlow;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::error::CurvatureError;
use crate::config::TrainConfig;
use crate::data::Batches;
use crate::interrupt::Interrupt;
use crate::optimizers::OptimizerName;
use crate::train::{CurvaturePlan, StepError, Workload};

/// A run along which estimates are compared.
#[derive(Clone, Debug)]
pub struct Path {
    /// The settings of the run, whose length is in steps.
    pub config: TrainConfig,
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// The steps after which estimates are compared, in ascending order.
    pub at: Vec<u64>,
    /// The numbers of examples for further estimates, besides that of one batch.
    pub samples: Vec<usize>,
    /// The number of examples whose Hessian represents the loss's.
    pub large: usize,
}

/// How much of the loss's curvature an estimate captures after a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The number of steps taken.
    pub step: u64,
    /// `raw`, `raw-N`, and `kept` or, for the mean over refreshes, `averaged`.
    pub estimate: String,
    /// See [`HeldCurvature`](crate::train::HeldCurvature).
    pub captured: f64,
    /// See [`HeldCurvature`](crate::train::HeldCurvature).
    pub eigenvalue_ratio: f64,
}

impl Path {
    /// Checks the settings that depend on the number of training examples.
    ///
    /// # Errors
    /// [`CurvatureError`].
    pub fn check_against(&self, examples: usize) -> Result<(), CurvatureError> {
        self.config.check_against(examples)?;
        let steps = self
            .config
            .length
            .steps(self.config.steps_per_epoch(examples));
        let ascending = |pair: &&[u64]| pair[0] >= pair[1];
        let wrong = self.at.iter().find(|&&step| step == 0 || step > steps);
        let wrong = wrong.or(self.at.windows(2).find(ascending).map(|pair| &pair[1]));
        if let Some(&step) = wrong {
            return Err(CurvatureError::At { step, steps });
        }
        let samples = self.samples.iter().map(|&sample| ("samples", sample));
        let mut counts = samples.chain([("large", self.large)]);
        match counts.find(|(_, given)| !(1..=examples).contains(given)) {
            Some((option, given)) => Err(CurvatureError::Examples {
                option,
                given,
                most: examples,
            }),
            None => Ok(()),
        }
    }

    /// Trains and calls `on_row` with the results at each of the steps.
    ///
    /// # Errors
    /// [`CurvatureError`]: training that diverges or an estimation that fails; [`StepError::Interrupted`].
    pub fn follow(
        &self,
        workload: &dyn Workload,
        interrupt: &Interrupt,
        on_row: &mut dyn FnMut(Row),
    ) -> Result<(), CurvatureError> {
        let seed = self.config.seeds.first().copied().unwrap_or_default();
        let examples = workload.data().train;
        let mut trainer = workload.trainer(self.optimizer, seed)?;
        let batches = Order::new(examples, self.config.batch, seed);
        let mut taken = 0;
        for &step in &self.at {
            let stretch: Vec<Vec<u32>> = (taken..step).map(|step| batches.at(step)).collect();
            let stretch: Vec<&[u32]> = stretch.iter().map(Vec::as_slice).collect();
            let mut on_event = |_| match interrupt.requested() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            if trainer.train(&stretch, &mut on_event)?.is_break() {
                return Err(StepError::Interrupted.into());
            }
            taken = step;
            let plan = CurvaturePlan {
                batch: batches.at(step),
                samples: self.samples(examples, step),
                large: representative(examples, self.large),
            };
            let held = trainer.curvature(&plan)?;
            if held.is_empty() {
                return Err(CurvatureError::Untold);
            }
            for held in held {
                on_row(Row {
                    step,
                    estimate: held.estimate,
                    captured: held.captured,
                    eigenvalue_ratio: held.eigenvalue_ratio,
                });
            }
        }
        Ok(())
    }

    /// Examples drawn anew at each step, in an order that no training run with this seed uses.
    fn samples(&self, examples: usize, step: u64) -> Vec<Vec<u32>> {
        let seed = self.config.seeds.first().copied().unwrap_or_default();
        let order = Batches::new(examples, self.config.batch, seed ^ u64::MAX).order(step);
        let sample = |&size: &usize| order.iter().take(size).copied().collect();
        self.samples.iter().map(sample).collect()
    }
}

/// The examples whose Hessian represents the loss's: the same at every step, in random order. Batch norm normalises each
/// slice by itself, and in the order of a file a slice may contain a single class.
fn representative(examples: usize, size: usize) -> Vec<u32> {
    let mut indices = crate::data::draw(examples, size);
    indices.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    indices
}

/// The batches of a training run, step by step.
struct Order {
    batches: Batches,
    size: usize,
}

impl Order {
    fn new(examples: usize, size: usize, seed: u64) -> Self {
        let batches = Batches::new(examples, size, seed);
        Self { batches, size }
    }

    /// The batch after `step` steps.
    fn at(&self, step: u64) -> Vec<u32> {
        let per_epoch = self.batches.per_epoch() as u64;
        let order = self.batches.order(step / per_epoch + 1);
        let chunk = order.chunks(self.size).nth((step % per_epoch) as usize);
        chunk.unwrap_or_default().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 2,700 examples in the order of their classes, 270 each, every slice of 32 has several classes.
    #[test]
    fn slices_of_the_representative_set_mix_classes() {
        for size in [512, 2700] {
            let indices = representative(2700, size);
            assert_eq!(indices, representative(2700, size));
            for slice in indices.chunks_exact(32) {
                let classes: std::collections::BTreeSet<u32> =
                    slice.iter().map(|index| index / 270).collect();
                assert!(classes.len() >= 4, "{slice:?}");
            }
            let mut sorted = indices;
            sorted.sort_unstable();
            assert_eq!(sorted, crate::data::draw(2700, size));
        }
    }
}
