//! Everything that a training run can be told, where it comes from and what is allowed.
//!
//! Defaults are overridden by a file (`--config`), the file by flags; [`TrainConfig::resolve`] merges and checks.

mod defaults;
mod describe;
mod effects;
mod error;
mod numbers;
mod options;
mod values;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use error::ConfigError;
pub use options::TrainOptions;
pub use values::{BaseValues, Element, List, PerBase};

use fosi::spectrum::SpectrumParams;

use crate::data::DataName;
use crate::names::{UnknownName, known_name};
use crate::optimizers::{Base, OptimizerName, RateFactor};

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskName {
    /// Logistic regression on digits.
    Lr,
    /// A convolutional autoencoder on colour images.
    Ae,
    /// A language model over characters.
    Lm,
    /// Transfer learning: a new layer on a frozen ResNet-18.
    Tl,
    /// Audio classification with a MobileNet.
    Ac,
}

impl TaskName {
    /// All tasks, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Ac, Self::Lm, Self::Ae, Self::Tl, Self::Lr];
    const NAMES: [&str; 5] = ["lr", "ae", "lm", "tl", "ac"];

    /// The data sets that the task can be trained on, its usual one first.
    pub fn data_sets(self) -> &'static [DataName] {
        match self {
            Self::Lr => &[DataName::Digits, DataName::Mnist],
            Self::Ae | Self::Tl => &[DataName::Cifar10],
            Self::Lm => &[DataName::Tinyshakespeare],
            Self::Ac => &[DataName::Fsdd, DataName::Audioset],
        }
    }
}

impl std::fmt::Display for TaskName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(Self::NAMES[*self as usize])
    }
}

impl std::str::FromStr for TaskName {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let known = known_name("task", name, &Self::NAMES)?;
        let found = Self::ALL.into_iter().find(|task| task.to_string() == known);
        Ok(found.unwrap_or(Self::Lr))
    }
}

/// A set of defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Preset {
    /// Minutes on two cores: narrower models, less data, T from ρ = 1.1.
    #[default]
    Small,
    /// The paper's model and settings.
    Paper,
}

/// Whose batch norm the Hessian is taken with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HvpMode {
    /// Normalising by the batch, as in training and in the paper.
    #[default]
    Train,
    /// Normalising by the running statistics.
    Eval,
}

/// Which algorithm FOSI is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Algorithm {
    /// The paper's with the safeguards of [`fosi::FosiConfig::safeguards`].
    #[default]
    Guarded,
    /// The paper's Algorithms 1 and 2; the run tells where a safeguard would have acted.
    Paper,
}

/// Where models are trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceName {
    /// The CPU.
    #[default]
    Cpu,
    /// An NVIDIA GPU; needs the program's feature `cuda`.
    Cuda,
    /// Any GPU, through WebGPU; needs the program's feature `wgpu`.
    Wgpu,
}

/// Gives an enum of a few names its text form, which is also its form in files.
macro_rules! named {
    ($type:ident, $what:literal, $($variant:ident = $name:literal),+) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(match self {
                    $(Self::$variant => $name),+
                })
            }
        }

        impl std::str::FromStr for $type {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                let known = known_name($what, name, &[$($name),+])?;
                let mut found = Self::default();
                $(if known == $name {
                    found = Self::$variant;
                })+
                Ok(found)
            }
        }

        impl TryFrom<String> for $type {
            type Error = UnknownName;

            fn try_from(name: String) -> Result<Self, UnknownName> {
                name.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}

named!(Preset, "preset", Small = "small", Paper = "paper");
named!(Algorithm, "algorithm", Guarded = "guarded", Paper = "paper");
named!(HvpMode, "mode", Train = "train", Eval = "eval");
named!(HvpPrecision, "precision", F64 = "f64", F32 = "f32");
named!(
    DeviceName,
    "device",
    Cpu = "cpu",
    Cuda = "cuda",
    Wgpu = "wgpu"
);

/// Weights of a frozen network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Weights {
    /// Random ones, the same every time.
    Random,
    /// Those in a file.
    File(PathBuf),
}

impl From<String> for Weights {
    fn from(text: String) -> Self {
        match text.as_str() {
            "random" => Self::Random,
            path => Self::File(path.into()),
        }
    }
}

impl From<Weights> for String {
    fn from(weights: Weights) -> Self {
        weights.to_string()
    }
}

