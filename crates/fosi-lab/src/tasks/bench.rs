//! Training a task with FOSI's optimizers through Burn.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use burn_store::{ModuleSnapshot, SafetensorsStore};
use fosi::base::{Adam, AdamW, GradientDescent, HeavyBall, Nesterov};
use fosi::timing::Timing;
use fosi::{Clipping, FosiConfig, Interventions, Rate, Schedule, Space};
use fosi_burn::{
    FlatLayout, FosiOptimizer, ModuleSpace, OptimizerError, Precision, RefreshAttempt, Replica,
};

use super::device::device;
use super::{Opening, Task, TaskError, failed, placeholder};
use crate::config::{Algorithm, DeviceName, HvpPrecision, RefreshSchedule, TrainConfig};
use crate::data::{Batches, Part, Prefetch};
use crate::interrupt::Interrupt;
use crate::optimizers::{Base, OptimizerName};
use crate::runs::{DataDescription, ModelDescription, RefreshOutcome, RefreshRecord, TraineeState};
use crate::train::{
    Cost, Evaluation, GradientCost, Sample, StepError, StepReport, TrainEvent, Trainee, Workbench,
};

/// Threads that make batches while another trains, and batches that each keeps ready.
const BATCH_THREADS: usize = 1;
const BATCHES_AHEAD: usize = 2;

/// Seconds that a gradient is timed for, at least, where the batch is large enough.
const TIMED: f64 = 0.3;

/// A task with the settings of a run.
pub(super) struct Bench<T> {
    task: Arc<T>,
    config: TrainConfig,
    data: DataDescription,
    parameters: usize,
    interrupt: Interrupt,
}

impl<T: Task> Bench<T> {
    pub(super) fn new(
        task: T,
        config: &TrainConfig,
        opening: Opening,
        interrupt: Interrupt,
    ) -> Result<Self, TaskError> {
        let model = task.init(0, &device(config.device).autodiff());
        let layout = FlatLayout::of(&model).map_err(failed)?;
        let mut data = task.data();
        if opening == Opening::Whole {
            data.checksum = task.checksum();
        }
        Ok(Self {
            task: Arc::new(task),
            config: config.clone(),
            data,
            parameters: layout.len(),
            interrupt,
        })
    }

    /// The precision in which products are taken.
    fn precision(&self, device: &Device) -> Precision {
        match self.config.hvp {
            HvpPrecision::F64 if Precision::F64.supported_by(device) => Precision::F64,
            _ => Precision::F32,
        }
    }

    fn training<S: ModuleSpace + 'static>(
        &self,
        name: OptimizerName,
        seed: u64,
        new: impl FnOnce(&T::Model, FosiConfig) -> Result<Optimizer<S>, OptimizerError>,
    ) -> Result<Box<dyn Trainee>, StepError> {
        let device = device(self.config.device);
        device.seed(seed);
        let device = device.autodiff();
        let model = self.task.init(seed, &device);
        let optimizer = new(&model, self.fosi_config(name, seed)).map_err(other)?;
        let optimizer = match self.config.hvp {
            // Its default, or f32 where the device has no f64.
            HvpPrecision::F64 => optimizer,
            HvpPrecision::F32 => optimizer.with_precision(Precision::F32),
        };
        Ok(Box::new(Training {
            task: Arc::clone(&self.task),
            name,
            seed,
            learning_rate: self.config.lr.get(name.base) * name.rate.get(),
            evaluated: self.config.eval_examples.unwrap_or(usize::MAX),
            model,
            optimizer,
            device,
            cost: Cost::default(),
            interrupt: self.interrupt.clone(),
            checkpoints: self.config.checkpoint_every.is_some(),
        }))
    }

    fn base<S: Space>(&self, base: Base) -> Box<dyn fosi::base::Base<S>> {
        let momentum = self.config.momentum;
        match base {
            Base::GradientDescent => Box::new(GradientDescent),
            Base::HeavyBall => Box::new(HeavyBall::new(momentum)),
            Base::Nesterov => Box::new(Nesterov::new(momentum)),
            Base::Adam => Box::new(Adam::default()),
            Base::AdamW => Box::new(AdamW {
                weight_decay: self.config.weight_decay,
                ..AdamW::default()
            }),
        }
    }

    fn fosi_config(&self, name: OptimizerName, seed: u64) -> FosiConfig {
        let config = &self.config;
        let steps_per_epoch = Batches::new(self.data.train, config.batch, 0).per_epoch();
        let warmup = config.warmup_steps(steps_per_epoch) as u64;
        let schedule = match (name.fosi, config.schedule) {
            (false, _) => Schedule::Never,
            (true, RefreshSchedule::Interval(steps)) => Schedule::Every {
                warmup,
                interval: steps as u64,
            },
            (true, RefreshSchedule::Overhead(overhead)) => Schedule::Overhead {
                warmup,
                overhead,
                product_cost: None,
            },
        };
        FosiConfig {
            largest: config.k,
            smallest: config.l,
            lanczos_steps: config.m,
            newton_rate: Rate::Constant(config.alpha),
            scale_limit: config.clip.get(name.base),
            curvature_floor: config.curvature_floor,
            safeguards: config.algorithm == Algorithm::Guarded,
            clipping: config.clip_gradient.map_or(Clipping::None, Clipping::Value),
            schedule,
            seed,
            ..FosiConfig::default()
        }
    }
}

