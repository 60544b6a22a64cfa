//! Training every optimizer of a run in turn: epochs, evaluation, time, failures, interruption.
//!
//! What a model and its optimizer do in a step is behind [`Workbench`] and [`Trainee`].

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use fosi::Interventions;
use fosi::timing::{OverheadStatus, Timing};
use thiserror::Error;

use crate::config::{Algorithm, HvpPrecision, RefreshSchedule, TrainConfig};
use crate::data::{Batches, Part};
use crate::interrupt::Interrupt;
use crate::optimizers::OptimizerName;
use crate::runs::{
    Checkpoint, DataDescription, Failure, MetricsRow, ModelDescription, Progress, RefreshOutcome,
    RefreshRecord, Run, RunError, RunFolder, RunLock, RunRecord, RunStatus, TraineeState, Versions,
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

    /// What a gradient on a batch costs in the precision of Hessian-vector products, which an estimation takes one or two
    /// of a product; measured here and now. `None` where no optimizer takes products.
    ///
    /// # Errors
    /// When it can't be computed.
    fn gradient_cost(&self) -> Result<Option<GradientCost>, StepError> {
        Ok(None)
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
    /// refreshing the spectrum first where it is due. `told` is told of each refresh and each step when it happens, and may
    /// end the epoch after a step.
    ///
    /// # Errors
    /// When it cannot go on, as with a gradient that isn't finite; the trainee is then as before the step, as it is with
    /// [`StepError::Interrupted`]. A refresh that is refused is no error.
    fn train(
        &mut self,
        batches: &[&[u32]],
        told: &mut dyn FnMut(TrainEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StepError>;

    /// Mean loss and accuracy over a part of the data at the current parameters.
    ///
    /// # Errors
    /// When they can't be computed; [`StepError::Interrupted`].
    fn evaluate(&mut self, part: Part) -> Result<Evaluation, StepError>;

    /// Something to look at that shows what the model has learned.
    ///
    /// # Errors
    /// When it can't be computed.
    fn sample(&mut self) -> Result<Option<Sample>, StepError> {
        Ok(None)
    }

    /// Model and optimizer, to go on from with the same bits.
    ///
    /// # Errors
    /// When they can't be taken down.
    fn state(&self) -> Result<TraineeState, StepError>;

    /// Takes a state over, together with what was spent until then.
    ///
    /// # Errors
    /// When it is of another model or optimizer.
    fn restore(&mut self, state: &TraineeState, cost: Cost) -> Result<(), StepError>;

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

/// What happens while a trainee trains.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainEvent {
    /// The spectrum is estimated before the next step.
    Refreshing,
    /// It has been, or the estimation was refused.
    Refreshed(Box<RefreshRecord>),
    /// A step was taken.
    Stepped(StepReport),
}

/// What a step tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Mean loss of the batch before the step.
    pub loss: f64,
}

/// What a gradient costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientCost {
    /// The precision in which it is taken.
    pub precision: HvpPrecision,
    /// Seconds for a whole batch.
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
    /// An optimizer starts, or goes on.
    fn started(&mut self, start: &Start);
    /// Something takes longer than a step, or (`None`) is over.
    fn busy(&mut self, with: Option<&'static str>);
    /// It has taken a step.
    fn stepped(&mut self, report: &StepReport);
    /// It has finished an epoch.
    fn epoch(&mut self, row: &MetricsRow);
    /// A refresh was refused; `spectrum`: whether there is an older one, which stays.
    fn refused(&mut self, refresh: &RefreshRecord, reason: &str, spectrum: bool);
    /// It was stopped; `others` are still to come.
    fn failed(&mut self, failure: &Failure, others: usize);
    /// It is over, whatever the reason.
    fn ended(&mut self);
}

/// The start of an optimizer, or where it goes on.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// Its seed.
    pub seed: u64,
    /// Passes over the training data.
    pub epochs: usize,
    /// Steps of each.
    pub steps_per_epoch: usize,
    /// Steps taken before the run was cut off.
    pub taken: u64,
}

impl Start {
    /// Steps to the end, from the first on.
    pub fn steps(&self) -> u64 {
        (self.epochs as u64).saturating_mul(self.steps_per_epoch as u64)
    }
}

/// Trains every optimizer with every seed and writes `metrics.csv` and `run.json` as it goes, and checkpoints where the
/// settings ask for them.
///
/// An optimizer that fails is recorded and the others go on; an interruption ends the run after the step that is
/// going on, and what there is stays. Evaluation and checkpoints don't count as training time.
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
    let steps = Batches::new(record.data.train, config.batch, 0).per_epoch();
    record.notes.extend(config.idle_note(steps));
    let rows = Vec::new();
    go_on(
        workbench,
        Run { record, rows },
        None,
        folder,
        observer,
        interrupt,
    )
}

