//! Heavy-Ball (Polyak 1964): m ← βm + g, d = ηm.

use crate::elementwise::{Elements, Elementwise};
use crate::error::{Error, require};
use crate::float::FloatLimits;
use crate::momentum::Momentum;
use crate::scaling::{Extremes, ratio};
use crate::update_rule::UpdateRule;

/// Heavy-Ball, or momentum SGD: m ← βm + g, θ ← θ − ηm (no dampening).
///
/// On a quadratic with eigenvalues in [μ, L] the optimal rate is η* = 4/(√L+√μ)² (Lessard, Recht, Packard 2016).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeavyBall {
    /// β in [0, 1); default 0.9.
    pub momentum: f64,
}

impl HeavyBall {
    /// Heavy-Ball with momentum β.
    pub fn new(momentum: f64) -> Self {
        Self { momentum }
    }
}

impl Default for HeavyBall {
    fn default() -> Self {
        Self::new(0.9)
    }
}

/// β and η of one step.
#[derive(Debug, Clone, Copy)]
pub struct HeavyBallStep {
    momentum: f64,
    learning_rate: f64,
}

impl UpdateRule for HeavyBall {
    fn name(&self) -> &'static str {
        "heavy-ball"
    }
    fn momentum(&self) -> Momentum {
        Momentum {
            decay: self.momentum,
            ..Momentum::NONE
        }
    }
    fn rate_ratio(&self, e: &Extremes) -> f64 {
        let whole = e.largest.sqrt() + e.smallest.sqrt();
        let left = e.largest_left.sqrt() + e.smallest_left.sqrt();
        ratio(whole * whole, left * left)
    }
    fn validate(&self, _limits: &FloatLimits) -> Result<(), Error> {
        validate_momentum(self.momentum)
    }
}

impl Elementwise for HeavyBall {
    type Coefficients = HeavyBallStep;
    const STATE: usize = 1;
    const LINEAR: bool = true;

    fn coefficients(&self, _step: u64, learning_rate: f64) -> HeavyBallStep {
        HeavyBallStep {
            momentum: self.momentum,
            learning_rate,
        }
    }
    #[inline(always)]
    fn direction<E: Elements>(step: &HeavyBallStep, state: &mut [E], gradient: E) -> E {
        state[0] = state[0].clone().scale(step.momentum) + gradient;
        state[0].clone().scale(step.learning_rate)
    }
}

pub(super) fn validate_momentum(momentum: f64) -> Result<(), Error> {
    require(
        (0.0..1.0).contains(&momentum),
        "momentum",
        momentum,
        "at least 0 and below 1",
    )
}