impl<T: Task> Workbench for Bench<T> {
    fn model(&self) -> ModelDescription {
        ModelDescription {
            name: self.task.name(),
            parameters: self.parameters,
        }
    }

    fn data(&self) -> DataDescription {
        self.data.clone()
    }

    fn gradient_cost(&self) -> Result<Option<GradientCost>, StepError> {
        if !self
            .config
            .optimizers
            .iter()
            .any(|optimizer| optimizer.fosi)
        {
            return Ok(None);
        }
        let device = device(self.config.device).autodiff();
        let precision = self.precision(&device);
        let replica = Replica::new(&self.task.init(0, &device), precision).map_err(other)?;
        let parameters = replica.parameters().map_err(other)?;
        let batch = self.config.batch.min(self.data.train);
        let most = batch
            .min(self.task.data().train)
            .min(placeholder::count(&self.config));
        let mut examples = most.min(2);
        loop {
            let indices: Vec<u32> = (0..examples as u32).collect();
            let examples_of = self.task.batch(Part::Train, &indices, &device);
            let loss = |model: &T::Model| self.task.curvature_loss(model, &examples_of);
            let started = Instant::now();
            replica
                .value_and_gradient(&parameters, &loss)
                .map_err(other)?;
            let seconds = started.elapsed().as_secs_f64();
            if examples == most || seconds >= TIMED {
                return Ok(Some(GradientCost {
                    precision: match precision {
                        Precision::F64 => HvpPrecision::F64,
                        Precision::F32 => HvpPrecision::F32,
                    },
                    seconds: seconds * batch as f64 / examples as f64,
                    examples,
                }));
            }
            // As many as the time allows, if it grows with their number.
            let growth = (TIMED / seconds.max(1e-9)).clamp(2.0, 16.0);
            examples = most.min((examples as f64 * growth) as usize);
        }
    }

    fn notes(&self) -> Vec<String> {
        let device = device(self.config.device).autodiff();
        let double = Precision::F64.supported_by(&device);
        let mut notes = self.task.notes();
        notes.extend(precision_note(&self.config, double));
        notes
    }

    fn trainee(
        &self,
        optimizer: OptimizerName,
        seed: u64,
    ) -> Result<Box<dyn Trainee + '_>, StepError> {
        let base = optimizer.base;
        match self.config.device {
            DeviceName::Cpu => self.training(optimizer, seed, |model, config| {
                FosiOptimizer::new(model, self.base(base), config)
            }),
            DeviceName::Cuda | DeviceName::Wgpu => {
                self.training(optimizer, seed, |model, config| {
                    FosiOptimizer::on_device(model, self.base(base), config)
                })
            }
        }
    }
}

/// FOSI around a base that the command line names.
type Optimizer<S> = FosiOptimizer<Box<dyn fosi::base::Base<S>>, S>;

/// A task's model in training.
struct Training<T: Task, S: Space> {
    task: Arc<T>,
    name: OptimizerName,
    seed: u64,
    learning_rate: f64,
    /// Examples of each part that are evaluated, at most.
    evaluated: usize,
    model: T::Model,
    optimizer: Optimizer<S>,
    device: Device,
    cost: Cost,
    interrupt: Interrupt,
    /// Whether the run writes checkpoints, which an interrupted refresh must leave no trace in.
    checkpoints: bool,
}

impl<T: Task, S: ModuleSpace> Training<T, S> {
    fn step(&mut self, batch: &T::Batch) -> Result<StepReport, StepError> {
        let task = Arc::clone(&self.task);
        let loss = |model: &T::Model| task.loss(model, batch);
        let done = self
            .optimizer
            .step(self.learning_rate, &mut self.model, &loss)
            .map_err(step_error)?;
        self.cost.gradients += 1;
        Ok(StepReport { loss: done.loss })
    }

    /// An interrupt ends the estimation after the gradient that is going on; the optimizer is then as before.
    fn refresh(&mut self, batch: &T::Batch) -> Result<RefreshRecord, StepError> {
        let step = self.optimizer.fosi().steps();
        let before = match self.checkpoints {
            true => Some(self.optimizer.fosi().to_bytes().map_err(other)?),
            false => None,
        };
        let (task, interrupt) = (&self.task, &self.interrupt);
        let loss = |model: &T::Model| match interrupt.requested() {
            true => not_finite(model),
            false => task.curvature_loss(model, batch),
        };
        let attempt = self.optimizer.refresh(&self.model, &loss);
        if self.interrupt.requested() {
            if let Some(before) = before {
                self.optimizer.fosi_mut().restore(&before).map_err(other)?;
            }
            return Err(StepError::Interrupted);
        }
        Ok(self.record(step, attempt.map_err(other)?))
    }

