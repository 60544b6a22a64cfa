//! The trace and the Frobenius norm of a symmetric operator, by Hutchinson's estimator.

use std::borrow::{Borrow, BorrowMut};

use crate::error::{Error, require};
use crate::lanczos::{LanczosInfo, Start, Workspace};
use crate::non_exhaustive::NonExhaustive;
use crate::operator::{SymmetricOperator, check_dim};
use crate::sampling::{SampleMean, sample_seed};
use crate::space::Space;
use crate::spectrum::{SpectrumParams, ritz_pairs};

/// Settings of the trace estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParams {
    /// N: the number of random vectors, default 100. The standard errors fall with 1/√N.
    pub probes: usize,
    /// Seed of the random vectors.
    pub seed: u64,
    #[doc(hidden)]
    pub non_exhaustive: NonExhaustive,
}

impl Default for TraceParams {
    fn default() -> Self {
        Self {
            probes: 100,
            seed: 0,
            non_exhaustive: NonExhaustive::default(),
        }
    }
}

impl TraceParams {
    /// # Errors
    /// [`Error::InvalidSetting`] unless there are from 1 to 1,000,000 probes.
    pub fn validate(&self) -> Result<(), Error> {
        let within = (1..=MOST_PROBES).contains(&self.probes);
        require(within, "probes", self.probes, "from 1 to 1,000,000")
    }
}

/// Far beyond any use.
const MOST_PROBES: usize = 1_000_000;

/// The result of [`estimate`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TraceEstimate {
    /// tr A, the sum of the eigenvalues.
    pub trace: SampleMean,
    /// ‖A‖_F² = tr A², the sum of the squared eigenvalues. Infinite if it overflows an `f64`.
    pub frobenius_square: SampleMean,
    /// zᵀAz of each probe.
    pub quadratic_forms: Vec<f64>,
    /// ‖Az‖² of each probe.
    pub squares: Vec<f64>,
    /// Products computed, retries included.
    pub products: usize,
}

/// Estimates the trace and the squared Frobenius norm of `operator`.
///
/// With N vectors z whose entries are ±1, each with probability ½,
///
/// ```text
/// tr A   ≈ (1/N)·Σ zᵀAz        variance of a term  2(‖A‖_F² − Σ aᵢᵢ²)
/// ‖A‖_F² ≈ (1/N)·Σ ‖Az‖²                           2(‖A²‖_F² − Σ (A²)ᵢᵢ²)
/// ```
///
/// Both are unbiased (Hutchinson 1990; the second is the first for A²) and take one product per vector. The trace of a
/// diagonal matrix is exact. An operator with a [`retry`](SymmetricOperator::retry), such as a forward
/// [`DifferenceQuotient`](crate::operator::DifferenceQuotient), computes two products per vector, and these must agree.
/// In a space of dimension n, n products with unit vectors give both numbers exactly, so N ≥ n is never worthwhile.
///
/// ```
/// use fosi::{Host, operator::DenseMatrix, trace::{TraceParams, estimate}};
///
/// let space = Host::<f64>::new(2);
/// let mut matrix = DenseMatrix::new(2, vec![3.0, 0.0, 0.0, -1.0])?;
/// let found = estimate(&space, &mut matrix, &TraceParams { probes: 4, ..TraceParams::default() })?;
/// assert!((found.trace.mean - 2.0).abs() < 1e-12);
/// assert!((found.frobenius_square.mean - 10.0).abs() < 1e-12);
/// # Ok::<(), fosi::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidSetting`] for a number of probes outside its range or a space of dimension 0,
/// [`Error::DimensionMismatch`] for an operator of another dimension, [`Error::Lanczos`] where a product fails, is not
/// finite or does not agree with its second computation.
pub fn estimate<S: Space>(
    space: &S,
    operator: &mut impl SymmetricOperator<S>,
    params: &TraceParams,
) -> Result<TraceEstimate, Error> {
    params.validate()?;
    let n = require_dim(space, operator)? as f64;
    let mut workspace = Workspace::new(space, 1);
    let (mut quadratic_forms, mut squares) = (Vec::new(), Vec::new());
    let mut products = 0;
    for probe in 0..params.probes {
        let signs = signs(space, sample_seed(params.seed, probe));
        let moments = moments(space, operator, signs.borrow(), &mut workspace)?;
        quadratic_forms.push(n * moments.first);
        squares.push(n * moments.second);
        products += moments.info.products;
    }
    Ok(TraceEstimate {
        trace: SampleMean::of(&quadratic_forms),
        frobenius_square: SampleMean::of(&squares),
        quadratic_forms,
        squares,
        products,
    })
}

/// uᵀAu and ‖Au‖² of a unit vector u.
struct Moments {
    first: f64,
    second: f64,
    info: LanczosInfo,
}

/// Both moments for u = z/‖z‖ from one Lanczos step, which checks the product: Au is θu plus a residual orthogonal to
/// u.
fn moments<S: Space>(
    space: &S,
    operator: &mut impl SymmetricOperator<S>,
    z: &S::Vector,
    workspace: &mut Workspace<S>,
) -> Result<Moments, Error> {
    let one_step = SpectrumParams {
        largest: 1,
        lanczos_steps: Some(1),
        probe: false,
        ..SpectrumParams::default()
    };
    let ritz = ritz_pairs(space, operator, &one_step, &Start::At(z), workspace)?;
    let (theta, residual) = (ritz.values[0], ritz.residuals[0]);
    Ok(Moments {
        first: theta,
        second: theta * theta + residual * residual,
        info: ritz.projected.info,
    })
}

/// Independent entries ±1 (Rademacher): the signs of a normal vector.
fn signs<S: Space>(space: &S, seed: u64) -> S::Owned {
    let normal = space.normal(seed);
    let mut signs = space.zeros();
    // A limit so small that normally distributed entries exceed it.
    let exponent = (space.min_positive().log2() / 2.0).ceil();
    let x = signs.borrow_mut();
    space.clamp(exponent.exp2(), normal.borrow(), x);
    space.scale_by_power(-exponent, x);
    signs
}

/// Requires a dimension n ≥ 1 of the space, and the same of the operator if it reports one.
pub(crate) fn require_dim<S: Space>(
    space: &S,
    operator: &impl SymmetricOperator<S>,
) -> Result<usize, Error> {
    let n = space.dim();
    if let Some(found) = operator.dim() {
        check_dim(n, found)?;
    }
    require(n > 0, "the dimension of the space", n, "at least 1")?;
    Ok(n)
}
