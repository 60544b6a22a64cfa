//! When the spectrum is refreshed: warm-up W, interval T, overhead ρ; and rates that change from step to step.

use std::sync::Arc;

use crate::error::{Error, require};

/// When the spectrum is estimated anew (paper, §3.2 and eq. 6).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// Never: the optimizer is its base.
    Never,
    /// At step W, and every T steps from there.
    Every {
        /// W: steps of the base alone.
        warmup: u64,
        /// T ≥ 1: steps between refreshes.
        interval: u64,
    },
    /// At step W, and from there so rarely that refreshes cost a share of the time: T = ⌈r·m/(ρ−1)⌉.
    Overhead {
        /// W: steps of the base alone.
        warmup: u64,
        /// ρ > 1: the allowed ratio of the time with refreshes to the time without.
        overhead: f64,
        /// r: the cost of a product in steps (gradients). `None`: measured at the first refresh as the refresh's
        /// time for each product over the median step's, and kept from there on.
        product_cost: Option<f64>,
    },
}

impl Default for Schedule {
    /// ρ = 1.1 with measured r, after a warm-up of 100 steps.
    fn default() -> Self {
        Self::Overhead {
            warmup: 100,
            overhead: 1.1,
            product_cost: None,
        }
    }
}

impl Schedule {
    /// # Errors
    /// [`Error::InvalidSetting`] for an interval of 0, ρ ≤ 1 or a product cost that is not positive.
    pub fn validate(&self) -> Result<(), Error> {
        match *self {
            Self::Never => Ok(()),
            Self::Every { interval, .. } => {
                require(interval > 0, "interval (T)", interval, "at least 1")
            }
            Self::Overhead {
                overhead,
                product_cost,
                ..
            } => {
                let allowed = overhead > 1.0 && overhead.is_finite();
                require(allowed, "overhead (ρ)", overhead, "above 1 and finite")?;
                let cost = product_cost.unwrap_or(1.0);
                let allowed = cost > 0.0 && cost.is_finite();
                require(allowed, "product_cost (r)", cost, "positive and finite")
            }
        }
    }

    /// T where it needs no measurement, for refreshes of m Lanczos steps.
    pub(crate) fn fixed_interval(&self, lanczos_steps: usize) -> Option<u64> {
        match *self {
            Self::Every { interval, .. } => Some(interval),
            Self::Overhead { overhead, .. } => self
                .given_cost()
                .map(|cost| interval(cost, lanczos_steps, overhead)),
            Self::Never => None,
        }
    }

    /// r where it is given.
    pub(crate) fn given_cost(&self) -> Option<f64> {
        match *self {
            Self::Overhead { product_cost, .. } => product_cost,
            Self::Never | Self::Every { .. } => None,
        }
    }

    pub(crate) fn warmup(&self) -> Option<u64> {
        match *self {
            Self::Never => None,
            Self::Every { warmup, .. } | Self::Overhead { warmup, .. } => Some(warmup),
        }
    }
}

/// T = ⌈r·m/(ρ−1)⌉, at least 1: the interval at which refreshes of m products, each of the cost of r steps, make
/// training ρ times as long (paper, eq. 6).
///
/// ```
/// assert_eq!(fosi::schedule::interval(1.5, 40, 1.1), 600);
/// ```
pub fn interval(product_cost: f64, lanczos_steps: usize, overhead: f64) -> u64 {
    // The division's rounding must not add a step.
    let steps = product_cost * lanczos_steps as f64 / (overhead - 1.0) * (1.0 - 1e-12);
    (steps.ceil() as u64).max(1)
}

/// A rate: one value, or a function of the number of steps taken.
#[derive(Clone)]
pub enum Rate {
    /// The same at every step.
    Constant(f64),
    /// A schedule: the value at step t, counted from 0.
    Scheduled(Arc<dyn Fn(u64) -> f64 + Send + Sync>),
}

impl Rate {
    /// A rate that follows a schedule.
    ///
    /// ```
    /// let halving = fosi::schedule::Rate::scheduled(|step| 0.1 * 0.5_f64.powi((step / 1000) as i32));
    /// assert_eq!(halving.at(2500), 0.025);
    /// ```
    pub fn scheduled(schedule: impl Fn(u64) -> f64 + Send + Sync + 'static) -> Self {
        Self::Scheduled(Arc::new(schedule))
    }

    /// The value at step t, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Scheduled(schedule) => schedule(step),
        }
    }

    /// The value at a step, refused unless it is finite and at least 0.
    pub(crate) fn checked(&self, name: &'static str, step: u64) -> Result<f64, Error> {
        let value = self.at(step);
        let allowed = value >= 0.0 && value.is_finite();
        require(allowed, name, value, "at least 0 and finite")?;
        Ok(value)
    }
}

impl From<f64> for Rate {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

impl std::fmt::Debug for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Constant(value) => write!(f, "Constant({value})"),
            Self::Scheduled(_) => write!(f, "Scheduled(..)"),
        }
    }
}
