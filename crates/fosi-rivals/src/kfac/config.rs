//! K-FAC's settings.

use crate::error::{RivalError, require, require_decay};

/// The settings of [`Kfac`](super::Kfac). The defaults are kfac-jax's where it has one.
///
/// ```
/// use fosi_rivals::kfac::{Damping, Fisher, KfacConfig, Momentum};
///
/// let adaptive = KfacConfig {
///     adaptive_learning_rate: true,
///     momentum: Momentum::Adaptive,
///     ..KfacConfig::default()
/// };
/// let fixed = KfacConfig { initial_damping: 1e-2, damping: Damping::Fixed, ..KfacConfig::default() };
/// assert_eq!(adaptive.fisher, Fisher::Sampled);
/// assert_eq!(fixed.inverse_interval, 5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KfacConfig {
    /// Whether each step's learning rate is the one that minimises the quadratic model; default false, the rate given at each
    /// step.
    pub adaptive_learning_rate: bool,
    /// The factor on the last step; default 0.9.
    pub momentum: Momentum,
    /// λ ≥ 0, what is added to the Fisher matrix's diagonal, at the start; default 1.
    pub initial_damping: f64,
    /// Whether λ stays; default the Levenberg–Marquardt rule.
    pub damping: Damping,
    /// Where the Fisher matrix comes from; default one sample of targets for each example and step.
    pub fisher: Fisher,
    /// Decay of the averages of the factors, in [0, 1); default 0.95. At 0 they are those of the last batch.
    pub decay: f64,
    /// T₃ ≥ 1: steps between inversions of the factors; default 5.
    pub inverse_interval: u64,
    /// The largest ‖Δ‖² in the norm of the approximate, damped Fisher matrix, positive; a longer step along the preconditioned
    /// gradient is scaled down to it. Not with an adaptive rate. Default none.
    pub norm_constraint: Option<f64>,
    /// Of the sampled targets; default 0.
    pub seed: u64,
}

/// The factor on the last step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Momentum {
    /// At least 0 and below 1.
    Fixed(f64),
    /// The factor that minimises the quadratic model.
    Adaptive,
}

/// Whether the damping λ changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Damping {
    /// It stays.
    Fixed,
    /// Every `interval` steps the loss's change on the step's batch is compared with the quadratic model's. Where it is more than
    /// ¾ of that, λ is multiplied by `decay^interval`; where it is less than ¼, λ is divided by it (Martens, Grosse 2015, §6.5).
    LevenbergMarquardt {
        /// At least 1.
        interval: u64,
        /// In (0, 1).
        decay: f64,
        /// The least λ, at least 0.
        minimum: f64,
    },
}

impl Damping {
    /// The rule with kfac-jax's numbers: every 5 steps, decay 0.9, at least 1e-8.
    pub const ADAPTIVE: Self = Self::LevenbergMarquardt {
        interval: 5,
        decay: 0.9,
        minimum: 1e-8,
    };
}

/// Where the Fisher matrix comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fisher {
    /// One target for each example, drawn from the network's own distribution: one forward and backward pass a step
    /// (kfac-jax's `fisher_gradients`).
    Sampled,
    /// The expectation over the targets: one pass for each output (kfac-jax's `fisher_exact`). For networks with few outputs. Exact
    /// where examples don't meet, as they do in batch norm.
    Exact,
}

impl Default for KfacConfig {
    fn default() -> Self {
        Self {
            adaptive_learning_rate: false,
            momentum: Momentum::Fixed(0.9),
            initial_damping: 1.0,
            damping: Damping::ADAPTIVE,
            fisher: Fisher::Sampled,
            decay: 0.95,
            inverse_interval: 5,
            norm_constraint: None,
            seed: 0,
        }
    }
}

impl KfacConfig {
    pub(super) fn validate(&self) -> Result<(), RivalError> {
        let nonnegative = |x: f64| x >= 0.0 && x.is_finite();
        let allowed = "finite and at least 0";
        let damping = self.initial_damping;
        require(nonnegative(damping), "initial_damping", damping, allowed)?;
        if let Momentum::Fixed(momentum) = self.momentum {
            require_decay("momentum", momentum)?;
        }
        if let Damping::LevenbergMarquardt {
            interval,
            decay,
            minimum,
        } = self.damping
        {
            let positive = decay > 0.0 && decay < 1.0;
            require(interval >= 1, "interval", interval as f64, "at least 1")?;
            require(positive, "decay", decay, "above 0 and below 1")?;
            require(nonnegative(minimum), "minimum", minimum, allowed)?;
        }
        require_decay("decay", self.decay)?;
        let interval = self.inverse_interval;
        require(
            interval >= 1,
            "inverse_interval",
            interval as f64,
            "at least 1",
        )?;
        let Some(constraint) = self.norm_constraint else {
            return Ok(());
        };
        let name = "norm_constraint";
        let positive = constraint > 0.0 && constraint.is_finite();
        require(positive, name, constraint, "positive and finite")?;
        let allowed = "absent where the learning rate is adaptive";
        require(!self.adaptive_learning_rate, name, constraint, allowed)
    }
}
