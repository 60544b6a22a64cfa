//! Means over independent random samples.

/// The mean x̄ of independent samples x₁ … x_N of one quantity, and its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SampleMean {
    /// x̄.
    pub mean: f64,
    /// s/√N with s² = Σ(xᵢ − x̄)²/(N − 1); `None` for a single sample.
    pub standard_error: Option<f64>,
}

impl SampleMean {
    /// The mean of at least one sample.
    pub(crate) fn of(samples: &[f64]) -> Self {
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let square: f64 = samples.iter().map(|x| (x - mean).powi(2)).sum();
        let several = samples.len() > 1;
        Self {
            mean,
            standard_error: several.then(|| (square / (count - 1.0) / count).sqrt()),
        }
    }
}

/// The seed of one sample of a run. Runs with neighbouring seeds share no samples.
pub(crate) fn sample_seed(seed: u64, index: usize) -> u64 {
    // An odd factor gives different seeds for different indices.
    seed.wrapping_add((index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

#[cfg(test)]
mod tests {
    use super::SampleMean;

    #[test]
    fn the_standard_error_is_that_of_the_textbook() {
        // x̄ = 3 and s² = (4 + 1 + 0 + 1 + 4)/4 = 5/2, so that s/√N = √(1/2).
        let found = SampleMean::of(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(found.mean, 3.0);
        assert!((found.standard_error.unwrap() - 0.5_f64.sqrt()).abs() < 1e-15);
        assert_eq!(SampleMean::of(&[7.0]).standard_error, None);
    }
}
