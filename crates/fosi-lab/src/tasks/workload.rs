//! A task with the settings of a run, trained through Burn.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use fosi::communicator::Communicator;
use fosi::{Clipping, FosiConfig, Ranks, Schedule};
use fosi_burn::{FlatLayout, FosiOptimizer, ModuleSpace, OptimizerError, Precision, Replica};

use super::bases::base_of;
use super::curvature_batch::CurvatureBatch;
use super::device::device;
use super::refresh_delay::RefreshDelay;
use super::rival::{RivalTrainer, rival_of};
use super::subject::Subject;
use super::trainer::{BurnTrainer, Optimizer};
use super::{Opening, Preparation, Task, TaskError, placeholder};
use crate::config::{
    Algorithm, DeviceName, HvpPrecision, LearningRate, RefreshSchedule, TrainConfig,
};
use crate::data::Part;
use crate::interrupt::Interrupt;
use crate::optimizers::OptimizerName;
use crate::runs::{DataDescription, ModelDescription};
use crate::train::{Cost, GradientCost, StepError, Trainer, Workload};

/// The minimum time in seconds for timing a gradient, if the batch is large enough.
const TIMED: f64 = 0.3;

/// A task with the settings of a run.
pub(super) struct BurnWorkload<T> {
    task: Arc<T>,
    config: TrainConfig,
    data: DataDescription,
    parameters: usize,
    interrupt: Interrupt,
    /// The processes that train together, if there are several.
    communicator: Option<Arc<dyn Communicator>>,
}

impl<T: Task> BurnWorkload<T> {
    pub(super) fn new(
        task: T,
        config: &TrainConfig,
        opening: Opening,
        preparation: &Preparation,
    ) -> Result<Self, TaskError> {
        let communicator = preparation.communicator.cloned();
        if communicator.is_some() {
            check_parallel(config)?;
        }
        let model = task.init(0, &device(config.device).autodiff());
        let layout = FlatLayout::of(&model).map_err(TaskError::other)?;
        let mut data = task.data();
        if opening == Opening::Whole {
            data.checksum = task.checksum();
        }
        Ok(Self {
            task: Arc::new(task),
            config: config.clone(),
            data,
            parameters: layout.len(),
            interrupt: preparation.interrupt.clone(),
            communicator,
        })
    }

    /// The precision of Hessian-vector products.
    fn precision(&self, device: &Device) -> Precision {
        match self.config.hvp {
            HvpPrecision::F64 if Precision::F64.supported_by(device) => Precision::F64,
            _ => Precision::F32,
        }
    }

    /// The initial model.
    fn subject(&self, seed: u64) -> Subject<T> {
        let device = device(self.config.device);
        device.seed(seed);
        let device = device.autodiff();
        Subject {
            model: self.task.init(seed, &device),
            task: Arc::clone(&self.task),
            device,
            evaluated: self.config.eval_examples.unwrap_or(usize::MAX),
            interrupt: self.interrupt.clone(),
        }
    }

