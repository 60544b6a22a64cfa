//! The settings of a training run, and values derived from them.

use std::path::{Path, PathBuf};

use fosi::spectrum::SpectrumParams;
use serde::{Deserialize, Serialize};

use super::{
    Algorithm, Averaging, CurvatureSource, DeviceName, HvpMode, HvpPrecision, KeptCheckpoints,
    KfacChoice, LearningRateSchedule, NewtonRateRule, PerFamily, Preset, RefreshSchedule, TaskName,
    TrainingLength, WeightsSource,
};
use crate::data::{Batches, Damaged, DataError, DataName};
use crate::optimizers::{Family, OptimizerName, RateFactor};

/// The complete and checked settings of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TrainConfig {
    /// The task.
    pub task: TaskName,
    /// The data set.
    pub data: DataName,
    /// The folder of the data set's files, if it is not embedded.
    pub data_dir: Option<PathBuf>,
    /// Whether damaged files are omitted and non-ASCII characters of a text replaced.
    pub skip_damaged: bool,
    /// The preset of the defaults.
    pub preset: Preset,
    /// The width of the model relative to the paper's.
    pub width: f64,
    /// Characters per sequence (LM).
    pub sequence: usize,
    /// The maximum number of training examples.
    pub examples: Option<usize>,
    /// The maximum number of training and of validation examples that are evaluated after each epoch.
    pub eval_examples: Option<usize>,
    /// The weights of the frozen network (TL).
    pub weights: Option<WeightsSource>,
    /// The folder for cached features of the frozen network (TL).
    pub cache: PathBuf,
    /// The optimizers, in the order of their runs.
    pub optimizers: Vec<OptimizerName>,
    /// FOSI's algorithm.
    pub algorithm: Algorithm,
    /// The number k of largest eigenpairs.
    pub k: usize,
    /// The number ℓ of smallest eigenpairs.
    pub l: usize,
    /// The number m of Lanczos steps; `None`: max{4(k+ℓ), ⌈2 ln n⌉} for n parameters.
    pub m: Option<usize>,
    /// The relative residual below which an estimation stops before m steps; 0 never stops early.
    pub lanczos_tolerance: f64,
    /// Whether FOSI averages the spectrum over estimations.
    pub averaging: Averaging,
    /// Newton rate α in the subspace.
    pub alpha: f64,
    /// How α changes over a run.
    pub newton_rate: NewtonRateRule,
    /// ε: the lower limit of |λ| in the Newton step, relative to the largest |λ|.
    pub curvature_floor: f64,
    /// The number of examples over which an estimation takes the Hessian; `None`: the step's whole batch.
    pub curvature_batch: Option<usize>,
    /// The batch of these examples, if they are at most one batch.
    #[serde(default, skip_serializing_if = "is_default")]
    pub curvature_from: CurvatureSource,
    /// D: an estimation takes the Hessian at the parameters from D steps before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refresh_delay: usize,
    /// When the spectrum is estimated.
    pub refreshes: RefreshSchedule,
    /// The number W of steps before the first estimation; `None`: one epoch.
    pub warmup: Option<usize>,
    /// The upper limit c of the learning rate's scaling.
    pub scale_limit: PerFamily,
    /// The learning rate η, or its largest value under a schedule.
    pub lr: PerFamily,
    /// How η changes over the run.
    pub schedule: LearningRateSchedule,
    /// The number of steps over which η rises to `lr` before the schedule starts.
    pub warmup_rate: usize,
    /// Factors on η for further runs of each plain optimizer.
    pub lr_grid: Vec<RateFactor>,
    /// The limit on each entry of the gradient.
    pub clip_gradient: Option<f64>,
    /// The momentum β of Heavy-Ball and Nesterov, and of K-FAC if it is fixed.
    pub momentum: f64,
    /// The decoupled weight decay of AdamW, Muon and SOAP.
    pub weight_decay: f64,
    /// Whether K-FAC determines its learning rate.
    #[serde(default)]
    pub kfac_rate: KfacChoice,
    /// Whether K-FAC determines its momentum.
    #[serde(default)]
    pub kfac_momentum: KfacChoice,
    /// K-FAC's initial damping λ.
    #[serde(default)]
    pub damping: f64,
    /// The number of L-BFGS pairs.
    #[serde(default)]
    pub history: usize,
    /// Examples per batch.
    pub batch: usize,
    /// The length of each optimizer's training.
    pub length: TrainingLength,
    /// The seeds; every optimizer runs with each.
    #[serde(rename = "seed")]
    pub seeds: Vec<u64>,
    /// Whether TensorBoard event files are written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tensorboard: bool,
    /// The device for training.
    pub device: DeviceName,
    /// Threads; `None`: one per core.
    pub threads: Option<usize>,
    /// How Hessian-vector products are computed.
    pub hvp: HvpPrecision,
    /// The statistics of batch norm in Hessian-vector products.
    pub hvp_mode: HvpMode,
    /// Steps between checkpoints; `None`: none are written.
    pub checkpoint_every: Option<usize>,
    /// The checkpoints that are kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep_checkpoints: KeptCheckpoints,
    /// The folder that contains the run's folder.
    pub out: PathBuf,
    /// The name of the run's folder; `None`: from the task, the data set and the time.
    pub name: Option<String>,
}

