//! The distribution of all eigenvalues of a symmetric operator, by stochastic Lanczos quadrature.

use std::f64::consts::TAU;

use crate::error::{Error, require};
use crate::lanczos::{LanczosInfo, Start, Workspace};
use crate::non_exhaustive::NonExhaustive;
use crate::operator::SymmetricOperator;
use crate::sampling::{SampleMean, sample_seed};
use crate::space::Space;
use crate::spectrum::{MOST_PAIRS, SpectrumParams, ritz_pairs};
use crate::trace::require_dim;

/// The number and length of the Lanczos runs of a density estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DensityParams {
    /// N: the number of Lanczos runs, each from its own random vector; default 10.
    pub probes: usize,
    /// m: the Lanczos steps per run, default 80; a run makes at most n.
    pub lanczos_steps: usize,
    /// Seed of the random vectors.
    pub seed: u64,
    #[doc(hidden)]
    pub non_exhaustive: NonExhaustive,
}

impl Default for DensityParams {
    fn default() -> Self {
        Self {
            probes: 10,
            lanczos_steps: 80,
            seed: 0,
            non_exhaustive: NonExhaustive::default(),
        }
    }
}

impl DensityParams {
    /// The number of products per estimation in a space of dimension n, N·min{m, n}, without retries.
    pub fn products(&self, dim: usize) -> usize {
        self.probes.saturating_mul(self.lanczos_steps.min(dim))
    }

    /// # Errors
    /// [`Error::InvalidSetting`] unless there are from 1 to 10,000 probes and steps.
    pub fn validate(&self) -> Result<(), Error> {
        let allowed = |count| (1..=MOST_PAIRS).contains(&count);
        let (probes, steps) = (self.probes, self.lanczos_steps);
        require(allowed(probes), "probes", probes, "from 1 to 10,000")?;
        require(
            allowed(steps),
            "lanczos_steps (m)",
            steps,
            "from 1 to 10,000",
        )
    }
}

/// The quadrature from one run: Σ wᵢ·f(θᵢ) ≈ uᵀf(A)u for its unit start vector u.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Quadrature {
    /// θ: the Ritz values, ascending.
    pub nodes: Vec<f64>,
    /// w: the squared components of u along the Ritz vectors, one per node; they sum to one.
    pub weights: Vec<f64>,
    /// The Lanczos run's counts and errors.
    pub info: LanczosInfo,
}

impl Quadrature {
    /// Σ wᵢ·f(θᵢ).
    fn mean_of(&self, f: impl Fn(f64) -> f64) -> f64 {
        let terms = self.nodes.iter().zip(&self.weights);
        terms.map(|(node, weight)| weight * f(*node)).sum()
    }
}

/// The spectral density φ(t) = (1/n)·Σ δ(t − λᵢ) of a symmetric operator, as [`estimate`] found it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SpectralDensity {
    /// The quadrature of each probe.
    pub quadratures: Vec<Quadrature>,
    /// n: the number of eigenvalues.
    pub dim: usize,
}

/// The smoothed density at one point; see [`SpectralDensity::smoothed`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct DensityPoint {
    /// t.
    pub point: f64,
    /// φ_σ(t), the mean over probes, in 1/units of the eigenvalues.
    pub density: SampleMean,
    /// The smallest value over the probes.
    pub least: f64,
    /// The largest value over the probes.
    pub greatest: f64,
}

impl SpectralDensity {
    /// ∫ f(t)·φ(t) dt = (1/n)·tr f(A): the mean over probes of Σ wᵢ·f(θᵢ).
    ///
    /// For f = ln and a positive definite A, n times this is ln det A. For f = 1 below zero and 0 above, it is the
    /// fraction of negative eigenvalues; the resolution of such a jump is the distance of the nodes.
    pub fn mean_of(&self, f: impl Fn(f64) -> f64) -> SampleMean {
        let samples: Vec<f64> = self.quadratures.iter().map(|q| q.mean_of(&f)).collect();
        SampleMean::of(&samples)
    }

    /// The moment ∫ tᵖ·φ(t) dt = (1/n)·tr Aᵖ. Up to p = 2m − 1 the quadrature is exact, and the only error is due to
    /// the random vectors. The first moment is tr A/n, the second ‖A‖_F²/n.
    pub fn moment(&self, power: u32) -> SampleMean {
        self.mean_of(|node| node.powf(f64::from(power)))
    }

