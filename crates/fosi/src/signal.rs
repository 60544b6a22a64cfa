//! Estimates how much of the gradient's coefficients along V is signal rather than noise between batches.

use serde::{Deserialize, Serialize};

/// Running means of c and c² since the refresh, per direction.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Signal {
    /// The base's learning rate along each direction, in units of η; 0 where it is unknown.
    base_rates: Vec<f64>,
    /// t: the number of coefficients recorded.
    count: u64,
    /// Σδʲ(1−δ)c₋ⱼ, before bias correction.
    means: Vec<f64>,
    /// The same for c².
    squares: Vec<f64>,
}

/// Up to this many steps after a refresh, the data are too few to distinguish signal from noise.
const FIRST: u64 = 5;

impl Signal {
    /// The state before the first coefficients.
    pub(crate) fn new(base_rates: Vec<f64>) -> Self {
        let zeros = vec![0.0; base_rates.len()];
        Self {
            base_rates,
            count: 0,
            means: zeros.clone(),
            squares: zeros,
        }
    }

    /// Whether a run with k+ℓ = `pairs` directions can reach this state.
    pub(crate) fn is_possible(&self, pairs: usize) -> bool {
        let possible = |values: &[f64], least: f64| {
            values.len() == pairs && values.iter().all(|x| x.is_finite() && *x >= least)
        };
        possible(&self.base_rates, 0.0)
            && possible(&self.means, -f64::MAX)
            && possible(&self.squares, 0.0)
    }

    /// The base's learning rate along direction i, in units of η.
    pub(crate) fn base_rate(&self, i: usize) -> f64 {
        self.base_rates[i]
    }

    /// Copies `other`, of as many directions, without allocation.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.base_rates.copy_from_slice(&other.base_rates);
        self.count = other.count;
        self.means.copy_from_slice(&other.means);
        self.squares.copy_from_slice(&other.squares);
    }

    /// Records the coefficients c of a step, with decay δ.
    pub(crate) fn advance(&mut self, coefficients: &[f64], decay: f64) {
        self.count += 1;
        let mean =
            |mean: f64, c: f64| (decay * mean + (1.0 - decay) * c).clamp(-f64::MAX, f64::MAX);
        let averages = self.means.iter_mut().zip(&mut self.squares);
        for ((average, square), c) in averages.zip(coefficients) {
            *average = mean(*average, *c);
            *square = mean(*square, c * c);
        }
    }

    /// q of direction i: 0 if c looks like white noise, 1 if c is constant.
    pub(crate) fn share(&self, i: usize, decay: f64) -> f64 {
        if self.count <= FIRST || self.squares[i] == 0.0 {
            return 0.0;
        }
        let fading = decay.powf(self.count as f64);
        // m̂²/v̂ with both bias corrections in one factor; c² may have underflowed although c has not.
        let explained = self.means[i] * self.means[i] / (self.squares[i] * (1.0 - fading));
        let noise = (1.0 - decay) * (1.0 + fading) / ((1.0 + decay) * (1.0 - fading));
        ((explained - noise) / (1.0 - noise)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Signal;

    /// q after the coefficients.
    fn share(coefficients: impl IntoIterator<Item = f64>, decay: f64) -> f64 {
        let mut signal = Signal::new(vec![1.0]);
        for c in coefficients {
            signal.advance(&[c], decay);
        }
        signal.share(0, decay)
    }

    #[test]
    fn a_steady_coefficient_is_all_signal() {
        for decay in [0.5, 0.9, 0.99] {
            assert_eq!(share([0.3; 5], decay), 0.0);
            let found = share([0.3; 6], decay);
            assert!((found - 1.0).abs() < 1e-12, "{decay}: {found}");
        }
    }

    #[test]
    fn the_share_is_the_formula_s() {
        // The sums written out: m̂ = Σw·c/Σw, v̂ = Σw·c²/Σw, φ = Σw²/(Σw)².
        let (decay, c) = (0.8, [1.0, -0.5, 2.0, 0.25, 1.5, 0.75, -1.0, 3.0]);
        let weight = |i: usize| f64::powi(decay, (c.len() - 1 - i) as i32);
        let sum = |term: &dyn Fn(usize) -> f64| (0..c.len()).map(term).sum::<f64>();
        let total = sum(&weight);
        let mean = sum(&|i| weight(i) * c[i]) / total;
        let square = sum(&|i| weight(i) * c[i] * c[i]) / total;
        let noise = sum(&|i| weight(i) * weight(i)) / (total * total);
        let expected = (mean * mean / square - noise) / (1.0 - noise);
        let found = share(c, decay);
        assert!(expected > 0.05 && expected < 0.95, "{expected}");
        assert!((found - expected).abs() < 1e-14, "{found} {expected}");
    }

    #[test]
    fn noise_has_no_share_on_average() {
        use rand::SeedableRng;
        use rand_distr::{Distribution, StandardNormal};
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let mut signal = Signal::new(vec![1.0]);
        let mut total = 0.0;
        for _ in 0..20_000 {
            signal.advance(&[StandardNormal.sample(&mut random)], 0.9);
            total += signal.share(0, 0.9);
        }
        // (m̂²/v̂ − φ)/(1 − φ) has mean 0; only its positive part counts.
        let mean = total / 20_000.0;
        assert!(mean < 0.05, "{mean}");
    }

    #[test]
    fn nothing_overflows() {
        let found = share([1e200; 8], 0.9);
        assert!((0.0..=1.0).contains(&found), "{found}");
        assert_eq!(share([0.0; 8], 0.9), 0.0);
    }
}