/// Goes on with the run in a locked folder from its newest good checkpoint, or from the start where it has none.
///
/// # Errors
/// [`RunError`] when the folder can't be read or written, or holds damaged checkpoints only.
pub fn resume(
    workbench: &dyn Workbench,
    lock: RunLock,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
) -> Result<Run, RunError> {
    let newest = Checkpoint::read_newest(lock.folder())?;
    let (checkpoint, damaged) = newest.map_or((None, Vec::new()), |(c, d)| (Some(c), d));
    let rows = checkpoint.as_ref().map_or(0, |c| c.progress.rows);
    let (mut folder, mut run) = RunFolder::reopen(lock, rows)?;
    let (refreshes, failures) = match &checkpoint {
        Some(Checkpoint { progress, .. }) => {
            (progress.refreshes.clone(), progress.failures.clone())
        }
        None => (Vec::new(), Vec::new()),
    };
    run.record.refreshes = refreshes;
    run.record.failures = failures;
    run.record.go_on();
    let notes = damaged.iter().map(ToString::to_string);
    run.record.notes.extend(notes);
    let here = Versions::here();
    if here != run.record.versions {
        let note = format!(
            "The run began with {} and goes on with {here}",
            run.record.versions
        );
        run.record.notes.push(note);
    }
    go_on(workbench, run, checkpoint, &mut folder, observer, interrupt)
}

fn go_on(
    workbench: &dyn Workbench,
    mut run: Run,
    mut checkpoint: Option<Checkpoint>,
    folder: &mut RunFolder,
    observer: &mut dyn Observer,
    interrupt: &Interrupt,
) -> Result<Run, RunError> {
    let config = run.record.config.clone();
    folder.write_record(&run.record)?;
    let optimizers = config.all_optimizers();
    let pairs = config.seeds.iter().flat_map(|&seed| {
        let pair = move |&optimizer| (optimizer, seed);
        optimizers.iter().map(pair)
    });
    let pairs: Vec<(OptimizerName, u64)> = pairs.collect();
    let first = match &checkpoint {
        Some(Checkpoint { progress, .. }) => {
            let pair = (progress.optimizer, progress.seed);
            let place = pairs.iter().position(|other| *other == pair);
            place.ok_or_else(|| RunError::OtherRun {
                path: folder.path().to_owned(),
                found: format!("{} with seed {}", pair.0, pair.1),
            })?
        }
        None => 0,
    };
    let mut checkpoints = checkpoint.as_ref().map_or(0, |c| c.progress.number + 1);
    for (index, &(optimizer, seed)) in pairs.iter().enumerate().skip(first) {
        if interrupt.requested() {
            break;
        }
        let mut log = Log {
            folder,
            observer,
            run: &mut run,
            checkpoints: &mut checkpoints,
            others: pairs.len() - index - 1,
        };
        let mut training = Training::new(optimizer, seed, &config, log.run.record.data.train);
        let failure = training.run_logged(workbench, checkpoint.take(), &mut log, interrupt)?;
        run.record.failures.extend(failure);
        folder.write_record(&run.record)?;
    }

    run.record.finish(match interrupt.requested() {
        true => RunStatus::Interrupted,
        false => RunStatus::Finished,
    });
    folder.write_record(&run.record)?;
    Ok(run)
}

/// Where a training's results go.
struct Log<'a> {
    folder: &'a mut RunFolder,
    observer: &'a mut dyn Observer,
    run: &'a mut Run,
    /// Checkpoints written so far.
    checkpoints: &'a mut u64,
    /// Optimizers after this one.
    others: usize,
}

impl Log<'_> {
    /// Keeps a refresh, and tells of one that was refused.
    fn refreshed(&mut self, refresh: RefreshRecord) {
        let record = &mut self.run.record;
        if let RefreshOutcome::Refused { reason } = &refresh.outcome {
            let of = (refresh.optimizer, refresh.seed);
            let spectrum = record.spectrum_before(of, refresh.step).is_some();
            self.observer.refused(&refresh, reason, spectrum);
        }
        record.refreshes.push(refresh);
    }

    /// Notes what the safeguards have done for an optimizer that is over.
    fn note_interventions(&mut self, training: &Training, done: Interventions) {
        let note = interventions_note(training, done);
        let notes = &mut self.run.record.notes;
        notes.extend(note.filter(|note| !notes.contains(note)));
    }

    /// Notes, once in a run, that no interval keeps the overhead.
    fn note_overhead(&mut self, timing: Option<Timing>, config: &TrainConfig) {
        let RefreshSchedule::Overhead(overhead) = config.schedule else {
            return;
        };
        if timing.is_none_or(|timing| timing.overhead != OverheadStatus::Unattainable) {
            return;
        }
        let note = overhead_note(overhead);
        if !self.run.record.notes.contains(&note) {
            self.run.record.notes.push(note);
        }
    }
}

