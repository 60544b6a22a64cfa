//! What a user may set, by flag or in a file: the same names in both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::numbers::{number, number_in_file, whole, whole_in_file};
use super::{
    Algorithm, Averaging, ConfigError, CurvatureSource, DeviceName, FamilyValues, HvpMode,
    HvpPrecision, KeptCheckpoints, KfacChoice, LearningRateSchedule, List, NewtonRateRule, Preset,
    WeightsSource,
};
use crate::data::DataName;
use crate::files::read_short_text;
use crate::names::UnknownName;
use crate::optimizers::{OptimizerName, RateFactor};

/// Bytes of a configuration file, at most: a wrong path may lead to data, or to a device that never ends.
const LONGEST_FILE: u64 = 1 << 20;

/// One layer of settings: what is `None` keeps the value of the layer below.
#[derive(Clone, Debug, Default, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TrainOptions {
    /// The file that the options stand in; `None` for the command line's.
    #[arg(skip)]
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// Defaults: small (minutes on two cores) or paper (the paper's model, data and settings) [default: small]
    #[arg(long, value_name = "NAME")]
    pub preset: Option<Preset>,
    /// Data set: digits (embedded) or mnist for lr and ae, cifar10 for ae and tl, tinyshakespeare (any text) for lm,
    /// fsdd or audioset for ac; all but digits need --data-dir [default: digits, cifar10, tinyshakespeare, fsdd; paper:
    /// mnist, audioset]
    #[arg(long, value_name = "NAME")]
    pub data: Option<DataName>,
    /// Folder that holds the data set's files, or holds them in a folder of the data set's name
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Leave damaged images and sounds out, and replace characters of a text that aren't ASCII (ae, lm, tl, ac)
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_damaged: bool,
    /// Width of the model as a share of the paper's (ae, lm, ac) [default: 1; small: 0.25, ac 0.125]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub width: Option<f64>,
    /// Characters of a sequence (lm) [default: 128; small: 64]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub sequence: Option<usize>,
    /// Training examples, at most [default: all; small: ae 8192, lm 4096, tl 4096]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub examples: Option<usize>,
    /// Examples of the training and of the validation data that are evaluated after an epoch, at most
    /// [default: by task; see --dry-run]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub eval_examples: Option<usize>,
    /// Weights of the frozen ResNet-18 (tl): torchvision's .pth, the same as .safetensors, or random
    #[arg(long, value_name = "FILE")]
    pub weights: Option<WeightsSource>,
    /// Folder in which the frozen network's features are kept (tl) [default: fosi-cache]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Optimizers, separated by commas: hb, adam, gd, nesterov, adamw and Burn's lion, adagrad, rmsprop, adan, lamb,
    /// adafactor and muon (matrices by Muon, the rest by AdamW), each also as fosi-hb, …; and kfac (not for lm), lbfgs, soap
    /// and adahessian
    /// [default: hb,fosi-hb,adam,fosi-adam]
    #[arg(long, value_name = "LIST")]
    pub optimizers: Option<List<OptimizerName>>,
    /// FOSI as in the paper (paper), or with safeguards where the spectrum misleads (guarded): pairs that aren't
    /// resolved and directions that overshoot stay with the base, a few more products look for repeated eigenvalues,
    /// and a scaling that makes the gradient grow is taken back. The paper's has T = 800 and W = one epoch unless
    /// they are given [default: guarded; with --preset paper: paper]
    #[arg(long, value_name = "NAME")]
    pub algorithm: Option<Algorithm>,
    /// Largest eigenpairs that FOSI uses [default: 10]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub k: Option<usize>,
    /// Smallest eigenpairs that FOSI uses [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub l: Option<usize>,
    /// Lanczos steps of an estimation [default: max(4(k+l), 2 ln n)]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub m: Option<usize>,
    /// Residual of the eigenpairs, relative to |λ|, below which an estimation ends before its m steps; 0 for none
    /// [default: 0.1; with --algorithm paper: 0]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub lanczos_tolerance: Option<f64>,
    /// Spectrum that FOSI uses: off for the last estimation's, predicted for the mean over estimations with a weight
    /// that follows from prediction, or the weight of an estimation in the mean, above 0 and at most 1
    /// [default: predicted; with --algorithm paper: off]
    #[arg(long, value_name = "WEIGHT", allow_negative_numbers = true)]
    pub averaging: Option<Averaging>,
    /// Newton rate in the subspace [default: 0.01]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub alpha: Option<f64>,
    /// What the Newton rate does over a run: following the learning rate's schedule, constant, or adaptive, between
    /// that and the base optimizer's rate by how much of the gradient is signal
    /// [default: following; with --algorithm paper: constant]
    #[arg(long, value_name = "RULE")]
    pub newton_rate: Option<NewtonRateRule>,
    /// In the Newton step |λ| counts as at least this share of the largest |λ|, at most 1
    /// [default: 0.000001; with --algorithm paper: 0]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub curvature_floor: Option<f64>,
    /// Examples over which an estimation takes the Hessian: at most --batch, the first of the step's batch; more, drawn
    /// anew for each estimation and taken in slices of at most --batch
    /// [default: a quarter of the batch, all of it for ac; with --algorithm paper: all of it]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub curvature_batch: Option<usize>,
    /// Batch over which an estimation takes the Hessian: current (of the step that follows), previous (of the step before,
    /// which is independent of the next one) or fixed (always the first one); without effect on a --curvature-batch above
    /// --batch, which is drawn anew [default: current]
    #[arg(long, value_name = "BATCH")]
    pub curvature_from: Option<CurvatureSource>,
    /// For the study of stale spectra: each estimation takes the Hessian at the parameters of this many steps before; at
    /// most --interval [default: 0]
    #[arg(long, value_name = "STEPS", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub refresh_delay: Option<usize>,
    /// Steps between estimations of the spectrum
    /// [default: 800; digits: 200; small presets but that of lr: by --overhead]
    #[arg(long, value_name = "STEPS", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub interval: Option<usize>,
    /// Instead of --interval: cost of a step with FOSI over one without
    /// [default: 1.1 in the small presets but that of lr]
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub overhead: Option<f64>,
    /// Steps before the first estimation [default: by task; see --dry-run]
    #[arg(long, value_name = "STEPS", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub warmup: Option<usize>,
    /// Upper limit of FOSI's factor on the learning rate; one number, or hb=3,adam=1 [default: by task; see --dry-run]
    #[arg(long, value_name = "LIMIT", allow_negative_numbers = true)]
    pub scale_limit: Option<FamilyValues>,
    /// The old spelling of --scale-limit
    #[arg(
        long,
        hide = true,
        conflicts_with = "scale_limit",
        value_name = "LIMIT",
        allow_negative_numbers = true
    )]
    pub clip: Option<FamilyValues>,
    /// Learning rate; one number, or hb=0.1,adam=0.001 [default: by task; see --dry-run]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub lr: Option<FamilyValues>,
    /// Learning rate over the run: constant; cosine, lr·½(1 + cos(πt/S)); or linear, lr(1 − t/S), at step t of the S
    /// steps after --warmup-rate, counted from 0 to S − 1, so that the rate would be 0 after the last one
    /// [default: constant]
    #[arg(long, value_name = "NAME")]
    pub schedule: Option<LearningRateSchedule>,
    /// Steps over which the learning rate rises linearly at the start: the first has lr/STEPS, step STEPS has lr
    /// [default: 0]
    #[arg(long, value_name = "STEPS", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub warmup_rate: Option<usize>,
    /// Also run each plain optimizer with these factors on its learning rate, and compare FOSI with the best of them
    /// [without a value: 0.1,0.3,3,10]
    #[arg(
        long,
        value_name = "LIST",
        num_args = 0..=1,
        default_missing_value = "0.1,0.3,3,10"
    )]
    pub lr_grid: Option<List<RateFactor>>,
    /// Gradient clipping: limit of each entry of the gradient [default: none; ae: 1]
    #[arg(long, value_name = "LIMIT", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub clip_gradient: Option<f64>,
    /// Momentum of hb and nesterov [default: 0.9]
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub momentum: Option<f64>,
    /// Decoupled weight decay of adamw and muon [default: 0.01]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub weight_decay: Option<f64>,
    /// Learning rate of kfac: the one that minimises its quadratic model at each step (adaptive), or --lr with its schedule
    /// (fixed) [default: adaptive]
    #[arg(long, value_name = "NAME")]
    pub kfac_rate: Option<KfacChoice>,
    /// Momentum of kfac: adaptive likewise, or --momentum (fixed) [default: adaptive]
    #[arg(long, value_name = "NAME")]
    pub kfac_momentum: Option<KfacChoice>,
    /// Damping of kfac at the start, which the Levenberg–Marquardt rule then adapts [default: 1]
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub damping: Option<f64>,
    /// Pairs of lbfgs [default: 10]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub history: Option<usize>,
    /// Examples in a batch [default: by task; see --dry-run]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub batch: Option<usize>,
    /// Passes over the training data [default: by task; see --dry-run]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub epochs: Option<usize>,
    /// Instead of --epochs: optimizer steps, after which training ends; the last epoch may be cut short
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub steps: Option<usize>,
    /// Seed, or several separated by commas: every optimizer runs with each [default: 0]
    #[arg(
        long,
        visible_alias = "seeds",
        value_name = "LIST",
        allow_negative_numbers = true
    )]
    #[serde(alias = "seeds")]
    pub seed: Option<List<u64>>,
    /// Steps between checkpoints, from which `fosi train --resume RUN` continues [default: none]
    #[arg(long, value_name = "STEPS", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub checkpoint_every: Option<usize>,
    /// Which checkpoints stay: newest (the last two) or all, which `fosi spectrum --run RUN` measures [default: newest]
    #[arg(long, value_name = "NAME")]
    pub keep_checkpoints: Option<KeptCheckpoints>,
    /// Also write event files for TensorBoard, into the folder tensorboard of the run's
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tensorboard: bool,
    /// Where models are trained: cpu, or cuda or wgpu where the program was built with that feature [default: cpu]
    #[arg(long, value_name = "NAME")]
    pub device: Option<DeviceName>,
    /// Threads, at most 1024 [default: one a core]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub threads: Option<usize>,
    /// Precision of Hessian-vector products: f64 or f32 [default: f64, or f32 where the device has no f64]
    #[arg(long, value_name = "TYPE")]
    pub hvp: Option<HvpPrecision>,
    /// Batch norm in Hessian-vector products (ac): train (by the batch) or eval (by running statistics) [default:
    /// train]
    #[arg(long, value_name = "MODE")]
    pub hvp_mode: Option<HvpMode>,
    /// Folder in which the run's folder is made [default: runs]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Name of the run's folder [default: task, data set and time]
    #[arg(long)]
    pub name: Option<String>,
}