impl std::fmt::Display for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Random => f.pad("random"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// When FOSI estimates the spectrum again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefreshSchedule {
    /// Every T steps.
    Interval(usize),
    /// So often that a step costs ρ of the base optimizer's on average: T = ⌈τ₃/(ρτ₁ − τ₂)⌉, with the measured times τ₁ of
    /// the base's steps, τ₂ of FOSI's and τ₃ of estimations.
    Overhead(f64),
}

/// How Hessian-vector products are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HvpPrecision {
    /// Difference quotients of gradients in f64: exact to about six digits.
    #[default]
    F64,
    /// In f32: for devices without f64; unreliable with ReLU.
    F32,
}

/// A training run's settings, complete and checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub weights: Option<Weights>,
    /// Folder in which features of the frozen network are kept (TL).
    pub cache: PathBuf,
    /// The optimizers, in the order in which they run.
    pub optimizers: Vec<OptimizerName>,
    /// Which algorithm FOSI is. Runs of before this was a setting had no safeguards.
    #[serde(default = "defaults::algorithm_of_old_runs")]
    pub algorithm: Algorithm,
    /// Number k of largest eigenpairs.
    pub k: usize,
    /// Number ℓ of smallest eigenpairs.
    pub l: usize,
    /// Lanczos steps m; `None`: max{4(k+ℓ), ⌈2 ln n⌉} for n parameters.
    pub m: Option<usize>,
    /// Newton rate α in the subspace.
    pub alpha: f64,
    /// ε: in the Newton step |λ| counts as at least this much of the largest |λ|.
    #[serde(default = "defaults::curvature_floor")]
    pub curvature_floor: f64,
    /// When the spectrum is estimated again.
    pub schedule: RefreshSchedule,
    /// Steps W before the first estimation; `None`: one epoch.
    pub warmup: Option<usize>,
    /// Upper limit c of the learning rate's scaling.
    pub clip: PerBase,
    /// Learning rate η.
    pub lr: PerBase,
    /// Factors on η with which each plain optimizer runs too.
    pub lr_grid: Vec<RateFactor>,
    /// Limit of each entry of the gradient.
    pub clip_gradient: Option<f64>,
    /// Momentum β of Heavy-Ball and Nesterov.
    pub momentum: f64,
    /// Decoupled weight decay of AdamW.
    pub weight_decay: f64,
    /// Examples in a batch.
    pub batch: usize,
    /// Passes over the training data.
    pub epochs: usize,
    /// One run of every optimizer for each.
    pub seeds: Vec<u64>,
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
    /// Folder of run folders.
    pub out: PathBuf,
    /// Name of the run folder; `None`: task, data set and time.
    pub name: Option<String>,
}

impl TrainConfig {
    /// The defaults for `task`, overridden by each of `layers` in turn, checked.
    ///
    /// # Errors
    /// [`ConfigError`] naming the option, the value given and what is allowed.
    pub fn resolve(task: TaskName, layers: &[TrainOptions]) -> Result<Self, ConfigError> {
        let preset = layers.iter().rev().find_map(|layer| layer.preset);
        let data = layers.iter().rev().find_map(|layer| layer.data);
        let mut config = Self::defaults(task, data, preset.unwrap_or_default());
        for layer in layers {
            layer.check_task(task)?;
            layer.apply(&mut config)?;
        }
        let floor_is_given = layers.iter().any(|layer| layer.curvature_floor.is_some());
        if config.algorithm == Algorithm::Paper && !floor_is_given {
            config.curvature_floor = 0.0;
        }
        config.check()?;
        for layer in layers {
            layer.check_effects(&config)?;
        }
        Ok(config)
    }

