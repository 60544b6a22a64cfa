//! The training of a task's model with a base, plain or inside FOSI, through Burn.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use fosi::space::Array;
use fosi::timing::Timing;
use fosi::{Interventions, Ranks, Space};
use fosi_burn::{FosiOptimizer, ModuleSpace, OptimizerError, RefreshAttempt, backward};

use super::Task;
use super::curvature_batch::{Curvature, CurvatureBatch};
use super::refresh_delay::RefreshDelay;
use super::share::Share;
use super::subject::Subject;
use crate::config::LearningRate;
use crate::data::{Part, Prefetch};
use crate::optimizers::OptimizerName;
use crate::runs::{RefreshOutcome, RefreshRecord, TrainerState};
use crate::train::{
    Cost, CurvaturePlan, Evaluation, HeldCurvature, MeasuredSpectrum, Sample, SpectrumPlan,
    StepError, TrainEvent, Trainer,
};

/// The number of batches that the loader thread prepares in advance.
pub(super) const BATCHES_AHEAD: usize = 2;

/// FOSI with a base chosen on the command line.
pub(super) type Optimizer<S> = FosiOptimizer<Box<dyn fosi::base::Base<S>>, S>;

/// A task's model with a base, plain or inside FOSI.
pub(super) struct BurnTrainer<T: Task, S: Space> {
    pub(super) subject: Subject<T>,
    pub(super) name: OptimizerName,
    pub(super) seed: u64,
    pub(super) learning_rate: LearningRate,
    pub(super) curvature_batch: CurvatureBatch,
    pub(super) refresh_delay: RefreshDelay<T::Model>,
    pub(super) optimizer: Optimizer<S>,
    pub(super) cost: Cost,
    /// Whether the run writes checkpoints, which must not be affected by an interrupted refresh.
    pub(super) checkpoints: bool,
}

impl<T: Task, S: ModuleSpace> BurnTrainer<T, S> {
    /// A step on this rank's share of a batch; returns the loss of the whole batch.
    fn step(&mut self, batch: &T::Batch, examples: usize) -> Result<f64, StepError> {
        let task = Arc::clone(&self.subject.task);
        let loss = |model: &T::Model| task.loss(model, batch);
        // The optimizer's checkpoint contains its step count.
        let learning_rate = self.learning_rate.at(self.optimizer.fosi().steps());
        self.optimizer.set_examples(examples);
        let evaluated = (examples > 0).then(|| backward(&self.subject.model, loss));
        // The refresh happened before this step, because it may use other batches.
        let step = self
            .optimizer
            .step_evaluated(
                learning_rate,
                &mut self.subject.model,
                evaluated.transpose(),
            )
            .map_err(step_error)?;
        self.cost.gradients += 1;
        Ok(step.loss)
    }

    fn ranks(&self) -> Ranks {
        self.optimizer.fosi().space().ranks().clone()
    }

    /// Refreshes before the step on `batch`, the examples `indices`. An interrupt ends the estimation after the current
    /// gradient and leaves the optimizer unchanged.
    ///
    /// On several ranks `indices` is the whole batch, and `batch` this rank's share of it.
    pub(super) fn refresh(
        &mut self,
        batch: &T::Batch,
        indices: &[u32],
    ) -> Result<RefreshRecord, StepError> {
        let started = Instant::now();
        let step = self.optimizer.fosi().steps();
        let ranks = self.ranks();
        let (drawn, examples) = match self.curvature_batch.draw(step, indices) {
            Curvature::OfStep => (Vec::new(), Share::of(indices, &ranks).examples),
            Curvature::Of(slices) => {
                let (slices, examples) = Share::of_all(&slices, &ranks);
                (self.weighted(&slices), examples)
            }
        };
        self.optimizer.set_examples(examples);
        let slices: Vec<(&T::Batch, f64)> = match drawn.as_slice() {
            [] => vec![(batch, 1.0)],
            drawn => drawn
                .iter()
                .map(|(batch, weight)| (batch, *weight))
                .collect(),
        };
        let drawing = started.elapsed().as_secs_f64();
        let before = match self.checkpoints {
            true => Some(self.optimizer.fosi().to_bytes().map_err(StepError::other)?),
            false => None,
        };
        let (task, interrupt) = (&self.subject.task, &self.subject.interrupt);
        let losses = slices.iter().map(|&(batch, weight)| {
            move |model: &T::Model| match interrupt.requested() {
                true => not_finite(model),
                false if weight == 1.0 => task.curvature_loss(model, batch),
                false => task.curvature_loss(model, batch) * weight,
            }
        });
        let losses: Vec<_> = losses.collect();
        let stale = self.refresh_delay.take();
        let model = stale.as_ref().unwrap_or(&self.subject.model);
        let attempt = self.optimizer.refresh_mean(model, &losses);
        // Rank 0 is the one that is interrupted.
        if ranks.agree_on(self.subject.interrupt.requested()) {
            if let Some(before) = before {
                self.optimizer
                    .fosi_mut()
                    .restore(&before)
                    .map_err(StepError::other)?;
            }
            return Err(StepError::Interrupted);
        }
        let mut attempt = attempt.map_err(StepError::other)?;
        attempt.seconds += drawing;
        Ok(self.record(step, attempt))
    }

