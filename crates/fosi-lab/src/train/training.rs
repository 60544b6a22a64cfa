//! The training of one optimizer with one seed: epochs, evaluation, checkpoints, timing, failures.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::log::Log;
use super::{Cost, Start, StepError, TrainEvent, Trainer, Workload};
use crate::config::TrainConfig;
use crate::data::{Batches, Part};
use crate::interrupt::Interrupt;
use crate::optimizers::OptimizerName;
use crate::runs::{
    Checkpoint, CheckpointHeader, Failure, MemoryRecord, MetricsRow, RunError, TrainerState,
    peak_memory, weights_file,
};

/// The reasons for ending a training run early.
enum Stop {
    Step(StepError),
    Folder(RunError),
}

impl From<StepError> for Stop {
    fn from(error: StepError) -> Self {
        Self::Step(error)
    }
}

impl From<RunError> for Stop {
    fn from(error: RunError) -> Self {
        Self::Folder(error)
    }
}

/// The training of one optimizer with one seed.
pub(super) struct Training<'a> {
    optimizer: OptimizerName,
    seed: u64,
    config: &'a TrainConfig,
    interrupt: &'a Interrupt,
    batches: Batches,
    /// The training time, including refreshes but not evaluation and checkpoints.
    seconds: Duration,
    /// The current epoch, from 1.
    epoch: u64,
    /// Steps taken in this epoch.
    epoch_step: usize,
    /// Steps taken since the start.
    step: u64,
}

impl<'a> Training<'a> {
    pub(super) fn new(
        (optimizer, seed): (OptimizerName, u64),
        config: &'a TrainConfig,
        examples: usize,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self {
            optimizer,
            seed,
            config,
            interrupt,
            batches: Batches::new(examples, config.batch, seed),
            seconds: Duration::ZERO,
            epoch: 1,
            epoch_step: 0,
            step: 0,
        }
    }

    /// Trains from the start or a checkpoint to the end, an interruption or a failure; returns the failure.
    pub(super) fn run(
        mut self,
        workload: &dyn Workload,
        from: Option<Checkpoint>,
        log: &mut Log,
    ) -> Result<Option<Failure>, RunError> {
        log.observer.started(&Start {
            optimizer: self.optimizer,
            seed: self.seed,
            epochs: self.config.length.epochs(self.batches.per_epoch()),
            steps: self.config.length.steps(self.batches.per_epoch()),
            taken: from.as_ref().map_or(0, |c| c.header.step),
        });
        let failure = match workload.trainer(self.optimizer, self.seed) {
            Err(error) => Some(self.failure(&error, None, log)?),
            Ok(mut trainer) => {
                let outcome = self.train(trainer.as_mut(), from, log);
                // After an interruption, the resumed run adds the note at its end.
                if !self.interrupt.requested() {
                    let of = (self.optimizer, self.seed);
                    log.note_interventions(of, trainer.interventions());
                }
                match outcome {
                    Ok(()) => None,
                    // A failed step leaves model and optimizer unchanged.
                    Err(Stop::Step(error)) => {
                        Some(self.failure(&error, Some(trainer.state()), log)?)
                    }
                    Err(Stop::Folder(error)) => return Err(error),
                }
            }
        };
        if let Some(failure) = &failure {
            let others = match self.interrupt.requested() {
                true => 0,
                false => log.others,
            };
            log.observer.failed(failure, others);
        }
        log.observer.ended();
        Ok(failure)
    }

