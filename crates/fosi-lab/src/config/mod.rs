//! Everything that a training run can be told, where it comes from and what is allowed.
//!
//! Defaults are overridden by a file (`--config`), the file by flags; [`TrainConfig::resolve`] merges and checks.

mod describe;
mod error;
mod options;
mod values;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use error::ConfigError;
pub use options::TrainOptions;
pub use values::{BaseValues, List, PerBase};

use crate::data::DataName;
use crate::names::{UnknownName, known_name};
use crate::optimizers::{Base, OptimizerName};

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskName {
    /// Logistic regression, the paper's task LR.
    Lr,
}

impl std::fmt::Display for TaskName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lr => f.pad("lr"),
        }
    }
}

impl std::str::FromStr for TaskName {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        known_name("task", name, &["lr"]).map(|_| Self::Lr)
    }
}

/// When FOSI estimates the spectrum again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefreshSchedule {
    /// Every T steps.
    Interval(usize),
    /// So often that a run costs ρ times the base optimizer's: T = ⌈r·m/(ρ−1)⌉, r the measured cost of a product.
    Overhead(f64),
}

/// How Hessian-vector products are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HvpPrecision {
    /// Difference quotients of gradients in f64: exact to about six digits.
    F64,
    /// In f32: for devices without f64; unreliable with ReLU.
    F32,
}

impl std::fmt::Display for HvpPrecision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
        })
    }
}

impl std::str::FromStr for HvpPrecision {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match known_name("precision", name, &["f64", "f32"])? {
            "f32" => Ok(Self::F32),
            _ => Ok(Self::F64),
        }
    }
}

impl TryFrom<String> for HvpPrecision {
    type Error = UnknownName;

    fn try_from(name: String) -> Result<Self, UnknownName> {
        name.parse()
    }
}

impl From<HvpPrecision> for String {
    fn from(precision: HvpPrecision) -> Self {
        precision.to_string()
    }
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
    /// The optimizers, in the order in which they run.
    pub optimizers: Vec<OptimizerName>,
    /// Number k of largest eigenpairs.
    pub k: usize,
    /// Number ℓ of smallest eigenpairs.
    pub l: usize,
    /// Lanczos steps m; `None`: max{4(k+ℓ), ⌈2 ln n⌉} for n parameters.
    pub m: Option<usize>,
    /// Newton rate α in the subspace.
    pub alpha: f64,
    /// When the spectrum is estimated again.
    pub schedule: RefreshSchedule,
    /// Steps W before the first estimation; `None`: one epoch.
    pub warmup: Option<usize>,
    /// Upper limit c of the learning rate's scaling.
    pub clip: PerBase,
    /// Learning rate η.
    pub lr: PerBase,
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
    /// Threads; `None`: one a core.
    pub threads: Option<usize>,
    /// How Hessian-vector products are computed.
    pub hvp: HvpPrecision,
    /// Folder of run folders.
    pub out: PathBuf,
    /// Name of the run folder; `None`: task, data set and time.
    pub name: Option<String>,
}

impl TrainConfig {
    /// The settings of a run that is told nothing but its task and data.
    ///
    /// On MNIST they are the paper's (§4 and appendix): batch 1024, 100 epochs, T = 800, W one epoch, Heavy-Ball
    /// 0.1 with momentum 0.9, Adam 0.001, k = 10, ℓ = 0, α = 0.01, c = 3 (1 for Adam). The embedded digits are 42
    /// times smaller and get smaller batches and a shorter interval, so that an epoch has enough steps and a run
    /// enough refreshes.
    pub fn defaults(task: TaskName, data: DataName) -> Self {
        let plain_and_fosi = |base| [OptimizerName::plain(base), OptimizerName::fosi(base)];
        let (batch, epochs, interval) = match data {
            DataName::Mnist => (1024, 100, 800),
            DataName::Digits => (64, 60, 50),
        };
        Self {
            task,
            data,
            data_dir: None,
            optimizers: [Base::HeavyBall, Base::Adam]
                .into_iter()
                .flat_map(plain_and_fosi)
                .collect(),
            k: 10,
            l: 0,
            m: None,
            alpha: 0.01,
            schedule: RefreshSchedule::Interval(interval),
            warmup: None,
            clip: PerBase {
                adam: 1.0,
                adamw: 1.0,
                ..PerBase::all(3.0)
            },
            lr: PerBase {
                adam: 0.001,
                adamw: 0.001,
                ..PerBase::all(0.1)
            },
            momentum: 0.9,
            weight_decay: 0.01,
            batch,
            epochs,
            seeds: vec![0],
            threads: None,
            hvp: HvpPrecision::F64,
            out: PathBuf::from("runs"),
            name: None,
        }
    }