    /// The slices' batches, each with its size relative to the mean size: the mean of the losses with these weights is
    /// the mean over all examples.
    pub(super) fn weighted(&self, slices: &[Vec<u32>]) -> Vec<(T::Batch, f64)> {
        let examples: usize = slices.iter().map(Vec::len).sum();
        let batch_of = |slice: &Vec<u32>| {
            let weight = (slice.len() * slices.len()) as f64 / examples as f64;
            (
                self.subject
                    .task
                    .batch(Part::Train, slice, &self.subject.device),
                weight,
            )
        };
        slices.iter().map(batch_of).collect()
    }

    fn record(&mut self, step: u64, attempt: RefreshAttempt) -> RefreshRecord {
        self.cost.products += attempt.products;
        self.cost.refresh_seconds += attempt.seconds;
        let learning_rate = self.learning_rate.at(step);
        let newton_rate = &self.optimizer.fosi().config().newton_rate;
        let alpha = newton_rate.at(step, learning_rate, self.learning_rate.largest_until(step));
        let outcome = match attempt.result {
            Ok(refresh) => RefreshOutcome::Accepted {
                lemma_4: refresh
                    .lemma_4(learning_rate, alpha)
                    .map(|(case, (low, high))| (low, high, case.is_some())),
                eigenvalues: refresh.eigenvalues,
                residuals: refresh.residuals,
                retries: refresh.info.retries,
                asymmetry: Some(refresh.info.asymmetry),
                shifted: refresh.info.shifted,
                scale: refresh.scale,
                next_eigenvalue: refresh.next_eigenvalue,
                captured_by_last: refresh.captured_by_last,
                weight: refresh.weight,
            },
            Err(error) => RefreshOutcome::Refused {
                reason: refusal(error),
            },
        };
        RefreshRecord {
            optimizer: self.name,
            seed: self.seed,
            step,
            products: attempt.products,
            seconds: attempt.seconds,
            interval: self.optimizer.fosi().interval(),
            product_cost: self.optimizer.fosi().product_cost(),
            timing: self.optimizer.fosi().timing(),
            outcome,
        }
    }
}

