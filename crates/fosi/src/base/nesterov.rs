//! Nesterov momentum in its deep-learning form (Sutskever et al. 2013).

use super::heavy_ball::validate_momentum;
use crate::elementwise::{Elements, Elementwise};
use crate::error::Error;
use crate::float::FloatLimits;
use crate::momentum::Momentum;
use crate::scaling::{Extremes, ratio};
use crate::update_rule::UpdateRule;

/// Nesterov momentum: m ← βm + g, θ ← θ − η(g + βm), with the gradient taken at the parameters themselves.
///
/// On a quadratic with eigenvalues in [μ, L] the optimal rate is η* = 4/(3L+μ) (Lessard, Recht, Packard 2016).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nesterov {
    /// β in [0, 1); default 0.9.
    pub momentum: f64,
}

impl Nesterov {
    /// Nesterov with momentum β.
    pub fn new(momentum: f64) -> Self {
        Self { momentum }
    }
}

impl Default for Nesterov {
    fn default() -> Self {
        Self::new(0.9)
    }
}

/// β and η of one step.
#[derive(Debug, Clone, Copy)]
pub struct NesterovStep {
    momentum: f64,
    learning_rate: f64,
}

impl UpdateRule for Nesterov {
    fn name(&self) -> &'static str {
        "nesterov"
    }
    fn momentum(&self) -> Momentum {
        Momentum {
            decay: self.momentum,
            lookahead: true,
            ..Momentum::NONE
        }
    }
    fn rate_ratio(&self, e: &Extremes) -> f64 {
        ratio(
            3.0 * e.largest + e.smallest,
            3.0 * e.largest_left + e.smallest_left,
        )
    }
    fn validate(&self, _limits: &FloatLimits) -> Result<(), Error> {
        validate_momentum(self.momentum)
    }
}

impl Elementwise for Nesterov {
    type Coefficients = NesterovStep;
    const STATE: usize = 1;
    const LINEAR: bool = true;

    fn coefficients(&self, _step: u64, learning_rate: f64) -> NesterovStep {
        NesterovStep {
            momentum: self.momentum,
            learning_rate,
        }
    }
    #[inline(always)]
    fn direction<E: Elements>(step: &NesterovStep, state: &mut [E], gradient: E) -> E {
        state[0] = state[0].clone().scale(step.momentum) + gradient.clone();
        (gradient + state[0].clone().scale(step.momentum)).scale(step.learning_rate)
    }
}