/// A default isn't written, so that records from before the setting existed stay equal.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl TrainConfig {
    /// The folder of the data set's files.
    ///
    /// # Errors
    /// [`DataError::NoDirectory`] if none is given.
    pub fn data_directory(&self) -> Result<&Path, DataError> {
        let data = self.data;
        let directory = self.data_dir.as_deref();
        directory.ok_or(DataError::NoDirectory { data })
    }

    /// What to do with damaged files.
    pub fn damaged(&self) -> Damaged {
        match self.skip_damaged {
            true => Damaged::Skip,
            false => Damaged::Refuse,
        }
    }

    /// Whether any optimizer uses FOSI.
    pub fn has_fosi(&self) -> bool {
        self.optimizers.iter().any(|optimizer| optimizer.fosi)
    }

    /// Whether the run has an optimizer of this family.
    pub fn runs(&self, family: Family) -> bool {
        self.optimizers
            .iter()
            .any(|optimizer| optimizer.family == family)
    }

    /// Whether both settings use the same data and model, from the same folders and on the same device.
    #[must_use]
    pub fn has_task_of(&self, other: &Self) -> bool {
        let data = |config: &Self| {
            let Self {
                task,
                data,
                data_dir,
                skip_damaged,
                examples,
                ..
            } = config.clone();
            (task, data, data_dir, skip_damaged, examples)
        };
        let model = |config: &Self| {
            let Self {
                width,
                sequence,
                weights,
                cache,
                hvp_mode,
                device,
                ..
            } = config.clone();
            (width, sequence, weights, cache, hvp_mode, device)
        };
        data(self) == data(other) && model(self) == model(other)
    }

    /// The number of Lanczos steps for n parameters: m as given, or max{4(k+ℓ), ⌈2 ln n⌉}; at most n.
    #[must_use]
    pub fn lanczos_steps(&self, parameters: usize) -> usize {
        self.spectrum_params().steps(parameters)
    }

    /// The products of an estimation for n parameters: m and, with safeguards, the probe's.
    #[must_use]
    pub fn products(&self, parameters: usize) -> usize {
        let params = self.spectrum_params();
        params.products(parameters)
    }

    fn spectrum_params(&self) -> SpectrumParams {
        SpectrumParams {
            largest: self.k,
            smallest: self.l,
            lanczos_steps: self.m,
            probe: self.algorithm == Algorithm::Guarded,
            ..SpectrumParams::default()
        }
    }

    /// Whether the run gives this optimizer its learning rate; L-BFGS, and K-FAC unless its rate is fixed, find their own.
    pub(super) fn gives_rate(&self, optimizer: OptimizerName) -> bool {
        match optimizer.family {
            Family::Lbfgs => false,
            Family::Kfac => self.kfac_rate == KfacChoice::Fixed,
            _ => true,
        }
    }

    /// The optimizers in the order of their runs; each whose learning rate is given is followed by its runs with the
    /// factors of `lr_grid`.
    #[must_use]
    pub fn all_optimizers(&self) -> Vec<OptimizerName> {
        let with_grid = |&optimizer: &OptimizerName| {
            let factors = match self.gives_rate(optimizer) {
                true => &self.lr_grid,
                false => &[][..],
            };
            let varied = factors.iter().map(move |&factor| optimizer.at_rate(factor));
            std::iter::once(optimizer).chain(varied)
        };
        self.optimizers.iter().flat_map(with_grid).collect()
    }

    /// A size of the paper's model, scaled to this model's width; at least 1.
    pub fn scaled(&self, paper: usize) -> usize {
        ((paper as f64 * self.width).round() as usize).max(1)
    }

    /// Steps per epoch for this number of training examples.
    pub fn steps_per_epoch(&self, examples: usize) -> usize {
        Batches::new(examples, self.batch, 0).per_epoch()
    }

    /// Steps before the first refresh: W as given, or one epoch.
    pub fn warmup_steps(&self, steps_per_epoch: usize) -> usize {
        self.warmup.unwrap_or(steps_per_epoch)
    }

    /// A note if the run ends before W, so that FOSI never estimates a spectrum and its steps are the base's.
    #[must_use]
    pub fn idle_note(&self, steps_per_epoch: usize) -> Option<String> {
        let warmup = self.warmup_steps(steps_per_epoch);
        let steps = self.length.steps(steps_per_epoch);
        let idle = warmup as u64 >= steps && self.has_fosi();
        idle.then(|| {
            format!(
                "No spectrum is estimated: the first estimation is due after {warmup} steps (--warmup), and the run has {steps}"
            )
        })
    }
}