impl TrainOptions {
    /// Reads a TOML file, of at most a mebibyte, whose keys are the flags' names.
    ///
    /// # Errors
    /// [`ConfigError`] with the file's name: unreadable, not TOML, an unknown key, a value of the wrong kind.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = read_short_text(path, LONGEST_FILE).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let syntax = |error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        // Values of any kind: what is wrong with a known key's value is said below, by what the option allows.
        let keys: BTreeMap<String, IgnoredAny> = toml::from_str(&text).map_err(syntax)?;
        let names = Self::names();
        if let Some(key) = keys.keys().find(|key| !names.contains(key)) {
            return Err(ConfigError::UnknownKey {
                path: path.to_owned(),
                name: UnknownName::new("key", key, &names),
            });
        }
        let options: Self = toml::from_str(&text).map_err(syntax)?;
        Ok(Self {
            file: Some(path.to_owned()),
            ..options
        })
    }

    /// A notice, where an option is given under its old name.
    #[must_use]
    pub fn old_spellings(&self) -> Option<String> {
        self.clip.as_ref()?;
        let place = match &self.file {
            Some(path) => format!(" (in {})", path.display()),
            None => String::new(),
        };
        Some(format!(
            "--clip is now called --scale-limit{place}; --clip-gradient clips gradients"
        ))
    }

    /// The flags' names, with their aliases.
    pub(super) fn names() -> Vec<String> {
        let command = Self::augment_args(Command::new("options"));
        let mut names = Vec::new();
        for argument in command.get_arguments() {
            let aliases = argument.get_visible_aliases().unwrap_or_default();
            names.extend(
                argument
                    .get_long()
                    .into_iter()
                    .chain(aliases)
                    .map(str::to_owned),
            );
        }
        names
    }
}
