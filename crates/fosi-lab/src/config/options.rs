//! The settings of a user, with the same names as flags and in a file.

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

/// The maximum size of a configuration file in bytes: a wrong path may lead to data or to an endless device.
const LONGEST_FILE: u64 = 1 << 20;

/// One layer of settings: `None` keeps the value of the layer below.
#[derive(Clone, Debug, Default, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TrainOptions {
    /// The file that contains the options; `None` for the command line.
    #[arg(skip)]
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// Defaults: small (minutes on two cores) or paper (the paper's model, data and settings) [default: small]
    #[arg(long, value_name = "NAME")]
    pub preset: Option<Preset>,
    /// Data set: digits (embedded) or mnist for lr and ae, cifar10 for ae and tl, tinyshakespeare (any text) for lm,
    /// fsdd or audioset for ac; all but digits need --data-dir [default: lr: digits, with --preset paper mnist; ae, tl:
    /// cifar10; lm: tinyshakespeare; ac: fsdd, with --preset paper audioset]
    #[arg(long, value_name = "NAME")]
    pub data: Option<DataName>,
    /// Folder with the data set's files, directly or in a subfolder with the data set's name
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Omit damaged images and sounds, and replace characters of a text that are not ASCII (ae, lm, tl, ac)
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_damaged: bool,
    /// Width of the model relative to the paper's (ae, lm, ac) [default: 1; small: 0.25, ac 0.125]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub width: Option<f64>,
    /// Characters per sequence (lm) [default: 128; small: 64]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub sequence: Option<usize>,
    /// Maximum number of training examples [default: all; small: ae 8192, lm 4096, tl 4096]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub examples: Option<usize>,
    /// Maximum number of training and of validation examples that are evaluated after each epoch [default: by task; see
    /// --dry-run]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub eval_examples: Option<usize>,
    /// Weights of the frozen ResNet-18 (tl): torchvision's .pth file, the same as .safetensors, or random
    #[arg(long, value_name = "FILE")]
    pub weights: Option<WeightsSource>,
    /// Folder for the cached features of the frozen network (tl) [default: fosi-cache]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Optimizers, separated by commas: hb, adam, gd, nesterov, adamw and Burn's lion, adagrad, rmsprop, adan, lamb,
    /// adafactor and muon (Muon for matrices, AdamW for the rest), each also with FOSI as fosi-hb, …; and kfac (not for
    /// lm), lbfgs, soap and adahessian [default: hb,fosi-hb,adam,fosi-adam]
    #[arg(long, value_name = "LIST")]
    pub optimizers: Option<List<OptimizerName>>,
    /// FOSI as in the paper (paper) or with safeguards against misleading spectra (guarded): unresolved eigenpairs and
    /// directions that overshoot stay with the base, a few more products search for repeated eigenvalues, and FOSI's
    /// scaling of the learning rate is withdrawn if it makes the gradient grow. With paper also no mean over estimations,
    /// no early end of an estimation, a constant α, no lower limit of |λ|, and T = 800 and W = one epoch unless given
    /// [default: guarded; with --preset paper: paper]
    #[arg(long, value_name = "NAME")]
    pub algorithm: Option<Algorithm>,
    /// Number of largest eigenpairs that FOSI uses [default: 10]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub k: Option<usize>,
    /// Number of smallest eigenpairs that FOSI uses [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub l: Option<usize>,
    /// Lanczos steps per estimation [default: max(4(k+l), 2 ln n)]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub m: Option<usize>,
    /// Residual of the eigenpairs relative to |λ| below which an estimation stops before m steps; 0 never stops early
    /// [default: 0.1; with --algorithm paper: 0]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub lanczos_tolerance: Option<f64>,
    /// Spectrum that FOSI uses: that of the last estimation (off); the mean over estimations, weighted by how well it
    /// predicts (predicted); or the mean with this weight per estimation, above 0 and at most 1 [default: predicted;
    /// with --algorithm paper: off]
    #[arg(long, value_name = "WEIGHT", allow_negative_numbers = true)]
    pub averaging: Option<Averaging>,
    /// Newton rate α, the step size along the eigenvectors; --newton-rate says how it changes over a run [default: 0.01]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub alpha: Option<f64>,
    /// How the Newton rate --alpha changes over a run: proportional to the learning rate's schedule (following), constant,
    /// or for each direction between the following rate and the base's, depending on how much of the gradient is signal
    /// (adaptive) [default: following; with --algorithm paper: constant]
    #[arg(long, value_name = "RULE")]
    pub newton_rate: Option<NewtonRateRule>,
    /// Lower limit of |λ| in the Newton step, relative to the largest |λ|, at most 1 [default: 0.000001; with
    /// --algorithm paper: 0]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub curvature_floor: Option<f64>,
    /// Number of examples over which an estimation takes the Hessian: up to --batch, the first ones of the step's
    /// batch; above, examples drawn anew for each estimation and processed in slices of at most --batch [default: a
    /// quarter of the batch, all of it for ac; with --algorithm paper: all of it]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub curvature_batch: Option<usize>,
    /// Batch over which an estimation takes the Hessian: that of the following step (current), that of the preceding
    /// step, which is independent of the following one (previous), or always the first one (fixed); no effect if
    /// --curvature-batch exceeds --batch [default: current]
    #[arg(long, value_name = "BATCH")]
    pub curvature_from: Option<CurvatureSource>,
    /// For the study of stale spectra: each estimation takes the Hessian at the parameters of this many steps ago; at most
    /// --interval [default: 0]
    #[arg(long, value_name = "STEPS", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub refresh_delay: Option<usize>,
    /// Steps between estimations of the spectrum [default: 800; digits: 200; small presets except lr's: from
    /// --overhead]
    #[arg(long, value_name = "STEPS", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub interval: Option<usize>,
    /// Instead of --interval: average cost of a step with FOSI relative to one without [default: 1.1 in the small
    /// presets except lr's]
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub overhead: Option<f64>,
    /// Steps before FOSI's first estimation; for the learning rate see --warmup-rate [default: by task; see --dry-run]
    #[arg(long, value_name = "STEPS", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub warmup: Option<usize>,
    /// Upper limit of FOSI's scaling of the learning rate; one number, or hb=3,adam=1 [default: by task; see --dry-run]
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
    /// Learning rate over the run: constant; lr·½(1 + cos(πt/S)) (cosine); or lr(1 − t/S) (linear), at step t = 0, …, S
    /// − 1 of the S steps after --warmup-rate, so that the rate would be 0 after the last step [default: constant]
    #[arg(long, value_name = "NAME")]
    pub schedule: Option<LearningRateSchedule>,
    /// Number of steps over which the learning rate rises linearly at the start (not FOSI's --warmup), from lr/STEPS at the
    /// first to lr at the last [default: 0]
    #[arg(long, value_name = "STEPS", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub warmup_rate: Option<usize>,
    /// Also run each optimizer, plain and with FOSI, with its learning rate multiplied by these factors, and compare FOSI
    /// with the base at the best of its rates; lbfgs, and kfac without --kfac-rate fixed, find their own rate
    /// [without a value: 0.1,0.3,3,10]
    #[arg(
        long,
        value_name = "LIST",
        num_args = 0..=1,
        default_missing_value = "0.1,0.3,3,10"
    )]
    pub lr_grid: Option<List<RateFactor>>,
    /// Gradient clipping: limit on each entry of the gradient [default: none; ae: 1]
    #[arg(long, value_name = "LIMIT", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub clip_gradient: Option<f64>,
    /// Momentum of hb and nesterov, and of kfac with --kfac-momentum fixed [default: 0.9]
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub momentum: Option<f64>,
    /// Decoupled weight decay of adamw, muon and soap [default: 0.01]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub weight_decay: Option<f64>,
    /// Learning rate of kfac: the minimiser of its quadratic model at each step (adaptive), or --lr with its schedule
    /// (fixed) [default: adaptive]
    #[arg(long, value_name = "NAME")]
    pub kfac_rate: Option<KfacChoice>,
    /// Momentum of kfac: the minimiser of its quadratic model (adaptive), or --momentum (fixed) [default: adaptive]
    #[arg(long, value_name = "NAME")]
    pub kfac_momentum: Option<KfacChoice>,
    /// Initial damping of kfac, which the Levenberg–Marquardt rule adapts [default: 1]
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub damping: Option<f64>,
    /// Number of pairs of lbfgs [default: 10]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub history: Option<usize>,
    /// Examples per batch [default: by task; see --dry-run]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub batch: Option<usize>,
    /// Passes over the training data [default: by task; see --dry-run]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub epochs: Option<usize>,
    /// Instead of --epochs: the number of optimizer steps; the last epoch may be incomplete
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub steps: Option<usize>,
    /// Seed, or several separated by commas; every optimizer runs with each [default: 0]
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
    /// Which checkpoints are kept: the last two (newest) or all, which `fosi spectrum --run RUN` measures [default:
    /// newest]
    #[arg(long, value_name = "NAME")]
    pub keep_checkpoints: Option<KeptCheckpoints>,
    /// Also write TensorBoard event files to the subfolder tensorboard of the run's folder
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tensorboard: bool,
    /// Device for training: cpu, or cuda or wgpu if the program was built with that feature [default: cpu]
    #[arg(long, value_name = "NAME")]
    pub device: Option<DeviceName>,
    /// Threads, at most 1024 [default: one per core]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub threads: Option<usize>,
    /// Precision of Hessian-vector products: f64 or f32 [default: f64, or f32 if the device lacks f64]
    #[arg(long, value_name = "TYPE")]
    pub hvp: Option<HvpPrecision>,
    /// Batch norm in Hessian-vector products (ac): batch statistics (train) or running statistics (eval) [default:
    /// train]
    #[arg(long, value_name = "MODE")]
    pub hvp_mode: Option<HvpMode>,
    /// Folder that contains the run's folder [default: runs]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Name of the run's folder [default: from the task, the data set and the time]
    #[arg(long)]
    pub name: Option<String>,
}

impl TrainOptions {
    /// The layers of a command line: the options of the file, if one is given, below these.
    ///
    /// # Errors
    /// Those of [`from_file`](Self::from_file).
    pub fn with_file(&self, file: Option<&Path>) -> Result<Vec<Self>, ConfigError> {
        let below = file.map(Self::from_file).transpose()?;
        Ok(below.into_iter().chain([self.clone()]).collect())
    }

    /// Reads a TOML file of at most 1 MiB whose keys are the flags' names.
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
        // Reads values of any kind here; an invalid value of a known key is refused below with what the option allows.
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

    /// A notice if an option is given by its old name.
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