/// What is told where a safeguard has acted; `None` where none has.
fn interventions_note(training: &Training, done: Interventions) -> Option<String> {
    let Interventions {
        unresolved,
        overshot,
        grew,
        ..
    } = done;
    let mut parts = Vec::new();
    if unresolved > 0 {
        parts.push(format!("{unresolved} pairs were not resolved"));
    }
    if overshot > 0 {
        parts.push(format!("{overshot} directions overshot"));
    }
    if let Some(step) = grew {
        parts.push(format!(
            "at step {step} the gradient had grown outside of the subspace"
        ));
    }
    if parts.is_empty() {
        return None;
    }
    let consequence = match training.config.algorithm {
        Algorithm::Guarded => {
            "such directions are left to the base, and after such growth its rate isn't scaled"
        }
        Algorithm::Paper => {
            "--algorithm guarded would have left such directions, or the unscaled rate, to the base"
        }
    };
    let (optimizer, seed) = (training.optimizer, training.seed);
    Some(format!(
        "{optimizer}, seed {seed}: {}; {consequence}",
        parts.join(", ")
    ))
}

/// What is told where FOSI's steps alone exceed the overhead. It names no optimizer: those of a run say it once.
fn overhead_note(overhead: f64) -> String {
    format!(
        "no interval keeps --overhead {overhead}: even without refreshes, steps with FOSI take {overhead} times as long as \
         the base's or longer. Refreshes make FOSI's own steps {overhead} times as long instead; the measured times are \
         in run.json"
    )
}

enum Stop {
    /// With the state before the step, or why it can't be had; none before there was a model.
    Step(StepError, Option<Result<TraineeState, StepError>>),
    Folder(RunError),
}

impl From<StepError> for Stop {
    fn from(error: StepError) -> Self {
        Self::Step(error, None)
    }
}

impl From<RunError> for Stop {
    fn from(error: RunError) -> Self {
        Self::Folder(error)
    }
}

