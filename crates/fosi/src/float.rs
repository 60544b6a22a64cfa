//! Floating-point ranges, and arithmetic that keeps within them.

/// The floating-point limits of a vector's entries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FloatLimits {
    /// The unit roundoff.
    pub epsilon: f64,
    /// The smallest positive normal value.
    pub min_positive: f64,
    /// The largest finite value.
    pub max: f64,
}

/// 2ᵉ·x for an integer e; exact if the result is a normal number, even if 2ᵉ alone overflows.
pub(crate) fn times_power_of_two(x: f64, exponent: f64) -> f64 {
    let half = (exponent / 2.0).trunc();
    x * half.exp2() * (exponent - half).exp2()
}

/// ‖c‖ without over- or underflow; not finite if an entry is not finite.
pub(crate) fn norm(c: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = c.clone().fold(0.0, |m: f64, x| m.max(x.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return c.fold(largest, |norm, x| norm + 0.0 * x);
    }
    let square: f64 = c.map(|x| (x / largest).powi(2)).sum();
    largest * square.sqrt()
}