impl<T: Task, S: ModuleSpace> Trainer for BurnTrainer<T, S> {
    fn train(
        &mut self,
        batches: &[&[u32]],
        on_event: &mut dyn FnMut(TrainEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StepError> {
        let (task, device) = (Arc::clone(&self.subject.task), self.subject.device.clone());
        let ranks = self.ranks();
        let shares: Vec<Share> = batches
            .iter()
            .map(|batch| Share::of(batch, &ranks))
            .collect();
        let examples: Vec<usize> = shares.iter().map(|share| share.examples).collect();
        let make = move |index: usize| task.batch(Part::Train, &shares[index].indices, &device);
        let made = Prefetch::new(batches.len(), BATCHES_AHEAD, make).map_err(StepError::other);
        let made = ranks.fail_together_with(made, StepError::other)?;
        let batches = batches.iter().zip(examples);
        let mut flow = ControlFlow::Continue(());
        for (batch, (indices, examples)) in made.zip(batches) {
            if self.optimizer.due() {
                let _ = on_event(TrainEvent::Refreshing);
                let refresh = self.refresh(&batch, indices)?;
                let _ = on_event(TrainEvent::Refreshed(Box::new(refresh)));
            }
            let taken = self.optimizer.fosi().steps();
            self.refresh_delay.see(taken, &self.subject.model);
            let loss = self.step(&batch, examples)?;
            // Rank 0 decides whether the training goes on.
            if ranks.agree_on(on_event(TrainEvent::Stepped { loss }).is_break()) {
                flow = ControlFlow::Break(());
                break;
            }
        }
        // What follows is an evaluation or a checkpoint.
        self.optimizer
            .average_buffers(&mut self.subject.model)
            .map_err(step_error)?;
        Ok(flow)
    }

    fn evaluate(&mut self, part: Part) -> Result<Evaluation, StepError> {
        self.subject.evaluate(part, &self.ranks())
    }

    fn curvature(&mut self, plan: &CurvaturePlan) -> Result<Vec<HeldCurvature>, StepError> {
        self.held_curvature(plan)
    }

    fn spectrum(
        &mut self,
        plan: &SpectrumPlan,
        previous: &[Array],
    ) -> Result<Option<MeasuredSpectrum>, StepError> {
        self.measured_spectrum(plan, previous).map(Some)
    }

    fn sample(&mut self) -> Result<Option<Sample>, StepError> {
        self.subject.sample()
    }

    fn weights(&self) -> Result<Vec<u8>, StepError> {
        self.subject.weights()
    }

    fn optimizer_state(&self) -> Result<Vec<u8>, StepError> {
        self.optimizer.fosi().to_bytes().map_err(StepError::other)
    }

    fn set_weights(&mut self, weights: &[u8]) -> Result<(), StepError> {
        self.subject.set_weights(weights)
    }

    fn restore(&mut self, state: &TrainerState, cost: Cost) -> Result<(), StepError> {
        self.set_weights(&state.model)?;
        let fosi = self.optimizer.fosi_mut();
        fosi.restore(&state.optimizer).map_err(StepError::other)?;
        self.cost = cost;
        Ok(())
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn timing(&self) -> Option<Timing> {
        self.optimizer.fosi().timing()
    }

    fn interventions(&self) -> Interventions {
        self.optimizer.fosi().interventions()
    }
}

/// A NaN loss that depends on the module: the only way for a loss to end an estimation.
pub(super) fn not_finite(module: &impl Module) -> Tensor<1> {
    struct First(Option<Tensor<1>>);
    impl ModuleVisitor for First {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.0.is_none() && param.is_require_grad() {
                self.0 = Some(param.val().sum() * f64::NAN);
            }
        }
    }
    let mut first = First(None);
    module.visit(&mut first);
    let nothing = || Tensor::from_floats([f32::NAN], &Device::flex().autodiff());
    first.0.unwrap_or_else(nothing)
}

/// The reason for a refused refresh. The library's message mentions an older spectrum, which need not exist.
fn refusal(error: fosi::Error) -> String {
    match error {
        fosi::Error::Refresh { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// Converts the library's advice, which addresses authors of training loops, to the program's options.
fn step_error(error: OptimizerError) -> StepError {
    match error {
        OptimizerError::Fosi(fosi::Error::NonFiniteGradient { .. }) => StepError::Gradient {
            what: "isn't finite".to_owned(),
        },
        OptimizerError::Fosi(fosi::Error::GradientOverflow { norm, limit, .. }) => {
            StepError::Gradient {
                what: format!("has norm {norm:.2e}, and the base can square at most {limit:.2e}"),
            }
        }
        OptimizerError::Fosi(fosi::Error::StepOverflow { norm, limit, .. }) => {
            StepError::Gradient {
                what: format!(
                    "would make a step of {norm:.2e}, and at most {limit:.2e} is allowed"
                ),
            }
        }
        OptimizerError::Fosi(fosi::Error::Spoiled { .. }) => StepError::Gradient {
            what: "made a step to parameters or state that are infinite or NaN".to_owned(),
        },
        error => StepError::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_options_of_the_program() {
        let step = 7;
        let (norm, limit) = (1e30, 1e19);
        for error in [
            fosi::Error::NonFiniteGradient { step },
            fosi::Error::GradientOverflow { step, norm, limit },
            fosi::Error::StepOverflow { step, norm, limit },
            fosi::Error::Spoiled { step },
        ] {
            let message = step_error(error.into()).to_string();
            assert!(message.contains("--lr"), "{message}");
            assert!(!message.contains("skip"), "{message}");
        }
    }
}