/// One optimizer with one seed.
struct Training<'a> {
    optimizer: OptimizerName,
    seed: u64,
    config: &'a TrainConfig,
    batches: Batches,
    seconds: Duration,
    /// The epoch that is going on, from 1.
    epoch: u64,
    /// Steps taken in it.
    epoch_step: usize,
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
            epoch: 1,
            epoch_step: 0,
            step: 0,
        }
    }

    /// Trains to the end, an interruption or a failure, and tells the observer; the failure is returned.
    fn run_logged(
        &mut self,
        workbench: &dyn Workbench,
        from: Option<Checkpoint>,
        log: &mut Log,
        interrupt: &Interrupt,
    ) -> Result<Option<Failure>, RunError> {
        log.observer.started(&Start {
            optimizer: self.optimizer,
            seed: self.seed,
            epochs: self.config.epochs,
            steps_per_epoch: self.batches.per_epoch(),
            taken: from.as_ref().map_or(0, |c| c.progress.step),
        });
        let failure = match self.run(workbench, from, log, interrupt) {
            Ok(()) => None,
            Err(Stop::Step(error, state)) => Some(self.failure(&error, state, log)?),
            Err(Stop::Folder(error)) => return Err(error),
        };
        if let Some(failure) = &failure {
            let others = match interrupt.requested() {
                true => 0,
                false => log.others,
            };
            log.observer.failed(failure, others);
        }
        log.observer.ended();
        Ok(failure)
    }

    /// Trains; an error that stops it comes with the state before the step that failed, where there is one.
    fn run(
        &mut self,
        workbench: &dyn Workbench,
        from: Option<Checkpoint>,
        log: &mut Log,
        interrupt: &Interrupt,
    ) -> Result<(), Stop> {
        let mut trainee = workbench.trainee(self.optimizer, self.seed)?;
        let outcome = self.run_trainee(trainee.as_mut(), from, log, interrupt);
        // What an interruption leaves is told where the run goes on and ends.
        if !interrupt.requested() {
            log.note_interventions(self, trainee.interventions());
        }
        outcome.map_err(|stop| match stop {
            // A step that fails leaves model and optimizer as they were.
            Stop::Step(error, None) => Stop::Step(error, Some(trainee.state())),
            other => other,
        })
    }

    fn run_trainee(
        &mut self,
        trainee: &mut dyn Trainee,
        from: Option<Checkpoint>,
        log: &mut Log,
        interrupt: &Interrupt,
    ) -> Result<(), Stop> {
        if let Some(checkpoint) = from {
            self.go_on_from(&checkpoint, trainee)?;
        }
        while self.epoch <= self.config.epochs as u64 {
            let outcome = self.train_epoch(trainee, log, interrupt);
            log.note_overhead(trainee.timing(), self.config);
            if !outcome? {
                return Ok(());
            }
            log.observer.busy(Some("evaluating"));
            let row = self.evaluate(trainee);
            log.observer.busy(None);
            let row = match row {
                Err(StepError::Interrupted) => return self.leave(trainee, log),
                row => row?,
            };
            log.folder.append(&row)?;
            log.run.rows.push(row);
            log.observer.epoch(&row);
            self.epoch += 1;
            self.epoch_step = 0;
        }
        let sample = match trainee.sample() {
            Err(StepError::Interrupted) => return self.leave(trainee, log),
            sample => sample?,
        };
        if let Some(sample) = sample {
            let (name, extension) = (sample.name, sample.extension);
            let file = format!("{name}-{}-{}.{extension}", self.optimizer, self.seed);
            log.folder.write_file(&file, &sample.bytes)?;
        }
        Ok(())
    }

    /// Ends an interrupted training between two steps.
    fn leave(&self, trainee: &mut dyn Trainee, log: &mut Log) -> Result<(), Stop> {
        match self.checkpoint_due(true) {
            true => self.write_checkpoint(trainee, log),
            false => Ok(()),
        }
    }

    fn go_on_from(
        &mut self,
        Checkpoint {
            progress,
            trainee: state,
        }: &Checkpoint,
        trainee: &mut dyn Trainee,
    ) -> Result<(), StepError> {
        let cost = Cost {
            gradients: progress.gradients,
            products: progress.products,
            refresh_seconds: progress.refresh_seconds,
        };
        trainee.restore(state, cost)?;
        self.epoch = progress.epoch;
        self.epoch_step = progress.epoch_step;
        self.step = progress.step;
        self.seconds = Duration::try_from_secs_f64(progress.seconds).unwrap_or_default();
        Ok(())
    }

    /// Whether the epoch was finished: an interruption leaves it unfinished.
    fn train_epoch(
        &mut self,
        trainee: &mut dyn Trainee,
        log: &mut Log,
        interrupt: &Interrupt,
    ) -> Result<bool, Stop> {
        let order = self.batches.order(self.epoch);
        let batches: Vec<&[u32]> = order.chunks(self.config.batch).collect();
        // From one checkpoint to the next.
        while self.epoch_step < batches.len() {
            let rest = &batches[self.epoch_step..];
            self.train_until_checkpoint(rest, trainee, log, interrupt)?;
            let interrupted = interrupt.requested();
            if self.checkpoint_due(interrupted) {
                self.write_checkpoint(trainee, log)?;
            }
            if interrupted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An interrupted run that writes checkpoints at all writes one more.
    fn checkpoint_due(&self, interrupted: bool) -> bool {
        let every = self.config.checkpoint_every;
        every.is_some_and(|every| interrupted || self.step.is_multiple_of(every as u64))
    }

    fn train_until_checkpoint(
        &mut self,
        batches: &[&[u32]],
        trainee: &mut dyn Trainee,
        log: &mut Log,
        interrupt: &Interrupt,
    ) -> Result<(), StepError> {
        let mut clock = Instant::now();
        let mut lost = None;
        let outcome = trainee.train(batches, &mut |event| {
            let report = match event {
                TrainEvent::Refreshing => {
                    log.observer.busy(Some("estimating the spectrum"));
                    return ControlFlow::Continue(());
                }
                TrainEvent::Refreshed(refresh) => {
                    log.observer.busy(None);
                    log.refreshed(*refresh);
                    return ControlFlow::Continue(());
                }
                TrainEvent::Stepped(report) => report,
            };
            lost = StepError::check("the training loss", report.loss).err();
            if lost.is_some() {
                return ControlFlow::Break(());
            }
            self.step += 1;
            self.epoch_step += 1;
            self.seconds += clock.elapsed();
            log.observer.stepped(&report);
            if interrupt.requested() || self.checkpoint_due(false) {
                return ControlFlow::Break(());
            }
            clock = Instant::now();
            ControlFlow::Continue(())
        });
        match lost {
            Some(error) => Err(error),
            // Interrupted in a refresh: the last step is the last one.
            None if matches!(outcome, Err(StepError::Interrupted)) => Ok(()),
            None => outcome.map(|_| ()),
        }
    }

    fn write_checkpoint(&self, trainee: &mut dyn Trainee, log: &mut Log) -> Result<(), Stop> {
        let checkpoint = self.checkpoint(trainee.state()?, trainee.cost(), log);
        log.folder.sync()?;
        checkpoint.write(log.folder.path())?;
        *log.checkpoints += 1;
        Ok(())
    }

    fn checkpoint(&self, trainee: TraineeState, cost: Cost, log: &Log) -> Checkpoint {
        let record = &log.run.record;
        let progress = Progress {
            format: Progress::FORMAT,
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
        Checkpoint { progress, trainee }
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

    fn failure(
        &self,
        error: &StepError,
        state: Option<Result<TraineeState, StepError>>,
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
