//! Default settings: the paper's, and small ones for comparisons within minutes.

use std::path::PathBuf;

use super::{
    Algorithm, Averaging, CurvatureSource, DeviceName, HvpMode, HvpPrecision, KeptCheckpoints,
    KfacChoice, LearningRateSchedule, NewtonRateRule, PerFamily, Preset, RefreshSchedule, TaskName,
    TrainConfig, TrainingLength,
};
use crate::data::DataName;
use crate::optimizers::{Family, OptimizerName};

/// The cost of a run with FOSI relative to one without, in the small presets.
const OVERHEAD: f64 = 1.1;

impl TrainConfig {
    /// The settings of a run if only task, data and preset are given.
    ///
    /// [`Preset::Paper`] uses the paper's settings (§4 and appendix C): k = 10, ℓ = 0, α = 0.01, c = 3 (1 for Adam), T
    /// = 800, constant learning rates, momentum 0.9, and each task's batch, rates and W. Except for LR, the paper does
    /// not state the numbers of epochs; these are our choice.
    ///
    /// [`Preset::Small`] uses narrower models and less data, to finish in minutes on two cores, and T from ρ = 1.1. For
    /// LR the data set decides: the small preset uses the embedded digits, which are 42 times smaller than MNIST and
    /// get smaller batches and a shorter interval, for enough steps per epoch and enough refreshes per run. On grey
    /// images, AE is a deep dense autoencoder, which is not the paper's; its model is the same in both presets.
    #[must_use]
    pub fn defaults(task: TaskName, data: Option<DataName>, preset: Preset) -> Self {
        let usual = match (task, preset) {
            (TaskName::Lr, Preset::Paper) => DataName::Mnist,
            (TaskName::Ac, Preset::Paper) => DataName::Audioset,
            _ => task.data_sets()[0],
        };
        let data = data.unwrap_or(usual);
        let paper = Self::common(task, data, preset).for_task();
        let mut config = match (preset, task, data) {
            (Preset::Small, TaskName::Ac | TaskName::Lm | TaskName::Tl, _)
            | (Preset::Small, TaskName::Ae, DataName::Cifar10) => paper.small(),
            (Preset::Small, TaskName::Ae, _) => paper.by_overhead(),
            (Preset::Paper, _, _) | (_, TaskName::Lr, _) => paper,
        };
        config.estimate_as(config.algorithm, config.batch);
        config
    }

    /// Sets the estimation of the spectrum and the rule for the Newton rate to the algorithm's defaults for this batch
    /// size.
    pub(super) fn estimate_as(&mut self, algorithm: Algorithm, batch: usize) {
        match algorithm {
            Algorithm::Paper => {
                self.lanczos_tolerance = 0.0;
                self.averaging = Averaging::Off;
                self.newton_rate = NewtonRateRule::Constant;
                self.curvature_batch = None;
            }
            Algorithm::Guarded => {
                self.lanczos_tolerance = 0.1;
                self.averaging = Averaging::Predicted;
                self.newton_rate = NewtonRateRule::Following;
                self.curvature_batch = match self.task {
                    // With batch norm, another batch defines another function.
                    TaskName::Ac => None,
                    _ => Some((batch / 4).max(1)),
                };
            }
        }
    }

    /// The common settings of the paper's tasks; batch and epochs are LR's.
    fn common(task: TaskName, data: DataName, preset: Preset) -> Self {
        let plain_and_fosi = |base| [OptimizerName::plain(base), OptimizerName::fosi(base)];
        Self {
            task,
            data,
            data_dir: None,
            skip_damaged: false,
            preset,
            width: 1.0,
            sequence: 128,
            examples: None,
            eval_examples: None,
            weights: None,
            cache: PathBuf::from("fosi-cache"),
            optimizers: [Family::HeavyBall, Family::Adam]
                .into_iter()
                .flat_map(plain_and_fosi)
                .collect(),
            algorithm: match preset {
                Preset::Paper => Algorithm::Paper,
                Preset::Small => Algorithm::Guarded,
            },
            k: 10,
            l: 0,
            m: None,
            lanczos_tolerance: 0.0,
            averaging: Averaging::Off,
            alpha: 0.01,
            newton_rate: NewtonRateRule::Following,
            curvature_floor: match preset {
                Preset::Paper => 0.0,
                Preset::Small => fosi::FosiConfig::default().curvature_floor,
            },
            curvature_batch: None,
            curvature_from: CurvatureSource::Current,
            refresh_delay: 0,
            refreshes: RefreshSchedule::Interval(800),
            warmup: None,
            scale_limit: PerFamily {
                gd: 3.0,
                hb: 3.0,
                nesterov: 3.0,
                ..PerFamily::all(1.0)
            },
            lr: rates(0.1, 0.001),
            schedule: LearningRateSchedule::Constant,
            warmup_rate: 0,
            lr_grid: Vec::new(),
            clip_gradient: None,
            momentum: 0.9,
            weight_decay: 0.01,
            kfac_rate: KfacChoice::Adaptive,
            kfac_momentum: KfacChoice::Adaptive,
            damping: 1.0,
            history: 10,
            batch: 1024,
            length: TrainingLength::Epochs(100),
            seeds: vec![0],
            device: DeviceName::Cpu,
            threads: None,
            hvp: HvpPrecision::F64,
            hvp_mode: HvpMode::Train,
            checkpoint_every: None,
            keep_checkpoints: KeptCheckpoints::Newest,
            tensorboard: false,
            out: PathBuf::from("runs"),
            name: None,
        }
    }