    fn make_trainer<S: ModuleSpace + 'static>(
        &self,
        name: OptimizerName,
        seed: u64,
        new: impl FnOnce(
            &T::Model,
            Box<dyn fosi::base::Base<S>>,
            FosiConfig,
        ) -> Result<Optimizer<S>, OptimizerError>,
    ) -> Result<Box<dyn Trainer>, StepError> {
        let mut subject = self.subject(seed);
        let config = self.fosi_config(name, seed);
        let optimizer = base_of(name.family, &self.config, &subject.model)
            .and_then(|base| new(&subject.model, base, config).map_err(StepError::other));
        let ranks = self.communicator.clone();
        let ranks = ranks.map_or(Ranks::ALONE, Ranks::replicated);
        let optimizer = ranks.fail_together_with(optimizer, StepError::other)?;
        let optimizer = match &self.communicator {
            Some(communicator) => optimizer
                .data_parallel(Arc::clone(communicator), &mut subject.model)
                .map_err(StepError::other)?,
            None => optimizer,
        };
        let optimizer = match self.config.hvp {
            // The default precision, or f32 if the device lacks f64.
            HvpPrecision::F64 => optimizer,
            HvpPrecision::F32 => optimizer.with_precision(Precision::F32),
        };
        Ok(Box::new(BurnTrainer {
            subject,
            name,
            seed,
            learning_rate: self.learning_rate(name),
            curvature_batch: CurvatureBatch::new(&self.config, self.data.train, seed),
            refresh_delay: RefreshDelay::new(
                &self.config,
                self.config.steps_per_epoch(self.data.train),
            ),
            optimizer,
            cost: Cost::default(),
            checkpoints: self.config.checkpoint_every.is_some(),
        }))
    }

    fn learning_rate(&self, name: OptimizerName) -> LearningRate {
        let steps_per_epoch = self.config.steps_per_epoch(self.data.train);
        self.config.learning_rate(name, steps_per_epoch)
    }

    /// A trainer with a rival; `None` for a base.
    fn rival_trainer(
        &self,
        name: OptimizerName,
        seed: u64,
    ) -> Result<Option<Box<dyn Trainer>>, StepError> {
        if name.family.is_base() {
            return Ok(None);
        }
        let subject = self.subject(seed);
        let rival =
            rival_of(name.family, &self.config, &subject, seed).map_err(StepError::other)?;
        Ok(rival.map(|rival| -> Box<dyn Trainer> {
            Box::new(RivalTrainer {
                subject,
                rival,
                learning_rate: self.learning_rate(name),
                spent: Cost::default(),
            })
        }))
    }

    fn fosi_config(&self, name: OptimizerName, seed: u64) -> FosiConfig {
        let config = &self.config;
        let steps_per_epoch = config.steps_per_epoch(self.data.train);
        let warmup = config.warmup_steps(steps_per_epoch) as u64;
        let schedule = match (name.fosi, config.refreshes) {
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
            lanczos_tolerance: Some(config.lanczos_tolerance).filter(|tolerance| *tolerance > 0.0),
            averaging: config.averaging.setting(),
            newton_rate: config.newton_rate.setting(config.alpha),
            scale_limit: config.scale_limit.get(name.family),
            curvature_floor: config.curvature_floor,
            safeguards: config.algorithm == Algorithm::Guarded,
            clipping: config.clip_gradient.map_or(Clipping::None, Clipping::Value),
            schedule,
            seed,
            ..FosiConfig::default()
        }
    }
}

impl<T: Task> Workload for BurnWorkload<T> {
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
        if !self.config.has_fosi() {
            return Ok(None);
        }
        let device = device(self.config.device).autodiff();
        let precision = self.precision(&device);
        let replica =
            Replica::new(&self.task.init(0, &device), precision).map_err(StepError::other)?;
        let parameters = replica.parameters().map_err(StepError::other)?;
        let batch = self.config.curvature_batch.unwrap_or(self.config.batch);
        let batch = batch.min(self.data.train);
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
                .map_err(StepError::other)?;
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
            // Extrapolates the number of examples that fit the time, assuming proportional cost.
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

    fn with_config(&self, config: &TrainConfig) -> Box<dyn Workload + '_> {
        Box::new(Self {
            task: Arc::clone(&self.task),
            config: config.clone(),
            data: self.data.clone(),
            parameters: self.parameters,
            interrupt: self.interrupt.clone(),
            communicator: self.communicator.clone(),
        })
    }

    fn trainer(
        &self,
        optimizer: OptimizerName,
        seed: u64,
    ) -> Result<Box<dyn Trainer + '_>, StepError> {
        if let Some(trainer) = self.rival_trainer(optimizer, seed)? {
            return Ok(trainer);
        }
        match self.config.device {
            DeviceName::Cpu => self.make_trainer(optimizer, seed, |model, base, config| {
                FosiOptimizer::new(model, base, config)
            }),
            DeviceName::Cuda | DeviceName::Wgpu => {
                self.make_trainer(optimizer, seed, |model, base, config| {
                    FosiOptimizer::on_device(model, base, config)
                })
            }
        }
    }
}

/// Checks whether several processes can train with these settings together.
fn check_parallel(config: &TrainConfig) -> Result<(), TaskError> {
    let rivals = config.optimizers.iter().find(|name| !name.family.is_base());
    match rivals {
        Some(name) => Err(TaskError::OneProcess {
            what: format!("--optimizers {name}"),
            instead: "leave it out, or start one process",
        }),
        None => Ok(()),
    }
}

/// A note if products use another precision than the settings request.
fn precision_note(config: &TrainConfig, double: bool) -> Option<String> {
    let falls_back = config.has_fosi() && config.hvp == HvpPrecision::F64 && !double;
    falls_back.then(|| {
        let device = config.device;
        format!("Hessian-vector products are taken in f32: {device} does not support f64")
    })
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
}
