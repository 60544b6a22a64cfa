//! Checks of a run's settings.

use std::path::{Component, Path};

use fosi::spectrum::SpectrumParams;
use strum::IntoEnumIterator;

use super::{
    Averaging, ConfigError, DeviceName, KeptCheckpoints, LearningRateSchedule, PerFamily,
    RefreshSchedule, TaskName, TrainConfig, TrainingLength,
};
use crate::data::DataName;
use crate::optimizers::Family;

impl TrainConfig {
    /// Checks the settings that depend on the number of training examples.
    ///
    /// # Errors
    /// [`ConfigError::BatchTooLarge`], [`ConfigError::WarmupRateTooLong`].
    pub fn check_against(&self, examples: usize) -> Result<(), ConfigError> {
        for (option, batch) in [
            ("batch", self.batch),
            ("curvature-batch", self.curvature_batch.unwrap_or(0)),
        ] {
            if batch > examples {
                return Err(ConfigError::BatchTooLarge {
                    option,
                    batch,
                    examples,
                });
            }
        }
        self.check_warmup_rate(self.steps_per_epoch(examples))
    }

    /// Refuses a warm-up that is longer than the run, or that leaves no step for a decreasing learning rate.
    fn check_warmup_rate(&self, steps_per_epoch: usize) -> Result<(), ConfigError> {
        let steps = self.length.steps(steps_per_epoch);
        let most = match self.schedule {
            LearningRateSchedule::Constant => steps,
            LearningRateSchedule::Cosine | LearningRateSchedule::Linear => steps.saturating_sub(1),
        };
        if self.warmup_rate as u64 > most {
            return Err(ConfigError::WarmupRateTooLong {
                warmup: self.warmup_rate,
                schedule: self.schedule,
                steps,
                most,
            });
        }
        Ok(())
    }

    /// Checks the settings that do not depend on the data.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
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
        if self.skip_damaged && matches!(self.data, DataName::Digits | DataName::Mnist) {
            return Err(ConfigError::NothingToSkip { data: self.data });
        }
        if self.keep_checkpoints == KeptCheckpoints::All && self.checkpoint_every.is_none() {
            return Err(ConfigError::NothingKept);
        }
        self.check_delay()?;
        if self.task == TaskName::Lm && self.runs(Family::Kfac) {
            return Err(ConfigError::NoKfac);
        }
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

    /// The delay must not exceed the interval, and checkpoints do not store the delayed parameters.
    fn check_delay(&self) -> Result<(), ConfigError> {
        let delay = self.refresh_delay;
        match self.refreshes {
            _ if delay == 0 => Ok(()),
            _ if self.checkpoint_every.is_some() => Err(ConfigError::DelayWithCheckpoints),
            RefreshSchedule::Interval(interval) if delay <= interval => Ok(()),
            _ => Err(ConfigError::LongDelay { delay }),
        }
    }

    /// Checks the algorithm's limits and reports violations under the options' names.
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
            match self.length {
                TrainingLength::Epochs(epochs) => ("epochs", Some(epochs)),
                TrainingLength::Steps(steps) => ("steps", Some(steps)),
            },
            ("curvature-batch", self.curvature_batch),
            ("threads", self.threads),
            ("history", self.runs(Family::Lbfgs).then_some(self.history)),
            ("checkpoint-every", self.checkpoint_every),
            ("sequence", Some(self.sequence)),
            ("examples", self.examples),
            ("eval-examples", self.eval_examples),
            (
                "interval",
                match self.refreshes {
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
        let alpha = self.alpha;
        let allowed = alpha == 0.0 || in_f32(alpha);
        rate("alpha", alpha, "0, or from 1.2e-38 to 3.4e38", allowed)?;
        let tolerance = self.lanczos_tolerance;
        let allowed = (0.0..=1.0).contains(&tolerance);
        rate("lanczos-tolerance", tolerance, "from 0 to 1", allowed)?;
        if let Averaging::Fixed(weight) = self.averaging {
            let allowed = weight > 0.0 && weight <= 1.0;
            let range = "off, predicted, or above 0 and at most 1";
            rate("averaging", weight, range, allowed)?;
        }
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
        per_base("lr", &self.lr, "from 1.2e-38 to 3.4e38", in_f32)?;
        per_base("scale-limit", &self.scale_limit, AT_LEAST_ONE, |limit| {
            limit >= 1.0
        })?;
        let beta = self.momentum;
        let allowed = (0.0..1.0).contains(&beta);
        rate(
            "momentum",
            beta,
            "a number of at least 0 and below 1",
            allowed,
        )?;
        let damping = self.damping;
        rate("damping", damping, AT_LEAST_ZERO, damping >= 0.0)?;
        let decay = self.weight_decay;
        rate("weight-decay", decay, AT_LEAST_ZERO, decay >= 0.0)?;
        match self.refreshes {
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

/// Far beyond any machine's cores; starting a million threads takes minutes and exhausts the memory.
const MOST_THREADS: usize = 1024;

const AT_LEAST_ZERO: &str = "a finite number of at least 0";
const ABOVE_ZERO: &str = "a finite number above 0";
const AT_LEAST_ONE: &str = "a finite number of at least 1";

/// Whether the value is a positive normal f32, the precision in which models are trained.
fn in_f32(value: f64) -> bool {
    (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&value)
}

/// Refuses a number that is not finite or not `within` its range.
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

/// Does the same for one number per base optimizer, and names the base at fault if the numbers differ.
fn per_base(
    option: &'static str,
    values: &PerFamily,
    allowed: &'static str,
    within: fn(f64) -> bool,
) -> Result<(), ConfigError> {
    let fault = |base: &Family| {
        let value = values.get(*base);
        !(within(value) && value.is_finite())
    };
    let Some(base) = Family::iter().find(fault) else {
        return Ok(());
    };
    let value = values.get(base);
    let other = |other: Family| values.get(other).to_bits() != value.to_bits();
    Err(ConfigError::Rate {
        option,
        base: Family::iter().any(other).then_some(base),
        value,
        allowed,
    })
}

/// Refuses an empty list and a list with a repeated value.
pub(crate) fn no_repeats<T: PartialEq + ToString>(
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

/// The maximum length of a file name in bytes on common file systems.
const LONGEST_NAME: usize = 255;

/// Whether the name is one plain path component, so that a run stays inside its parent folder.
fn is_folder_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let plain = matches!(components.next(), Some(Component::Normal(_)));
    let allowed = |letter: char| !matches!(letter, '/' | '\\') && !letter.is_control();
    plain && components.next().is_none() && name.len() <= LONGEST_NAME && name.chars().all(allowed)
}