    fn record(&mut self, step: u64, attempt: RefreshAttempt) -> RefreshRecord {
        self.cost.products += attempt.products;
        self.cost.refresh_seconds += attempt.seconds;
        let outcome = match attempt.result {
            Ok(refresh) => RefreshOutcome::Accepted {
                eigenvalues: refresh.eigenvalues,
                residuals: refresh.residuals,
                retries: refresh.info.retries,
                asymmetry: Some(refresh.info.asymmetry),
                shifted: refresh.info.shifted,
                scale: refresh.scale,
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

impl<T: Task, S: ModuleSpace> Trainee for Training<T, S> {
    fn train(
        &mut self,
        batches: &[&[u32]],
        told: &mut dyn FnMut(TrainEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StepError> {
        let (task, device) = (Arc::clone(&self.task), self.device.clone());
        let indices: Vec<Vec<u32>> = batches.iter().map(|batch| batch.to_vec()).collect();
        let make = move |index: usize| task.batch(Part::Train, &indices[index], &device);
        let made = Prefetch::new(batches.len(), BATCH_THREADS, BATCHES_AHEAD, make);
        for batch in made.map_err(other)? {
            if self.optimizer.due() {
                let _ = told(TrainEvent::Refreshing);
                let refresh = self.refresh(&batch)?;
                let _ = told(TrainEvent::Refreshed(Box::new(refresh)));
            }
            let report = self.step(&batch)?;
            if told(TrainEvent::Stepped(report)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn evaluate(&mut self, part: Part) -> Result<Evaluation, StepError> {
        let model = self.model.valid();
        let device = self.device.clone().without_autodiff();
        let examples = self.task.data().examples(part).min(self.evaluated);
        let indices: Vec<u32> = (0..examples as u32).collect();
        let (mut loss, mut right) = (0.0, None);
        for indices in indices.chunks(self.task.evaluation_batch()) {
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

    fn sample(&mut self) -> Result<Option<Sample>, StepError> {
        let device = self.device.clone().without_autodiff();
        self.task
            .sample(&self.model.valid(), &device, &self.interrupt)
    }

    fn state(&self) -> Result<TraineeState, StepError> {
        let parameters: Vec<f32> = self
            .optimizer
            .layout()
            .parameters(&self.model)
            .map_err(other)?;
        if let Some(entry) = parameters.iter().find(|entry| !entry.is_finite()) {
            return Err(StepError::NotFinite {
                what: "a parameter",
                value: f64::from(*entry),
            });
        }
        let mut store = SafetensorsStore::from_bytes(None);
        // Visitors see batch norm's running statistics without their last update; `valid` takes that in first.
        self.model.valid().save_into(&mut store).map_err(other)?;
        Ok(TraineeState {
            model: store.get_bytes().map_err(other)?,
            optimizer: self.optimizer.fosi().to_bytes().map_err(other)?,
        })
    }

    fn restore(&mut self, state: &TraineeState, cost: Cost) -> Result<(), StepError> {
        let mut store = SafetensorsStore::from_bytes(Some(state.model.clone()));
        self.model.load_from(&mut store).map_err(other)?;
        let fosi = self.optimizer.fosi_mut();
        fosi.restore(&state.optimizer).map_err(other)?;
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

/// A loss that is not a number and depends on the module: the one way for a loss to end an estimation.
fn not_finite(module: &impl Module) -> Tensor<1> {
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

/// What is told where products are taken in another precision than the settings ask for.
fn precision_note(config: &TrainConfig, double: bool) -> Option<String> {
    let fosi = config.optimizers.iter().any(|optimizer| optimizer.fosi);
    let falls_back = fosi && config.hvp == HvpPrecision::F64 && !double;
    falls_back.then(|| {
        let device = config.device;
        format!("Hessian-vector products are taken in f32: {device} doesn't compute in f64")
    })
}

/// Why a refresh was refused. The core's own message says that an older spectrum stays, which there need not be.
fn refusal(error: fosi::Error) -> String {
    match error {
        fosi::Error::Refresh { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// The core's advice is for those who write a training loop; the program's users have options.
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
        error => other(error),
    }
}

fn scalar(tensor: Tensor<1>) -> Result<f64, StepError> {
    tensor.try_into_scalar::<f64>().map_err(other)
}

pub(super) fn other(error: impl std::error::Error + Send + Sync + 'static) -> StepError {
    StepError::Other(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Preset, TaskName};

    #[test]
    fn another_precision_than_asked_for_is_told() {
        let config = TrainConfig::defaults(TaskName::Lr, None, Preset::Small);
        assert_eq!(precision_note(&config, true), None);
        assert!(precision_note(&config, false).unwrap().contains("f32"));
        let asked = TrainConfig {
            hvp: HvpPrecision::F32,
            ..config
        };
        assert_eq!(precision_note(&asked, false), None);
    }

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