    /// Trains and evaluates epoch by epoch, then writes the sample.
    fn train(
        &mut self,
        trainer: &mut dyn Trainer,
        from: Option<Checkpoint>,
        log: &mut Log,
    ) -> Result<(), Stop> {
        if let Some(checkpoint) = from {
            self.restore(&checkpoint, trainer)?;
        }
        let epochs = self.config.length.epochs(self.batches.per_epoch());
        while self.epoch <= epochs {
            let outcome = self.train_epoch(trainer, log);
            log.note_overhead(trainer.timing());
            if !outcome? {
                return Ok(());
            }
            log.observer.busy(Some("evaluating"));
            let row = self.evaluate(trainer);
            log.observer.busy(None);
            let row = match row {
                Err(StepError::Interrupted) => return self.leave(trainer, log),
                row => row?,
            };
            log.epoch(row)?;
            self.epoch += 1;
            self.epoch_step = 0;
        }
        self.write_weights(trainer, log)?;
        log.run.record.note_memory(MemoryRecord {
            optimizer: self.optimizer,
            seed: self.seed,
            state: trainer.optimizer_state()?.len() as u64,
            peak: peak_memory(),
        });
        let sample = match trainer.sample() {
            Err(StepError::Interrupted) => return self.leave(trainer, log),
            sample => sample?,
        };
        if let Some(sample) = sample {
            let (name, extension) = (sample.name, sample.extension);
            let file = format!("{name}-{}-{}.{extension}", self.optimizer, self.seed);
            log.folder.write_file(&file, &sample.bytes)?;
        }
        Ok(())
    }

    /// Writes the final parameters and buffers to the run's folder.
    fn write_weights(&self, trainer: &dyn Trainer, log: &Log) -> Result<(), Stop> {
        let weights = trainer.weights()?;
        let file = weights_file(self.optimizer, self.seed);
        log.folder.write_file(&file, &weights)?;
        Ok(())
    }

    /// Ends an interrupted training run between two steps.
    fn leave(&self, trainer: &mut dyn Trainer, log: &mut Log) -> Result<(), Stop> {
        match self.checkpoint_due(true) {
            true => self.write_checkpoint(trainer, log),
            false => Ok(()),
        }
    }

    fn restore(
        &mut self,
        Checkpoint { header, state }: &Checkpoint,
        trainer: &mut dyn Trainer,
    ) -> Result<(), StepError> {
        let cost = Cost {
            gradients: header.gradients,
            products: header.products,
            refresh_seconds: header.refresh_seconds,
        };
        trainer.restore(state, cost)?;
        self.epoch = header.epoch;
        self.epoch_step = header.epoch_step;
        self.step = header.step;
        self.seconds = Duration::try_from_secs_f64(header.seconds).unwrap_or_default();
        Ok(())
    }