    /// The defaults for `task`, overridden by each of `layers` in turn, checked.
    ///
    /// # Errors
    /// [`ConfigError`] naming the option, the value given and what is allowed.
    pub fn resolve(task: TaskName, layers: &[TrainOptions]) -> Result<Self, ConfigError> {
        let last_data = layers.iter().rev().find_map(|layer| layer.data);
        let mut config = Self::defaults(task, last_data.unwrap_or(DataName::Digits));
        for layer in layers {
            layer.apply(&mut config)?;
        }
        config.check()?;
        Ok(config)
    }

    /// Lanczos steps for n parameters: m as given, or max{4(k+ℓ), ⌈2 ln n⌉}; never above n.
    pub fn lanczos_steps(&self, parameters: usize) -> usize {
        let logarithm = 2.0 * (parameters.max(1) as f64).ln();
        let default = (4 * (self.k + self.l)).max(logarithm.ceil() as usize);
        self.m.unwrap_or(default).min(parameters)
    }

    /// Steps before the first refresh: W as given, or one epoch.
    pub fn warmup_steps(&self, steps_per_epoch: usize) -> usize {
        self.warmup.unwrap_or(steps_per_epoch)
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
        self.check_counts()?;
        self.check_rates()?;
        no_repeats("optimizers", &self.optimizers)?;
        no_repeats("seed", &self.seeds)?;
        match &self.name {
            Some(name) if !is_folder_name(name) => Err(ConfigError::Name { name: name.clone() }),
            _ => Ok(()),
        }
    }

    fn check_counts(&self) -> Result<(), ConfigError> {
        let pairs = self.k.saturating_add(self.l);
        if pairs == 0 {
            return Err(ConfigError::NoPairs);
        }
        if let Some(m) = self.m.filter(|&m| m < pairs) {
            let (k, l) = (self.k, self.l);
            return Err(ConfigError::TooFewLanczosSteps { m, k, l });
        }
        let counts = [
            ("batch", Some(self.batch)),
            ("epochs", Some(self.epochs)),
            ("threads", self.threads),
            (
                "interval",
                match self.schedule {
                    RefreshSchedule::Interval(steps) => Some(steps),
                    RefreshSchedule::Overhead(_) => None,
                },
            ),
        ];
        match counts.iter().find(|(_, count)| *count == Some(0)) {
            Some(&(option, _)) => Err(ConfigError::Zero { option }),
            None => Ok(()),
        }
    }

    fn check_rates(&self) -> Result<(), ConfigError> {
        const ABOVE_ZERO: &str = "a finite number above 0";
        const AT_LEAST_ONE: &str = "a finite number of at least 1";
        let rate = |option, value: f64, allowed, ok: bool| {
            if ok && value.is_finite() {
                return Ok(());
            }
            Err(ConfigError::Rate {
                option,
                value,
                allowed,
            })
        };
        rate("alpha", self.alpha, ABOVE_ZERO, self.alpha > 0.0)?;
        for base in Base::ALL {
            let (lr, clip) = (self.lr.get(base), self.clip.get(base));
            rate("lr", lr, ABOVE_ZERO, lr > 0.0)?;
            rate("clip", clip, AT_LEAST_ONE, clip >= 1.0)?;
        }
        let beta = self.momentum;
        let below_one = (0.0..1.0).contains(&beta);
        rate(
            "momentum",
            beta,
            "a number of at least 0 and below 1",
            below_one,
        )?;
        let decay = self.weight_decay;
        rate(
            "weight-decay",
            decay,
            "a finite number of at least 0",
            decay >= 0.0,
        )?;
        if let RefreshSchedule::Overhead(rho) = self.schedule {
            rate(
                "overhead",
                rho,
                "a finite number above 1, such as 1.1",
                rho > 1.0,
            )?;
        }
        Ok(())
    }
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

/// One plain component, so that a run can't land outside its folder.
fn is_folder_name(name: &str) -> bool {
    let mut components = std::path::Path::new(name).components();
    let plain = matches!(components.next(), Some(std::path::Component::Normal(_)));
    plain && components.next().is_none() && !name.contains(['/', '\\', '\0'])
}

#[cfg(test)]
mod tests;
