//! The schedule of refreshes (warm-up W, interval T, overhead ρ), and rates that change from step to step.

use std::sync::Arc;

use crate::error::{Error, require};

/// When the spectrum is refreshed (paper, §3.2 and eq. 6).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// Never: each step is the base's own.
    Never,
    /// At step W and every T steps after it.
    Every {
        /// W: steps of the base alone.
        warmup: u64,
        /// T ≥ 1: steps between refreshes.
        interval: u64,
    },
    /// At step W and then every T = ⌈τ₃/(ρτ₁ − τ₂)⌉ steps, such that training takes ρ times as long as with the base
    /// alone (see [`interval`]).
    ///
    /// Without a given cost, τ₁ (a step of the base), τ₂ (a step with a subspace) and τ₃ (a refresh) are wall times,
    /// each a median over a moving window (see [`Timing`](crate::timing::Timing)), and T changes with them. If ρτ₁ ≤
    /// τ₂, no T suffices: [`OverheadStatus`](crate::timing::OverheadStatus) and a warning report it, and T is
    /// ⌈τ₃/((ρ−1)τ₂)⌉. Until 8 steps of the base and 8 with a subspace are timed, one of the two stands for both.
    /// `warmup` below 9 leaves τ₁ unknown, since 8 times need 9 steps.
    Overhead {
        /// W: steps of the base alone.
        warmup: u64,
        /// ρ > 1: the allowed ratio of FOSI's time to its base's, refreshes included.
        overhead: f64,
        /// r: the given cost of a product in units of a step. Then τ₁ = τ₂ = 1 and τ₃ = r·m for m products, the probe's
        /// included, so T = ⌈r·m/(ρ−1)⌉; no clock is read, and runs are reproducible bit for bit. `None`: costs are
        /// measured.
        product_cost: Option<f64>,
    },
}

impl Default for Schedule {
    /// ρ = 1.1 with measured costs, after a warm-up of 100 steps.
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

    /// T, if it needs no measurement, for refreshes of m products.
    pub(crate) fn fixed_interval(&self, products: usize) -> Option<u64> {
        match *self {
            Self::Every { interval, .. } => Some(interval),
            Self::Overhead { overhead, .. } => {
                let costs = Costs::in_steps(self.given_cost()?, products);
                interval(&costs, overhead)
            }
            Self::Never => None,
        }
    }

    /// r, if it is given.
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

/// The costs of steps and refreshes, in a common unit: seconds, or steps of the base.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// τ₁: a step of the base, gradient included.
    pub base_step: f64,
    /// τ₂: a step of FOSI, gradient included and refreshes excluded.
    pub fosi_step: f64,
    /// τ₃: a refresh.
    pub refresh: f64,
}

impl Costs {
    /// Costs in units of a step, if steps of FOSI and its base cost the same: τ₁ = τ₂ = 1 and τ₃ = r·m for m products
    /// that cost r steps each.
    pub fn in_steps(product_cost: f64, products: usize) -> Self {
        Self {
            base_step: 1.0,
            fosi_step: 1.0,
            refresh: product_cost * products as f64,
        }
    }
}

/// T = ⌈τ₃/(ρτ₁ − τ₂)⌉, at least 1: with refreshes every T steps, a step costs ρτ₁ on average, τ₂ + τ₃/T = ρτ₁ (paper,
/// eq. 6). `None` if ρτ₁ ≤ τ₂: FOSI's steps alone take at least ρ times as long as the base's. As τ₂ approaches ρτ₁, T
/// grows without bound.
///
/// ```
/// use fosi::schedule::{Costs, interval};
///
/// let costs = Costs { base_step: 0.010, fosi_step: 0.0105, refresh: 0.8 };
/// assert_eq!(interval(&costs, 1.1), Some(1600));
/// assert_eq!(interval(&costs, 1.05), None);
/// assert_eq!(interval(&Costs::in_steps(1.5, 40), 1.1), Some(600));
/// ```
pub fn interval(costs: &Costs, overhead: f64) -> Option<u64> {
    let left = overhead * costs.base_step - costs.fosi_step;
    // Rounding must not increase T by one.
    let steps = costs.refresh / left * (1.0 - 1e-12);
    (left > 0.0).then(|| (steps.ceil() as u64).max(1))
}

/// A rate: one value, or a function of the number of steps taken.
#[derive(Clone)]
pub enum Rate {
    /// A constant rate.
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
}

/// An error unless the rate is finite and at least 0.
pub(crate) fn check_rate(name: &'static str, value: f64) -> Result<(), Error> {
    let allowed = value >= 0.0 && value.is_finite();
    require(allowed, name, value, "at least 0 and finite")
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
