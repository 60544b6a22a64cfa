//! K-FAC's settings.

use crate::error::{RivalError, require, require_decay};

/// The settings of [`Kfac`](super::Kfac). The defaults are those of kfac-jax, if it has one.
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
    /// Whether each step's learning rate minimises the quadratic model; default false: the rate is given at each step.
    pub adaptive_learning_rate: bool,
    /// The factor on the last step; default 0.9.
    pub momentum: Momentum,
    /// The initial damping λ ≥ 0, which is added to the Fisher matrix's diagonal; default 1.
    pub initial_damping: f64,
    /// How λ changes; default the Levenberg–Marquardt rule.
    pub damping: Damping,
    /// How the Fisher matrix is computed; default from one sample of targets per example and step.
    pub fisher: Fisher,
    /// Decay of the averages of the factors, in [0, 1); default 0.95. With 0, the factors are those of the last batch.
    pub decay: f64,
    /// T₃ ≥ 1: steps between inversions of the factors; default 5.
    pub inverse_interval: u64,
    /// A positive bound on ‖Δ‖² in the norm of the approximate, damped Fisher matrix; a larger step along the
    /// preconditioned gradient is scaled down to it. Not allowed with an adaptive rate. Default none.
    pub norm_constraint: Option<f64>,
    /// Seed of the sampled targets; default 0.
    pub seed: u64,
}

/// The factor on the last step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Momentum {
    /// A factor in [0, 1).
    Fixed(f64),
    /// The factor that minimises the quadratic model.
    Adaptive,
}

/// Whether the damping λ changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Damping {
    /// λ is constant.
    Fixed,
    /// Every `interval` steps, the change of the loss on the step's batch is compared with that of the quadratic model.
    /// If the ratio exceeds ¾, λ is multiplied by `decay^interval`; if it is below ¼, λ is divided by it (Martens,
    /// Grosse 2015, §6.5).
    LevenbergMarquardt {
        /// Steps between updates of λ, at least 1.
        interval: u64,
        /// The factor on λ per step, in (0, 1).
        decay: f64,
        /// The lower bound of λ, at least 0.
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

/// How the Fisher matrix is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fisher {
    /// From one target per example, drawn from the network's own distribution: one forward and backward pass per step
    /// (kfac-jax's `fisher_gradients`).
    Sampled,
    /// As the expectation over the targets: one pass per output (kfac-jax's `fisher_exact`). For networks with few
    /// outputs. Exact unless examples interact, as in batch norm.
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
        let allowed = "absent if the learning rate is adaptive";
        require(!self.adaptive_learning_rate, name, constraint, allowed)
    }
}
