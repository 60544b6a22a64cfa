//! What a user may set, by flag or in a file: the same names in both.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use serde::Deserialize;

use super::numbers::{number, number_in_file, whole, whole_in_file};
use super::{
    Algorithm, BaseValues, ConfigError, DeviceName, HvpMode, HvpPrecision, List, Preset,
    RefreshSchedule, TaskName, TrainConfig, Weights,
};
use crate::data::DataName;
use crate::files::read_short_text;
use crate::names::known_name;
use crate::optimizers::{OptimizerName, RateFactor};

/// Bytes of a configuration file, at most: a wrong path may lead to data, or to a device that never ends.
const LONGEST_FILE: u64 = 1 << 20;

/// One layer of settings: what is `None` keeps the value of the layer below.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TrainOptions {
    /// Defaults: small (minutes on two cores) or paper (the paper's model, data and settings) [default: small]
    #[arg(long, value_name = "NAME")]
    pub preset: Option<Preset>,
    /// Data set: digits (embedded) or mnist for lr, cifar10 for ae and tl, tinyshakespeare (any text) for lm, fsdd or
    /// audioset for ac; all but digits need --data-dir [default: digits, cifar10, tinyshakespeare, fsdd; paper: mnist, audioset]
    #[arg(long, value_name = "NAME")]
    pub data: Option<DataName>,
    /// Folder that holds the data set's files, or holds them in a folder of the data set's name
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Leave damaged images and sounds out, and replace characters of a text that aren't ASCII (ae, lm, tl, ac)
    #[arg(long)]
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
    pub weights: Option<Weights>,
    /// Folder in which the frozen network's features are kept (tl) [default: fosi-cache]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Optimizers, separated by commas: hb, adam, gd, nesterov, adamw, each also as fosi-hb, …
    /// [default: hb,fosi-hb,adam,fosi-adam]
    #[arg(long, value_name = "LIST")]
    pub optimizers: Option<List<OptimizerName>>,
    /// FOSI as in the paper (paper), or with safeguards where the spectrum misleads (guarded): pairs that aren't resolved and
    /// directions that overshoot stay with the base, a few more products look for repeated eigenvalues, and a scaling that
    /// makes the gradient grow is taken back [default: guarded; with --preset paper: paper]
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
    /// Newton rate in the subspace [default: 0.01]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub alpha: Option<f64>,
    /// In the Newton step |λ| counts as at least this share of the largest |λ|, at most 1
    /// [default: 0.000001; with --algorithm paper: 0]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub curvature_floor: Option<f64>,
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
    /// Upper limit of the learning rate's scaling; one number, or hb=3,adam=1 [default: by task; see --dry-run]
    #[arg(
        long,
        visible_alias = "scale-limit",
        value_name = "LIMIT",
        allow_negative_numbers = true
    )]
    #[serde(alias = "scale-limit")]
    pub clip: Option<BaseValues>,
    /// Learning rate; one number, or hb=0.1,adam=0.001 [default: by task; see --dry-run]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub lr: Option<BaseValues>,
    /// Also run each plain optimizer with these factors on its learning rate, and compare FOSI with the best of them
    /// [without a value: 0.1,0.3,3,10]
    #[arg(
        long,
        value_name = "LIST",
        num_args = 0..=1,
        default_missing_value = "0.1,0.3,3,10"
    )]
    pub lr_grid: Option<List<RateFactor>>,
    /// Limit of each entry of the gradient [default: none; ae: 1]
    #[arg(long, value_name = "LIMIT", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub clip_gradient: Option<f64>,
    /// Momentum of hb and nesterov [default: 0.9]
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub momentum: Option<f64>,
    /// Decoupled weight decay of adamw [default: 0.01]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = number)]
    #[serde(deserialize_with = "number_in_file")]
    pub weight_decay: Option<f64>,
    /// Examples in a batch [default: by task; see --dry-run]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub batch: Option<usize>,
    /// Passes over the training data [default: by task; see --dry-run]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub epochs: Option<usize>,
    /// Seed, or several separated by commas: every optimizer runs with each [default: 0]
    #[arg(
        long,
        visible_alias = "seeds",
        value_name = "LIST",
        allow_negative_numbers = true
    )]
    #[serde(alias = "seeds")]
    pub seed: Option<List<u64>>,
    /// Steps between checkpoints, with which `fosi train --resume RUN` goes on [default: none]
    #[arg(long, value_name = "STEPS", allow_negative_numbers = true, value_parser = whole)]
    #[serde(deserialize_with = "whole_in_file")]
    pub checkpoint_every: Option<usize>,
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
    /// Batch norm in Hessian-vector products (ac): train (by the batch) or eval (by running statistics) [default: train]
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
        let table: toml::Table = toml::from_str(&text).map_err(syntax)?;
        let names = Self::names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for key in table.keys() {
            known_name("key", key, &names).map_err(|name| ConfigError::UnknownKey {
                path: path.to_owned(),
                name,
            })?;
        }
        toml::from_str(&text).map_err(syntax)
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

    /// An error where an option is given that the task doesn't have.
    pub(super) fn check_task(&self, task: TaskName) -> Result<(), ConfigError> {
        use TaskName::{Ac, Ae, Lm, Tl};
        let options: [(_, _, &[TaskName]); 6] = [
            ("skip-damaged", self.skip_damaged, &[Ae, Lm, Tl, Ac]),
            ("width", self.width.is_some(), &[Ae, Lm, Ac]),
            ("sequence", self.sequence.is_some(), &[Lm]),
            ("weights", self.weights.is_some(), &[Tl]),
            ("cache", self.cache.is_some(), &[Tl]),
            ("hvp-mode", self.hvp_mode.is_some(), &[Ac]),
        ];
        for (option, given, allowed) in options {
            if given && !allowed.contains(&task) {
                return Err(ConfigError::OtherTask {
                    option,
                    task,
                    allowed,
                });
            }
        }
        Ok(())
    }

    /// Overrides what is given.
    pub(super) fn apply(&self, config: &mut TrainConfig) -> Result<(), ConfigError> {
        self.apply_schedule(config)?;
        override_with(&mut config.data, self.data);
        override_with(&mut config.algorithm, self.algorithm);
        override_with(&mut config.k, self.k);
        override_with(&mut config.l, self.l);
        override_with(&mut config.alpha, self.alpha);
        override_with(&mut config.curvature_floor, self.curvature_floor);
        override_with(&mut config.momentum, self.momentum);
        override_with(&mut config.weight_decay, self.weight_decay);
        override_with(&mut config.batch, self.batch);
        override_with(&mut config.epochs, self.epochs);
        override_with(&mut config.hvp, self.hvp);
        override_with(&mut config.device, self.device);
        override_with(&mut config.hvp_mode, self.hvp_mode);
        override_with(&mut config.width, self.width);
        override_with(&mut config.sequence, self.sequence);
        override_with(&mut config.cache, self.cache.clone());
        config.skip_damaged |= self.skip_damaged;
        config.checkpoint_every = self.checkpoint_every.or(config.checkpoint_every);
        config.examples = self.examples.or(config.examples);
        config.eval_examples = self.eval_examples.or(config.eval_examples);
        config.clip_gradient = self.clip_gradient.or(config.clip_gradient);
        config.weights = self.weights.clone().or(config.weights.take());
        override_with(&mut config.out, self.out.clone());
        override_with(
            &mut config.optimizers,
            self.optimizers.clone().map(|list| list.0),
        );
        override_with(&mut config.seeds, self.seed.clone().map(|list| list.0));
        if let Some(List(factors)) = &self.lr_grid {
            config.lr_grid.clone_from(factors);
        }
        config.m = self.m.or(config.m);
        config.warmup = self.warmup.or(config.warmup);
        config.threads = self.threads.or(config.threads);
        config.data_dir = self.data_dir.clone().or(config.data_dir.take());
        config.name = self.name.clone().or(config.name.take());
        if let Some(clip) = &self.clip {
            clip.apply(&mut config.clip);
        }
        if let Some(lr) = &self.lr {
            lr.apply(&mut config.lr);
        }
        Ok(())
    }

    /// A layer that sets one of interval and overhead replaces either of the layer below.
    fn apply_schedule(&self, config: &mut TrainConfig) -> Result<(), ConfigError> {
        config.schedule = match (self.interval, self.overhead) {
            (Some(interval), Some(overhead)) => {
                return Err(ConfigError::TwoSchedules { interval, overhead });
            }
            (Some(interval), None) => RefreshSchedule::Interval(interval),
            (None, Some(overhead)) => RefreshSchedule::Overhead(overhead),
            (None, None) => return Ok(()),
        };
        Ok(())
    }
}

fn override_with<T>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}