    /// Takes the remaining steps of the epoch; returns `false` if an interruption leaves it unfinished.
    fn train_epoch(&mut self, trainer: &mut dyn Trainer, log: &mut Log) -> Result<bool, Stop> {
        let order = self.batches.order(self.epoch);
        let mut batches: Vec<&[u32]> = order.chunks(self.config.batch).collect();
        let before = self.step.saturating_sub(self.epoch_step as u64);
        let steps = self.config.length.steps(self.batches.per_epoch());
        let left = steps.saturating_sub(before);
        batches.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        // Each iteration runs to the next checkpoint.
        while self.epoch_step < batches.len() {
            let rest = &batches[self.epoch_step..];
            self.take_steps(rest, trainer, log)?;
            let interrupted = self.interrupt.requested();
            if self.checkpoint_due(interrupted) {
                self.write_checkpoint(trainer, log)?;
            }
            if interrupted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A run that writes checkpoints writes another one when interrupted.
    fn checkpoint_due(&self, interrupted: bool) -> bool {
        let every = self.config.checkpoint_every;
        every.is_some_and(|every| interrupted || self.step.is_multiple_of(every as u64))
    }

    /// Steps on the `batches` until the next checkpoint or an interruption.
    fn take_steps(
        &mut self,
        batches: &[&[u32]],
        trainer: &mut dyn Trainer,
        log: &mut Log,
    ) -> Result<(), StepError> {
        let mut clock = Instant::now();
        let mut diverged = None;
        let outcome = trainer.train(batches, &mut |event| {
            let loss = match event {
                TrainEvent::Refreshing => {
                    log.observer.busy(Some("estimating the spectrum"));
                    return ControlFlow::Continue(());
                }
                TrainEvent::Refreshed(refresh) => {
                    log.observer.busy(None);
                    log.refreshed(*refresh);
                    return ControlFlow::Continue(());
                }
                TrainEvent::Stepped { loss } => loss,
            };
            diverged = StepError::check_finite("the training loss", loss).err();
            if diverged.is_some() {
                return ControlFlow::Break(());
            }
            self.step += 1;
            self.epoch_step += 1;
            self.seconds += clock.elapsed();
            log.observer.stepped(loss);
            if self.interrupt.requested() || self.checkpoint_due(false) {
                return ControlFlow::Break(());
            }
            clock = Instant::now();
            ControlFlow::Continue(())
        });
        match diverged {
            Some(error) => Err(error),
            // Interrupted during a refresh: the run ends with the last finished step.
            None if matches!(outcome, Err(StepError::Interrupted)) => Ok(()),
            None => outcome.map(|_| ()),
        }
    }

    fn write_checkpoint(&self, trainer: &mut dyn Trainer, log: &mut Log) -> Result<(), Stop> {
        let checkpoint = self.checkpoint(trainer.state()?, trainer.cost(), log);
        log.folder.sync()?;
        checkpoint.write(log.folder.path(), self.config.keep_checkpoints)?;
        *log.checkpoints += 1;
        Ok(())
    }

    fn checkpoint(&self, state: TrainerState, cost: Cost, log: &Log) -> Checkpoint {
        let record = &log.run.record;
        let header = CheckpointHeader {
            format: CheckpointHeader::FORMAT,
            number: *log.checkpoints,
            optimizer: self.optimizer,
            seed: self.seed,
            epoch: self.epoch,
            epoch_step: self.epoch_step,
            step: self.step,
            seconds: self.seconds.as_secs_f64(),
            gradients: cost.gradients,
            products: cost.products,
            refresh_seconds: cost.refresh_seconds,
            rows: log.run.rows.len(),
            refreshes: record.refreshes.clone(),
            failures: record.failures.clone(),
        };
        Checkpoint { header, state }
    }

    fn evaluate(&self, trainer: &mut dyn Trainer) -> Result<MetricsRow, StepError> {
        let train = trainer.evaluate(Part::Train)?;
        let validation = trainer.evaluate(Part::Validation)?;
        StepError::check_finite("the training loss", train.loss)?;
        StepError::check_finite("the validation loss", validation.loss)?;
        let cost = trainer.cost();
        let per_epoch = self.batches.per_epoch();
        let learning_rate = self.config.learning_rate(self.optimizer, per_epoch);
        Ok(MetricsRow {
            optimizer: self.optimizer,
            seed: self.seed,
            epoch: self.epoch,
            step: self.step,
            learning_rate: learning_rate.at(self.step.saturating_sub(1)),
            train_loss: train.loss,
            valid_loss: validation.loss,
            valid_accuracy: validation.accuracy,
            train_seconds: self.seconds.as_secs_f64(),
            refresh_seconds: cost.refresh_seconds,
            gradients: cost.gradients,
            products: cost.products,
        })
    }

    fn failure(
        &self,
        error: &StepError,
        state: Option<Result<TrainerState, StepError>>,
        log: &Log,
    ) -> Result<Failure, RunError> {
        let record = &log.run.record;
        let spectrum = record.spectrum_before((self.optimizer, self.seed), u64::MAX);
        let (eigenvalues, scale) = spectrum.unwrap_or((&[], 1.0));
        let (state, state_error) = match state {
            Some(Ok(state)) => (Some(state), None),
            Some(Err(error)) => (None, Some(error.to_string())),
            None => (None, None),
        };
        let name = format!("stopped-{}-{}.safetensors", self.optimizer, self.seed);
        let saved = state.map(|state| {
            let checkpoint = self.checkpoint(state, Cost::default(), log);
            checkpoint.write_to(&log.folder.path().join(&name))
        });
        Ok(Failure {
            optimizer: self.optimizer,
            seed: self.seed,
            epoch: self.epoch,
            step: self.step,
            reason: error.to_string(),
            eigenvalues: eigenvalues.to_vec(),
            scale,
            state: saved.transpose()?.map(|()| name),
            state_error,
        })
    }
}
