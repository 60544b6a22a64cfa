//! Training every optimizer of a run in turn: epochs, evaluation, time, failures, interruption.
//!
//! What a model and its optimizer do in a step is behind [`Workbench`] and [`Trainee`].

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::config::TrainConfig;
use crate::data::{Batches, Part};
use crate::interrupt::Interrupt;
use crate::optimizers::OptimizerName;
use crate::runs::{
    DataDescription, Failure, MetricsRow, ModelDescription, RefreshRecord, Run, RunError,
    RunFolder, RunRecord, RunStatus,
};

/// Data and a model that can be trained on it from the same start by any optimizer.
pub trait Workbench {
    /// The model and its size.
    fn model(&self) -> ModelDescription;

    /// The data and its size.
    fn data(&self) -> DataDescription;

    /// What a reader of the results should know about how data and model came about: times, files left out.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// A model at its starting point, the same for every optimizer with the same `seed`.
    ///
    /// # Errors
    /// When the optimizer can't be set up.
    fn trainee(
        &self,
        optimizer: OptimizerName,
        seed: u64,
    ) -> Result<Box<dyn Trainee + '_>, StepError>;
}

/// A model together with the optimizer that trains it.
pub trait Trainee {
    /// One optimizer step on the mean loss of each of `batches` (indices of training examples), in their order,
    /// refreshing the spectrum first where it is due. `stepped` is told of each step, and may end the epoch there.
    ///
    /// # Errors
    /// When it cannot go on, as with a gradient that isn't finite. A refresh that is refused is no such error: it
    /// appears in [`take_refreshes`](Self::take_refreshes).
    fn train(
        &mut self,
        batches: &[&[u32]],
        stepped: &mut dyn FnMut(&StepReport) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StepError>;

    /// Mean loss and accuracy over a part of the data at the current parameters.
    ///
    /// # Errors
    /// When they can't be computed.
    fn evaluate(&mut self, part: Part) -> Result<Evaluation, StepError>;

    /// Something to look at that shows what the model has learned.
    ///
    /// # Errors
    /// When it can't be computed.
    fn sample(&mut self) -> Result<Option<Sample>, StepError> {
        Ok(None)
    }

    /// What was spent since the start.
    fn cost(&self) -> Cost;

    /// The refreshes since the last call, in order.
    fn take_refreshes(&mut self) -> Vec<RefreshRecord>;
}

/// What a step tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Mean loss of the batch before the step.
    pub loss: f64,
}

/// How good a model is on some data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Share classified rightly, 0 to 1, where the task is to classify.
    pub accuracy: Option<f64>,
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

/// Why an optimizer cannot go on. The others of the run do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StepError {
    /// A number that training can't survive.
    #[error("{what} is {value}: the training diverged; a smaller learning rate may help")]
    NotFinite {
        /// What isn't finite: the gradient, the training loss.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl StepError {
    fn check(what: &'static str, value: f64) -> Result<(), Self> {
        if value.is_finite() {
            Ok(())
        } else {
            Err(Self::NotFinite { what, value })
        }
    }
}

/// Who watches a run: progress bars, or a test.
pub trait Observer {
    /// An optimizer starts; it will take `epochs` times `steps_per_epoch` steps.
    fn started(
        &mut self,
        optimizer: OptimizerName,
        seed: u64,
        epochs: usize,
        steps_per_epoch: usize,
    );
    /// It has taken a step.
    fn stepped(&mut self, report: &StepReport);
    /// It has finished an epoch.
    fn epoch(&mut self, row: &MetricsRow);
    /// It was stopped.
    fn failed(&mut self, failure: &Failure);
    /// It is over, whatever the reason.
    fn ended(&mut self);
}

/// Trains every optimizer with every seed and writes `metrics.csv` and `run.json` as it goes.
///
/// An optimizer that fails is recorded and the others go on; an interruption ends the run after the step that is
/// going on, and what there is stays. Evaluation doesn't count as training time.
///
/// # Errors
/// [`RunError`] when the folder can't be written.
pub fn run(
    workbench: &dyn Workbench,
    config: &TrainConfig,
    folder: &mut RunFolder,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
) -> Result<Run, RunError> {
    let name = folder
        .path()
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut record = RunRecord::start(&name, config, workbench.model(), workbench.data());
    record.notes = workbench.notes();
    let mut rows = Vec::new();
    folder.write_record(&record)?;

    let optimizers = config.all_optimizers();
    let pairs = config
        .seeds
        .iter()
        .flat_map(|&seed| optimizers.iter().map(move |&optimizer| (optimizer, seed)));
    for (optimizer, seed) in pairs {
        if interrupt.requested() {
            break;
        }
        let mut log = Log {
            folder,
            observer,
            rows: &mut rows,
            refreshes: &mut record.refreshes,
        };
        let mut training = Training::new(optimizer, seed, config, record.data.train);
        let failure = training.run_logged(workbench, &mut log, interrupt)?;
        record.failures.extend(failure);
        folder.write_record(&record)?;
    }

    record.finish(match interrupt.requested() {
        true => RunStatus::Interrupted,
        false => RunStatus::Finished,
    });
    folder.write_record(&record)?;
    Ok(Run { record, rows })
}