    fn for_task(self) -> Self {
        match self.task {
            TaskName::Lr if self.data == DataName::Digits => Self {
                batch: 64,
                length: TrainingLength::Epochs(60),
                refreshes: RefreshSchedule::Interval(200),
                ..self
            },
            TaskName::Lr => self,
            TaskName::Ae if self.data.is_grey() => Self {
                batch: match self.data {
                    DataName::Digits => 64,
                    _ => 256,
                },
                length: TrainingLength::Epochs(20),
                lr: rates(0.003, 0.001),
                warmup: Some(100),
                eval_examples: Some(5_000),
                ..self
            },
            TaskName::Ae => Self {
                batch: 256,
                length: TrainingLength::Epochs(100),
                scale_limit: PerFamily::all(1.0),
                clip_gradient: Some(1.0),
                lr: rates(0.001, 0.001),
                warmup: Some(800),
                eval_examples: Some(5_000),
                ..self
            },
            TaskName::Lm => Self {
                batch: 32,
                length: TrainingLength::Epochs(20),
                warmup: Some(800),
                eval_examples: Some(800),
                ..self
            },
            TaskName::Tl => Self {
                batch: 128,
                lr: rates(0.001, 0.001),
                ..self
            },
            TaskName::Ac => Self {
                batch: 256,
                eval_examples: Some(10_000),
                ..self
            },
        }
    }

    fn by_overhead(self) -> Self {
        Self {
            refreshes: RefreshSchedule::Overhead(OVERHEAD),
            ..self
        }
    }

    /// Narrower models and less data. Batches shrink with the data, so that each epoch keeps a few dozen steps.
    fn small(self) -> Self {
        let small = self.by_overhead();
        match small.task {
            TaskName::Lr => small,
            TaskName::Ae => Self {
                width: 0.25,
                examples: Some(8_192),
                eval_examples: Some(1_024),
                batch: 128,
                length: TrainingLength::Epochs(12),
                warmup: Some(64),
                ..small
            },
            TaskName::Lm => Self {
                width: 0.25,
                sequence: 64,
                examples: Some(4_096),
                eval_examples: Some(512),
                length: TrainingLength::Epochs(10),
                warmup: Some(128),
                ..small
            },
            TaskName::Tl => Self {
                examples: Some(4_096),
                eval_examples: Some(1_024),
                length: TrainingLength::Epochs(300),
                ..small
            },
            TaskName::Ac => Self {
                width: 0.125,
                eval_examples: Some(300),
                batch: 32,
                length: TrainingLength::Epochs(12),
                lr: rates(0.1, 0.01),
                ..small
            },
        }
    }
}

/// The rates of gradient descent and momentum methods, and those of adaptive methods, derived from Adam's. Lion steps
/// by signs, for which its authors advise a tenth of Adam's rate; AdaGrad's steps shrink as squares accumulate, so it
/// starts at ten times Adam's rate.
fn rates(momentum: f64, adam: f64) -> PerFamily {
    PerFamily {
        gd: momentum,
        hb: momentum,
        nesterov: momentum,
        lion: adam / 10.0,
        adagrad: 10.0 * adam,
        adafactor: 10.0 * adam,
        // The line search determines the step length.
        lbfgs: 1.0,
        adahessian: 10.0 * adam,
        ..PerFamily::all(adam)
    }
}