    /// The density at the points of `grid`, smoothed by a Gaussian of standard deviation `width`: φ_σ(t) = (1/n)·Σ
    /// g_σ(t − λᵢ), with its spread over the probes.
    ///
    /// A width below the distance of neighbouring nodes shows the nodes instead of the density. In the bulk of the
    /// spectrum this distance is about the length of the spectrum divided by
    /// [`lanczos_steps`](DensityParams::lanczos_steps).
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] unless the width is positive and finite and all points are finite.
    pub fn smoothed(&self, grid: &[f64], width: f64) -> Result<Vec<DensityPoint>, Error> {
        let positive = width > 0.0 && width.is_finite();
        require(positive, "the width", width, "positive and finite")?;
        let bad = grid.iter().copied().find(|point| !point.is_finite());
        let given = bad.unwrap_or(0.0);
        require(bad.is_none(), "a point of the grid", given, "finite")?;
        Ok(grid
            .iter()
            .map(|point| self.smoothed_at(*point, width))
            .collect())
    }

    fn smoothed_at(&self, point: f64, width: f64) -> DensityPoint {
        let gaussian = |node: f64| {
            let distance = (point - node) / width;
            (-0.5 * distance * distance).exp() / (width * TAU.sqrt())
        };
        let samples: Vec<f64> = self
            .quadratures
            .iter()
            .map(|q| q.mean_of(gaussian))
            .collect();
        DensityPoint {
            point,
            density: SampleMean::of(&samples),
            least: samples.iter().copied().fold(f64::INFINITY, f64::min),
            greatest: samples.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// The smallest and the largest node: estimates of λ_n from above and of λ₁ from below.
    pub fn extent(&self) -> (f64, f64) {
        let nodes = || self.quadratures.iter().flat_map(|q| &q.nodes).copied();
        (
            nodes().fold(f64::INFINITY, f64::min),
            nodes().fold(f64::NEG_INFINITY, f64::max),
        )
    }

    /// Products computed, retries included.
    pub fn products(&self) -> usize {
        self.quadratures.iter().map(|q| q.info.products).sum()
    }
}

/// Estimates the spectral density of `operator` by stochastic Lanczos quadrature.
///
/// For a random unit vector u with uniformly distributed direction, the mean of uᵀf(A)u is (1/n)·tr f(A). Lanczos from
/// u gives the Gauss quadrature of uᵀf(A)u: its nodes are the Ritz values, its weights the squared first entries of the
/// eigenvectors of T, and it is exact for polynomials of degree up to 2m − 1. N such quadratures are averaged (Golub,
/// Meurant 1994; Lin, Saad, Yang 2016; Ubaru, Chen, Saad 2017; for neural networks Ghorbani, Krishnan, Xiao 2019). It
/// costs N·min{m, n} products and the memory of m + 1 vectors.
///
/// ```
/// use fosi::{Host, operator::DenseMatrix, density::{DensityParams, estimate}};
///
/// let space = Host::<f64>::new(2);
/// let mut matrix = DenseMatrix::new(2, vec![2.0, 1.0, 1.0, 2.0])?;
/// let params = DensityParams { probes: 50, lanczos_steps: 2, ..DensityParams::default() };
/// let density = estimate(&space, &mut matrix, &params)?;
/// // The eigenvalues are 1 and 3; their weights in a probe are random.
/// let (smallest, largest) = density.extent();
/// assert!((smallest - 1.0).abs() < 1e-12 && (largest - 3.0).abs() < 1e-12);
/// let mean = density.moment(1);
/// assert!((mean.mean - 2.0).abs() < 4.0 * mean.standard_error.unwrap());
/// // Half of the eigenvalues are near 1.
/// let near_one = density.smoothed(&[1.0], 0.1)?[0].density;
/// assert!((near_one.mean - 0.5 / (0.1 * std::f64::consts::TAU.sqrt())).abs() < 4.0 * near_one.standard_error.unwrap());
/// # Ok::<(), fosi::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidSetting`] for invalid parameters or a space of dimension 0, [`Error::DimensionMismatch`] for an
/// operator of another dimension, [`Error::Lanczos`] where a run fails.
pub fn estimate<S: Space>(
    space: &S,
    operator: &mut impl SymmetricOperator<S>,
    params: &DensityParams,
) -> Result<SpectralDensity, Error> {
    params.validate()?;
    let dim = require_dim(space, operator)?;
    let steps = params.lanczos_steps.min(dim);
    let mut workspace = Workspace::new(space, steps);
    let mut quadratures = Vec::with_capacity(params.probes);
    for probe in 0..params.probes {
        let run = SpectrumParams {
            largest: 1,
            lanczos_steps: Some(steps),
            probe: false,
            seed: sample_seed(params.seed, probe),
            ..SpectrumParams::default()
        };
        let ritz = ritz_pairs(space, operator, &run, &Start::Random, &mut workspace)?;
        quadratures.push(Quadrature {
            weights: ritz.weights(),
            nodes: ritz.values,
            info: ritz.projected.info,
        });
    }
    Ok(SpectralDensity { quadratures, dim })
}