    /// As [`resolve`](Self::resolve), for a file of options below the command line's. What is the file's fault is reported
    /// with the file's name.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_with_file(
        task: TaskName,
        (path, file): (&Path, &TrainOptions),
        flags: &TrainOptions,
    ) -> Result<Self, ConfigError> {
        let layers = [file.clone(), flags.clone()];
        Self::resolve(task, &layers).map_err(|error| {
            let of_file = match &error {
                ConfigError::NoEffect { given, .. } => !flags.gives(given),
                _ => Self::resolve(task, &layers[..1])
                    .is_err_and(|own| own.to_string() == error.to_string()),
            };
            match of_file {
                true => error.in_file(path),
                false => error,
            }
        })
    }

    /// Lanczos steps for n parameters: m as given, or max{4(k+ℓ), ⌈2 ln n⌉}; never above n.
    pub fn lanczos_steps(&self, parameters: usize) -> usize {
        self.spectrum_params().steps(parameters)
    }

    /// Products of an estimation for n parameters: m, and the probe's with safeguards.
    pub fn products(&self, parameters: usize) -> usize {
        let params = self.spectrum_params();
        params.steps(parameters) + params.probe_steps(parameters)
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
    pub fn all_optimizers(&self) -> Vec<OptimizerName> {
        let with_grid = |&optimizer: &OptimizerName| {
            let factors = match optimizer.fosi {
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

    /// Steps before the first refresh: W as given, or one epoch.
    pub fn warmup_steps(&self, steps_per_epoch: usize) -> usize {
        self.warmup.unwrap_or(steps_per_epoch)
    }

    /// What is told where FOSI never estimates a spectrum, so that it is its base: the run is over before W.
    pub fn idle_note(&self, steps_per_epoch: usize) -> Option<String> {
        let warmup = self.warmup_steps(steps_per_epoch);
        let steps = self.epochs.saturating_mul(steps_per_epoch);
        let idle = warmup >= steps && self.optimizers.iter().any(|optimizer| optimizer.fosi);
        idle.then(|| {
            format!(
                "No spectrum is estimated: the first estimation is due after {warmup} steps (--warmup), and the run has {steps}"
            )
        })
    }

    /// Checks what can be checked once the data is there.
    ///
    /// # Errors
    /// [`ConfigError::BatchTooLarge`].
    pub fn check_against(&self, examples: usize) -> Result<(), ConfigError> {
        if self.batch > examples {
            return Err(ConfigError::BatchTooLarge {
                batch: self.batch,
                examples,
            });
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        let built = match self.device {
            DeviceName::Cpu => true,
            DeviceName::Cuda => cfg!(feature = "cuda"),
            DeviceName::Wgpu => cfg!(feature = "wgpu"),
        };
        if !built {
            return Err(ConfigError::NotBuilt {
                device: self.device,
            });
        }
        let allowed = self.task.data_sets();
        if !allowed.contains(&self.data) {
            let (task, data) = (self.task, self.data);
            return Err(ConfigError::OtherData {
                task,
                data,
                allowed,
            });
        }
        if let (DataName::Digits, Some(folder)) = (self.data, &self.data_dir) {
            let folder = folder.clone();
            return Err(ConfigError::EmbeddedData { folder });
        }
        self.check_paths()?;
        self.check_pairs()?;
        self.check_counts()?;
        self.check_rates()?;
        no_repeats("optimizers", &self.all_optimizers())?;
        no_repeats("seed", &self.seeds)?;
        match &self.name {
            Some(name) if !is_folder_name(name) => Err(ConfigError::Name { name: name.clone() }),
            _ => Ok(()),
        }
    }

    /// A run's record is JSON, which holds no other text than Unicode.
    fn check_paths(&self) -> Result<(), ConfigError> {
        let paths = [
            ("data-dir", self.data_dir.as_ref()),
            ("cache", Some(&self.cache)),
            ("out", Some(&self.out)),
        ];
        for (option, path) in paths {
            match path.map(|path| (path, path.to_str())) {
                Some((path, None)) => {
                    let path = path.clone();
                    return Err(ConfigError::NotUtf8 { option, path });
                }
                Some((_, Some(text))) if text.contains('\0') => {
                    return Err(ConfigError::NulInPath { option });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The algorithm's own limits, under the options' names.
    fn check_pairs(&self) -> Result<(), ConfigError> {
        let (k, l) = (self.k, self.l);
        let pairs = k.saturating_add(l);
        if pairs == 0 {
            return Err(ConfigError::NoPairs);
        }
        let limit = |lanczos_steps| {
            let params = SpectrumParams {
                largest: k,
                smallest: l,
                lanczos_steps,
                ..SpectrumParams::default()
            };
            match params.validate() {
                Err(fosi::Error::InvalidSetting { allowed, .. }) => Some(allowed),
                _ => None,
            }
        };
        if let Some(allowed) = limit(None) {
            return Err(ConfigError::TooManyPairs { k, l, allowed });
        }
        match self.m {
            Some(m) if m < pairs => Err(ConfigError::TooFewLanczosSteps { m, k, l }),
            Some(m) => match limit(Some(m)) {
                Some(allowed) => Err(ConfigError::TooManyLanczosSteps { m, allowed }),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    fn check_counts(&self) -> Result<(), ConfigError> {
        let counts = [
            ("batch", Some(self.batch)),
            ("epochs", Some(self.epochs)),
            ("threads", self.threads),
            ("checkpoint-every", self.checkpoint_every),
            ("sequence", Some(self.sequence)),
            ("examples", self.examples),
            ("eval-examples", self.eval_examples),
            (
                "interval",
                match self.schedule {
                    RefreshSchedule::Interval(steps) => Some(steps),
                    RefreshSchedule::Overhead(_) => None,
                },
            ),
        ];
        if let Some(&(option, _)) = counts.iter().find(|(_, count)| *count == Some(0)) {
            return Err(ConfigError::Zero { option });
        }
        match self.threads.filter(|&threads| threads > MOST_THREADS) {
            Some(value) => Err(ConfigError::TooMany {
                option: "threads",
                value,
                most: MOST_THREADS,
            }),
            None => Ok(()),
        }
    }

    fn check_rates(&self) -> Result<(), ConfigError> {
        rate("alpha", self.alpha, AT_LEAST_ZERO, self.alpha >= 0.0)?;
        let floor = self.curvature_floor;
        // Its reciprocal must be a number.
        let allowed = floor == 0.0 || (1e-300..=1.0).contains(&floor);
        rate(
            "curvature-floor",
            floor,
            "0, or from 1e-300 to at most 1",
            allowed,
        )?;
        let width = self.width;
        let allowed = width > 0.0 && width <= 4.0;
        rate("width", width, "a number above 0, at most 4", allowed)?;
        if let Some(limit) = self.clip_gradient {
            rate("clip-gradient", limit, ABOVE_ZERO, limit > 0.0)?;
        }
        per_base("lr", &self.lr, ABOVE_ZERO, |lr| lr > 0.0)?;
        per_base("clip", &self.clip, AT_LEAST_ONE, |clip| clip >= 1.0)?;
        let beta = self.momentum;
        let allowed = (0.0..1.0).contains(&beta);
        rate(
            "momentum",
            beta,
            "a number of at least 0 and below 1",
            allowed,
        )?;
        let decay = self.weight_decay;
        rate("weight-decay", decay, AT_LEAST_ZERO, decay >= 0.0)?;
        match self.schedule {
            RefreshSchedule::Overhead(rho) => rate(
                "overhead",
                rho,
                "a finite number above 1, such as 1.1",
                rho > 1.0,
            ),
            RefreshSchedule::Interval(_) => Ok(()),
        }
    }
}

/// Far beyond any machine; starting a million of them takes minutes and all memory.
const MOST_THREADS: usize = 1024;

const AT_LEAST_ZERO: &str = "a finite number of at least 0";
const ABOVE_ZERO: &str = "a finite number above 0";
const AT_LEAST_ONE: &str = "a finite number of at least 1";

/// Refuses a number that isn't finite or isn't `within` its range.
fn rate(
    option: &'static str,
    value: f64,
    allowed: &'static str,
    within: bool,
) -> Result<(), ConfigError> {
    match within && value.is_finite() {
        true => Ok(()),
        false => Err(ConfigError::Rate {
            option,
            base: None,
            value,
            allowed,
        }),
    }
}

/// The same for a number of each base optimizer; the one at fault is named where the others have another number.
fn per_base(
    option: &'static str,
    values: &PerBase,
    allowed: &'static str,
    within: fn(f64) -> bool,
) -> Result<(), ConfigError> {
    let fault = |base: &Base| {
        let value = values.get(*base);
        !(within(value) && value.is_finite())
    };
    let Some(base) = Base::ALL.into_iter().find(fault) else {
        return Ok(());
    };
    let value = values.get(base);
    let other = |other: Base| values.get(other).to_bits() != value.to_bits();
    Err(ConfigError::Rate {
        option,
        base: Base::ALL.into_iter().any(other).then_some(base),
        value,
        allowed,
    })
}

fn no_repeats<T: PartialEq + ToString>(
    option: &'static str,
    values: &[T],
) -> Result<(), ConfigError> {
    if values.is_empty() {
        return Err(ConfigError::EmptyList { option });
    }
    let repeated = values
        .iter()
        .enumerate()
        .find(|(i, value)| values[..*i].contains(value));
    match repeated {
        Some((_, value)) => Err(ConfigError::Repeated {
            option,
            value: value.to_string(),
        }),
        None => Ok(()),
    }
}

/// Bytes of a name that every common file system takes.
const LONGEST_NAME: usize = 255;

/// One plain component, so that a run can't land outside its folder.
fn is_folder_name(name: &str) -> bool {
    let mut components = std::path::Path::new(name).components();
    let plain = matches!(components.next(), Some(std::path::Component::Normal(_)));
    let allowed = |letter: char| !matches!(letter, '/' | '\\') && !letter.is_control();
    plain && components.next().is_none() && name.len() <= LONGEST_NAME && name.chars().all(allowed)
}

#[cfg(test)]
mod tests;
