//! Gradient descent: d = ηg.

use crate::elementwise::{Elements, Elementwise};
use crate::scaling::{Extremes, ratio};
use crate::update_rule::UpdateRule;

/// Gradient descent: θ ← θ − ηg.
///
/// On a quadratic with eigenvalues in [μ, L] the optimal rate is η* = 2/(L+μ) (Lessard, Recht, Packard 2016).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GradientDescent;

impl UpdateRule for GradientDescent {
    fn name(&self) -> &'static str {
        "gradient-descent"
    }
    fn rate_ratio(&self, e: &Extremes) -> f64 {
        ratio(e.largest + e.smallest, e.largest_left + e.smallest_left)
    }
}

impl Elementwise for GradientDescent {
    type Coefficients = f64;
    const STATE: usize = 0;
    const LINEAR: bool = true;

    #[inline(always)]
    fn coefficients(&self, _step: u64, learning_rate: f64) -> f64 {
        learning_rate
    }
    #[inline(always)]
    fn direction<E: Elements>(learning_rate: &f64, _state: &mut [E], gradient: E) -> E {
        gradient.scale(*learning_rate)
    }
}