/// Where a training's results go.
struct Log<'a> {
    folder: &'a mut RunFolder,
    observer: &'a mut dyn Observer,
    rows: &'a mut Vec<MetricsRow>,
    refreshes: &'a mut Vec<RefreshRecord>,
}

enum Stop {
    Step(StepError),
    Folder(RunError),
}

impl From<StepError> for Stop {
    fn from(error: StepError) -> Self {
        Self::Step(error)
    }
}

/// One optimizer with one seed.
struct Training<'a> {
    optimizer: OptimizerName,
    seed: u64,
    config: &'a TrainConfig,
    batches: Batches,
    seconds: Duration,
    epoch: u64,
    step: u64,
}

impl<'a> Training<'a> {
    fn new(optimizer: OptimizerName, seed: u64, config: &'a TrainConfig, examples: usize) -> Self {
        Self {
            optimizer,
            seed,
            config,
            batches: Batches::new(examples, config.batch, seed),
            seconds: Duration::ZERO,
            epoch: 0,
            step: 0,
        }
    }

    /// Trains to the end, an interruption or a failure, and tells the observer; the failure is returned.
    fn run_logged(
        &mut self,
        workbench: &dyn Workbench,
        log: &mut Log,
        interrupt: &Interrupt,
    ) -> Result<Option<Failure>, RunError> {
        let steps_per_epoch = self.batches.per_epoch();
        log.observer.started(
            self.optimizer,
            self.seed,
            self.config.epochs,
            steps_per_epoch,
        );
        let failure = match self.run(workbench, log, interrupt) {
            Ok(()) => None,
            Err(Stop::Step(error)) => Some(self.failure(&error)),
            Err(Stop::Folder(error)) => return Err(error),
        };
        if let Some(failure) = &failure {
            log.observer.failed(failure);
        }
        log.observer.ended();
        Ok(failure)
    }

    fn run(
        &mut self,
        workbench: &dyn Workbench,
        log: &mut Log,
        interrupt: &Interrupt,
    ) -> Result<(), Stop> {
        let mut trainee = workbench.trainee(self.optimizer, self.seed)?;
        while self.epoch < self.config.epochs as u64 {
            self.epoch += 1;
            let outcome = self.train_epoch(trainee.as_mut(), log.observer, interrupt);
            log.refreshes.extend(trainee.take_refreshes());
            if !outcome? {
                return Ok(());
            }
            let row = self.evaluate(trainee.as_mut())?;
            log.folder.append(&row).map_err(Stop::Folder)?;
            log.rows.push(row);
            log.observer.epoch(&row);
        }
        if let Some(sample) = trainee.sample()? {
            let (name, extension) = (sample.name, sample.extension);
            let file = format!("{name}-{}-{}.{extension}", self.optimizer, self.seed);
            let written = log.folder.write_file(&file, &sample.bytes);
            written.map_err(Stop::Folder)?;
        }
        Ok(())
    }

    /// Whether the epoch was finished: an interruption leaves it unfinished.
    fn train_epoch(
        &mut self,
        trainee: &mut dyn Trainee,
        observer: &mut dyn Observer,
        interrupt: &Interrupt,
    ) -> Result<bool, StepError> {
        let order = self.batches.order(self.epoch);
        let batches: Vec<&[u32]> = order.chunks(self.config.batch).collect();
        let mut clock = Instant::now();
        let mut lost = None;
        let outcome = trainee.train(&batches, &mut |report| {
            lost = StepError::check("the training loss", report.loss).err();
            if lost.is_some() {
                return ControlFlow::Break(());
            }
            self.step += 1;
            self.seconds += clock.elapsed();
            observer.stepped(report);
            if interrupt.requested() {
                return ControlFlow::Break(());
            }
            clock = Instant::now();
            ControlFlow::Continue(())
        });
        match lost {
            Some(error) => Err(error),
            None => Ok(outcome?.is_continue()),
        }
    }

    fn evaluate(&self, trainee: &mut dyn Trainee) -> Result<MetricsRow, StepError> {
        let train = trainee.evaluate(Part::Train)?;
        let validation = trainee.evaluate(Part::Validation)?;
        StepError::check("the training loss", train.loss)?;
        StepError::check("the validation loss", validation.loss)?;
        let cost = trainee.cost();
        Ok(MetricsRow {
            optimizer: self.optimizer,
            seed: self.seed,
            epoch: self.epoch,
            step: self.step,
            train_loss: train.loss,
            valid_loss: validation.loss,
            valid_accuracy: validation.accuracy,
            train_seconds: self.seconds.as_secs_f64(),
            refresh_seconds: cost.refresh_seconds,
            gradients: cost.gradients,
            products: cost.products,
        })
    }

    fn failure(&self, error: &StepError) -> Failure {
        Failure {
            optimizer: self.optimizer,
            seed: self.seed,
            epoch: self.epoch,
            step: self.step,
            reason: error.to_string(),
        }
    }
}
