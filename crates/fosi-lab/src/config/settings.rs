//! The settings of a training run, and what follows from them.

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

/// A training run's settings, complete and checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TrainConfig {
    /// What is trained.
    pub task: TaskName,
    /// What it is trained on.
    pub data: DataName,
    /// Where the files of a data set that isn't embedded lie.
    pub data_dir: Option<PathBuf>,
    /// Whether damaged files are left out, and characters of a text that aren't ASCII replaced.
    pub skip_damaged: bool,
    /// The defaults that were taken.
    pub preset: Preset,
    /// Width of the model, as a share of the paper's.
    pub width: f64,
    /// Characters of a sequence (LM).
    pub sequence: usize,
    /// Training examples, at most.
    pub examples: Option<usize>,
    /// Examples of each part that are evaluated after an epoch, at most.
    pub eval_examples: Option<usize>,
    /// Weights of the frozen network (TL).
    pub weights: Option<WeightsSource>,
    /// Folder in which features of the frozen network are kept (TL).
    pub cache: PathBuf,
    /// The optimizers, in the order in which they run.
    pub optimizers: Vec<OptimizerName>,
    /// Which algorithm FOSI is.
    pub algorithm: Algorithm,
    /// Number k of largest eigenpairs.
    pub k: usize,
    /// Number ℓ of smallest eigenpairs.
    pub l: usize,
    /// Lanczos steps m; `None`: max{4(k+ℓ), ⌈2 ln n⌉} for n parameters.
    pub m: Option<usize>,
    /// Relative residual below which an estimation ends before its m steps; 0 for none.
    pub lanczos_tolerance: f64,
    /// Whether FOSI averages the spectrum over estimations.
    pub averaging: Averaging,
    /// Newton rate α in the subspace.
    pub alpha: f64,
    /// What α does over a run.
    pub newton_rate: NewtonRateRule,
    /// ε: in the Newton step |λ| counts as at least this much of the largest |λ|.
    pub curvature_floor: f64,
    /// Examples over which an estimation takes the Hessian; `None`: all of the step's batch.
    pub curvature_batch: Option<usize>,
    /// Whose examples they are, where they are at most a batch.
    #[serde(default, skip_serializing_if = "CurvatureSource::is_default")]
    pub curvature_from: CurvatureSource,
    /// D: an estimation takes the Hessian at the parameters of D steps before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refresh_delay: usize,
    /// When the spectrum is estimated again.
    pub refreshes: RefreshSchedule,
    /// Steps W before the first estimation; `None`: one epoch.
    pub warmup: Option<usize>,
    /// Upper limit c of the learning rate's scaling.
    pub scale_limit: PerFamily,
    /// Learning rate η; under a schedule the largest.
    pub lr: PerFamily,
    /// How η changes over the run.
    pub schedule: LearningRateSchedule,
    /// Steps over which η rises to `lr` before the schedule begins.
    pub warmup_rate: usize,
    /// Factors on η with which each plain optimizer runs too.
    pub lr_grid: Vec<RateFactor>,
    /// Limit of each entry of the gradient.
    pub clip_gradient: Option<f64>,
    /// Momentum β of Heavy-Ball and Nesterov.
    pub momentum: f64,
    /// Decoupled weight decay of AdamW and Muon.
    pub weight_decay: f64,
    /// Whether K-FAC finds its learning rate itself.
    #[serde(default)]
    pub kfac_rate: KfacChoice,
    /// Whether K-FAC finds its momentum itself.
    #[serde(default)]
    pub kfac_momentum: KfacChoice,
    /// λ of K-FAC at the start.
    #[serde(default)]
    pub damping: f64,
    /// Pairs of L-BFGS.
    #[serde(default)]
    pub history: usize,
    /// Examples in a batch.
    pub batch: usize,
    /// How long each optimizer trains.
    pub length: TrainingLength,
    /// One run of every optimizer for each.
    #[serde(rename = "seed")]
    pub seeds: Vec<u64>,
    /// Whether event files for TensorBoard are written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tensorboard: bool,
    /// Where models are trained.
    pub device: DeviceName,
    /// Threads; `None`: one a core.
    pub threads: Option<usize>,
    /// How Hessian-vector products are computed.
    pub hvp: HvpPrecision,
    /// Whose batch norm they are taken with.
    pub hvp_mode: HvpMode,
    /// Steps between checkpoints; `None`: none are written.
    pub checkpoint_every: Option<usize>,
    /// Which of them are kept.
    #[serde(default, skip_serializing_if = "KeptCheckpoints::is_default")]
    pub keep_checkpoints: KeptCheckpoints,
    /// Folder of run folders.
    pub out: PathBuf,
    /// Name of the run folder; `None`: task, data set and time.
    pub name: Option<String>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl TrainConfig {
    /// The folder of the data set's files.
    ///
    /// # Errors
    /// [`DataError::NoDirectory`] where none is named.
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

    /// Whether FOSI is around any of the optimizers.
    pub fn has_fosi(&self) -> bool {
        self.optimizers.iter().any(|optimizer| optimizer.fosi)
    }

    /// Whether an optimizer of a family is among those that run.
    pub fn runs(&self, family: Family) -> bool {
        self.optimizers
            .iter()
            .any(|optimizer| optimizer.family == family)
    }

    /// Whether both settings ask for the same data and model, in the same place.
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

    /// Lanczos steps for n parameters: m as given, or max{4(k+ℓ), ⌈2 ln n⌉}; never above n.
    #[must_use]
    pub fn lanczos_steps(&self, parameters: usize) -> usize {
        self.spectrum_params().steps(parameters)
    }

    /// Products of an estimation for n parameters: m, and the probe's with safeguards.
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

    /// The optimizers in the order in which they run: each plain one is followed by itself at the factors of
    /// `lr_grid`.
    #[must_use]
    pub fn all_optimizers(&self) -> Vec<OptimizerName> {
        let with_grid = |&optimizer: &OptimizerName| {
            let finds_its_own = match optimizer.family {
                Family::Lbfgs => true,
                Family::Kfac => self.kfac_rate == KfacChoice::Adaptive,
                _ => false,
            };
            let factors = match optimizer.fosi || finds_its_own {
                true => &[][..],
                false => &self.lr_grid,
            };
            let varied = factors.iter().map(move |&factor| optimizer.at_rate(factor));
            std::iter::once(optimizer).chain(varied)
        };
        self.optimizers.iter().flat_map(with_grid).collect()
    }

    /// A number of the paper's model at this model's width, at least 1.
    pub fn scaled(&self, paper: usize) -> usize {
        ((paper as f64 * self.width).round() as usize).max(1)
    }

    /// Steps of an epoch over as many training examples.
    pub fn steps_per_epoch(&self, examples: usize) -> usize {
        Batches::new(examples, self.batch, 0).per_epoch()
    }

    /// Steps before the first refresh: W as given, or one epoch.
    pub fn warmup_steps(&self, steps_per_epoch: usize) -> usize {
        self.warmup.unwrap_or(steps_per_epoch)
    }

    /// A note on a run that ends before W: FOSI never estimates a spectrum, so its steps are the base's.
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
