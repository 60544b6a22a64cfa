//! How much larger the base's learning rate may be once the subspace is removed (paper, §3.6 and A.6).
//!
//! s = min{η₂*/η*, c}, at least 1, where η* is the base's optimal rate on a quadratic with eigenvalues in [μ, L] and
//! η₂* its optimal rate in the complement, with eigenvalues in [μ₂, L₂]:
//!
//! | base | η* | η₂*/η* |
//! |---|---|---|
//! | gradient descent | 2/(L+μ) | (L+μ)/(L₂+μ₂) |
//! | Heavy-Ball | 4/(√L+√μ)² | ((√L+√μ)/(√L₂+√μ₂))² |
//! | Nesterov | 4/(3L+μ) | (3L+μ)/(3L₂+μ₂) |
//! | adaptive ones | none | 1 |
//!
//! (Lessard, Recht, Packard 2016.)

/// The ends of the spectrum, in the whole space and in the complement, with negative values replaced by 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extremes {
    /// L = λ₁.
    pub largest: f64,
    /// μ = max(λ_n, 0).
    pub smallest: f64,
    /// L₂ = λ_k, an upper bound on the complement's eigenvalues.
    pub largest_left: f64,
    /// μ₂ = max(λ_{n−ℓ+1}, 0), or μ where ℓ = 0.
    pub smallest_left: f64,
}

/// whole/left, or ∞ if `left` is 0.
pub(crate) fn ratio(whole: f64, left: f64) -> f64 {
    if left > 0.0 {
        whole / left
    } else {
        f64::INFINITY
    }
}

/// s from the ratio η₂*/η*: at least 1, at most `limit`, and 1 if the curvature gives no ratio.
pub(crate) fn limited(extremes: &Extremes, ratio: f64, limit: f64) -> f64 {
    let scale = if ratio < limit { ratio } else { limit };
    if extremes.largest > 0.0 && !ratio.is_nan() && scale.is_finite() {
        scale.max(1.0)
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Adam, GradientDescent, HeavyBall, Nesterov, UpdateRule};

    const EXTREMES: Extremes = Extremes {
        largest: 16.0,
        smallest: 1.0,
        largest_left: 4.0,
        smallest_left: 1.0,
    };

    #[test]
    fn ratios_are_those_of_the_table() {
        assert_eq!(GradientDescent.rate_ratio(&EXTREMES), 17.0 / 5.0);
        assert_eq!(HeavyBall::default().rate_ratio(&EXTREMES), 25.0 / 9.0);
        assert_eq!(Nesterov::default().rate_ratio(&EXTREMES), 49.0 / 13.0);
        assert_eq!(Adam::default().rate_ratio(&EXTREMES), 1.0);
    }

    #[test]
    fn scale_stays_between_one_and_its_limit() {
        assert_eq!(limited(&EXTREMES, 3.4, 3.0), 3.0);
        assert_eq!(limited(&EXTREMES, 0.5, 3.0), 1.0);
        assert_eq!(limited(&EXTREMES, f64::NAN, 3.0), 1.0);
        assert_eq!(limited(&EXTREMES, f64::NAN, f64::INFINITY), 1.0);
        assert_eq!(limited(&EXTREMES, f64::INFINITY, f64::INFINITY), 1.0);
        let flat = Extremes {
            largest: 0.0,
            ..EXTREMES
        };
        assert_eq!(limited(&flat, 3.0, 3.0), 1.0);
    }
}
